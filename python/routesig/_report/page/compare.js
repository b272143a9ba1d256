// Which tokens and which layer: the similarity matrix, the category matrix and the numbers beside them.

const compare = { rows: new Map(), set: page.similarity.chosen, layer: -1, run: 0, matrix: null, empty: null };
const SETS = { all: "all tokens", prompt: "prompt tokens", generation: "generated tokens" };

/** Unit rows of a token set; all tokens are the sum of prompt and generated ones. */
async function rowsOf(set) {
  if (!compare.rows.has(set)) {
    const { sets } = page.similarity;
    let counts;
    if (sets[set]) counts = await unpacked(sets[set]);
    else {
      const [prompt, generation] = [await unpacked(sets.prompt), await unpacked(sets.generation)];
      counts = Uint32Array.from(prompt, (count, i) => count + generation[i]);
    }
    compare.rows.set(set, unitRows(counts));
  }
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
  Object.assign(compare, { matrix, empty: rows.empty });
  const low = lowest(matrix, rows.empty);
  compare.picture = painted(matrix, rows.empty, low);
  compare.view.show(compare.picture);
  byId("scale-low").textContent = number(low, 2);
  const found = separationOf(matrix, rows.empty);
  figures.shown = { tasks: prompts.tasks, mean: found.mean, pairs: found.pairs };
  redraw("categories");
  showReadout(found);
  showPair();
}

function showReadout(found) {
  const where = compare.layer < 0 ? "all layers" : `layer ${compare.layer}`;
  byId("layer-name").textContent = where;
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
  labelEdges(byId("edge-top"), byId("edge-left"));
  compare.view = matrixView(canvas, { pick: choosePair, describe: describePair });
  startPair();
  if (page.similarity.image) {
    const image = new Image();
    image.onload = () => { compare.picture = image; compare.view.show(image); startHero(); };
    image.src = page.similarity.image.source;
    byId("scale-low").textContent = number(page.similarity.image.low, 2);
    byId("scale-high").textContent = number(page.similarity.image.high, 2);
    showPair();
    return;
  }
  for (const radio of document.querySelectorAll("input[name=token-set]")) {
    radio.addEventListener("change", () => { compare.set = radio.value; recompute(); });
  }
  byId("layer").addEventListener("input", (event) => { compare.layer = Number(event.target.value); recompute(); });
  recompute().then(startHero);
}

/** The same picture, small, beside the headline. */
function startHero() {
  const canvas = byId("hero");
  if (!canvas || !compare.picture) return;
  const picture = compare.picture;
  const draw = () => {
    const side = Math.round(canvas.clientWidth * (devicePixelRatio || 1));
    if (!side) return;
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = prompts.ids.length > side;
    context.drawImage(picture, 0, 0, side, side);
  };
  new ResizeObserver(draw).observe(canvas);
  addEventListener("beforeprint", draw);
  draw();
}

function describePair(a, b) {
  const value = compare.matrix && !compare.empty[a] && !compare.empty[b] ? compare.matrix[a * prompts.ids.length + b] : null;
  const lines = [["", `${prompts.ids[a]} (${taskName(prompts.task[a])})`]];
  if (a !== b) lines.push(["", `${prompts.ids[b]} (${taskName(prompts.task[b])})`]);
  lines.push(["faint", opening(a, 70)]);
  if (a !== b) lines.push(["faint", opening(b, 70)]);
  return value === null ? lines : [["strong", `similarity ${number(value)}`], ...lines];
}
