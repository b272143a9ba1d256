// The load of every expert of every layer, against an even load.

const loads = { group: 0, shares: new Map() };

async function loadShares(group) {
  if (!loads.shares.has(group)) loads.shares.set(group, await unpacked(figures.load.groups[group].shares));
  return loads.shares.get(group);
}

function loadFigure() {
  const { layers, experts } = prompts;
  const shares = loads.shares.get(loads.group);
  const rows = Array.from({ length: layers }, (_, layer) => Array.from(shares.subarray(layer * experts, (layer + 1) * experts)));
  const times = rows.map((row) => row.map((share) => (share > 0 ? Math.log2(share * experts) : null)));
  const unused = rows.flatMap((row, layer) => row.flatMap((share, expert) => (share > 0 ? [] : [[expert, layer]])));
  const ground = colour("surface-2");
  return {
    traces: [
      {
        type: "heatmap", z: times, zmin: -3, zmax: 3, hoverinfo: "none", xgap: experts > 128 ? 0 : 1, ygap: 1,
        colorscale: [[0, colour("less")], [0.5, ground], [1, colour("more")]],
        colorbar: {
          tickvals: [-3, -2, -1, 0, 1, 2, 3], ticktext: ["⅛×", "¼×", "½×", "even", "2×", "4×", "8×"], thickness: 10, outlinewidth: 0,
          tickfont: { color: colour("muted"), size: 12 }, len: 1,
        },
      },
      {
        type: "scatter", mode: "markers", x: unused.map(([expert]) => expert), y: unused.map(([, layer]) => layer),
        marker: { symbol: "x-thin", size: 7, line: { width: 1.5, color: colour("ink") } }, hoverinfo: "none",
      },
    ],
    layout: {
      margin: { l: 44, r: 8, t: 8, b: 40 },
      xaxis: { title: "expert", showgrid: false, range: [-0.5, experts - 0.5] },
      yaxis: { title: "layer", autorange: "reversed", showgrid: false, dtick: Math.max(1, Math.ceil(layers / 16)) },
    },
    hover: ({ x, y }) => {
      const share = rows[y][x];
      const group = figures.load.groups[loads.group];
      const chance = group.chance_unused?.[y];
      return [
        ["strong", `layer ${y}, expert ${x}`],
        ["", share > 0 ? `${(100 * share).toFixed(2)} % of the layer's picks, ${number(share * experts, 2)} times an even share` : "never picked"],
        ["faint", `this layer: ${group.unused[y]} unused${chance === null || chance === undefined ? "" : `, ${number(chance, 2)} expected of uniform routing`}`],
        ["faint", `entropy ${number(group.entropy[y], 2)} bits${group.chance_entropy ? `, uniform ${number(group.chance_entropy[y], 2)}` : ""}`],
      ];
    },
  };
}

async function startLoad() {
  if (!figures.load) return;
  const select = byId("load-group");
  figures.load.groups.forEach(({ name }, i) => select.append(element("option", { value: i }, name)));
  select.addEventListener("change", async () => {
    const group = Number(select.value);
    await loadShares(group);
    loads.group = group;
    redraw("load");
  });
  await loadShares(0);
  chart("load", loadFigure);
}
