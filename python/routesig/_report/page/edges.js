// Names of tasks along the edges of the similarity matrix: along the edge where all fit, else across the left one, as
// many as have room. Every band tells its task on hover.

const EDGE_TEXT = 12; // pixels

function startEdges() {
  const frame = byId("similarity").parentElement;
  for (const edge of ["edge-top", "edge-left"]) {
    byId(edge).append(...taskBlocks().map((block) => band(block)));
  }
  const names = element("div", { class: "names" });
  byId("edge-left").append(names);
  new ResizeObserver(() => labelEdges(frame, names)).observe(frame);
  addEventListener("beforeprint", () => labelEdges(frame, names));
  themeListeners.push(() => {
    for (const one of document.querySelectorAll("[data-task]")) one.style.borderColor = taskColour(Number(one.dataset.task));
  });

  function band({ task, start, end }) {
    const made = element("span", { class: "band", "data-task": task });
    made.style.flex = `${end - start} 1 0`;
    made.style.borderColor = taskColour(task);
    tipFor(made, () => [["strong", taskName(task)], ["faint", `${end - start} prompt${end - start === 1 ? "" : "s"}`]]);
    return made;
  }
}

function labelEdges(frame, names) {
  const blocks = taskBlocks();
  const widths = blocks.map(({ task }) => textWidth(taskName(task), EDGE_TEXT));
  const cell = (frame.clientWidth - 26) / prompts.ids.length;
  const along = blocks.every(({ start, end }, i) => widths[i] + 6 <= (end - start) * cell);
  const room = along ? 0 : Math.ceil(Math.min(Math.max(...widths), small() ? 76 : 130) + 2);
  frame.style.setProperty("--left", `${along ? 22 : room + 12}px`);
  frame.style.setProperty("--top", `${along ? 22 : 8}px`);
  for (const edge of document.querySelectorAll(".edge")) {
    [...edge.querySelectorAll(".band")].forEach((made, i) => { made.textContent = along ? taskName(blocks[i].task) : ""; });
  }
  const side = frame.clientWidth - room - 16;
  const middles = blocks.map(({ start, end }) => ((start + end) / 2 / prompts.ids.length) * side);
  names.replaceChildren(...(along ? [] : spaced(middles, EDGE_TEXT + 2)).map((i) => {
    const name = element("span", {}, fitted(taskName(blocks[i].task), room, EDGE_TEXT));
    name.style.top = `${(100 * middles[i]) / side}%`;
    return name;
  }));
}
