// One tooltip for everything: terms, points of figures, cells, tokens. Texts are set as text, never as HTML.

const tip = byId("tip");

/** Show lines [class, text] near a place of the window. */
function showTip(lines, x, y) {
  tip.replaceChildren(
    ...lines.filter(([, text]) => text).map(([kind, text]) => element("div", kind ? { class: kind } : {}, text, " ")),
  );
  tip.hidden = false;
  const margin = 12;
  const { width, height } = tip.getBoundingClientRect();
  const right = document.documentElement.clientWidth - width - margin;
  const below = y + 18 + height < innerHeight;
  tip.style.left = `${Math.max(margin, Math.min(right, x + 14))}px`;
  tip.style.top = `${below ? y + 18 : Math.max(margin, y - height - 14)}px`;
}

let placeTip = null; // puts the tip of what has the focus in its place again

const hideTip = () => { tip.hidden = true; placeTip = null; };

/** Lines for whatever is under the pointer or has the focus, as long as it is. */
function tipFor(target, lines) {
  const place = () => {
    const box = target.getBoundingClientRect();
    showTip(lines(), box.left, box.bottom - 10);
  };
  target.addEventListener("pointerenter", place);
  target.addEventListener("focus", () => {
    place();
    placeTip = place;
    target.setAttribute("aria-describedby", "tip");
  });
  target.addEventListener("pointerleave", hideTip);
  target.addEventListener("blur", () => { hideTip(); target.removeAttribute("aria-describedby"); });
}

function startTips() {
  for (const term of document.querySelectorAll("a.term")) {
    const entry = byId(term.hash.slice(1));
    if (!entry) continue;
    tipFor(term, () => [["strong", entry.textContent], ["", entry.nextElementSibling.textContent]]);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  // The page scrolls to what gets the focus: its tip goes along.
  addEventListener("scroll", () => (placeTip ? placeTip() : hideTip()), { passive: true });
}
