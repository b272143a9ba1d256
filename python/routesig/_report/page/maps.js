// The category matrix, and prompts in two dimensions.

const maps = { order: "name", marked: new Set() };

function categoryFigure(place) {
  const given = figures.shown ?? figures.categories;
  const order = maps.order === "similarity" ? orderAlike(given.mean) : given.tasks.map((_, i) => i);
  const sorted = (table) => order.map((a) => order.map((b) => table[a][b]));
  const [tasks, mean, pairs] = [order.map((i) => given.tasks[i]), sorted(given.mean), sorted(given.pairs)];
  const known = mean.flat().filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const numbers = mean.map((row) => row.map((value) => number(value, 2)));
  return {
    ...taskGrid(place, tasks, mean, numbers, { low, high, steps: page.cividis }),
    hover: ({ x, y, z }) => [
      ["strong", x === y ? `within ${tasks[y]}` : `${tasks[y]} and ${tasks[x]}`],
      ["", `mean similarity ${number(z)}`],
      ["faint", `${pairs[y][x].toLocaleString("en")} pair${pairs[y][x] === 1 ? "" : "s"} of prompts`],
    ],
  };
}

/** Prompts as points, a trace a task; where tasks are marked, the others step back. */
function mapFigure(found, names) {
  const tasks = [...new Set(prompts.task)];
  const traces = tasks.map((task) => {
    const mine = prompts.task.flatMap((of, i) => (of === task ? [i] : []));
    const back = maps.marked.size > 0 && !maps.marked.has(task);
    return {
      type: "scatter", mode: "markers", name: asText(taskName(task)), x: mine.map((i) => found.x[i]), y: mine.map((i) => found.y[i]),
      customdata: mine, hoverinfo: "none",
      marker: {
        color: back ? colour("faint") : taskColour(task), symbol: taskSymbol(task), size: prompts.ids.length > 600 ? 6 : 9,
        opacity: back ? 0.2 : 0.85, line: { width: 1, color: colour("surface") },
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

/** The tasks' colours and shapes, once for all maps; a click marks a task in them. */
function showLegend() {
  byId("task-legend").replaceChildren(...taskBlocks().map(({ task }) => {
    const glyph = element("span", { "aria-hidden": "true" }, taskGlyph(task));
    glyph.style.color = taskColour(task);
    const button = element("button", { type: "button", "aria-pressed": String(maps.marked.has(task)) }, glyph, taskName(task));
    button.addEventListener("click", () => {
      if (!maps.marked.delete(task)) maps.marked.add(task);
      button.setAttribute("aria-pressed", String(maps.marked.has(task)));
      for (const id of ["pca", "tsne"]) redraw(id);
    });
    return element("li", {}, button);
  }));
  searchLegend();
}

function searchLegend() {
  const text = byId("task-find").value.trim().toLowerCase();
  for (const entry of byId("task-legend").children) entry.hidden = !entry.textContent.toLowerCase().includes(text);
}

function startMaps() {
  const box = byId("task-find");
  box.hidden = prompts.tasks.length <= 12;
  box.addEventListener("input", searchLegend);
  showLegend();
  themeListeners.push(showLegend);
  if (figures.categories) {
    gridPlace("categories", figures.categories.tasks.length);
    chart("categories", categoryFigure);
    for (const radio of document.querySelectorAll("input[name=task-order]")) {
      radio.addEventListener("change", () => { maps.order = radio.value; redraw("categories"); });
    }
  }
  if (figures.pca) {
    const share = (i) => (figures.pca.explained ? ` (${(100 * figures.pca.explained[i]).toFixed(0)} % of variance)` : "");
    chart("pca", () => mapFigure(figures.pca, [`component 1${share(0)}`, `component 2${share(1)}`]));
  }
  if (figures.tsne) chart("tsne", () => mapFigure(figures.tsne, ["t-SNE 1", "t-SNE 2"]));
}
