// Which tokens and which layer: the similarity matrix, the category matrix and the numbers beside them.

const compare = { rows: new Map(), set: page.similarity.chosen, layer: -1, run: 0, matrix: null, picture: null };

/** Counts of a token set [prompts, layers, experts]; all tokens are the sum of prompt and generated ones. */
async function countsOf(set) {
  const { sets } = page.similarity;
  if (sets[set]) return unpacked(sets[set]);
  compare.sum ??= Promise.all([unpacked(sets.prompt), unpacked(sets.generation)])
    .then(([prompt, generation]) => Uint32Array.from(prompt, (count, i) => count + generation[i]));
  return compare.sum;
}

async function rowsOf(set) {
  if (!compare.rows.has(set)) compare.rows.set(set, unitRows(await countsOf(set)));
  return compare.rows.get(set);
}

async function recompute() {
  const run = ++compare.run;
  const cancelled = () => run !== compare.run;
  byId("readout").setAttribute("aria-busy", "true");
  const rows = await rowsOf(compare.set);
  if (cancelled()) return;
  const matrix = await similarityMatrix(rows, compare.layer, cancelled);
  if (!matrix) return;
  compare.matrix = matrix;
  const low = lowest(matrix);
  compare.picture = painted(matrix, low);
  compare.view.show(compare.picture);
  byId("scale-low").textContent = number(low, 2);
  const found = separationOf(matrix);
  figures.shown = { tasks: prompts.tasks, mean: found.mean, pairs: found.pairs };
  redraw("categories");
  showReadout(found);
  showPair();
}

function showReadout(found) {
  const where = compare.layer < 0 ? "all layers" : `layer ${compare.layer}`;
  if (byId("layer-name")) byId("layer-name").textContent = where;
  for (const [name, places] of [["within", 3], ["across", 3], ["difference", 3], ["d", 2]]) {
    byId(`readout-${name}`).textContent = number(found[name], places);
  }
  const place = byId("readout");
  place.setAttribute("aria-busy", "false");
  place.dataset.choice = `${compare.set} ${compare.layer}`;
}

function startCompare() {
  const canvas = byId("similarity");
  if (!canvas) return;
  startEdges();
  compare.view = matrixView(canvas, { pick: choosePair, describe: describePair });
  showSketch();
  startPair();
  if (!page.similarity.computed) return;
  for (const radio of document.querySelectorAll("input[name=token-set]")) {
    radio.addEventListener("change", () => { compare.set = radio.value; recompute(); });
  }
  byId("layer")?.addEventListener("input", (event) => { compare.layer = Number(event.target.value); recompute(); });
  needed.push(() => countsOf(compare.set));
  whenSeen(byId("figure-similarity"), recompute);
}

/** The picture that the page came with, beside the headline and until the matrix is computed. */
function showSketch() {
  const { source, low, high } = page.similarity.picture;
  const image = new Image();
  image.onload = () => {
    if (!compare.picture) compare.view.show(image);
    startHero(image);
  };
  image.src = source;
  byId("scale-low").textContent = number(low, 2);
  byId("scale-high").textContent = high === 1 ? "1" : number(high, 2);
}

function startHero(picture) {
  const canvas = byId("hero");
  const draw = () => {
    const side = Math.round(canvas.clientWidth * (devicePixelRatio || 1));
    if (!side) return;
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = picture.width > side;
    context.drawImage(picture, 0, 0, side, side);
  };
  new ResizeObserver(draw).observe(canvas);
  addEventListener("beforeprint", draw);
  draw();
}

function describePair(a, b) {
  const value = compare.matrix ? compare.matrix[a * prompts.ids.length + b] : NaN;
  const lines = [["", `${prompts.ids[a]} (${taskName(prompts.task[a])})`]];
  if (a !== b) lines.push(["", `${prompts.ids[b]} (${taskName(prompts.task[b])})`]);
  lines.push(["faint", opening(a, 70)]);
  if (a !== b) lines.push(["faint", opening(b, 70)]);
  return Number.isNaN(value) ? lines : [["strong", `similarity ${number(value)}`], ...lines];
}
