// The similarity of every pair of prompts, drawn on a canvas: a cell a pair, prompts of one task side by side.

/** A picture of a matrix that can be pointed at, clicked, and walked through with the arrow keys.
    `pick(row, column)` is called on a click or Enter; `describe(row, column)` gives the tooltip's lines. */
function matrixView(canvas, { pick, describe }) {
  const context = canvas.getContext("2d");
  const n = prompts.ids.length;
  const blocks = taskBlocks();
  let picture = null; // what is drawn: a canvas, or an image of block means
  let cursor = null; // [row, column]
  let chosen = null;

  function draw() {
    const ratio = devicePixelRatio || 1;
    const side = canvas.clientWidth;
    if (!side || !picture) return;
    canvas.width = canvas.height = Math.round(side * ratio);
    context.imageSmoothingEnabled = n > canvas.width;
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const cell = canvas.width / n;
    context.fillStyle = colour("ground");
    context.globalAlpha = Math.min(1, canvas.width / blocks.length / (24 * ratio)); // thin lines between thin blocks
    for (const { end } of blocks.slice(0, -1)) {
      context.fillRect(0, end * cell - ratio / 2, canvas.width, ratio);
      context.fillRect(end * cell - ratio / 2, 0, ratio, canvas.width);
    }
    context.globalAlpha = 1;
    for (const [place, width] of [[chosen, 2], [cursor, 1]]) {
      if (!place) continue;
      context.lineWidth = width * ratio;
      for (const [row, column] of [place, [place[1], place[0]]]) outline(column * cell, row * cell, Math.max(cell, 5 * ratio));
    }
  }

  function outline(x, y, size) {
    context.strokeStyle = "#000";
    context.strokeRect(x - 1, y - 1, size + 2, size + 2);
    context.strokeStyle = "#fff";
    context.strokeRect(x, y, size, size);
  }

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const place = (offset) => Math.min(n - 1, Math.max(0, Math.floor((offset / box.width) * n)));
    return [place(event.clientY - box.top), place(event.clientX - box.left)];
  };
  const tell = (x, y) => showTip(describe(...cursor), x, y);

  canvas.addEventListener("pointermove", (event) => { cursor = at(event); draw(); tell(event.clientX, event.clientY); });
  canvas.addEventListener("pointerleave", () => { cursor = null; hideTip(); draw(); });
  canvas.addEventListener("blur", () => { cursor = null; hideTip(); draw(); });
  canvas.addEventListener("click", (event) => pick(...at(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter" && cursor) pick(...cursor);
    else if (step) {
      const [row, column] = cursor ?? chosen ?? [0, 0];
      const clamp = (value) => Math.min(n - 1, Math.max(0, value));
      cursor = [clamp(row + step[0]), clamp(column + step[1])];
      draw();
      const box = canvas.getBoundingClientRect();
      tell(box.left + ((cursor[1] + 1) / n) * box.width, box.top + ((cursor[0] + 1) / n) * box.height);
      byId("similarity-said").textContent = tip.textContent; // for screen readers
    } else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(canvas);
  themeListeners.push(draw);
  addEventListener("beforeprint", draw);
  return {
    show(drawn) { picture = drawn; draw(); },
    choose(a, b) { chosen = [a, b]; draw(); },
  };
}

/** Runs of prompts of one task: [{ task, start, end }]. */
function taskBlocks() {
  const blocks = [];
  prompts.task.forEach((task, i) => {
    if (!blocks.length || blocks.at(-1).task !== task) blocks.push({ task, start: i, end: i });
    blocks.at(-1).end = i + 1;
  });
  return blocks;
}

/** A matrix as a canvas of one pixel a cell, in cividis from `low` to 1; pairs without a similarity stay clear. */
function painted(matrix, low) {
  const n = prompts.ids.length;
  const canvas = element("canvas", { width: n, height: n });
  const context = canvas.getContext("2d");
  const image = context.createImageData(n, n);
  const pixels = new Uint32Array(image.data.buffer);
  const steps = Uint32Array.from({ length: 256 }, (_, i) => new Uint32Array(Uint8Array.of(...cividis(i / 255), 255).buffer)[0]);
  const scale = 255 / Math.max(1 - low, 1e-9);
  matrix.forEach((value, i) => {
    if (!Number.isNaN(value)) pixels[i] = steps[Math.max(0, Math.min(255, Math.round((value - low) * scale)))];
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The smallest similarity of two different prompts. */
function lowest(matrix) {
  const n = prompts.ids.length;
  let low = 1;
  for (let a = 0; a < n; a++) for (let b = 0; b < a; b++) if (matrix[a * n + b] < low) low = matrix[a * n + b];
  return low;
}
