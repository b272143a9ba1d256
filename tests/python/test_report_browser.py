"""The report in a browser: what it draws, what it answers to, and that it asks nobody for anything."""

import json
import shutil

import pytest
from report_studies import HOSTILE, QUICK, hostile_study, large_study, many_tasks, with_token_texts, worded_traces

import routesig as rs

pytest.importorskip("jinja2", reason="reports need Jinja2")
pytest.importorskip("plotly", reason="reports need Plotly")
webdriver = pytest.importorskip("selenium.webdriver", reason="the browser is driven by selenium")
if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("Chromium and its driver are not installed", allow_module_level=True)

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

FLAGS = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
    *("disable-component-update", "disable-sync", "disable-dev-shm-usage", "force-device-scale-factor=1"),
)
FIGURES = (
    *("categories", "pca", "tsne", "null", "baselines", "layers", "decomposition", "ladder", "evidence", "load"),
    "pair-layers",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    traces = with_token_texts(worded_traces(), lambda word: f" word{word}", tmp_path_factory.mktemp("words"))
    return rs.study(traces, **QUICK)


@pytest.fixture(scope="module")
def address(study, tmp_path_factory):
    return study.report(tmp_path_factory.mktemp("report") / "report.html").as_uri()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield made
    made.quit()


@pytest.fixture
def browser(driver, address):
    """The page, freshly opened at 1280 by 900 in light colours."""
    return opened(driver, address)


def opened(driver, address, width=1280, height=900, scheme="light"):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get(address)
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "html[data-ready]"))
    return driver


def until(driver, condition):
    return WebDriverWait(driver, 15, poll_frequency=0.02).until(lambda _: condition())


def show(driver, name):
    """Scroll to an element, and wait until it is drawn, if it is a figure."""
    found = driver.find_element(By.ID, name)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
    settle(driver)
    if "plot" in (found.get_attribute("class") or ""):
        until(driver, lambda: found.get_attribute("data-drawn"))
    return found


def compared(driver):
    """Scroll to the similarity matrix, and wait until the page has computed it."""
    found = show(driver, "similarity")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#readout[data-choice]"))
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#pair-panel[data-pair]"))
    return found


def settle(driver):
    """Let what scrolling brought about happen."""
    driver.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"
    )


def hover(driver, target, x=0, y=0):
    """Point at a place, counted from the target's middle; the tooltip's text."""
    tip = driver.find_element(By.ID, "tip")

    def told():  # from elsewhere: a figure tells of a point once, when the pointer comes to it
        chain = ActionChains(driver, duration=0)
        chain.w3c_actions.pointer_action.move_to_location(1, 1)
        chain.move_to_element_with_offset(target, x, y).perform()
        return tip.is_displayed() and tip.text

    return until(driver, told)


def text(driver, name):
    return driver.find_element(By.ID, name).text


def choose(driver, name, value):
    label = driver.find_element(By.XPATH, f"//input[@name='{name}'][@value='{value}']/..")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", label)
    label.click()


def slide(driver, name, value):
    slider = show(driver, name)
    slider.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * (value - int(slider.get_attribute("min"))))


def complaints(driver):
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def test_everything_is_drawn_without_an_error_or_a_request(browser):
    for name in FIGURES:
        show(browser, name)
        assert browser.find_elements(By.CSS_SELECTOR, f"#{name} .main-svg"), name
    show(browser, "token-text")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#token-text .token"))
    assert complaints(browser) == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_figures_wait_until_they_come_into_view(browser):
    assert not browser.find_element(By.ID, "load").get_attribute("data-drawn")
    assert show(browser, "load").get_attribute("data-drawn") == "yes"


def test_numbers_computed_in_the_page_are_those_of_the_study(browser, study):
    assert text(browser, "readout-d") == f"{study.cohens_d.value:.2f}"  # before the page has computed anything
    compared(browser)
    assert text(browser, "readout-within") == f"{study.within.mean:.3f}"
    assert text(browser, "readout-across") == f"{study.across.mean:.3f}"
    assert text(browser, "readout-d") == f"{study.cohens_d.value:.2f}"


def test_a_layer_and_a_token_set_can_be_chosen(browser, study):
    slide(browser, "layer", 2)
    until(browser, lambda: browser.find_element(By.ID, "readout").get_attribute("data-choice") == "all 2")
    assert text(browser, "layer-name") == "layer 2"
    assert text(browser, "readout-d") == f"{study.layers[2].cohens_d:.2f}"
    a, b = (study.signatures.ids.index(name) for name in ("code-00", "code-02"))  # the pair that is open
    until(browser, lambda: text(browser, "pair-where"))
    assert text(browser, "pair-where") == f"over all layers, {study.layer_similarity()[2, a, b]:.3f} in layer 2"
    choose(browser, "token-set", "generation")
    until(browser, lambda: browser.find_element(By.ID, "readout").get_attribute("data-choice") == "generation 2")
    sigs = rs.signatures(study.traces, tokens="generation")
    expected = rs.statistics.layer_separation(sigs)[2]
    assert text(browser, "readout-within") == f"{expected.within.mean:.3f}"
    assert text(browser, "readout-d") == f"{expected.cohens_d:.2f}"
    slide(browser, "layer", -1)
    until(browser, lambda: browser.find_element(By.ID, "readout").get_attribute("data-choice") == "generation -1")
    assert text(browser, "readout-across") == f"{rs.separation(sigs).across.mean:.3f}"
    show(browser, "categories")
    drawn = browser.execute_script("return document.getElementById('categories').data[0].z")
    assert drawn[0][1] == pytest.approx(rs.statistics.category_matrix(sigs).mean[0, 1], abs=1e-6)


def test_pointing_at_a_pair_tells_its_prompts_and_similarity(browser, study):
    canvas = compared(browser)
    side = canvas.size["width"]
    lines = hover(browser, canvas, round(side * (10.5 / 12 - 0.5)), round(side * (0.5 / 12 - 0.5)))  # row 0, column 10
    a, b = (study.signatures.ids.index(name) for name in ("code-00", "story-09"))
    assert "code-00" in lines
    assert "story-09" in lines
    assert f"similarity {study.similarity[a, b]:.3f}" in lines


def test_a_click_opens_the_pair(browser, study):
    canvas = compared(browser)
    side = canvas.size["width"]
    move = ActionChains(browser, duration=0)
    move.move_to_element_with_offset(
        canvas, round(side * (10.5 / 12 - 0.5)), round(side * (0.5 / 12 - 0.5))
    ).click().perform()
    until(browser, lambda: browser.find_element(By.ID, "pair-panel").get_attribute("data-pair") == "0 10")
    a, b = (study.signatures.ids.index(name) for name in ("code-00", "story-09"))
    assert text(browser, "pair-mean") == f"{study.similarity[a, b]:.3f}"
    assert text(browser, "pair-a-text") == study.traces[a].text
    assert text(browser, "pair-b-text") == study.traces[b].text
    drawn = browser.execute_script("return document.getElementById('pair-layers').data[0].y")
    assert drawn == pytest.approx(study.layer_similarity()[:, a, b].tolist(), abs=1e-6)


def test_pairs_can_be_chosen_without_a_pointer(browser, study):
    canvas = compared(browser)
    browser.execute_script("arguments[0].focus()", canvas)
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    until(browser, lambda: browser.find_element(By.ID, "pair-panel").get_attribute("data-pair") == "2 1")
    said = browser.find_element(By.ID, "similarity-said").get_attribute("textContent")  # by a screen reader
    assert f"similarity {text(browser, 'pair-mean')} {study.signatures.ids[4]}" in said
    Select(browser.find_element(By.ID, "pair-a")).select_by_value("7")
    until(browser, lambda: browser.find_element(By.ID, "pair-panel").get_attribute("data-pair") == "7 1")
    browser.find_element(By.CSS_SELECTOR, "[data-find=alike]").click()
    until(browser, lambda: browser.find_element(By.ID, "pair-panel").get_attribute("data-pair") not in ("7 1", None))
    across = [
        study.similarity[i, j]
        for i, one in enumerate(study.signatures.tasks)
        for j, other in enumerate(study.signatures.tasks)
        if one != other
    ]
    assert text(browser, "pair-mean") == f"{max(across):.3f}"


def test_pointing_at_a_prompt_of_a_map_tells_which_it_is(browser):
    show(browser, "pca")
    point = browser.find_element(By.CSS_SELECTOR, "#pca .scatterlayer .point")
    lines = hover(browser, point)
    assert "code" in lines
    assert "word" in lines  # its text


def test_terms_are_explained_on_hover_and_on_focus(browser):
    term = browser.find_element(By.CSS_SELECTOR, ".numbers a[href='#term-d']")
    assert "never a test" in hover(browser, term)
    term.send_keys(Keys.ESCAPE)
    assert not browser.find_element(By.ID, "tip").is_displayed()
    browser.execute_script("arguments[0].focus()", browser.find_element(By.CSS_SELECTOR, ".numbers a[href='#term-p']"))
    assert "floor" in text(browser, "tip")


def test_the_explanation_of_what_has_the_focus_goes_along_when_the_page_scrolls(browser):
    term = browser.find_element(By.CSS_SELECTOR, "#causes a[href='#term-context']")
    browser.execute_script("arguments[0].focus(); scrollBy({top: 30, behavior: 'instant'})", term)
    settle(browser)
    tip = browser.find_element(By.ID, "tip")
    beside = """
    const [tip, term] = [document.getElementById('tip'), arguments[0]].map((one) => one.getBoundingClientRect());
    return Math.min(Math.abs(tip.top - term.bottom), Math.abs(term.top - tip.bottom)) < 30;
    """
    until(browser, lambda: tip.is_displayed() and browser.execute_script(beside, term))
    assert "follows the task" in tip.text
    assert term.get_attribute("aria-describedby") == "tip"
    browser.execute_script("arguments[0].blur()", term)
    assert not tip.is_displayed()


def test_a_prompt_is_shown_token_by_token(browser, study):
    show(browser, "token-text")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#token-text .token"))
    Select(browser.find_element(By.ID, "token-prompt")).select_by_index(4)
    slide(browser, "token-layer", 3)
    choose(browser, "token-mode", "first")
    until(browser, lambda: browser.find_element(By.ID, "token-text").get_attribute("data-choice") == "4 3 first")
    name = browser.execute_script("return JSON.parse(document.getElementById('data').textContent).prompts.ids[4]")
    trace = next(trace for trace in study.traces if trace.id == name)
    spans = browser.find_elements(By.CSS_SELECTOR, "#token-text .token")
    assert [span.get_attribute("textContent") for span in spans] == trace.token_texts
    show(browser, "token-text")
    lines = hover(browser, spans[5])
    first, second = trace.experts[3, 5]
    assert f"experts, best first: {first} (0.25) {second} (0.25)" in " ".join(lines.split())
    browser.execute_script("arguments[0].focus()", spans[0])
    spans[0].send_keys(Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element.get_attribute("data-token") == "1"


def test_loads_of_a_task_can_be_chosen(browser, study):
    show(browser, "load")
    Select(browser.find_element(By.ID, "load-group")).select_by_visible_text("task story")
    values = until(
        browser,
        lambda: [
            v for v in browser.execute_script("return document.getElementById('load').data[0].z")[1] if v is not None
        ],
    )
    shares = study.load_by_task.shares[1, 1]
    assert len(values) == (shares > 0).sum()


def test_texts_of_the_data_stay_texts(driver, tmp_path):
    page = hostile_study(tmp_path).report(tmp_path / "hostile.html")
    opened(driver, page.as_uri())
    for name in FIGURES:
        show(driver, name)
    show(driver, "token-text")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#token-text .token"))
    assert driver.execute_script("return document.querySelectorAll('script').length") == 6
    assert driver.execute_script("return document.querySelectorAll('svg b, #tip b, #pair-panel b').length") == 0
    assert HOSTILE in driver.find_element(By.ID, "pair-a-text").text
    ticks = driver.execute_script(
        "return [...document.querySelectorAll('#categories .ytick text')].map((t) => t.textContent)"
    )
    assert any(tick.startswith("code <script>") and tick.endswith("…") for tick in ticks)
    show(driver, "pca")
    assert HOSTILE in hover(driver, driver.find_element(By.CSS_SELECTOR, "#pca .scatterlayer .point"))
    assert complaints(driver) == []


@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_sticks_out(driver, address, width):
    opened(driver, address, width=width)
    for name in FIGURES:
        show(driver, name)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert driver.execute_script(wide) == 0


def test_dark_colours_follow_the_system_and_the_button(driver, address):
    opened(driver, address, scheme="dark")
    show(driver, "layers")
    ground = "return getComputedStyle(document.body).backgroundColor"
    ink = "return getComputedStyle(document.querySelector('#layers .xtick text')).fill"
    dark = driver.execute_script(ground), driver.execute_script(ink)
    assert dark[0] == "rgb(20, 23, 26)"
    driver.execute_script("document.getElementById('theme').click()")
    until(driver, lambda: driver.execute_script(ink) != dark[1])
    assert driver.execute_script(ground) == "rgb(251, 251, 249)"
    assert driver.find_element(By.ID, "theme").get_attribute("aria-pressed") == "false"
    opened(driver, address, scheme="dark")
    assert driver.execute_script(ground) == "rgb(251, 251, 249)"  # the choice is kept
    driver.execute_script("localStorage.clear()")


CONTRAST = """
const inked = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
function rgba(text) {
  inked.clearRect(0, 0, 1, 1); inked.fillStyle = text; inked.fillRect(0, 0, 1, 1);
  return [...inked.getImageData(0, 0, 1, 1).data];
}
function ground(node) {
  const layers = [];
  for (; node; node = node.parentElement) {
    layers.push(rgba(getComputedStyle(node).backgroundColor));
    if (layers.at(-1)[3] === 255) break;
  }
  return layers.reduceRight((under, one) => one.map((value, i) => (value * one[3] + under[i] * (255 - one[3])) / 255));
}
const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
  .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, i) => sum + [0.2126, 0.7152, 0.0722][i] * value, 0);
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
const weak = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const place = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim()) continue;
  if (place.closest('script, noscript, .legend, .annotation, .textpoint, [hidden]')) continue;
  const drawn = place.closest('svg');  // figures stand on the ground of their card
  const ink = rgba(drawn ? getComputedStyle(place).fill : getComputedStyle(place).color);
  const under = ground(drawn ? place.closest('.plot') : place);
  if (contrast(ink, under) < 4.5) weak.push([walker.currentNode.textContent.trim(), contrast(ink, under)]);
}
const style = getComputedStyle(document.documentElement);
const marks = 'within across null length vocabulary context context-line accent-2 less more';
for (const name of marks.split(' ')) {
  const found = contrast(rgba(style.getPropertyValue('--' + name)), rgba(style.getPropertyValue('--surface')));
  if (found < 3) weak.push([name, found]);
}
for (const sign of document.querySelectorAll('.legend span')) {
  if (contrast(rgba(getComputedStyle(sign).color), ground(sign)) < 3) weak.push([sign.textContent, 'legend']);
}
return weak;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_marks_have_the_contrast_that_wcag_asks_for(driver, address, scheme):
    opened(driver, address, scheme=scheme)
    for name in FIGURES:
        show(driver, name)
    show(driver, "token-text")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#token-text .token"))
    assert driver.execute_script(CONTRAST) == []


def test_any_colour_of_a_map_can_be_written_on(browser):
    cells = "return [...document.querySelectorAll('#token-text .token:not(.alone)')].map((t) => t.style.color)"
    show(browser, "token-text")
    until(browser, lambda: browser.execute_script(cells))
    assert set(browser.execute_script(cells)) <= {"rgb(0, 0, 0)", "rgb(255, 255, 255)"}
    show(browser, "categories")
    numbers = (
        "return [...document.querySelectorAll('#categories .textpoint text')].map((t) => getComputedStyle(t).fill)"
    )
    assert set(browser.execute_script(numbers)) <= {"rgb(0, 0, 0)", "rgb(255, 255, 255)"}
    assert len(browser.execute_script(numbers)) == 4


def test_figures_are_drawn_for_the_width_of_paper(browser):
    sizes = """
    return [...document.querySelectorAll('.plot')].map((plot) =>
      [plot.id, plot.clientWidth, plot.querySelector('.main-svg').clientWidth]);
    """
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    try:
        assert browser.execute_script("return document.getElementById('main').clientWidth") == 820
        assert [one for one in browser.execute_script(sizes) if one[1] != one[2]] == []
    finally:
        browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script("return document.documentElement.dataset.paper") is None
    until(browser, lambda: all(one[1] == one[2] for one in browser.execute_script(sizes)))


def test_agreement_with_another_recording_is_drawn(driver, study, tmp_path):
    compared = rs.compare(study.traces, worded_traces(experts=16, seed=0), bootstrap=20, permutations=19)
    opened(driver, study.with_comparison(compared).report(tmp_path / "compared.html").as_uri())
    show(driver, "agreement")
    drawn = driver.execute_script("return document.getElementById('agreement').data.map((line) => [line.name, line.y])")
    assert dict(drawn)["same set of experts"] == [one.exact for one in compared.agreement.layers]
    assert "in common by chance" in dict(drawn)
    assert complaints(driver) == []


def test_paper_holds_every_figure(browser):
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(printed["data"]) > 100_000
    drawn = (
        "return [...document.querySelectorAll('.plot')].filter((plot) => !plot.dataset.drawn).map((plot) => plot.id)"
    )
    assert browser.execute_script(drawn) == []
    assert browser.execute_script("return document.querySelectorAll('details[open]').length") == 0  # folded again


@pytest.mark.parametrize("n", [1, 12])
def test_a_study_with_little_in_it_opens_without_an_error(driver, tmp_path, n):
    sigs = rs.SignatureSet.from_counts(rs.signatures(worded_traces(n=n)).counts)
    driver.get_log("browser")
    driver.get(rs.study(sigs, **QUICK).report(tmp_path / "little.html").as_uri())
    show(driver, "load")
    assert complaints(driver) == []


@pytest.fixture(scope="module")
def sixty(tmp_path_factory):
    return many_tasks().report(tmp_path_factory.mktemp("sixty") / "report.html").as_uri()


OVERLAPS = """
const clash = (selector, side, end) => {
  const boxes = [...document.querySelectorAll(selector)]
    .map((one) => one.getBoundingClientRect()).filter((box) => box.width);
  boxes.sort((one, other) => one[side] - other[side]);
  return boxes.slice(1).filter((box, i) => box[side] < boxes[i][end] - 0.1).length;
};
return {
  'rows of the map': clash('#categories .ytick text', 'top', 'bottom'),
  'columns of the map': clash('#categories .xtick text', 'left', 'right'),
  'rows of the confusion': clash('#confusion .ytick text', 'top', 'bottom'),
  'columns of the confusion': clash('#confusion .xtick text', 'left', 'right'),
  'prompts': clash('#edge-left .names span', 'top', 'bottom'),
};
"""


@pytest.mark.parametrize("width", [420, 1300])
def test_names_of_sixty_tasks_do_not_meet(driver, sixty, width):
    opened(driver, sixty, width=width)
    compared(driver)
    for name in ("categories", "confusion"):
        show(driver, name)
    found = driver.execute_script(OVERLAPS)
    assert set(found.values()) == {0}, found
    for names in ("#categories .ytick", "#confusion .xtick", "#edge-left .names span"):
        assert 10 <= len(driver.find_elements(By.CSS_SELECTOR, names)) <= 60
    assert driver.execute_script("return document.querySelectorAll('#categories .textpoint').length") == 0  # no room
    assert driver.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert complaints(driver) == []


@pytest.mark.parametrize("tasks", [6, 12, 24])
def test_numbers_in_cells_do_not_meet(driver, tmp_path, tasks):
    page = many_tasks(tasks, layers=2).report(tmp_path / "report.html")
    drawn = []
    for width in (420, 1300):
        opened(driver, page.as_uri(), width=width)
        compared(driver)
        show(driver, "categories")
        row = f"#categories .textpoint:nth-child(-n + {tasks}) text"
        column = f"#categories .textpoint:nth-child({tasks}n + 1) text"
        meeting = f"return [clash('{row}', 'left', 'right'), clash('{column}', 'top', 'bottom')]"
        assert driver.execute_script(OVERLAPS.partition("return {")[0] + meeting) == [0, 0]
        drawn.append(len(driver.find_elements(By.CSS_SELECTOR, "#categories .textpoint")))
    assert drawn == [tasks**2 * (tasks == 6), tasks**2]


def test_names_of_sixty_tasks_do_not_meet_on_paper(driver, sixty):
    opened(driver, sixty)
    compared(driver)
    try:
        found = driver.execute_script(f"dispatchEvent(new Event('beforeprint')); {OVERLAPS}")  # paper waits for nothing
        assert set(found.values()) == {0}, found
        hidden = (
            "const legend = document.getElementById('task-legend'); return legend.scrollHeight - legend.clientHeight"
        )
        assert driver.execute_script(hidden) <= 1
    finally:
        driver.execute_script("dispatchEvent(new Event('afterprint'))")


def test_a_task_whose_name_has_no_room_is_told_on_hover(driver, sixty):
    opened(driver, sixty)
    compared(driver)
    band = driver.find_elements(By.CSS_SELECTOR, "#edge-left .band")[31]
    assert "topic-31 among many" in hover(driver, band)
    cell = show(driver, "categories")
    assert "mean similarity" in hover(driver, cell, 40, 40)


def test_numbers_stand_in_the_cells_of_a_map_where_they_fit(browser):
    compared(browser)
    show(browser, "categories")
    drawn = "return [...document.querySelectorAll('#categories .textpoint')].map((cell) => cell.textContent)"
    mean = browser.execute_script("return document.getElementById('categories').data[0].z")
    assert browser.execute_script(drawn) == [f"{value:.2f}" for row in mean for value in row]


def test_tasks_and_prompts_of_long_lists_can_be_searched(driver, sixty):
    opened(driver, sixty)
    compared(driver)
    box = driver.find_element(By.ID, "pair-a-find")
    box.send_keys("topic-41")
    until(driver, lambda: "41 among many" in text(driver, "pair-a-task"))
    shown = driver.find_elements(By.CSS_SELECTOR, "#pair-a option")
    assert len(shown) == 2  # of this task
    box.send_keys(" nowhere")
    assert box.get_attribute("aria-invalid") == "true"
    assert "41 among many" in text(driver, "pair-a-task")  # what was chosen stays
    driver.find_element(By.CSS_SELECTOR, "[data-find=odd]").click()  # a pair of another task: the list is whole again
    until(driver, lambda: len(driver.find_elements(By.CSS_SELECTOR, "#pair-a option")) == 120)
    show(driver, "task-find").send_keys("topic-07")
    legend = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "#task-legend li") if one.is_displayed()]
    assert [name[1:].strip() for name in legend] == ["topic-07 among many"]  # behind its shape
    show(driver, "load")
    driver.find_element(By.ID, "load-group-find").send_keys("topic-59")
    options = driver.find_elements(By.CSS_SELECTOR, "#load-group option")
    assert [option.text for option in options] == ["task topic-59 among many"]


def test_a_marked_task_stands_out_in_the_maps(browser):
    show(browser, "pca")
    opacity = "return document.getElementById('pca').data.map((trace) => trace.marker.opacity)"
    assert browser.execute_script(opacity) == [0.85, 0.85]
    button = browser.find_elements(By.CSS_SELECTOR, "#task-legend button")[1]
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert browser.execute_script(opacity) == [0.2, 0.85]
    button.click()
    assert browser.execute_script(opacity) == [0.85, 0.85]


def test_tasks_can_be_ordered_by_similarity(driver, sixty):
    opened(driver, sixty)
    show(driver, "categories")
    ordered = "return document.getElementById('categories').data[0].z"
    before = driver.execute_script(ordered)
    choose(driver, "task-order", "similarity")
    after = driver.execute_script(ordered)
    assert sorted(map(sum, before)) == pytest.approx(sorted(map(sum, after)))
    beside = [sum(table[i][i + 1] for i in range(59)) for table in (before, after)]
    assert beside[1] > beside[0]


def test_a_thousand_prompts_are_drawn_whole_section_by_section(driver, study, tmp_path):
    thousand = large_study(study, 1_000, tasks=20)
    page = thousand.report(tmp_path / "thousand.html")
    assert page.stat().st_size < 6_000_000
    opened(driver, page.as_uri())
    assert driver.find_elements(By.CSS_SELECTOR, "#token-prompt option") == []  # lists wait, too
    compared(driver)
    for name in FIGURES:
        show(driver, name)
        assert driver.find_elements(By.CSS_SELECTOR, f"#{name} .main-svg"), name
    show(driver, "token-text")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#token-text .token"))
    assert len(driver.find_elements(By.CSS_SELECTOR, "#pair-a option")) == 1_000
    painted = """
    const canvas = document.getElementById('similarity');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(data.filter((_, i) => i % 4 === 0)).size;
    """
    assert driver.execute_script(painted) > 50  # colours
    Select(driver.find_element(By.ID, "pair-a")).select_by_value("777")  # and it answers
    panel = driver.find_element(By.ID, "pair-panel")
    until(driver, lambda: (panel.get_attribute("data-pair") or "").startswith("777 "))
    chosen = (Select(driver.find_element(By.ID, f"pair-{side}")).first_selected_option.text for side in "ab")
    a, b = (int(option.split()[0].removeprefix("p")) for option in chosen)
    one, other = rs.signatures(thousand.traces.take([a, b]))  # the page sums prompt and generation
    assert text(driver, "pair-mean") == f"{rs.similarity(one, other):.3f}"
    assert complaints(driver) == []
