// Layer by layer: d with its interval, D beside control models, D free of text length, information.

const LAYER_VIEWS = {
  d: { title: "Cohen's d", unit: "d" },
  difference: { title: "D: within minus across", unit: "D" },
  information: { title: "bits about the task", unit: "bits" },
};
let layerView = figures.layers?.known[0];

function layerFigure() {
  const found = figures.layers;
  const shade = colour("within");
  const traces = [];
  if (layerView === "d") {
    traces.push(...band(found.low, found.high, shade), line("d", found.d, shade));
  } else if (layerView === "information") {
    traces.push(line("information", found.information, shade));
  } else {
    traces.push(line("as recorded", found.difference, shade));
    if (found.debiased.some((value) => value !== null)) {
      traces.push(line("free of text length", found.debiased, colour("context-line"), { line: { color: colour("context-line"), width: 2, dash: "dot" }, marker: { symbol: "diamond", size: 7, color: colour("context-line") } }));
    }
    const shades = [colour("null"), colour("across"), colour("accent-2"), colour("muted")];
    const symbols = ["square", "triangle-up", "x", "cross"];
    Object.entries(found.controls).forEach(([name, values], i) => {
      const of = shades[i % shades.length];
      traces.push(line(asText(name), values, of, { line: { color: of, width: 1.5, dash: "dash" }, marker: { symbol: symbols[i % 4], size: 6, color: of } }));
    });
  }
  return {
    traces,
    layout: {
      showlegend: layerView === "difference", xaxis: layerAxis(),
      yaxis: { title: LAYER_VIEWS[layerView].title, rangemode: "tozero" },
    },
    hover: ({ x }) => layerLines(x),
  };
}

function layerLines(layer) {
  const found = figures.layers;
  const interval = found.low[layer] === null ? "" : ` (95 %: ${number(found.low[layer], 2)} to ${number(found.high[layer], 2)})`;
  const [p, floor] = found.adjusted[layer] ?? [];
  return [
    ["strong", `layer ${layer}`],
    ["", `d ${number(found.d[layer], 2)}${interval}`],
    ["", `within ${number(found.within[layer])}, across ${number(found.across[layer])}, D ${number(found.difference[layer])}`],
    ["faint", p === undefined ? "" : `adjusted p ${p} (smallest possible ${floor})`],
    ["faint", found.information[layer] === null ? "" : `${number(found.information[layer])} bits about the task`],
    ...Object.entries(found.controls).map(([name, values]) => ["faint", `D under ${name} ${number(values[layer])}`]),
  ];
}

function startLayers() {
  if (!figures.layers) return;
  chart("layers", layerFigure);
  for (const radio of document.querySelectorAll("input[name=layer-view]")) {
    radio.addEventListener("change", () => { layerView = radio.value; redraw("layers"); });
  }
}
