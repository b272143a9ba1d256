"""A study that is read from its file: all that the file holds, exactly; what it does not hold, said."""

import copy
import dataclasses
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from report_studies import QUICK, many_tasks, worded_traces

import routesig as rs
from routesig import _plain
from routesig._equality import alike
from support import tasks_apart


def studies():
    traces, others = worded_traces(), worded_traces(seed=4)
    study = rs.study(traces, controls={"other": others}, seed=3, tokens="prompt", **QUICK)
    compared = rs.compare(traces, traces, bootstrap=20, permutations=20)
    one_task = rs.TraceSet([trace for trace in traces if trace.task == "code"])
    return {
        "traces": study,
        "compared": study.with_comparison(compared),
        "signatures": rs.study(tasks_apart((5, 5)), **QUICK),
        "one task": rs.study(one_task, **QUICK),
        "many tasks": many_tasks(12),
        "fewer draws": replace(study, fewer={"refits": "some"}),
    }


@pytest.fixture(scope="module")
def given():
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    return studies()


@pytest.fixture(params=["traces", "compared", "signatures", "one task", "many tasks", "fewer draws"])
def study(given, request):
    return given[request.param]


@pytest.fixture
def path(given, tmp_path):
    return given["traces"].to_json(tmp_path / "study.json")


def held(one, other, place=""):
    """Both sides of every value that a file holds."""
    if dataclasses.is_dataclass(one):
        for name in _plain.plain_fields(one):
            yield from held(getattr(one, name), getattr(other, name), f"{place}.{name}")
    elif isinstance(one, dict) and not place.endswith(".absent"):
        assert list(one) == list(other), place
        for name in one:
            yield from held(one[name], other[name], f"{place}[{name}]")
    elif isinstance(one, (list, tuple)):
        assert (type(one), len(one)) == (type(other), len(other)), place
        for i, pair in enumerate(zip(one, other, strict=True)):
            yield from held(*pair, f"{place}[{i}]")
    else:
        yield place, one, other


def test_it_is_equal_to_the_one_that_was_written_and_writes_the_same_bytes(study, tmp_path):
    path = study.to_json(tmp_path / "study.json")
    again = rs.read_study(path)
    assert again == study
    assert again.to_json(tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert rs.read_study(tmp_path / "again.json") == again


def test_every_number_is_the_same_double_in_the_same_type(study, tmp_path):
    pairs = list(held(study, rs.read_study(study.to_json(tmp_path / "study.json"))))
    assert len(pairs) > 300
    for place, one, other in pairs:
        if place.endswith(".absent"):
            assert one.items() <= other.items(), place
        else:
            assert alike(one, other), place


def test_it_says_what_the_written_one_says(study, tmp_path):
    again = rs.read_study(study.to_json(tmp_path / "study.json"))
    assert again.headline == study.headline
    assert again.findings == study.findings
    assert repr(again) == repr(study)
    assert again.paper() == study.paper()
    assert "".join(str(again).split("absent: traces, signatures, similarity: a file holds results")[0]) in str(study)
    assert again.strongest == (None if study.strongest is None else again.controls[study.strongest.name])
    pytest.importorskip("pandas", reason="tables are pandas'")
    for name, table in study.tables().items():
        assert table.equals(again.tables()[name]), name


def test_what_a_file_does_not_hold_is_absent_and_said(given, path, tmp_path):
    again = rs.read_study(path)
    assert (again.traces, again.signatures, again.similarity, again.permutation_test.null) == (None,) * 4
    said = "a file holds results alone; the same call on the same data makes it again"
    assert {again.absent[name] for name in ("traces", "signatures", "similarity")} == {said}
    assert again.permutation_test.absent["null"] == again.token_shuffle.absent["draws"] == said
    assert "absent: traces, signatures, similarity: a file holds results alone" in str(again)
    for needs in (
        again.layer_similarity,
        lambda: again.report(tmp_path / "report.html"),
        lambda: again.debiased.reliability.disattenuated,
        lambda: rs.compare(again, given["traces"]),
    ):
        with pytest.raises(ValueError, match=r"expected .*signatures.*, got .* from a file"):
            needs()
    assert not (tmp_path / "report.html").exists()


def test_figures_of_what_a_file_holds_are_drawn_and_the_others_say_why_not(given, path, tmp_path):
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    drawn, absent = rs.read_study(path).save_figures(tmp_path / "figures", "svg")
    before, lacking = given["traces"].save_figures(tmp_path / "before", "svg")
    more = set(absent) - set(lacking)
    assert {"similarity", "null"} <= more
    assert all("a file holds results alone" in absent[name] or "from a file" in absent[name] for name in more)
    assert {one.name for one in drawn} == {one.name for one in before} - {f"{name}.svg" for name in more}
    assert "pca.svg" in {one.name for one in drawn}
    for one in drawn:
        assert one.read_bytes() == (tmp_path / "before" / one.name).read_bytes(), one.name


def test_studies_are_equal_where_all_that_a_file_holds_is(given):
    study = given["traces"]
    assert study == copy.deepcopy(study)
    assert study == replace(study, traces=None)
    assert study != replace(study, depth=replace(study.depth, difference=0.25))
    assert study != given["one task"]
    assert study != "a study"


def set_at(value, place, new):
    """A copy with another value at a place; `...` takes it away."""
    value = copy.deepcopy(value)
    inner = value
    for step in place[:-1]:
        inner = inner[step]
    if new is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = new
    return value


@pytest.mark.parametrize(
    ("place", "new", "message"),
    [
        (["version"], 3, "version: expected 2, found 3, which another version of routesig reads"),
        (["version"], "2", 'version: expected a whole number, found "2"'),
        (["headline"], None, "headline: expected text, found null"),
        (["prompts"], ..., "prompts: expected a value, found none"),
        (["prompts", 2, "tokens"], 1.5, r"prompts\[2\].tokens: expected a whole number, found 1.5"),
        (["layers"], {}, "layers: expected a list, found an object of 0"),
        (["layers", 1, "cohens_d"], "1.5", r'layers\[1\].cohens_d: expected a number, found "1.5"'),
        (["layers", 0, "ci"], [1.0], r"layers\[0\].ci: expected a list of 2, found a list of 1"),
        (["p_value"], 0.5, "p_value: expected an object, found 0.5"),
        (["p_value", "floor"], 1.5, "p_value.floor: expected a number from 0 to 1, found 1.5"),
        (["options", "groups"], 1, "options.groups: expected true or false, found 1"),
        (["provenance", "layers"], None, "provenance.layers: expected a whole number, found null"),
        (["provenance", "signatures_sha256"], ..., "provenance.signatures_sha256: expected a value, found none"),
        (["controls", "other", "kind"], "foe", r'controls\["other"\].kind: expected one of null, rival, check, found'),
        (["controls", "other"], [], r'controls\["other"\]: expected an object, found a list of 0'),
        (["category_matrix", "mean", 0], [0.5], "category_matrix.mean: expected lists of one length, found a list"),
        (["category_matrix", "pairs"], [[1]], r"category_matrix.pairs: expected 2 x 2 numbers, found 1 x 1"),
        (["category_matrix", "pairs", 0, 0], None, "category_matrix.pairs: expected a whole number, found null"),
        (["load", "num_tokens"], [[-1]], "load.num_tokens: expected numbers that uint64 can hold, found a list of 1"),
        (["classification", "hits"], 10**30, "classification.hits: expected a whole number, found 1000"),
        (["balanced", "within", "mean"], True, "balanced.within.mean: expected a number, found true"),
        (["difference", "interval", "low"], "x" * 100, r'difference.interval.low: .* found "x+\.\.\.$'),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_its_file(path, place, new, message):
    path.write_text(json.dumps(set_at(json.loads(path.read_text()), place, new)))
    with pytest.raises(rs.FormatError, match=message) as error:
        rs.read_study(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "found damage"),
        (lambda text: text.replace('"version": 2,', '"version": 2, "version": 2,'), "a name that comes twice"),
        (lambda text: text.replace('"not_claimed": [', '"mine": NaN, "not_claimed": ['), "not finite, NaN"),
        (lambda text: text.replace('"not_claimed": [', '"mine": 1e999, "not_claimed": ['), "not finite, 1e999"),
        (lambda text: text.replace('"not_claimed": [', '"not_claimed": [' + "[" * 100_000), "found damage"),
        (lambda text: text.replace('"not_claimed": [', '"not_claimed": ["\\ud800", '), r"the lone surrogate U\+D800"),
        (lambda text: '["format": "routesig-study"]', "found damage"),
        (lambda text: '[{"format": "routesig-study"}]', "no object"),
        (lambda text: "", "expected a study, as Study.to_json writes it, found something else"),
        (lambda text: '{"format": "routesig-comparison"}', "expected a study"),
    ],
)
def test_what_is_no_study_is_refused_by_its_name(path, change, message):
    path.write_text(change(path.read_text()))
    with pytest.raises(rs.FormatError, match=message) as error:
        rs.read_study(path)
    assert str(error.value).startswith(f"{path}: expected")


def places(value, place=()):
    yield place
    several = value if isinstance(value, list) else []
    for step, inner in value.items() if isinstance(value, dict) else enumerate(several):
        yield from places(inner, (*place, step))


def test_a_study_with_any_value_replaced_is_refused_or_can_be_shown(path):
    whole = json.loads(path.read_text())
    where = random.Random(0)
    refused = 0
    for place in where.sample([one for one in places(whole) if len(one) > 1], 100):
        other = where.choice([None, 3, -1.5, "text", [], {}, [[1]], True, ...])
        path.write_text(json.dumps(set_at(whole, place, other)))
        try:
            study = rs.read_study(path)
        except rs.FormatError:
            refused += 1
            continue
        assert str(study)
        assert study.tables()
        assert study == rs.read_study(path)
    assert 50 < refused < 100


def test_fields_of_a_later_version_are_passed_over(given, path):
    path.write_text(json.dumps(set_at(json.loads(path.read_text()), ["mine"], {"a": [1]})))
    assert rs.read_study(path) == given["traces"]


def test_a_file_that_is_not_there_is_no_format_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        rs.read_study(tmp_path / "absent.json")


def test_whole_numbers_stay_whole_and_arrays_keep_their_types(given, tmp_path):
    again = rs.read_study(given["traces"].to_json(tmp_path / "study.json"))
    assert again.load.num_tokens.dtype == np.uint64
    assert again.classification.confusion.dtype == np.int64
    assert isinstance(again.category_matrix.mean, np.ma.MaskedArray)
    assert isinstance(again.balanced, rs.Separation)
    assert again.p_value.floor == given["traces"].p_value.floor
