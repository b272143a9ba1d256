// A map of tasks by tasks: as many names as have room, numbers where they fit into a cell, all of them on hover.

/** Traces and layout of values [tasks][tasks] from `low` to `high` in the colours of `steps`, and of their numbers. */
function taskGrid(place, tasks, values, numbers, { low, high, steps }) {
  const size = small() ? 11 : 12;
  const widths = tasks.map((task) => textWidth(task, size));
  const longest = Math.ceil(Math.min(Math.max(...widths), small() ? 90 : 150));
  const margin = { l: longest + 10, r: 8, t: 6, b: longest + 10 };
  const wide = (place.clientWidth - margin.l - margin.r) / tasks.length;
  const flat = Math.max(...widths) + 6 <= wide;
  if (flat) margin.b = size + 14;
  const tall = (place.clientHeight - margin.t - margin.b) / tasks.length;
  const gap = [30, 10].filter((side) => Math.min(wide, tall) > side).length;
  const traces = [{ type: "heatmap", z: values, zmin: low, zmax: high, colorscale: scaleOf(steps), showscale: false, hoverinfo: "none", xgap: gap, ygap: gap }];
  const widest = Math.max(...numbers.flat().map((text) => text.length));
  const points = [13, 12, 11, 10].find((one) => textWidth("0".repeat(widest), one) + 4 <= wide && one + 2 <= tall);
  const ink = (value) => (value === null ? colour("faint") : inkOn(colourAt(steps, (value - low) / Math.max(high - low, 1e-9))));
  if (points) traces.push(cellNumbers(values, numbers, ink, points));
  const names = (cell) => {
    const shown = spaced(tasks.map((_, i) => i * cell), size + 2);
    const texts = shown.map((i) => asText(fitted(tasks[i], longest, size)));
    return { tickvals: shown, ticktext: texts, tickfont: { color: colour("muted"), size }, showgrid: false, automargin: false };
  };
  const ends = [-0.5, tasks.length - 0.5];
  const xaxis = { ...names(flat ? size + 2 : wide), range: ends, tickangle: flat ? 0 : -90 };
  return { traces, layout: { margin, xaxis, yaxis: { ...names(tall), range: [...ends].reverse() } } };
}

function cellNumbers(values, numbers, ink, size) {
  const cells = values.flatMap((row, y) => row.map((value, x) => ({ x, y, value, text: numbers[y][x] })));
  return {
    type: "scatter", mode: "text", hoverinfo: "skip", x: cells.map(({ x }) => x), y: cells.map(({ y }) => y),
    text: cells.map(({ text }) => text), textfont: { size, color: cells.map(({ value }) => ink(value)) },
  };
}

/** As high as so many rows need; its labels are thinned anew where the width changes. */
function gridPlace(id, tasks) {
  const place = byId(id);
  if (!place) return;
  const resize = () => {
    const room = small() ? 100 : 160;
    const row = tasks > 24 ? 12 : 24;
    place.style.height = tasks > 6 ? `${Math.min(small() ? 420 : 880, row * tasks + room)}px` : "";
  };
  resize();
  let width = place.clientWidth;
  new ResizeObserver(() => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    resize();
    redraw(id);
  }).observe(place);
}

/** Tasks in an order in which alike ones stand side by side: from the one least like the rest, always to the most alike
    that is left. */
function orderAlike(values) {
  const total = values.map((row) => row.reduce((sum, value) => sum + (value ?? 0), 0));
  const left = values.map((_, i) => i);
  const order = left.splice(total.indexOf(Math.min(...total)), 1);
  while (left.length) {
    const row = values[order.at(-1)];
    const best = left.reduce((one, other) => ((row[other] ?? -1) > (row[one] ?? -1) ? other : one));
    order.push(...left.splice(left.indexOf(best), 1));
  }
  return order;
}
