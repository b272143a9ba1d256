// What waits: for its place to come into view, or for paper, which holds everything.

const waiting = new Map(); // element -> start
const comingIntoView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) stopWaiting(target);
}, { rootMargin: "300px" });

/** Call `start` once, when an element comes into view. */
function whenSeen(place, start) {
  if (!place) return;
  waiting.set(place, start);
  comingIntoView.observe(place);
}

function stopWaiting(place) {
  const start = waiting.get(place);
  waiting.delete(place);
  comingIntoView.unobserve(place);
  if (start) start();
}

const plotly = { text: null };

/** Unpack Plotly; it is run when the first figure is drawn. */
async function fetchPlotly() {
  plotly.text ??= await inflated(byId("plotly").textContent).text();
}

/** Whether Plotly is there; it is as soon as it is unpacked. The content security policy knows its hash. */
function runPlotly() {
  if (!window.Plotly && plotly.text !== null) document.head.append(element("script", {}, plotly.text));
  return Boolean(window.Plotly);
}

const whenIdle = (work) => (window.requestIdleCallback ? requestIdleCallback(work, { timeout: 1000 }) : setTimeout(work, 200));

/** While nobody waits: unpack what paper needs at once, so that whatever is printed later is whole. */
function startFetching() {
  whenIdle(async () => {
    await fetchPlotly();
    await promptTexts();
    for (const fetchOne of needed) await fetchOne();
    document.documentElement.dataset.ready = "yes";
    whenIdle(runPlotly);
  });
}

const needed = []; // functions: what sections must have unpacked before they can be printed
