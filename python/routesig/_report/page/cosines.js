// Similarities of prompts from their counts: the mean over layers of cosines (arXiv 2603.11114, equation 5).

/** Counts [prompts, layers, experts] as rows of length 1, layer by layer; a layer without tokens stays 0 and is not
    known. Three prompts of zeros follow: products are taken four by four. */
function unitRows(counts) {
  const { layers, experts } = prompts;
  const unit = new Float32Array(counts.length + 3 * layers * experts);
  const known = new Uint8Array(prompts.ids.length * layers);
  for (let row = 0; row < counts.length / experts; row++) {
    let square = 0;
    for (let i = row * experts; i < (row + 1) * experts; i++) square += counts[i] * counts[i];
    if (square === 0) continue;
    known[row] = 1;
    const scale = 1 / Math.sqrt(square);
    for (let i = row * experts; i < (row + 1) * experts; i++) unit[i] = counts[i] * scale;
  }
  return { unit, known, complete: known.every(Boolean) };
}

/** The cosine of two prompts in each layer; null where either has no token. */
function layerCosines(counts, a, b) {
  const { layers, experts } = prompts;
  return Array.from({ length: layers }, (_, layer) => {
    const [x, y] = [a, b].map((prompt) => (prompt * layers + layer) * experts);
    let [product, square, other] = [0, 0, 0];
    for (let e = 0; e < experts; e++) {
      product += counts[x + e] * counts[y + e];
      square += counts[x + e] ** 2;
      other += counts[y + e] ** 2;
    }
    return square * other > 0 ? product / Math.sqrt(square * other) : null;
  });
}

/** Inner products of a row with the four that begin at `at`, `at + size`, ...: each of its values is read once. */
function products(row, values, at, size, sums) {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < row.length; i++) {
    const x = row[i];
    const place = at + i;
    a += x * values[place];
    b += x * values[place + size];
    c += x * values[place + 2 * size];
    d += x * values[place + 3 * size];
  }
  [sums[0], sums[1], sums[2], sums[3]] = [a, b, c, d];
}

/** Layers, of those chosen, that two prompts both know. */
function sharedLayers(known, layer, a, b) {
  const { layers } = prompts;
  if (layer >= 0) return known[a * layers + layer] & known[b * layers + layer];
  let shared = 0;
  for (let l = 0; l < layers; l++) shared += known[a * layers + l] & known[b * layers + l];
  return shared;
}

/** The similarity of every pair in one layer, or in the mean (-1) over those that both know: Float32Array
    [prompts, prompts], NaN where there is none. Works in slices, so that the page stays alive; gives null when `cancelled()`. */
async function similarityMatrix({ unit, known, complete }, layer, cancelled) {
  const { layers, experts } = prompts;
  const n = prompts.ids.length;
  const size = layers * experts;
  const from = layer < 0 ? 0 : layer * experts;
  const width = layer < 0 ? size : experts;
  const all = layer < 0 ? layers : 1;
  const matrix = new Float32Array(n * n);
  const sums = new Float64Array(4);
  let started = performance.now();
  for (let a = 0; a < n; a++) {
    const row = unit.subarray(a * size + from, a * size + from + width);
    for (let b = a; b < n; b += 4) {
      products(row, unit, b * size + from, size, sums);
      for (let i = 0; i < 4 && b + i < n; i++) {
        matrix[a * n + b + i] = matrix[(b + i) * n + a] = sums[i] / (complete ? all : sharedLayers(known, layer, a, b + i));
      }
    }
    if (performance.now() - started > 25) {
      await new Promise((resume) => setTimeout(resume));
      if (cancelled()) return null;
      started = performance.now();
    }
  }
  return matrix;
}

/** Whether two prompts make a pair: both have a task, and they are of different groups. */
function isPair(a, b) {
  return prompts.task[a] >= 0 && prompts.task[b] >= 0 && (prompts.group[a] < 0 || prompts.group[a] !== prompts.group[b]);
}

/** Within, across, D, d and the mean of every pair of tasks; pairs without a similarity take no part. */
function separationOf(matrix) {
  const n = prompts.ids.length;
  const tasks = prompts.tasks.length;
  const sums = new Float64Array(tasks * tasks);
  const counts = new Float64Array(tasks * tasks);
  const groups = [{ n: 0, sum: 0, square: 0 }, { n: 0, sum: 0, square: 0 }]; // across, within
  for (let a = 0; a < n; a++) {
    for (let b = a + 1; b < n; b++) {
      const value = matrix[a * n + b];
      if (Number.isNaN(value) || !isPair(a, b)) continue;
      const group = groups[prompts.task[a] === prompts.task[b] ? 1 : 0];
      group.n += 1;
      group.sum += value;
      group.square += value * value;
      const low = Math.min(prompts.task[a], prompts.task[b]);
      const high = Math.max(prompts.task[a], prompts.task[b]);
      sums[low * tasks + high] += value;
      counts[low * tasks + high] += 1;
    }
  }
  const [across, within] = groups.map((group) => (group.n ? group.sum / group.n : null));
  const spread = groups.map((group) => (group.n ? group.square - (group.sum * group.sum) / group.n : 0));
  const pooled = Math.sqrt((spread[0] + spread[1]) / (groups[0].n + groups[1].n - 2));
  const difference = across === null || within === null ? null : within - across;
  const cell = (grid, a, b) => grid[Math.min(a, b) * tasks + Math.max(a, b)];
  const table = (of) => prompts.tasks.map((_, a) => prompts.tasks.map((_, b) => of(a, b)));
  return {
    within,
    across,
    difference,
    d: difference === null || !(pooled > 1e-12) ? null : difference / pooled,
    mean: table((a, b) => (cell(counts, a, b) ? cell(sums, a, b) / cell(counts, a, b) : null)),
    pairs: table((a, b) => cell(counts, a, b)),
  };
}
