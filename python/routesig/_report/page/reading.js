// Which task was taken for which, where tasks are many, and bits about the task after the first tokens of a text.

function confusionFigure(place) {
  const { tasks, counts } = figures.confusion;
  const totals = counts.map((row) => Math.max(1, row.reduce((sum, count) => sum + count, 0)));
  const shares = counts.map((row, y) => row.map((count) => count / totals[y]));
  const numbers = counts.map((row) => row.map((count) => (count ? String(count) : "")));
  return {
    ...taskGrid(place, tasks, shares, numbers, { low: 0, high: 1, steps: [rgbOf("surface-2"), rgbOf("within")] }),
    hover: ({ x, y }) => [
      ["strong", x === y ? `${tasks[y]}, predicted right` : `${tasks[y]}, taken for ${tasks[x]}`],
      ["", `${counts[y][x]} of ${totals[y]} held-out prompts`],
    ],
  };
}

function evidenceFigure() {
  const { t, bits, error, ended, entropy } = figures.evidence;
  const shades = { signature: colour("within"), bag: colour("vocabulary"), length: colour("null") };
  const dashes = { signature: "solid", bag: "dash", length: "dot" };
  const names = Object.keys(bits);
  const place = t.map((_, i) => i);
  return {
    traces: names.flatMap((name) => [
      ...band(bits[name].map((b, i) => Math.max(0, b - error[name][i])), bits[name].map((b, i) => b + error[name][i]), shades[name]),
      line(name === "bag" ? "bag of tokens" : name, bits[name], shades[name], { x: place, line: { color: shades[name], width: 2, dash: dashes[name] } }),
    ]),
    layout: {
      showlegend: true,
      xaxis: { title: "tokens seen", tickvals: place, ticktext: t.map(String), showgrid: false },
      yaxis: { title: "bits about the task, at least", rangemode: "tozero" },
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: entropy, y1: entropy, line: { color: colour("ink"), width: 1, dash: "dot" } }],
      annotations: [{ xref: "paper", x: 0, xanchor: "left", y: entropy, yanchor: "bottom", text: `all there is to know: ${number(entropy, 2)} bits`, showarrow: false, font: { size: 12, color: colour("muted") } }],
    },
    hover: ({ x }) => [
      ["strong", `first ${t[x]} token${t[x] === 1 ? "" : "s"}`],
      ...names.map((name) => ["", `${name} ${number(bits[name][x], 2)} ± ${number(error[name][x], 2)} bits`]),
      ["faint", ended[x] ? `${ended[x]} prompts are shorter` : ""],
    ],
  };
}

function startReading() {
  if (figures.confusion) {
    gridPlace("confusion", figures.confusion.tasks.length);
    chart("confusion", confusionFigure);
  }
  if (figures.evidence) chart("evidence", evidenceFigure);
}
