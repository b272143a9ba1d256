// Light and dark, and the colours that figures take from the style sheet.

const themeListeners = [];
const darkSystem = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (document.documentElement.dataset.theme ?? (darkSystem.matches ? "dark" : "light")) === "dark";

// After Okabe and Ito, in the order of rs.plot, as dark or light as 3:1 against the ground asks for; so are its shapes.
// 8 colours and 9 shapes make 72 tasks that differ; those after them are hollow.
const TASK_COLOURS = {
  light: ["#0072B2", "#D55E00", "#009E73", "#C0659A", "#B87E00", "#2F94D6", "#333333", "#8F8500"],
  dark: ["#56B4E9", "#F0802D", "#2BBF93", "#E39AC4", "#E6A817", "#A6D8F5", "#D8DCE0", "#F0E442"],
};
const TASK_SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star", "pentagon"];
const TASK_GLYPHS = ["●■▲◆▼✚✖★⬟", "○□△◇▽✛✕☆⬠"].map((glyphs) => [...glyphs]);
const hollow = (task) => Number(task >= TASK_COLOURS.light.length * TASK_SYMBOLS.length);

const taskColour = (task) => {
  if (task < 0) return colour("faint");
  const palette = TASK_COLOURS[isDark() ? "dark" : "light"];
  return palette[task % palette.length];
};
const taskSymbol = (task) => (task < 0 ? "circle-open" : TASK_SYMBOLS[task % TASK_SYMBOLS.length] + (hollow(task) ? "-open" : ""));
const taskGlyph = (task) => (task < 0 ? "○" : TASK_GLYPHS[hollow(task)][task % TASK_SYMBOLS.length]);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A hex colour with an opacity. */
function faded(hex, opacity) {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${opacity})`;
}

/** A colour of the style sheet as [red, green, blue]. */
const rgbOf = (name) => [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));

/** Colours [red, green, blue] at even steps as Plotly takes them, and the colour at a place from 0 to 1. */
const scaleOf = (steps) => steps.map((rgb, i) => [i / (steps.length - 1), `rgb(${rgb.join(",")})`]);
function colourAt(steps, place) {
  const at = Math.min(1, Math.max(0, place)) * (steps.length - 1);
  const low = Math.min(steps.length - 2, Math.floor(at));
  return steps[low].map((from, i) => Math.round(from + (steps[low + 1][i] - from) * (at - low)));
}
const cividis = (place) => colourAt(page.cividis, place);

/** Black or white, whichever has more contrast to a colour (WCAG 2: at least 4.5 on any). */
function inkOn(rgb) {
  const [red, green, blue] = rgb.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

/** Paper is light, holds every figure, and folds nothing away. */
function startPrinting() {
  let before = null;
  addEventListener("beforeprint", () => {
    const { dataset } = document.documentElement;
    const folded = [...document.querySelectorAll("details:not([open])")];
    before = { theme: dataset.theme, folded };
    dataset.theme = "light";
    dataset.paper = "yes"; // the width of paper, before the figures are drawn for it
    for (const one of folded) one.open = true;
    for (const place of [...waiting.keys()]) stopWaiting(place);
    for (const id of charts.keys()) drawChart(id);
    for (const listener of themeListeners) listener();
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    const { dataset } = document.documentElement;
    delete dataset.paper;
    for (const { place, drawn } of charts.values()) if (drawn) Plotly.Plots.resize(place);
    if (before.theme) dataset.theme = before.theme; else delete dataset.theme;
    for (const one of before.folded) one.open = false;
    for (const listener of themeListeners) listener();
    before = null;
  });
}

function startTheme() {
  const button = byId("theme");
  const show = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    for (const listener of themeListeners) listener();
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try { localStorage.setItem("routesig-theme", chosen); } catch { /* not kept */ }
    show();
  });
  darkSystem.addEventListener("change", show);
  button.setAttribute("aria-pressed", String(isDark()));
}
