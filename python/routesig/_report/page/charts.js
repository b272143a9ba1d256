// Plotly figures: drawn when they come into view, redrawn when the theme changes, all drawn before printing.

const charts = new Map(); // id -> { place, make, drawn }
const narrow = matchMedia("(max-width: 640px)");
const small = () => narrow.matches || Boolean(document.documentElement.dataset.paper);

/** Plotly reads some HTML in texts; prompts and tasks are only text. */
const asText = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Register a figure: `make(place)` gives { traces, layout, hover }; `need` unpacks what it is drawn from, if anything.
    Nothing happens where the page has no such place. */
function chart(id, make, need = null) {
  const place = byId(id);
  if (!place) return;
  charts.set(id, { place, make, drawn: false });
  if (need) needed.push(need);
  whenSeen(place, async () => {
    if (need) await need();
    if (!runPlotly()) await fetchPlotly();
    drawChart(id);
  });
}

function drawChart(id) {
  const entry = charts.get(id);
  if (!entry || !runPlotly()) return;
  const { place } = entry;
  const { traces, layout = {}, hover } = entry.make(place);
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset" };
  const size = document.documentElement.dataset.paper ? { width: place.clientWidth, height: place.clientHeight } : {};
  Plotly.react(place, traces, { ...mergedLayout(layout), ...size }, config);
  entry.hover = hover;
  if (!entry.drawn && hover) {
    place.on("plotly_hover", ({ points, event }) => {
      const lines = entry.hover(points[0], points);
      if (lines && event) showTip(lines, event.clientX, event.clientY);
    });
    place.on("plotly_unhover", hideTip);
  }
  entry.drawn = true;
  place.dataset.drawn = "yes";
}

const redraw = (id) => { if (charts.get(id)?.drawn) drawChart(id); };

function redrawAll() {
  for (const id of charts.keys()) redraw(id);
}

function axis(extra = {}) {
  return {
    gridcolor: colour("grid"), linecolor: colour("line"), zeroline: false, ticks: "", automargin: true, fixedrange: true,
    tickfont: { color: colour("muted"), size: 12 }, ...extra,
    title: extra.title ? { text: extra.title, font: { color: colour("muted"), size: 12 }, standoff: 8 } : undefined,
  };
}

function mergedLayout({ xaxis, yaxis, ...rest }) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink") },
    margin: { l: 52, r: 12, t: 8, b: 44 }, hovermode: "closest", dragmode: false, showlegend: false,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, xanchor: "left", font: { size: 12, color: colour("ink") } },
    xaxis: axis(xaxis), yaxis: axis(yaxis), ...rest,
  };
}

/** An axis of layers: whole numbers, no more than fit. */
const layerAxis = () => ({
  title: "layer", range: [-0.5, prompts.layers - 0.5], dtick: Math.max(1, Math.ceil(prompts.layers / (small() ? 8 : 16))),
  showgrid: false, tickangle: 0,
});

/** A line with points over the layers. */
function line(name, y, shade, extra = {}) {
  return {
    type: "scatter", mode: "lines+markers", name, x: y.map((_, i) => i), y, hoverinfo: "none",
    line: { color: shade, width: 2 }, marker: { color: shade, size: 6 }, ...extra,
  };
}

/** The band between two limits; gaps where either is absent. */
function band(low, high, shade) {
  const runs = [];
  let run = [];
  low.forEach((value, i) => {
    if (value === null || high[i] === null) { runs.push(run); run = []; } else run.push(i);
  });
  runs.push(run);
  return runs.filter((one) => one.length).map((one) => ({ // a layer alone: a bar
    type: "scatter", mode: "lines", x: one.length > 1 ? [...one, ...[...one].reverse()] : [-1, 1, 1, -1].map((x) => one[0] + 0.012 * low.length * x),
    y: one.length > 1 ? [...one.map((i) => low[i]), ...one.map((i) => high[i]).reverse()] : [low, low, high, high].map((of) => of[one[0]]),
    fill: "toself", fillcolor: faded(shade, 0.18), line: { width: 0 }, hoverinfo: "skip", showlegend: false,
  }));
}

function startCharts() {
  themeListeners.push(redrawAll);
  narrow.addEventListener("change", redrawAll);
}
