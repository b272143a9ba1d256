"""The report as a file: what stands in it, that it stands alone, and what becomes of hostile and missing parts."""

import base64
import json
import re
import sys
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from report_studies import HOSTILE, QUICK, hostile_study, large_study, with_token_texts, worded_traces

import routesig as rs

pytest.importorskip("jinja2", reason="reports need Jinja2")
pytest.importorskip("plotly", reason="reports need Plotly")

from routesig import _report
from routesig._p_value import PValue
from routesig._report._confusion import confusion_rows
from routesig._report._image import block_means, png
from routesig._report._numbers import floor, p_value, significant, true_minus
from routesig._report._packing import packed
from routesig._report._sections import call, provenance
from routesig._report._tokens import token_data
from routesig._study._parts import StudyOptions

ARRAYS = {"u8": np.uint8, "u16": "<u2", "u32": "<u4", "f32": "<f4"}
MEGABYTES = 1_000_000
CAPTIONS = ("h2", "h3", "figcaption")


class Page(HTMLParser):
    """The elements of a page, its visible text, and the data that its scripts read."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.scripts, self._inside = [], [], [], None
        self.captions, self._caption = "", False
        self.feed(text)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self.words))
        self.data, self.tokens = (json.loads(text) for kind, text in self.scripts if kind == "application/json")

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside = tag if tag in ("script", "style") else self._inside
        self._caption = self._caption or tag in CAPTIONS or dict(attributes).get("class") in ("lead", "note")
        if tag == "script":
            self.scripts.append([dict(attributes).get("type"), ""])

    def handle_endtag(self, tag):
        self._inside = None if tag == self._inside else self._inside
        self._caption = self._caption and tag not in (*CAPTIONS, "p")

    def handle_data(self, text):
        if self._inside == "script":
            self.scripts[-1][1] += text
        elif self._inside is None:
            self.words.append(text)
            self.captions += text if self._caption else ""

    def tags(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def unpacked(entry):
    content = zlib.decompress(base64.b64decode(entry["data"]))
    if entry["type"] == "json":
        return json.loads(content)
    return np.frombuffer(content, ARRAYS[entry["type"]]).reshape(entry["shape"])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    traces = with_token_texts(worded_traces(), lambda word: f" word{word}", tmp_path_factory.mktemp("words"))
    return rs.study(traces, **QUICK)


@pytest.fixture(scope="module")
def page(study):
    return Page(_report.render(study))


def test_sections_answer_in_the_order_of_the_questions(page):
    ids = [attributes.get("id") for attributes in page.tags("section")]
    assert ids == [
        *("top", "prompts", "chance", "layers-section", "causes"),
        *("classifier", "experts", "token-section", "limits"),
    ]
    assert not re.search("Not here|&nbsp;|&amp;|{{|}}", page.text)


def test_every_figure_of_the_paper_has_its_place(page):
    places = {attributes.get("id") for _, attributes in page.elements}
    assert {"similarity", "categories", "baselines", "layers", "pca", "tsne"} <= places


def test_every_baseline_stands_in_a_table_with_its_tokens(study, page):
    for name in ("experts permuted", "load balance, prompt tokens", "popular experts", "tokens pooled"):
        assert name in page.text
    low, median, high = study.load_balance["generation"].token_range
    assert f"{low} to {high}, median {median:g}" in page.text
    assert f"{study.baselines['permutation'].within.mean:.3f}" in page.text


def test_the_headline_and_the_limits_stand_in_the_text(study, page):
    assert re.sub(r"\s+", " ", study.headline) in page.text.replace("\u2212", "-")
    for sentence in study.not_claimed:
        assert sentence in page.text


def test_no_p_value_comes_without_its_floor(page):
    found = re.findall(r"\bp ?= [^)]{0,60}", page.text)
    assert len(found) >= 4
    assert [text for text in found if "possible" not in text] == []


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (rs.PValue(0.0005, 0.0005), "0.0005, the smallest possible"),
        (rs.PValue(0.031, 0.001), "0.031, smallest possible 0.001"),
        (rs.PValue(1.0, 1.0), "1, the only value possible"),
        (rs.PValue(4.2e-14, 1e-15), "4 \u00d7 10\u207b\u00b9\u2074, smallest possible 1 \u00d7 10\u207b\u00b9\u2075"),
        (None, "\u2013"),
    ],
)
def test_p_values_in_words(p, text):
    assert p_value(p) == text


def test_floors_and_minus_signs_in_words():
    assert [floor(PValue(*p)) for p in ((0.2, 0.01), (0.01, 0.01), (1.0, 1.0))] == [
        *("smallest possible 0.01", "the smallest possible", "the only value possible")
    ]
    assert true_minus("code-01: -0.3 to -1") == "code-01: \u22120.3 to \u22121"


def test_settings_that_were_none_are_not_unknown(study):
    settings = {"chat_template": None}
    rows = dict(provenance(replace(study, provenance=study.provenance | {"settings": settings, "model": None})))
    assert (rows["settings chat template"], rows["model"]) == ("none", "unknown")


def test_significant_digits_keep_whole_numbers():
    assert [significant(x) for x in (0.0, 1.0, 10.0, 0.1, 0.2571)] == ["0", "1", "10", "0.1", "0.26"]


def test_nothing_is_fetched(study):
    text = _report.render(study)
    found = Page(text)
    for tag, attributes in found.elements:
        for name in ("src", "href", "action", "poster", "srcset", "data"):
            target = attributes.get(name) or ""
            assert target.startswith(("#", "data:")) or not target, (tag, name, target)
    style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a["content"] for a in found.tags("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 3


def test_embedded_counts_give_the_similarities_of_the_study(study, page):
    sets = page.data["similarity"]["sets"]
    counts = sum(unpacked(sets[name]).astype(float) for name in ("prompt", "generation"))
    unit = counts / np.linalg.norm(counts, axis=2, keepdims=True)
    found = np.einsum("alx,blx->ab", unit, unit) / counts.shape[1]
    place = [study.signatures.ids.index(name) for name in page.data["prompts"]["ids"]]
    np.testing.assert_allclose(found, study.similarity[np.ix_(place, place)], atol=1e-12)


def test_prompts_of_one_task_stand_side_by_side(page):
    tasks = page.data["prompts"]["task"]
    assert tasks == sorted(tasks)
    assert page.data["prompts"]["tasks"] == ["code", "story"]


def test_agreement_is_the_share_of_experts_chosen_for_the_same_word_in_other_prompts(study):
    found = token_data(study, _report.Prompts.of(study))
    prompts = _report.Prompts.of(study)
    one = found["prompts"][3]
    index = int(prompts.order[one["prompt"]])
    trace, agreement = study.traces[index], unpacked(one["agreement"])
    for layer in (0, 3):
        for token, word in enumerate(trace.token_ids):
            mine = set(trace.experts[layer, token])
            shares = [
                len(mine & set(other.experts[layer, t])) / 2
                for i, other in enumerate(study.traces)
                if i != index
                for t in np.flatnonzero(other.token_ids == word)
            ]
            assert agreement[layer, token] == (255 if not shares else np.rint(200 * np.mean(shares)))


def test_tokens_carry_their_experts_and_texts(study, page):
    tokens = page.tokens
    assert len(tokens["prompts"]) == tokens["of"] == 12
    one = tokens["prompts"][0]
    trace = next(t for t in study.traces if t.id == page.data["prompts"]["ids"][one["prompt"]])
    np.testing.assert_array_equal(unpacked(one["experts"]) - 1, trace.experts)
    np.testing.assert_allclose(unpacked(one["weights"]) * one["weight_step"], trace.weights, atol=0.001)
    assert unpacked(one["texts"]) == trace.token_texts


def test_a_title_is_shown_in_the_page_and_in_the_browser(study, tmp_path):
    page = study.report(tmp_path / "mine.html", title="Night <run>").read_text(encoding="utf-8")
    assert "<title>Night &lt;run&gt; - routesig</title>" in page
    assert '<p class="subject">Night &lt;run&gt;</p>' in page


def test_text_of_the_data_is_never_html(tmp_path):
    text = _report.render(hostile_study(tmp_path))
    found = Page(text)
    assert len(found.scripts) == 5
    assert "<script>alert" not in text
    assert not found.tags("b") or all(attributes == {} for attributes in found.tags("b"))
    assert "alert(1)" not in "".join(content for kind, content in found.scripts if kind is None)
    assert found.data["prompts"]["ids"][0].endswith(HOSTILE)
    assert HOSTILE in unpacked(found.tokens["prompts"][0]["texts"])
    assert unpacked(found.data["prompts"]["texts"])[0].startswith(HOSTILE)
    assert HOSTILE in found.text


def test_directions_of_the_data_turn_nothing_else(tmp_path):
    turned = "\u202ecba\u2067"
    worded = worded_traces(tasks=(f"code {turned}", "story"))
    traces = with_token_texts(worded, lambda word: f"{turned} {word}", tmp_path)
    text = _report.render(rs.study(traces, controls={turned: rs.signatures(traces)}, **QUICK))
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
    found = Page(text)
    assert found.data["prompts"]["tasks"] == ["code ⟨U+202E⟩cba⟨U+2067⟩", "story"]
    assert "⟨U+202E⟩cba⟨U+2067⟩" in found.text
    assert unpacked(found.tokens["prompts"][0]["texts"])[0].startswith("⟨U+202E⟩cba⟨U+2067⟩ ")


def test_scripts_cannot_end_early():
    assert _report.inline_script('"</script><SCRIPT><!--"') == r'"\x3C/script>\x3CSCRIPT>\x3C!--"'
    assert json.loads(_report.inline_json(HOSTILE + "\u2028")) == HOSTILE + "\u2028"
    assert not set("<>&\u2028") & set(_report.inline_json(HOSTILE + "\u2028"))


def test_the_same_study_gives_the_same_bytes(study, tmp_path):
    again = rs.study(study.traces, **QUICK)
    assert study.report(tmp_path / "a.html").read_bytes() == again.report(tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize("values", [[0, 200], [0, 60_000], [0, 70_000]])
def test_packed_integers_come_back(values):
    entry = packed(values)
    assert entry["type"] == {200: "u8", 60_000: "u16", 70_000: "u32"}[values[1]]
    assert unpacked(entry).tolist() == values


def test_a_thousand_prompts_fit_into_six_megabytes(study):
    text = _report.render(large_study(study, 1_000))
    assert len(text.encode()) <= 6 * MEGABYTES
    found = Page(text)
    assert set(found.data["similarity"]["sets"]) == {"prompt", "generation"}
    assert found.data["similarity"]["computed"]
    assert 4 <= len(found.tokens["prompts"]) < 1_000
    assert f"tokens of {len(found.tokens['prompts'])} of 1000 prompts" in found.text


def test_above_fifteen_hundred_prompts_the_matrix_is_a_picture(study):
    text = _report.render(large_study(study, 1_600))
    assert len(text.encode()) <= 8 * MEGABYTES
    found = Page(text)
    assert not found.data["similarity"]["computed"]
    assert found.data["similarity"]["picture"]["source"].startswith("data:image/png;base64,")
    assert list(found.data["similarity"]["sets"]) == ["all"]  # pairs are still compared
    assert "with more than 1,500 prompts the page shows the study's own choice alone" in found.text


def test_block_means_by_hand():
    matrix = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(block_means(matrix, 2), [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(block_means(matrix, 9), matrix)


def test_pictures_are_png_in_cividis():
    image = pytest.importorskip("PIL.Image", reason="Pillow reads the picture")
    import io

    address = png(np.array([[0.0, 1.0]]), 0.0, 1.0)
    read = image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
    assert [read.getpixel((x, 0)) for x in (0, 1)] == [(0, 32, 76), (255, 233, 69)]


def only_signatures():
    return rs.signatures(worded_traces())


CASES = {
    "signatures alone": (only_signatures, "it needs traces; signatures were given"),
    "one task": (lambda: worded_traces(tasks=("code",)), "there are fewer than two tasks"),
    "one prompt": (lambda: worded_traces(n=1), "there is one prompt, and no pair to compare"),
    "no pair of tasks": (lambda: worded_traces(n=1), "no two prompts with a task make a pair"),
    "no task": (
        lambda: rs.SignatureSet.from_counts(only_signatures().counts, top_k=2),
        "classification needs prompts of two tasks or more, there is none",
    ),
    "neither tokens nor top_k": (lambda: rs.SignatureSet.from_counts(only_signatures().counts), "expected signatures"),
    "gate weights": (
        lambda: rs.signatures(worded_traces(), weighting="gate"),
        "gate weights are known for the study's own tokens alone",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_said_with_its_reason(case):
    make, reason = CASES[case]
    found = Page(_report.render(rs.study(make(), **QUICK)))
    assert reason in found.text
    assert "nan" not in found.text.lower().split()
    assert not re.search(r"(?<!got )\bNone\b", found.text)


def test_a_path_that_cannot_be_written_is_one_sentence(study, tmp_path):
    with pytest.raises(OSError, match="report: expected a path that can be written, got No such file") as caught:
        study.report(tmp_path / "absent" / "report.html")
    assert "absent/report.html" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["jinja2", "plotly"])
def test_a_missing_package_is_named_with_its_command(study, package, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=re.escape(f"reports need {package}: pip install 'routesig[report]'")):
        study.report(tmp_path / "report.html")


def test_every_file_of_the_page_is_used():
    folder = _report._PAGE
    scripts = {file.stem for file in folder.glob("*.js")}
    assert scripts == {*_report._SCRIPTS, "head"}
    templates = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.j2"))
    assert all(file.name in templates or file.name == "report.html.j2" for file in folder.glob("*.j2"))


def test_a_comparison_has_a_section_of_its_own(study, page):
    assert "comparison" not in [attributes.get("id") for attributes in page.tags("section")]
    other = worded_traces(experts=12)  # the same words through another router
    compared = rs.compare(study.traces, other, bootstrap=20, permutations=19)
    found = Page(_report.render(study.with_comparison(compared)))
    assert "comparison" in [attributes.get("id") for attributes in found.tags("section")]
    assert f"{len(compared.ids)} prompts that both hold" in found.text
    assert f"{compared.difference.a.value:.3f}" in found.text
    assert found.data["figures"]["agreement"] is None  # other experts: no figure, and why
    assert "A has 4 layers x 16 experts, B 4 x 12" in found.text
    assert "Mantel's p" in found.text


def test_the_call_computes_the_same_study_again(monkeypatch):
    traces, others = worded_traces(), worded_traces(seed=5)
    options = QUICK | {"seed": 3, "drop_invalid": True, "groups": False, "tokens": "prompt", "shuffles": 7}
    study = rs.study(traces, controls={"a {model}'s": [others], "random weights": others}, **options)
    text = call(study)
    asked = {}
    monkeypatch.setattr(rs, "study", lambda given, **chosen: asked.update(chosen) or SimpleNamespace(report=len))
    exec(text, {"rs": rs, "traces": traces})
    models = asked.pop("controls")
    assert models == {"a {model}'s": [...], "random weights": [...]}
    assert replace(study.options, controls=()) == StudyOptions(**{"groups": True} | asked)
    without = call(replace(study, options=StudyOptions()))
    assert "drop_invalid" not in without
    assert "controls" not in without


def labelled(tasks=2, layers=3, prompts=6):
    """From counts alone: no tokens, no texts, no groups."""
    counts = np.random.default_rng(0).multinomial(80, np.full(8, 1 / 8), (prompts * tasks, layers)) + 1
    names = [f"t{i % tasks:02d}" for i in range(len(counts))] if tasks > 1 else None
    return rs.study(rs.SignatureSet.from_counts(counts, tasks=names, top_k=2), **QUICK)


TOKENS = "same token|tokens pooled|Small figures|beside the controls|dot: the 95|one standard error|crosses"
LACKING = {
    "counts alone": (labelled, TOKENS),
    "one layer": (lambda: labelled(layers=1), f"{TOKENS}|Layer by layer|layers chosen|all layers|whatever is chosen"),
    "no tasks": (lambda: labelled(tasks=1), f"{TOKENS}|one task stand|diagonal|Bands|Circles"),
    "no control models": (lambda: rs.study(worded_traces(), **QUICK), "Untrained"),
    "no interval": (lambda: labelled(prompts=3), "Bands"),
}


@pytest.mark.parametrize("case", LACKING)
def test_captions_speak_of_what_is_there(case):
    make, words = LACKING[case]
    found = Page(_report.render(make()))
    assert not re.search(words, found.captions), found.captions
    assert "Where the numbers come from" in found.captions  # they were read


def test_captions_of_a_whole_study_speak_of_all_of_it(study):
    with_models = rs.study(study.traces, controls={"random weights": study.traces}, **QUICK)
    captions = Page(_report.render(with_models)).captions
    for words in ("of the same token", "tokens pooled", "Untrained", "Small figures", "one standard error", "diagonal"):
        assert words in captions


def test_the_glossary_lists_the_words_that_occur(page):
    alone = Page(_report.render(labelled()))
    names = {dict(attributes).get("id") for tag, attributes in alone.elements if tag == "dt"}
    assert {"term-within", "term-permuted"} <= names
    assert not {"term-agreement", "term-pool", "term-context"} & names
    assert "Agreement elsewhere" in page.text
    for one in (alone, page):
        places = {attributes.get("id") for _, attributes in one.elements}
        links = [a["href"] for a in one.tags("a") if a.get("class") == "term"]
        assert [link for link in links if link[1:] not in places] == []


@pytest.mark.parametrize("tasks", [4, 5])
def test_the_papers_numbers_stand_beside_comparable_studies_alone(tasks):
    counts = np.random.default_rng(0).multinomial(480, np.full(64, 1 / 64), (3 * tasks, 16))
    names = [f"t{i % tasks}" for i in range(len(counts))]
    sigs = rs.SignatureSet.from_counts(counts, tasks=names, top_k=8)
    text = Page(_report.render(rs.study(sigs, **QUICK))).text
    for part in ("paper 0.8435", "arXiv 2603.11114", "The paper's numbers"):
        assert (part in text) == (tasks == 4)


def test_an_alignment_stands_in_the_section_of_the_comparison(study):
    moved = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                np.roll(trace.experts, 1, axis=0),
                num_experts=16,
                token_ids=trace.token_ids,
                prompt_tokens=trace.prompt_tokens,
                id=trace.id,
                task=trace.task,
                text=trace.text,
            )
            for trace in study.traces
        ]
    )
    compared = rs.compare(study.traces, moved, bootstrap=20, permutations=19)
    assert "layer l of A agrees with layer l + 1 of B" in Page(_report.render(study.with_comparison(compared))).text


def test_mistakes_of_many_tasks_are_listed_by_task():
    counts = np.full((9, 9), 0)
    counts[0, :6], counts[1, 1] = (3, 1, 2, 1, 1, 1), 4
    read = SimpleNamespace(confusion=counts, classes=[f"t{i}" for i in range(9)])
    rows = confusion_rows(SimpleNamespace(classification=read))
    assert rows[0] == {"task": "t0", "prompts": 9, "right": 3, "wrong": ["t2 (2)", "t1 (1)", "t3 (1)", "2 more"]}
    assert rows[1] == {"task": "t1", "prompts": 4, "right": 4, "wrong": []}
    read.classes, read.confusion = read.classes[:4], counts[:4, :4]
    assert confusion_rows(SimpleNamespace(classification=read)) == []  # a table shows every cell
