// The load of every expert of every layer, against an even load.

const loads = { group: 0, shares: new Map() };

async function loadShares(group) {
  const { shares, step } = figures.load.groups[group];
  if (!loads.shares.has(group)) loads.shares.set(group, Float32Array.from(await unpacked(shares), (steps) => steps * step));
}

/** Doublings that the colours span: as many as 98 % of the experts need, from 1 to 3. */
function loadScale(times) {
  const sizes = times.flat().filter((value) => value !== null).map(Math.abs).sort((a, b) => a - b);
  return Math.min(3, Math.max(1, Math.ceil(sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 1)));
}

function loadFigure() {
  const { layers, experts } = prompts;
  const shares = loads.shares.get(loads.group);
  const rows = Array.from({ length: layers }, (_, layer) => Array.from(shares.subarray(layer * experts, (layer + 1) * experts)));
  const times = rows.map((row) => row.map((share) => (share > 0 ? Math.log2(share * experts) : null)));
  const unused = rows.flatMap((row, layer) => row.flatMap((share, expert) => (share > 0 ? [] : [[expert, layer]])));
  const ground = colour("surface-2");
  const doublings = loadScale(times);
  const ticks = [-3, -2, -1, 0, 1, 2, 3].filter((tick) => Math.abs(tick) <= doublings);
  const names = { "-3": "⅛×", "-2": "¼×", "-1": "½×", 0: "even", 1: "2×", 2: "4×", 3: "8×" };
  return {
    traces: [
      {
        type: "heatmap", z: times, zmin: -doublings, zmax: doublings, hoverinfo: "none", xgap: experts > 128 ? 0 : 1, ygap: 1,
        colorscale: [[0, colour("less")], [0.5, ground], [1, colour("more")]],
        colorbar: {
          tickvals: ticks, ticktext: ticks.map((tick) => names[tick]), thickness: 10, outlinewidth: 0,
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

function startLoad() {
  if (!figures.load) return;
  const select = byId("load-group");
  finder(select, figures.load.groups.map(({ name }, i) => ({ value: i, label: name, words: name.toLowerCase() })));
  select.addEventListener("change", async () => {
    const group = Number(select.value);
    await loadShares(group);
    loads.group = group;
    redraw("load");
  });
  chart("load", loadFigure, () => loadShares(0));
}
