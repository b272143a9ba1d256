// One prompt token by token: who its experts are, and how far the word alone decides them.

const tokens = { data: null, at: 0, layer: 0, mode: "agreement", entries: new Map() };
const NOWHERE = 255;
const STEPS = 200;

async function tokenEntry(at) {
  if (!tokens.entries.has(at)) {
    const packed = tokens.data.prompts[at];
    const entry = { ...packed };
    for (const name of ["texts", "ids", "generated", "experts", "weights", "agreement"]) {
      entry[name] = packed[name] ? await unpacked(packed[name]) : null;
    }
    entry.count = packed.experts.shape[1];
    tokens.entries.set(at, entry);
  }
  return tokens.entries.get(at);
}

/** The experts of a token in a layer, best first; -1 where unknown. */
function expertsOf(entry, layer, token) {
  const k = tokens.data.top_k;
  const start = (layer * entry.count + token) * k;
  return Array.from(entry.experts.subarray(start, start + k), (id) => id - 1);
}

const agreementOf = (entry, layer, token) => {
  const step = entry.agreement ? entry.agreement[layer * entry.count + token] : NOWHERE;
  return step === NOWHERE ? null : step / STEPS;
};

/** The experts that are a token's first choice most often in this prompt and layer; the rest share one colour. */
function commonest(entry, layer) {
  const counts = new Map();
  for (let token = 0; token < entry.count; token++) {
    const [first] = expertsOf(entry, layer, token);
    if (first >= 0) counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  return [...counts].sort((one, other) => other[1] - one[1] || one[0] - other[0]).slice(0, 7);
}

async function showTokens() {
  const entry = await tokenEntry(tokens.at);
  const top = commonest(entry, tokens.layer);
  const shadeOf = new Map(top.map(([expert], i) => [expert, taskColour(i)]));
  const makers = Array.from({ length: entry.count }, (_, token) => tokenSpan(entry, token, shadeOf));
  const split = entry.generated ? entry.generated.indexOf(1) : -1;
  const parts = split < 0 ? [["prompt", makers]] : [["prompt", makers.slice(0, split)], ["generated", makers.slice(split)]];
  byId("token-text").replaceChildren(...parts.filter(([, spans]) => spans.length).map(([name, spans]) => {
    const text = element("p", { class: "tokens" });
    for (const span of spans) {
      text.append(span);
      if (/\n$/.test(span.dataset.raw)) text.append(element("br"));
    }
    return element("div", { class: "token-part" }, element("span", { class: "part-name" }, name), text);
  }));
  byId("token-layer-name").textContent = `layer ${tokens.layer}`;
  byId("token-text").dataset.choice = `${tokens.at} ${tokens.layer} ${tokens.mode}`;
  showTokenKey(entry, top, shadeOf);
}

function tokenSpan(entry, token, shadeOf) {
  const raw = entry.texts ? entry.texts[token] : String(entry.ids ? entry.ids[token] : "·") + " ";
  const span = element("span", { class: "token", tabindex: token ? "-1" : "0" }, raw.replace(/\n/g, "↵").replace(/\t/g, "⇥") || "∅");
  span.dataset.raw = raw;
  span.dataset.token = token;
  let shade = null;
  if (tokens.mode === "first") {
    const [first] = expertsOf(entry, tokens.layer, token);
    shade = shadeOf.get(first) ?? null;
    if (shade) { span.style.backgroundColor = faded(shade, 0.32); span.style.borderColor = shade; }
  } else {
    const share = agreementOf(entry, tokens.layer, token);
    if (share !== null) {
      const rgb = cividis(share);
      span.style.backgroundColor = `rgb(${rgb.join(",")})`;
      span.style.color = inkOn(rgb);
      span.style.borderColor = "transparent";
    } else span.classList.add("alone");
  }
  tipFor(span, () => tokenLines(entry, token));
  return span;
}

function tokenLines(entry, token) {
  const experts = expertsOf(entry, tokens.layer, token);
  const k = tokens.data.top_k;
  const start = (tokens.layer * entry.count + token) * k;
  const weight = (i) => (entry.weights ? ` (${(entry.weights[start + i] * entry.weight_step).toFixed(2)})` : "");
  const share = agreementOf(entry, tokens.layer, token);
  const known = experts[0] >= 0;
  return [
    ["strong", entry.texts ? JSON.stringify(entry.texts[token]) : `token ${token}`],
    ["faint", `position ${token}${entry.ids ? `, id ${entry.ids[token]}` : ""}`],
    ["", known ? `${tokens.data.ranked ? "experts, best first" : "experts"}: ${experts.map((e, i) => e + weight(i)).join("  ")}` : "its routing is not known"],
    ["", !known || !entry.ids ? "" : share === null ? "this token id occurs in no other prompt" : `${(100 * share).toFixed(0)} % of them are chosen for the same token id in other prompts`],
    ["faint", known && share !== null ? `two random tokens share ${(100 * tokens.data.chance[tokens.layer]).toFixed(0)} %` : ""],
  ];
}

function showTokenKey(entry, top, shadeOf) {
  const key = byId("token-key");
  if (tokens.mode === "first") {
    key.replaceChildren(...top.map(([expert, count]) => {
      const swatch = element("span", { class: "swatch" });
      swatch.style.backgroundColor = shadeOf.get(expert);
      return element("span", { class: "key" }, swatch, `expert ${expert} (${count})`);
    }), element("span", { class: "key" }, "others: no colour"));
    return;
  }
  const scale = element("span", { class: "scale" });
  const swatch = element("span", { class: "swatch alone" });
  key.replaceChildren(
    element("span", { class: "key" }, "0 %", scale, "100 % of its experts are chosen for the same word elsewhere"),
    element("span", { class: "key" }, swatch, "occurs in no other prompt"),
  );
}

function startTokens() {
  if (!byId("token-text")) return;
  needed.push(fetchTokens);
  whenSeen(byId("token-section"), async () => { await fetchTokens(); showTokenSection(); });
}

/** The data of the section, and the first prompt's tokens. */
async function fetchTokens() {
  tokens.data ??= JSON.parse(byId("token-data").textContent);
  await tokenEntry(0);
}

async function showTokenSection() {
  const select = byId("token-prompt");
  await promptTexts();
  finder(select, promptOptions(tokens.data.prompts.map(({ prompt }) => prompt)));
  const placeOf = new Map(tokens.data.prompts.map(({ prompt }, i) => [prompt, i]));
  select.addEventListener("change", () => { tokens.at = placeOf.get(Number(select.value)); showTokens(); });
  const slider = byId("token-layer");
  tokens.layer = Math.floor(prompts.layers / 2);
  slider.value = tokens.layer;
  slider.addEventListener("input", () => { tokens.layer = Number(slider.value); showTokens(); });
  if (!tokens.data.prompts[0].agreement) tokens.mode = "first";
  for (const radio of document.querySelectorAll("input[name=token-mode]")) {
    radio.checked = radio.value === tokens.mode;
    radio.addEventListener("change", () => { tokens.mode = radio.value; showTokens(); });
  }
  byId("token-text").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const spans = [...document.querySelectorAll("#token-text .token")];
    const next = spans[spans.indexOf(document.activeElement) + step];
    if (!step || !next) return;
    document.activeElement.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    event.preventDefault();
  });
  themeListeners.push(showTokens);
  showTokens();
}
