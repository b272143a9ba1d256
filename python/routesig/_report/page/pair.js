// Two prompts side by side: their texts, and how alike they are routed layer by layer.

const pair = { a: 0, b: Math.min(1, prompts.ids.length - 1), cosines: null };

function choosePair(a, b) {
  Object.assign(pair, { a, b });
  showPair();
}

function startPair() {
  for (const button of document.querySelectorAll("[data-find]")) {
    button.addEventListener("click", () => {
      const found = extremePair(button.dataset.find);
      if (found) choosePair(...found);
    });
  }
  whenSeen(byId("pair-panel"), async () => {
    await promptTexts();
    for (const side of ["a", "b"]) {
      const select = byId(`pair-${side}`);
      finder(select, promptOptions(prompts.ids.map((_, i) => i)));
      select.addEventListener("change", () => { pair[side] = Number(select.value); showPair(); });
    }
    showPair();
  });
  if (Object.keys(page.similarity.sets).length) chart("pair-layers", pairFigure, pairCosines);
}

/** The most alike pair of two tasks, or the least alike pair of one. */
function extremePair(which) {
  const n = prompts.ids.length;
  const { matrix } = compare;
  let best = null;
  for (let a = 0; matrix && a < n; a++) {
    for (let b = a + 1; b < n; b++) {
      if (Number.isNaN(matrix[a * n + b]) || !isPair(a, b)) continue;
      const same = prompts.task[a] === prompts.task[b];
      if (same !== (which === "odd")) continue;
      const value = which === "odd" ? -matrix[a * n + b] : matrix[a * n + b];
      if (best === null || value > best[0]) best = [value, a, b];
    }
  }
  return best && best.slice(1);
}

async function pairCosines() {
  pair.cosines = layerCosines(await countsOf(compare.set), pair.a, pair.b);
}

async function showPair() {
  await promptTexts();
  const { a, b } = pair;
  compare.view.choose(a, b);
  for (const [side, i] of [["a", a], ["b", b]]) {
    showChoice(byId(`pair-${side}`), i);
    const label = byId(`pair-${side}-task`);
    label.textContent = taskName(prompts.task[i]) + (prompts.tokens === null ? "" : ` · ${prompts.tokens[i]} tokens`);
    label.dataset.task = prompts.task[i];
    label.style.borderColor = taskColour(prompts.task[i]);
    byId(`pair-${side}-text`).textContent = prompts.texts === null ? "(its text is not known)" : prompts.texts[i];
  }
  if (!Object.keys(page.similarity.sets).length) return;
  await pairCosines();
  const known = pair.cosines.filter((value) => value !== null);
  const mean = known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  byId("pair-mean").textContent = number(mean);
  const { layer } = compare;
  byId("pair-where").textContent = layer < 0 ? "" : `over all layers, ${number(pair.cosines[layer])} in layer ${layer}`;
  byId("pair-panel").dataset.pair = `${a} ${b}`;
  redraw("pair-layers");
}

function pairFigure() {
  const values = pair.cosines ?? [];
  const shade = colour("accent");
  const here = values.map((_, i) => (i === compare.layer ? colour("across") : shade));
  return {
    traces: [{ type: "bar", x: values.map((_, i) => i), y: values, marker: { color: here }, hoverinfo: "none" }],
    layout: {
      bargap: 0.25, margin: { l: 44, r: 8, t: 8, b: 40 },
      xaxis: layerAxis(), yaxis: { range: [0, 1], title: "cosine", dtick: 0.5 },
    },
    hover: ({ x, y }) => [["strong", `layer ${x}`], ["", `cosine ${number(y)}`]],
  };
}
