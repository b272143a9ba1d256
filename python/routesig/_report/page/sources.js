// Where the difference comes from: length, vocabulary and context over the layers, and what two tokens share.

function decompositionFigure() {
  const { parts, total } = figures.decomposition;
  const names = Object.keys(parts);
  const layers = total.map((_, i) => i);
  const traces = names.map((name) => ({
    type: "bar", name, x: layers, y: parts[name].value, marker: { color: colour(name) }, hoverinfo: "none",
  }));
  // The band of context is that of the whole stack's top, given the rest.
  const context = parts.context.band;
  traces.push({
    type: "scatter", mode: "markers", name: "D", x: layers, y: total, hoverinfo: "none", showlegend: false,
    marker: { color: colour("ink"), size: 5 },
    error_y: {
      type: "data", symmetric: false, thickness: 1.5, width: 3, color: colour("ink"),
      array: total.map((_, i) => (context[i] ? context[i][1] - parts.context.value[i] : 0)),
      arrayminus: total.map((_, i) => (context[i] ? parts.context.value[i] - context[i][0] : 0)),
    },
  });
  return {
    traces,
    layout: { barmode: "relative", bargap: 0.3, showlegend: true, xaxis: layerAxis(), yaxis: { title: "D: within minus across", zeroline: true, zerolinecolor: colour("line") } },
    hover: ({ x }) => [
      ["strong", `layer ${x}`], ["", `D ${number(total[x])}`],
      ...names.map((name) => {
        const limits = parts[name].band[x];
        return ["", `${name} ${number(parts[name].value[x])}${limits ? ` (95 %: ${number(limits[0])} to ${number(limits[1])})` : ""}`];
      }),
    ],
  };
}

function ladderFigure() {
  const { rungs, mean, chance, layers } = figures.ladder;
  const shades = [colour("within"), colour("accent-2"), colour("vocabulary"), colour("null")];
  const lines = (rung) => rung.replaceAll("id", "word").replaceAll(small() ? " " : ", ", (gap) => `${gap.trim()}<br>`);
  const names = rungs.map((rung, i) => `${lines(rung)}<br>${number(mean[i], 2)}`);
  return {
    traces: [{ type: "bar", x: names, y: mean, marker: { color: shades }, hoverinfo: "none" }],
    layout: {
      bargap: 0.35, margin: { l: 52, r: 56, t: 8, b: small() ? 90 : 70 }, xaxis: { showgrid: false, tickangle: 0, tickfont: { color: colour("muted"), size: small() ? 10 : 12 } }, yaxis: { title: "experts shared by two tokens", tickformat: ".0%", rangemode: "tozero" },
      shapes: chance === null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: chance, y1: chance, line: { color: colour("ink"), width: 1, dash: "dot" } }],
      annotations: chance === null ? [] : [{ xref: "paper", x: 1.01, xanchor: "left", y: chance, yanchor: "middle", align: "left", text: `chance<br>${number(chance, 2)}`, showarrow: false, font: { size: 12, color: colour("muted") } }],
    },
    hover: ({ pointNumber }) => {
      const values = layers[rungs[pointNumber]].filter((value) => value !== null);
      return [["strong", rungs[pointNumber]], ["", `${number(mean[pointNumber])} of the experts in common`], ["faint", `over layers ${number(Math.min(...values), 2)} to ${number(Math.max(...values), 2)}`]];
    },
  };
}

function startSources() {
  if (figures.decomposition) chart("decomposition", decompositionFigure);
  if (figures.ladder) chart("ladder", ladderFigure);
}
