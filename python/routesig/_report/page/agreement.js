// How far another recording agrees, layer by layer, beside chance.

function agreementFigure() {
  const { unit, lines, chance } = figures.agreement;
  const shades = [colour("within"), colour("across")];
  const symbols = ["circle", "square"];
  const grey = { line: { color: colour("muted"), width: 1.5, dash: "dash" }, mode: "lines" };
  return {
    traces: [
      ...Object.entries(lines).map(([name, y], i) => line(name, y, shades[i], { marker: { symbol: symbols[i], size: 6, color: shades[i] } })),
      ...Object.entries(chance).map(([name, y]) => line(name, y, colour("muted"), grey)),
    ],
    layout: { showlegend: true, xaxis: layerAxis(), yaxis: { title: unit, range: [0, 1.03] } },
    hover: ({ x }) => [
      ["strong", `layer ${x}`],
      ...Object.entries({ ...lines, ...chance }).map(([name, y]) => ["", `${name} ${number(y[x])}`]),
    ],
  };
}

function startAgreement() {
  if (figures.agreement) chart("agreement", agreementFigure);
}
