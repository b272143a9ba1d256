// Long lists to choose from: a box that searches them.

const LONG = 30; // options of a list that has such a box

/** Fill a select with `options` [{ value, label, group, words }], and let its box search their words.
    A search leaves what matches and chooses the first; `chosen()` is called as if it had been picked. */
function finder(select, options) {
  const box = byId(`${select.id}-find`);
  fill(select, options);
  box.hidden = options.length <= LONG;
  box.addEventListener("input", () => {
    const found = matching(options, box.value);
    box.setAttribute("aria-invalid", String(!found.length));
    if (!found.length) return;
    const before = select.value;
    fill(select, found);
    if (found.some(({ value }) => String(value) === before)) select.value = before;
    else select.dispatchEvent(new Event("change"));
  });
  select.addEventListener("show", ({ detail }) => { // by something else: the list is whole again
    if (![...select.options].some(({ value }) => value === String(detail))) {
      box.value = "";
      fill(select, options);
    }
    select.value = detail;
  });
}

const matching = (options, text) => {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return options.filter(({ words: of }) => words.every((word) => of.includes(word)));
};

function fill(select, options) {
  const groups = new Map();
  const parts = [];
  for (const { value, label, group } of options) {
    const option = element("option", { value }, label);
    if (group === undefined) { parts.push(option); continue; }
    if (!groups.has(group)) parts.push(groups.set(group, element("optgroup", { label: group })).get(group));
    groups.get(group).append(option);
  }
  select.replaceChildren(...parts);
}

/** Choose an option without a change event. */
const showChoice = (select, value) => select.dispatchEvent(new CustomEvent("show", { detail: value }));

/** Prompts by task; the value is the prompt's place. */
function promptOptions(places) {
  return places.map((i) => {
    const label = `${prompts.ids[i]}  ${opening(i, 50)}`;
    const group = taskName(prompts.task[i]);
    return { value: i, label, group, words: `${prompts.ids[i]} ${group} ${opening(i, 2000)}`.toLowerCase() };
  });
}
