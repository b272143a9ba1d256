"""Text that callers give: what is missing is None, by position, and half a character is refused by name."""

import dataclasses
import decimal
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import routesig as rs
from routesig._text import is_missing

pd = pytest.importorskip("pandas", reason="missing tasks come from pandas")

HALF = "a\ud800"
EXPERTS = np.array([[[0, 1]]])
COUNTS = [[[9, 1, 0]], [[8, 2, 0]], [[1, 9, 0]], [[0, 8, 2]], [[1, 8, 1]]]
TASKS = ["a", "a", "b", "b", None]


PLACES = [40, 3, 2, 1, 0]  # of a data frame that was sorted or filtered


def with_missing(missing):
    return lambda values: [missing if value is None else value for value in values]


def arrow_column(values):
    return pytest.importorskip("pyarrow", reason="Arrow arrays need pyarrow").table({"task": values})["task"]


# The same column as callers hold it, from a list in which what is missing is None.
COLUMNS = {
    "list with None": list,
    "list with NaN": with_missing(float("nan")),
    "list with NumPy's NaN": with_missing(np.float64("nan")),
    "list with NA": with_missing(pd.NA),
    "list with NaT": with_missing(pd.NaT),
    "list with a decimal NaN": with_missing(decimal.Decimal("NaN")),
    "list with empty text": with_missing(""),
    "tuple": lambda values: tuple(with_missing(float("nan"))(values)),
    "Series of objects": lambda values: pd.Series(values, dtype=object, index=PLACES),
    "Series of text": lambda values: pd.Series(values, index=PLACES),
    "Series of strings": lambda values: pd.Series(values, dtype="string", index=PLACES),
    "Series of categories": lambda values: pd.Series(values, dtype="category", index=PLACES),
    "Categorical": pd.Categorical,
    "Index": pd.Index,
    "array of objects": lambda values: np.array(with_missing(float("nan"))(values), dtype=object),
    "array of text": lambda values: np.array(with_missing("")(values)),
    "masked array": lambda values: np.ma.masked_array(with_missing("x")(values), [value is None for value in values]),
    "Arrow array": lambda values: arrow_column(values).combine_chunks(),
    "Arrow column": arrow_column,
}


@pytest.fixture(params=COLUMNS)
def held(request):
    return COLUMNS[request.param]


@pytest.fixture
def column(held):
    return held(TASKS)


def plain(values):
    assert {type(value) for value in values} <= {str, type(None)}
    return values


def test_a_missing_task_is_none_in_signatures(column):
    sigs = rs.SignatureSet.from_counts(COUNTS, tasks=column, groups=column)
    assert plain(sigs.tasks) == TASKS
    assert plain(sigs.groups) == TASKS
    again = dataclasses.replace(rs.SignatureSet.from_counts(COUNTS), tasks=column, groups=column)
    assert (plain(again.tasks), plain(again.groups)) == (TASKS, TASKS)


def test_a_missing_id_is_the_prompts_place(column):
    sigs = rs.SignatureSet.from_counts(COUNTS, ids=column)
    last = "" if isinstance(list(column)[4], str) else "prompt-4"  # empty text is an id
    assert plain(sigs.ids) == [*TASKS[:4], last]


def test_a_missing_task_is_none_in_statistics(column):
    matrix = rs.similarity(rs.SignatureSet.from_counts(COUNTS))
    expected = rs.separation(matrix, TASKS)
    assert expected.within.pairs == 2
    found = rs.separation(matrix, column)
    assert (found.within.pairs, found.across.pairs, found.within.mean) == (2, 4, expected.within.mean)
    assert rs.statistics.category_matrix(matrix, column).tasks == ["a", "b"]
    assert rs.statistics.permutation_test(matrix, column, permutations=10).p_value is not None
    sigs = rs.SignatureSet.from_counts(COUNTS, top_k=1)
    assert rs.information.layer_information(sigs, tasks=column, permutations=0)[0].prompts == 4
    assert rs.debiased_similarity(sigs).means(column)[0].within is not None


def test_prompts_without_a_group_are_no_group_together(held):
    groups = ["g", None, "h", "h", None]
    sigs = rs.SignatureSet.from_counts(COUNTS, tasks=["a", "a", "b", "b", "b"])
    named = rs.statistics.permutation_test(sigs, groups=groups, permutations=10)
    assert "4 groups" in repr(named)
    assert repr(rs.statistics.permutation_test(sigs, groups=held(groups), permutations=10)) == repr(named)
    found = [rs.classify(sigs, folds=2, groups=column).folds.tolist() for column in (groups, held(groups))]
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]
    assert found[0][2] == found[0][3] != found[0][4]


def test_a_missing_task_has_no_name_in_pictures(column):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from matplotlib.figure import Figure

    def ax():
        return Figure().subplots()

    sigs = rs.SignatureSet.from_counts(COUNTS)
    drawn = rs.plot.similarity(rs.similarity(sigs), column, ax=ax())
    assert [text.get_text() for text in drawn.get_xticklabels()] == ["a", "b", "no task"]
    drawn = rs.plot.pca(rs.pca(sigs), column, ax=ax())
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["no task", "a", "b"]


def test_select_finds_the_unlabelled_by_any_missing_value():
    sigs = rs.SignatureSet.from_counts(COUNTS, tasks=TASKS)
    for missing in (None, float("nan"), pd.NA):
        assert sigs.select(tasks=[missing, "a"]).ids == ["prompt-0", "prompt-1", "prompt-4"]
    with pytest.raises(ValueError, match="expected tasks that occur, got 'nan'"):
        sigs.select(tasks=["nan"])


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, ""])
def test_a_missing_task_is_none_in_traces_and_prompts(missing):
    trace = rs.RoutingTrace.from_arrays(EXPERTS, num_experts=4, id=missing, task=missing, group=missing, text=missing)
    assert (trace.id, trace.task, trace.group, trace.text) == ("", None, None, "")
    prompt = rs.Prompt("a", missing, "t", template=missing, group=missing)
    assert (prompt.task, prompt.template, prompt.group) == (None, None, None)
    assert rs.Prompt("a", missing, "t", template="w", group=missing).group == "w"


def test_what_is_neither_text_nor_missing_stays_as_it_was():
    assert rs.SignatureSet.from_counts(COUNTS, tasks=[1, 2.5, True, b"x", "nan"]).tasks == [
        "1", "2.5", "True", "b'x'", "nan",
    ]  # fmt: skip
    for task in (3, b"\xff", ["code"]):
        with pytest.raises(ValueError, match='trace "x": expected task to be text, got '):
            rs.RoutingTrace.from_arrays(EXPERTS, num_experts=4, id="x", task=task)
        with pytest.raises(ValueError, match="prompt 'x': expected task to be text, got "):
            rs.Prompt("x", task, "t")
    trace = rs.RoutingTrace.from_arrays(EXPERTS, num_experts=4, id=np.str_("x"), task=b"code", group=np.str_("g"))
    assert (trace.id, trace.task, trace.group) == ("x", "code", "g")


def test_values_that_are_there_are_not_missing():
    values = ("", "nan", 0, 0.0, False, True, np.False_, np.True_, float("inf"), [], {}, object(), pd.Timestamp(0))
    for value in (*values, np.array(["a", "b"]), np.array([]), np.array(1)):
        assert not is_missing(value), value


def test_tasks_of_the_wrong_number_are_refused():
    with pytest.raises(ValueError, match="signatures: expected tasks for 5 prompts, got 4"):
        rs.SignatureSet.from_counts(COUNTS, tasks=pd.Series(TASKS[:4]))
    with pytest.raises(ValueError, match="permutation_test: expected groups for 5 prompts, got 4"):
        rs.statistics.permutation_test(rs.SignatureSet.from_counts(COUNTS), groups=np.array(TASKS[:4]))


def refused(who, what):
    return pytest.raises(ValueError, match=rf"{who}: expected {what} of whole characters, .* U\+D800 at character 1$")


@pytest.mark.parametrize("name", ["task", "text", "template", "group"])
def test_half_a_character_in_a_prompt_is_refused_by_name(name):
    with refused("prompt 'x'", name):
        rs.Prompt(**{"id": "x", "task": None, "text": "t", name: HALF})


def test_half_a_character_in_an_id_or_a_field_is_refused_by_name():
    with refused(r"prompt 'a\\ud800'", "id"):
        rs.Prompt(HALF, None, "t")
    with refused("prompt 'x'", "field 'source'"):
        rs.Prompt("x", None, "t", source=HALF)
    with refused("prompt 'x'", "names of fields"):
        rs.Prompt("x", None, "t", **{HALF: 1})
    with pytest.raises(ValueError, match=r"prompt 'x': expected field 'source' of whole .* U\+DC00"):
        rs.Prompt("x", None, "t", source=[{"deep": {"\udc00": 1}}])
    with pytest.raises(ValueError, match="prompt 'x': expected field 'source' that JSON can write, got another"):
        rs.Prompt("x", None, "t", source={1, 2})
    assert rs.Prompt("x", None, "\U0001f600", source="\U0001f600").text == "\U0001f600"


def test_half_a_character_in_a_file_is_refused_with_its_line(tmp_path):
    path = tmp_path / "p.jsonl"
    good = {"id": "first", "text": "\U0001f600"}
    for changed, what in (
        ({"text": HALF}, "prompt 'x': expected text"),
        ({"task": HALF}, "prompt 'x': expected task"),
        ({"id": HALF}, r"prompt 'a\\ud800': expected id"),
        ({"group": HALF}, "prompt 'x': expected group"),
        ({"source": HALF}, "prompt 'x': expected field 'source'"),
    ):
        bad = {"id": "x", "text": "t", **changed}
        path.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
        with pytest.raises(rs.FormatError, match=rf"p\.jsonl, line 2: {what} of whole characters"):
            rs.load_prompts(path)


@pytest.mark.parametrize("name", ["id", "task", "text", "group"])
def test_half_a_character_in_a_trace_is_refused_by_name(name):
    who = "trace" if name == "id" else 'trace "x"'
    with refused(who, name):
        rs.RoutingTrace.from_arrays(EXPERTS, num_experts=4, **{"id": "x", name: HALF})


@pytest.mark.parametrize("name", ["model_name", "model_sha256", "model_dtype", "tokenizer_sha256"])
def test_half_a_character_in_what_a_header_says_is_refused_by_name(name):
    with refused("routing", name):
        rs.RoutingInfo(layers=1, experts=4, top_k=2, **{name: HALF})


def test_half_a_character_in_a_vocabulary_is_refused_by_its_place():
    with refused("recorder", r"vocabulary\[1\]"):
        rs.TraceRecorder(vocabulary=["b", HALF])


@pytest.mark.parametrize("name", ["ids", "tasks", "groups"])
def test_half_a_character_in_signatures_is_refused_by_its_place(name):
    with refused("signatures", rf"{name}\[1\]"):
        rs.SignatureSet.from_counts(COUNTS, **{name: ["x", HALF, "y", "z", "w"]})


def test_half_a_character_in_statistics_is_refused_by_its_place():
    matrix = rs.similarity(rs.SignatureSet.from_counts(COUNTS))
    with refused("statistics", r"tasks\[4\]"):
        rs.separation(matrix, [*TASKS[:4], HALF])
    with refused("permutation_test", r"groups\[4\]"):
        rs.statistics.permutation_test(matrix, ["a"] * 5, groups=[*TASKS[:4], HALF])
    with refused("study", "the name of a control"):
        sigs = rs.SignatureSet.from_counts(COUNTS, tasks=TASKS)
        rs.study(sigs, controls={HALF: sigs}, progress=False)


def test_half_a_character_in_a_file_of_signatures_is_the_files_fault(tmp_path):
    sigs = rs.SignatureSet.from_counts(COUNTS, tasks=TASKS)
    sigs.save(tmp_path / "s.npz")
    arrays = dict(np.load(tmp_path / "s.npz"))
    np.savez(tmp_path / "bad.npz", **{**arrays, "tasks": np.array(["x", HALF, "", "", ""])})
    with pytest.raises(rs.FormatError, match=r"bad\.npz: signatures: expected tasks\[1\] of whole characters"):
        rs.read_signatures(tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", **{**arrays, "info": np.array('{"model": "\\ud800"}')})
    with pytest.raises(rs.FormatError, match=r"bad\.npz: expected info to be JSON, .*lone surrogate U\+D800"):
        rs.read_signatures(tmp_path / "bad.npz")


def test_half_a_character_in_a_parquet_file_is_the_files_fault(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    from support import changed, with_metadata

    rs.SignatureSet.from_counts(COUNTS, tasks=TASKS).save(tmp_path / "s.parquet")

    def half(table):
        header = json.loads(table.schema.metadata[b"routesig.signatures"])
        header["info"]["model"] = HALF
        return with_metadata(table, signatures=json.dumps(header))

    with pytest.raises(rs.FormatError, match=r"expected JSON under 'routesig.signatures' .*lone surrogate U\+D800"):
        rs.read_signatures(changed(tmp_path / "s.parquet", half))


def test_a_file_name_that_is_not_utf8_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    out = tmp_path / os.fsdecode(b"\xe9.parquet")
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    rs.TraceSet([rs.RoutingTrace.from_arrays(EXPERTS, num_experts=4, id="x")]).save(path)
    for more in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "routesig", "convert", path, out, *more], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert r"\udce9.parquet" in done.stdout
    assert json.loads(done.stdout)["traces"] == str(out)


@pytest.mark.parametrize("read", [rs.read_traces, rs.read_signatures])
@pytest.mark.parametrize("content", [b"", b"text", b"PAR1", b"PK"])
def test_a_broken_file_whose_name_is_not_utf8_is_named_all_the_same(read, content, tmp_path):
    if content == b"PAR1":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    path = tmp_path / os.fsdecode(b"caf\xe9")
    path.write_bytes(content)
    with pytest.raises(rs.FormatError, match=r"caf\ufffd: expected ") as refused:
        read(path)
    str(refused.value).encode()
