"""Signatures in Parquet files."""

import json

import numpy as np
import pytest

import routesig as rs
from support import changed, random_traces, with_column, with_metadata

pa = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")


def signature_sets():
    traces = random_traces()
    counts = np.arange(24).reshape(2, 3, 4)
    unequal = {"unequal_layers": True}
    return {
        "count": rs.signatures(traces),
        "gate": rs.signatures(traces, weighting="gate"),
        "without labels": rs.SignatureSet.from_counts(counts, **unequal),
        "unlabelled in part": rs.SignatureSet.from_counts(
            counts, tasks=["a", None], groups=[None, "g"], top_k=2, **unequal
        ),
        "empty": rs.signatures(traces)[0:0],
    }


@pytest.mark.parametrize("name", signature_sets())
def test_signatures_come_back(name, tmp_path):
    sigs = signature_sets()[name]
    sigs.save(tmp_path / "s.parquet")
    again = rs.read_signatures(tmp_path / "s.parquet")
    assert again.values.dtype == np.float64
    assert (again.values == sigs.values).all()
    assert again.values.shape == sigs.values.shape
    for mine, theirs in ((again.counts, sigs.counts), (again.num_tokens, sigs.num_tokens)):
        assert (mine is None) == (theirs is None)
        assert mine is None or (mine.dtype == np.uint64 and (mine == theirs).all())
    assert (again.ids, again.tasks, again.groups, again.info) == (sigs.ids, sigs.tasks, sigs.groups, sigs.info)


def test_signature_rows_may_come_in_any_order(tmp_path):
    sigs = rs.signatures(random_traces())
    sigs.save(tmp_path / "s.parquet")
    order = np.random.default_rng(0).permutation(sigs.values.size)
    again = rs.read_signatures(changed(tmp_path / "s.parquet", lambda table: table.take(order)))
    assert (again.values == sigs.values).all()
    assert (again.counts == sigs.counts).all()


def with_header(table, **values):
    header = json.loads(table.schema.metadata[b"routesig.signatures"])
    return with_metadata(table, signatures=json.dumps({**header, **values}).encode())


SIGNATURE_DAMAGE = {
    "no JSON": (lambda t: with_metadata(t, signatures=b"{"), "expected JSON under"),
    "another format": (lambda t: with_header(t, format="x"), "expected an object of format 'routesig-signatures'"),
    "newer version": (
        lambda t: with_header(t, version=2, routesig="9.0"),
        r"expected version 1 of the signature format, got 2: read it with routesig 9\.0",
    ),
    "no version": (lambda t: with_header(t, version=None), "expected version 1 of the signature format, got None"),
    "layers as text": (lambda t: with_header(t, layers="3"), "expected layers of type int"),
    "negative experts": (lambda t: with_header(t, experts=-16), "expected experts of type int"),
    "experts that do not fit": (lambda t: with_header(t, experts=10**9), "expected 18000000000 rows"),
    "prompts of another kind": (lambda t: with_header(t, prompts=[1] * 6), "expected id, task, group"),
    "prompts twice": (
        lambda t: with_header(t, prompts=[{"id": "p0", "task": None, "group": None}] * 6),
        "expected a different id for each prompt",
    ),
    "impossible tokens": (
        lambda t: with_header(t, prompts=[{"id": "p0", "task": None, "group": None, "num_tokens": 2**64}]),
        "expected id, task, group and num_tokens of prompt 0",
    ),
    "no value": (lambda t: t.drop_columns(["value"]), "expected one column 'value', found none"),
    "counts as numbers with a point": (
        lambda t: with_column(t, "count", t["count"].cast(pa.float64())),
        "expected column 'count' as uint64, found double",
    ),
    "rows left out": (lambda t: t.slice(1), "expected 288 rows .*found 287"),
    "a row in the place of another": (
        lambda t: pa.concat_tables([t.slice(0, 287), t.slice(0, 1)]),
        "expected one row for each prompt, layer and expert, found some twice",
    ),
    "layer out of range": (
        lambda t: with_column(t, "layer", pa.array([3] * len(t), pa.int32())),
        "expected column 'layer' from 0 to 2, found 3 to 3",
    ),
    "not a number": (
        lambda t: with_column(t, "value", pa.array([float("nan")] * len(t))),
        r"expected shares of 0 or more .*, got nan in layer 0 of prompt 'p0'",
    ),
    "another task": (
        lambda t: with_column(t, "task", pa.array(["poem"] * len(t)).dictionary_encode()),
        "expected task 'code' of prompt 'p0'",
    ),
}


@pytest.mark.parametrize("name", SIGNATURE_DAMAGE)
def test_what_a_signature_file_cannot_be_is_one_sentence(name, tmp_path):
    change, message = SIGNATURE_DAMAGE[name]
    rs.signatures(random_traces()).save(tmp_path / "s.parquet")
    path = changed(tmp_path / "s.parquet", change)
    with pytest.raises(rs.FormatError, match=message) as refused:
        rs.read_signatures(path)
    assert str(refused.value).startswith(str(path))


def test_signatures_whose_ids_repeat_fit_no_table(tmp_path):
    sigs = rs.SignatureSet.from_counts([[[1]], [[2]], [[3]]], ids=["x", "y", "y"])
    with pytest.raises(ValueError, match="expected a different id for each prompt of a table, got 'y' twice"):
        sigs.save(tmp_path / "s.parquet")
    assert list(tmp_path.iterdir()) == []
