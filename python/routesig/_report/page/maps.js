// The category matrix, and prompts in two dimensions.

function categoryFigure() {
  const { tasks, mean, pairs } = figures.shown ?? figures.categories;
  const known = mean.flat().filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const ink = (value) => inkOn(cividis((value - low) / Math.max(high - low, 1e-9)));
  const annotations = tasks.length > 12 ? [] : mean.flatMap((row, y) => row.map((value, x) => ({
    x, y, text: number(value, 2), showarrow: false, font: { size: 13, color: value === null ? colour("faint") : ink(value) },
  })));
  const ticks = { tickvals: tasks.map((_, i) => i), ticktext: tasks.map((task) => asText(shortened(task, 16))), showgrid: false };
  return {
    traces: [{ type: "heatmap", z: mean, zmin: low, zmax: high, colorscale: cividisScale, showscale: false, hoverinfo: "none", xgap: 2, ygap: 2 }],
    layout: { annotations, margin: { l: 60, r: 8, t: 8, b: 36 }, xaxis: ticks, yaxis: { ...ticks, autorange: "reversed" } },
    hover: ({ x, y, z }) => [
      ["strong", x === y ? `within ${tasks[y]}` : `${tasks[y]} and ${tasks[x]}`],
      ["", `mean similarity ${number(z)}`],
      ["faint", `${pairs[y][x].toLocaleString("en")} pairs of prompts`],
    ],
  };
}

/** Prompts as points, a trace a task. */
function mapFigure(found, names) {
  const tasks = [...new Set(prompts.task)];
  const traces = tasks.map((task) => {
    const mine = prompts.task.flatMap((of, i) => (of === task ? [i] : []));
    return {
      type: "scatter", mode: "markers", name: asText(taskName(task)), x: mine.map((i) => found.x[i]), y: mine.map((i) => found.y[i]),
      customdata: mine, hoverinfo: "none",
      marker: {
        color: taskColour(task), symbol: taskSymbol(task), size: prompts.ids.length > 600 ? 6 : 9, opacity: 0.85,
        line: { width: 1, color: colour("surface") },
      },
    };
  });
  return {
    traces,
    layout: {
      xaxis: { title: names[0], showticklabels: false }, yaxis: { title: names[1], showticklabels: false },
      margin: { l: 34, r: 8, t: 8, b: 36 },
    },
    hover: ({ customdata }) => promptLines(customdata),
  };
}

/** The tasks' colours and shapes, once for all maps. */
function showLegend() {
  byId("task-legend").replaceChildren(...taskBlocks().map(({ task }) => {
    const glyph = element("span", { "aria-hidden": "true" }, task < 0 ? "○" : TASK_GLYPHS[task % TASK_GLYPHS.length]);
    glyph.style.color = taskColour(task);
    return element("li", {}, glyph, taskName(task));
  }));
}

function startMaps() {
  showLegend();
  themeListeners.push(showLegend);
  if (figures.categories) chart("categories", categoryFigure);
  if (figures.pca) {
    const share = (i) => (figures.pca.explained ? ` (${(100 * figures.pca.explained[i]).toFixed(0)} % of variance)` : "");
    chart("pca", () => mapFigure(figures.pca, [`component 1${share(0)}`, `component 2${share(1)}`]));
  }
  if (figures.tsne) chart("tsne", () => mapFigure(figures.tsne, ["t-SNE 1", "t-SNE 2"]));
}
