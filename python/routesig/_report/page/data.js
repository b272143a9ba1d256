// The data of the page, and arrays as routesig/_report/_packing.py packs them.

const page = JSON.parse(document.getElementById("data").textContent);
const prompts = page.prompts;
const figures = page.figures;

const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array };

/** An array of a packed entry: base64, deflate, little-endian numbers. */
async function unpacked(entry) {
  const text = atob(entry.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new ARRAYS[entry.type](await new Response(stream).arrayBuffer());
}

const byId = (id) => document.getElementById(id);

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
  return shortened(prompts.texts === null ? "" : prompts.texts[prompt].replace(/\s+/g, " ").trim(), length);
}

const shortened = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);

/** What every tooltip says about a prompt. */
function promptLines(prompt) {
  const tokens = prompts.tokens === null ? "" : ` · ${prompts.tokens[prompt]} tokens`;
  return [["strong", prompts.ids[prompt]], ["faint", taskName(prompts.task[prompt]) + tokens], ["", opening(prompt)]];
}
