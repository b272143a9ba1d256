"""Traces and signatures as data frames, labelled arrays and what notebooks show."""

import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import routesig as rs
from support import random_traces


def test_a_data_frame_of_traces_has_one_row_a_token():
    pytest.importorskip("pandas", reason="data frames need pandas")
    traces = random_traces()
    frame = traces.to_pandas()
    assert list(frame.columns) == [
        "prompt",
        "task",
        "group",
        "position",
        "type",
        "token",
        "token_text",
        "experts",
        "weights",
    ]
    assert len(frame) == sum(len(trace) for trace in traces)
    for trace in traces:
        rows = frame[frame["prompt"] == trace.id]
        assert (rows["position"] == trace.positions).all()
        assert (rows["token"] == trace.token_ids).all()
        assert rows["type"].tolist() == [("prompt", "generation")[kind] for kind in trace.token_types]
        assert set(rows["task"]) == {trace.task}
        assert set(rows["group"]) == {trace.group}
        assert rows["token_text"].isna().all()
        assert (np.stack(rows["experts"]) == trace.experts.transpose(1, 0, 2)).all()
        assert (np.stack(rows["weights"]) == trace.weights.transpose(1, 0, 2)).all()


def test_what_was_not_recorded_is_missing_in_a_data_frame():
    pytest.importorskip("pandas", reason="data frames need pandas")
    bare = rs.RoutingTrace.from_arrays([[[0, 1], [-1, -1]]], num_experts=4, id="bare")
    full = rs.RoutingTrace.from_arrays(
        [[[2, 3]]], num_experts=4, weights=[[[1, 0]]], token_ids=[9], id="full", task="t"
    )
    frame = rs.TraceSet([bare, full]).to_pandas()
    assert frame["token"].isna().tolist() == [True, True, False]
    assert frame["task"].isna().tolist() == [True, True, False]
    assert [weights is None for weights in frame["weights"]] == [True, True, False]
    assert frame["experts"][1].tolist() == [[65535, 65535]]
    assert "weights" not in rs.TraceSet([bare]).to_pandas()
    assert len(rs.TraceSet().to_pandas()) == 0


def test_a_data_frame_of_signatures_has_one_row_a_cell():
    pytest.importorskip("pandas", reason="data frames need pandas")
    sigs = rs.SignatureSet.from_counts([[[3, 1], [0, 4]], [[2, 2], [0, 0]]], tasks=["a", None], ids=["x", "y"])
    frame = sigs.to_pandas()
    assert list(frame.columns) == ["prompt", "task", "group", "layer", "expert", "count", "value"]
    assert frame.drop(columns=["task", "group"]).values.tolist() == [
        ["x", 0, 0, 3, 0.75],
        ["x", 0, 1, 1, 0.25],
        ["x", 1, 0, 0, 0.0],
        ["x", 1, 1, 4, 1.0],
        ["y", 0, 0, 2, 0.5],
        ["y", 0, 1, 2, 0.5],
        ["y", 1, 0, 0, 0.0],
        ["y", 1, 1, 0, 0.0],
    ]
    assert frame["task"].isna().tolist() == [False] * 4 + [True] * 4
    assert "count" not in rs.signatures(random_traces(), weighting="gate").to_pandas()
    assert len(sigs[0:0].to_pandas()) == 0


def test_a_data_frame_of_signatures_holds_their_values():
    pytest.importorskip("pandas", reason="data frames need pandas")
    sigs = rs.signatures(random_traces())
    frame = sigs.to_pandas()
    cells = frame.set_index(["prompt", "layer", "expert"])
    for i, prompt in enumerate(sigs.ids):
        assert (cells.loc[prompt, "value"].to_numpy() == sigs.values[i].ravel()).all()
    by_task = frame.groupby("task", observed=True)["count"].sum()
    assert by_task["code"] == sigs.select(tasks="code").counts.sum()


def test_labelled_arrays_carry_the_labels():
    pytest.importorskip("xarray", reason="labelled arrays need xarray")
    sigs = rs.signatures(random_traces())
    array = sigs.to_xarray()
    assert array.dims == ("prompt", "layer", "expert")
    assert (array.values == sigs.values).all()
    assert array["id"].values.tolist() == sigs.ids
    assert array["group"].values.tolist() == sigs.groups
    assert (array["num_tokens"] == sigs.num_tokens).all()
    assert array.attrs == sigs.info
    code = array.where(array["task"] == "code", drop=True)
    assert (code.values == sigs.select(tasks="code").values).all()
    assert float(array.sel(layer=2, expert=5)[1]) == sigs.values[1, 2, 5]
    bare = rs.SignatureSet.from_counts([[[3, 1]], [[1, 1]]], tasks=["a", None]).to_xarray()
    assert "num_tokens" not in bare.coords
    assert bare.groupby("task").mean().sizes["task"] == 1  # unlabelled prompts belong to no task


def test_an_arrow_table_is_what_the_parquet_file_holds(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Arrow tables need pyarrow")
    sigs = rs.signatures(random_traces())
    sigs.save(tmp_path / "s.parquet")
    table = sigs.to_arrow()
    assert table.equals(parquet.read_table(tmp_path / "s.parquet"))
    assert table.column_names == ["prompt", "task", "group", "layer", "expert", "count", "value"]
    assert (table["count"].to_numpy() == sigs.counts.ravel()).all()


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("pandas", lambda sigs: random_traces().to_pandas()),
        ("pandas", lambda sigs: sigs.to_pandas()),
        ("xarray", lambda sigs: sigs.to_xarray()),
        ("pyarrow", lambda sigs: sigs.to_arrow()),
    ],
)
def test_a_missing_package_is_one_sentence_that_says_what_to_install(package, use, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"need {package}: pip install {package}$"):
        use(rs.signatures(random_traces()))


class Page(HTMLParser):
    """Every element is closed in order; remembers elements, attributes and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + "\n"


def pages(traces):
    return [Page(one._repr_html_()) for one in (traces, rs.signatures(traces))]


def test_notebooks_show_shape_tasks_and_first_prompts():
    traces, sigs = pages(random_traces())
    for expected in ("3 layers x 16 experts x top-4", "6 (3 code, 3 math)", "75", "p0", "p4", "1 more"):
        assert f"{expected}\n" in traces.text
    for expected in (
        "6 prompts x 3 layers x 16 experts",
        "6 (3 code, 3 math)",
        "tokens='all', weighting='count'",
        "g1",
    ):
        assert f"{expected}\n" in sigs.text
    assert "p5" not in traces.text + sigs.text
    assert sigs.tags.count("rect") == 3


def test_notebooks_show_whatever_text_as_text():
    evil = "<script>alert(1)</script><img src=x onerror='a()'>\"&$x$"
    trace = rs.RoutingTrace.from_arrays([[[0, 1]]], num_experts=4, id=evil, task=evil, text=evil, group=evil)
    sigs = rs.signatures(rs.TraceSet([trace]))
    sigs.info["model"] = sigs.info["weighting"] = evil
    for page in (Page(rs.TraceSet([trace])._repr_html_()), Page(sigs._repr_html_())):
        assert {"script", "img"}.isdisjoint(page.tags)
        assert evil in page.text
        assert {name for name, _ in page.attributes} <= {
            "class", "style", "width", "height", "fill", "opacity", "role", "x", "y",
        }  # fmt: skip
        assert not any("url" in value or "//" in value for _, value in page.attributes)


def test_notebooks_show_long_texts_short_and_nothing_where_nothing_is():
    long = "word " * 1000
    trace = rs.RoutingTrace.from_arrays([[[0, 1]]], num_experts=4, text=long, id=long, task=long, group=long)
    traces = rs.TraceSet([trace])
    for html in (traces._repr_html_(), rs.signatures(traces)._repr_html_()):
        assert len(html) < 3000
        assert "word…" in html
    assert "0" in Page(rs.TraceSet()._repr_html_()).text
    assert "0 prompts x 3 layers x 16 experts" in Page(rs.signatures(random_traces())[0:0]._repr_html_()).text
    many = rs.SignatureSet.from_counts(np.ones((100, 1, 2), int), tasks=[f"task {i}" for i in range(100)])
    assert "92 more tasks" in Page(many._repr_html_()).text


def test_notebooks_show_what_is_not_known_not_finite_and_dropped():
    experts, weights = np.array([[[0, 1], [2, 3], [4, 5]]]), np.array([[[1, 1], [1, np.nan], [1, 1]]], np.float32)
    trace = rs.RoutingTrace.from_arrays(
        experts, num_experts=8, weights=weights, positions=[0, 1, 0], drop_invalid=True, id="a"
    )
    assert "tokens dropped\n2\n" in Page(rs.TraceSet([trace])._repr_html_()).text
    trace = rs.RoutingTrace.from_arrays(experts, num_experts=8, weights=weights, id="a")
    text = Page(rs.TraceSet([trace])._repr_html_()).text
    assert "unknown rows\n1\n" in text
    assert "rows not finite\n1\n" in text
    assert "dropped" not in text


def test_a_set_of_a_file_that_was_cut_off_says_so_in_notebooks(tmp_path):
    random_traces().save(tmp_path / "t.jsonl")
    lines = (tmp_path / "t.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "t.jsonl").write_bytes(b"".join(lines[:-1]))
    with pytest.warns(UserWarning, match="cut off"):
        traces = rs.read_traces(tmp_path / "t.jsonl", recover=True)
    assert "cut off" in Page(traces._repr_html_()).text
