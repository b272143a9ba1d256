// What chance gives: within and across under every baseline, beside what was observed.

function baselineFigure() {
  const { rows, within, across } = figures.baselines;
  const place = rows.map((_, i) => i);
  const dots = (key, shade, symbol, shift) => ({
    type: "scatter", mode: "markers", name: `${key} in the baseline`, hoverinfo: "none",
    x: rows.map((row) => row[key]?.[0] ?? null), y: place.map((i) => i + shift), customdata: place,
    marker: { color: shade, size: 10, symbol },
    error_x: {
      type: "data", symmetric: false, color: shade, thickness: 2, width: 4,
      array: rows.map((row) => (row[key] ? row[key][2] - row[key][0] : 0)),
      arrayminus: rows.map((row) => (row[key] ? row[key][0] - row[key][1] : 0)),
    },
  });
  const observed = [["within", within, colour("within")], ["across", across, colour("across")]]
    .filter(([, value]) => value !== null);
  const all = [within, across, ...rows.flatMap((row) => [...(row.within ?? []), ...(row.across ?? [])])].filter((x) => x !== null);
  const pad = 0.06 * (Math.max(...all) - Math.min(...all)) + 0.005;
  return {
    traces: [
      dots("within", colour("within"), "circle", -0.12),
      dots("across", colour("across"), "square", 0.12),
    ],
    layout: {
      margin: { l: 118, r: 16, t: 46, b: 44 },
      shapes: observed.map(([, x, shade]) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: shade, width: 2, dash: "dot" } })),
      annotations: observed.map(([name, x], i) => ({
        x, yref: "paper", y: 1, yanchor: "bottom", yshift: 16 * i, text: `observed ${name} ${number(x, 2)}`, showarrow: false, font: { color: colour("ink"), size: 12 },
        xanchor: x > (Math.max(...all) + Math.min(...all)) / 2 ? "right" : "left",
      })),
      xaxis: { title: "mean similarity", range: [Math.min(...all) - pad, Math.max(...all) + pad], nticks: small() ? 4 : 8 },
      yaxis: { tickvals: place, ticktext: rows.map((row) => row.name.replace(", ", "<br>")), range: [rows.length - 0.5, -0.5], showgrid: false },
    },
    hover: ({ customdata }) => {
      const row = rows[customdata];
      const range = (of) => (of ? `${number(of[0])} (${number(of[1])} to ${number(of[2])})` : "absent");
      return [
        ["strong", row.name], ["", `within ${range(row.within)}`], ["", `across ${range(row.across)}`],
        ["faint", row.tokens ? `${row.tokens[0]} to ${row.tokens[2]} tokens per prompt, median ${row.tokens[1]}` : ""],
        ["faint", "the middle 95 % of repetitions"],
      ];
    },
  };
}

/** Histograms of D under two nulls, and D as observed. */
function nullFigure() {
  const { observed, series } = figures.null;
  const shades = { labels: colour("null"), words: colour("vocabulary") };
  return {
    traces: series.map((one) => ({
      type: "bar", name: one.name, x: one.middle, y: one.share.map((share) => share / Math.max(...one.share)), width: one.width,
      marker: { color: faded(shades[one.key], 0.9) }, hoverinfo: "none", customdata: one.share,
    })),
    layout: {
      barmode: "overlay", bargap: 0, showlegend: true, margin: { l: 24, r: 16, t: 8, b: 44 },
      legend: { orientation: "h", y: 1.12, yanchor: "bottom", x: 0, font: { size: 12, color: colour("ink") } },
      shapes: [{ type: "line", x0: observed, x1: observed, yref: "paper", y0: 0, y1: 1, line: { color: colour("within"), width: 2 } }],
      annotations: [{
        x: observed, yref: "paper", y: 1, yanchor: "bottom", xanchor: "right", text: `observed D ${number(observed)}`, showarrow: false,
        font: { color: colour("within"), size: 12 },
      }],
      xaxis: { title: "D: within minus across", showgrid: true }, yaxis: { showticklabels: false, showgrid: false, range: [0, 1.08] },
    },
    hover: ({ x, customdata, curveNumber }) => [
      ["strong", series[curveNumber].name],
      ["", `D about ${number(x)}: ${(100 * customdata).toFixed(1)} % of ${series[curveNumber].draws.toLocaleString("en")} draws`],
    ],
  };
}

function startBaselines() {
  if (figures.baselines) chart("baselines", baselineFigure);
  if (figures.null) chart("null", nullFigure);
}
