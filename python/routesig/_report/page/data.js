// The data of the page, and what routesig/_report/_packing.py packs: arrays, texts, and Plotly.

const byId = (id) => document.getElementById(id);
const page = JSON.parse(byId("data").textContent);
const prompts = page.prompts; // its texts are there once `promptTexts()` is done
const figures = page.figures;

const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array };
const unpackings = new WeakMap(); // entry -> promise

/** What base64 and deflate made of bytes. */
function inflated(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")));
}

/** The array or JSON of a packed entry; unpacked once. */
function unpacked(entry) {
  if (!unpackings.has(entry)) {
    const content = inflated(entry.data);
    unpackings.set(entry, entry.type === "json" ? content.json() : content.arrayBuffer().then((of) => new ARRAYS[entry.type](of)));
  }
  return unpackings.get(entry);
}

/** Every prompt's text in `prompts.texts`: a list, or null where texts are not known. */
async function promptTexts() {
  if (prompts.texts !== null && !Array.isArray(prompts.texts)) prompts.texts = await unpacked(prompts.texts);
  return prompts.texts;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const number = (value, places = 3) =>
  value === null || value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(places).replace("-", "−");

const taskName = (task) => (task < 0 ? "no task" : prompts.tasks[task]);

/** The first words of a prompt's text, on one line. */
function opening(prompt, length = 110) {
  return shortened(Array.isArray(prompts.texts) ? prompts.texts[prompt].replace(/\s+/g, " ").trim() : "", length);
}

const shortened = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);

/** What every tooltip says about a prompt. */
function promptLines(prompt) {
  const tokens = prompts.tokens === null ? "" : ` · ${prompts.tokens[prompt]} tokens`;
  return [["strong", prompts.ids[prompt]], ["faint", taskName(prompts.task[prompt]) + tokens], ["", opening(prompt)]];
}
