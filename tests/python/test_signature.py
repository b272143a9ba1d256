"""Signatures from traces and from counts, and their files."""

import io
import pickle

import numpy as np
import pytest

import routesig as rs
from support import random_traces


def by_definition(trace, tokens="all", weighting="count"):
    """Equation 3, written out: [layers, experts]."""
    layers, length, top_k = trace.experts.shape
    sums = np.zeros((layers, trace.info.experts))
    for t in range(length):
        if tokens != "all" and (tokens == "prompt") != (trace.token_types[t] == 0):
            continue
        for layer in range(layers):
            for rank in range(top_k):
                if weighting == "top1" and rank > 0:
                    continue
                amount = float(trace.weights[layer, t, rank]) if weighting == "gate" else 1.0
                sums[layer, trace.experts[layer, t, rank]] += amount
    return sums / sums.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("tokens", ["all", "prompt", "generation"])
@pytest.mark.parametrize("weighting", ["count", "gate", "top1"])
def test_signatures_equal_their_definition(tokens, weighting):
    traces = random_traces()
    sigs = rs.signatures(traces, tokens=tokens, weighting=weighting)
    assert sigs.values.shape == (6, 3, 16)
    for trace, values in zip(traces, sigs.values, strict=True):
        np.testing.assert_allclose(values, by_definition(trace, tokens, weighting), atol=1e-15)


def test_counts_and_labels_come_along():
    traces = random_traces()
    sigs = rs.signatures(traces)
    assert sigs.counts.dtype == np.uint64
    assert (sigs.counts.sum(axis=2) == 4 * sigs.num_tokens[:, None]).all()
    assert (sigs.ids, sigs.tasks) == (traces.ids, traces.tasks)
    assert sigs.groups == ["g0", "g1", "g2", "g3", "g4", "g5"]
    assert sigs.sources == [None] * 6
    assert rs.signatures(traces, weighting="gate").counts is None
    assert repr(sigs) == "SignatureSet(6 prompts, 3 layers x 16 experts, tokens='all', weighting='count')"


def test_options_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match='expected tokens to be one of all, prompt, generation, got "everything"'):
        rs.signatures(random_traces(), tokens="everything")
    with pytest.raises(ValueError, match="expected weighting to be one of count, gate, top1"):
        rs.signatures(random_traces(), weighting="mass")
    with pytest.raises(ValueError, match="weights=True"):
        rs.signatures(random_traces(weights=False), weighting="gate")


def test_unknown_rows_are_skipped_and_impossible_ones_refused():
    experts = np.array([[[0, 1], [-1, -1], [2, 2]]])
    traces = rs.TraceSet([rs.RoutingTrace.from_arrays(experts, num_experts=4, id="odd")])
    with pytest.raises(ValueError, match=r'expected 2 distinct experts below 4, got \[2, 2\].*trace "odd"'):
        rs.signatures(traces)
    sigs = rs.signatures(traces, drop_invalid=True)
    assert sigs.values[0, 0].tolist() == [0.5, 0.5, 0, 0]
    assert (sigs.info["unknown_rows"], sigs.info["dropped_rows"]) == (1, 1)


def test_from_counts_by_hand():
    sigs = rs.SignatureSet.from_counts(
        [[[3, 1, 0], [2, 2, 0]], [[0, 0, 0], [4, 4, 0]]], tasks=["a", None], ids=["x", "y"], top_k=2
    )
    assert sigs.values.tolist() == [[[0.75, 0.25, 0], [0.5, 0.5, 0]], [[0, 0, 0], [0.5, 0.5, 0]]]
    assert sigs.num_tokens.tolist() == [2, 4]
    assert (sigs.tasks, sigs.groups) == (["a", None], [None, None])


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([[1, 2]], {}, r"expected counts \[prompts, layers, experts\], got 2 axes"),
        ([[[1, -2]]], {}, "expected counts of 0 or more, got -2"),
        ([[[1, 2.5]]], {}, r"expected counts to be whole numbers, got 2\.5 at prompt 0, layer 0, expert 1"),
        ([[[1, 2]], [[np.nan, 3]]], {}, "expected counts to be whole numbers, got NaN at prompt 1, layer 0, expert 0"),
        ([[[1, np.inf]]], {}, "expected counts to be whole numbers, got inf at prompt 0, layer 0, expert 1"),
        ([[[1, 2]]], {"num_tokens": [np.nan]}, "expected num_tokens to be whole numbers, got NaN at prompt 0"),
        ([[[True, False]]], {}, "expected counts to be whole numbers, got bool"),
        (
            [[[2, 2], [3, 1]], [[2, 2], [2, 1]]],
            {},
            r"expected the same number of selections in every layer of a prompt, got 3 in layer 1 and 4 in layer 0 of "
            r"prompt 1 \(are the axes prompts, layers, experts\? unequal_layers=True",
        ),
        ([[[2, 2], [3, 2]]], {"num_tokens": [5]}, "got 4 in layer 0 and 5 in layer 1 of prompt 0"),
        (
            [[[2, 2]], [[3, 2]]],
            {"top_k": 2},
            r"expected 2 selections per token \(top_k\), got 5 in layer 0 of prompt 1",
        ),
        ([[[2, 2], [1, 2]]], {"top_k": 2, "num_tokens": [2]}, "got 3 in layer 1 of prompt 0, which is no multiple"),
        ([[[1, 1e300]]], {}, r"expected counts below 2\^53, got 1e\+300"),
        ([[[1, 2**53]]], {}, r"expected counts below 2\^53"),
        ([[["a", "b"]]], {}, "whole numbers"),
        ([[[1, 2]]], {"tasks": ["a", "b"]}, "expected tasks for 1 prompts, got 2"),
        ([[[1, 2]]], {"num_tokens": [1, 2]}, "expected num_tokens for 1 prompts, got 2"),
        ([[[1, 2]]], {"num_tokens": [1], "top_k": 1}, "expected at most 1 selections per layer"),
        ([[[1, 2]]], {"top_k": 3}, "expected top_k from 1 to 2"),
    ],
)
def test_counts_that_do_not_fit_are_one_sentence(counts, options, message):
    with pytest.raises(ValueError, match=message):
        rs.SignatureSet.from_counts(counts, **options)


def test_axes_that_were_swapped_are_found():
    counts = rs.signatures(random_traces()).counts
    for axes in ((0, 2, 1), (1, 0, 2), (2, 1, 0)):
        with pytest.raises(ValueError, match="expected the same number of selections in every layer of a prompt"):
            rs.SignatureSet.from_counts(counts.transpose(axes))


def test_layers_with_other_totals_are_taken_where_something_explains_them():
    fewer = [[[2, 2, 2], [2, 1, 1], [0, 0, 0]]]  # 3 tokens top-2, of which 2 are known in layer 1 and none in layer 2
    told = rs.SignatureSet.from_counts(fewer, num_tokens=[3], top_k=2)
    assert told.values[0].tolist() == [[1 / 3] * 3, [0.5, 0.25, 0.25], [0, 0, 0]]
    dropped = rs.SignatureSet.from_counts([[[2, 2, 2], [2, 2, 1]]], top_k=2, unequal_layers=True)
    assert dropped.num_tokens.tolist() == [3]
    empty = rs.SignatureSet.from_counts([[[2, 2, 2], [0, 0, 0]]], top_k=2)  # a layer without data
    assert (empty.num_tokens.tolist(), empty.values[0, 1].tolist()) == ([3], [0, 0, 0])


def test_our_own_counts_need_no_explanation():
    """Of traces with rows that are not known, and of their shuffles."""
    traces = []
    for trace in random_traces(weights=False):
        experts = trace.experts.copy()
        experts[1, :3] = 65535
        options = {"token_ids": trace.token_ids, "task": trace.task, "id": trace.id}
        traces.append(rs.RoutingTrace.from_arrays(experts, num_experts=16, **options))
    sigs = rs.signatures(traces)
    assert len(set(sigs.counts[0].sum(axis=-1).tolist())) == 2
    assert [len(s) for s in rs.controls.shuffled_signatures(traces, shuffles=2)] == [6, 6]


def test_select_and_index():
    sigs = rs.signatures(random_traces())
    code = sigs.select(tasks=["code"])
    assert code.ids == ["p0", "p2", "p4"]
    assert (code.values == sigs.values[::2]).all()
    assert (code.num_tokens == sigs.num_tokens[::2]).all()
    assert sigs.select(tasks="math", ids=["p1", "p2"]).ids == ["p1"]
    assert sigs[2].id == "p2"
    assert (sigs[-1].values == sigs.values[-1]).all()
    assert sigs[1:3].ids == ["p1", "p2"]
    assert sigs[[3, 0]].ids == ["p3", "p0"]
    assert [s.id for s in sigs] == sigs.ids
    with pytest.raises(ValueError, match="expected tasks that occur, got 'poem'"):
        sigs.select(tasks=["poem"])
    with pytest.raises(IndexError, match="index 6 is out of range"):
        sigs[6]


@pytest.mark.parametrize("weighting", ["count", "gate"])
def test_npz_keeps_everything_and_has_the_same_bytes(tmp_path, weighting):
    sigs = rs.signatures(random_traces(), weighting=weighting)
    sigs.save(tmp_path / "a.npz")
    again = rs.read_signatures(tmp_path / "a.npz")
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (again.values == sigs.values).all()
    assert (again.counts is None) == (sigs.counts is None)
    assert (again.ids, again.tasks, again.groups, again.info) == (sigs.ids, sigs.tasks, sigs.groups, sigs.info)
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.npz", "b.npz"]
    assert (pickle.loads(pickle.dumps(sigs)).values == sigs.values).all()


def test_broken_npz_files_are_one_sentence(tmp_path):
    sigs = rs.signatures(random_traces())
    sigs.save(tmp_path / "good.npz")
    whole = (tmp_path / "good.npz").read_bytes()
    bad = tmp_path / "bad.npz"
    np.save(tmp_path / "array.npy", np.zeros(3))
    npy = (tmp_path / "array.npy").read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], zip_of(values=np.zeros(3)), zip_of(other=np.zeros(3)), npy):
        bad.write_bytes(content)
        with pytest.raises(rs.FormatError, match=r"bad\.npz: expected"):
            rs.read_signatures(bad)
    with pytest.raises(FileNotFoundError):
        rs.read_signatures(tmp_path / "absent.npz")
    with pytest.raises(ValueError, match=r"ends in \.npz"):
        sigs.save(tmp_path / "a.txt")


def test_any_damage_of_an_npz_file_is_a_format_error_or_changes_values_alone(tmp_path):
    rs.signatures(random_traces(2, layers=1, experts=4, top_k=2)).save(tmp_path / "good.npz")
    whole = (tmp_path / "good.npz").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for place in random.integers(0, len(whole), 1000):
        bad = tmp_path / "bad.npz"
        bad.write_bytes(whole[:place] + bytes([random.integers(256)]) + whole[place + 1 :])
        try:
            rs.read_signatures(bad)
        except rs.FormatError:
            refused += 1
    assert refused > 500


def zip_of(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_pickled_objects_in_npz_are_refused(tmp_path):
    path = tmp_path / "evil.npz"
    rs.signatures(random_traces()).save(path)
    arrays = dict(np.load(path))
    with open(path, "wb") as file:
        np.savez(file, **{**arrays, "values": np.array([print], dtype=object)})
    with pytest.raises(rs.FormatError, match=r"expected values as <f8, found \|O \[1\]"):
        rs.read_signatures(path)


def test_real_traces_make_signatures(repository):
    """Real OLMoE decoding: 512 tokens of four kinds, ascending ids (rank order lost)."""
    path = repository.parent / "shared/realdata/olmoe_decode_traces.npz"
    if not path.is_file():
        pytest.skip("the real routing data is not beside this checkout")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(ids, num_experts=64, axes="tlk", ranked=False, id=name, task=name)
            for name, ids in arrays.items()
            if ids.ndim == 3
        ]
    )
    assert traces.info.layers == 16
    sigs = rs.signatures(traces)
    for trace, values in zip(traces, sigs.values, strict=True):
        for layer in range(16):
            counts = np.bincount(trace.experts[layer].ravel(), minlength=64)
            np.testing.assert_allclose(values[layer], counts / counts.sum(), atol=1e-15)
    with pytest.raises(ValueError, match="rank order"):
        rs.signatures(traces, weighting="top1")


def test_arrays_of_a_set_are_read_only_and_those_given_are_not():
    counts = np.ones((2, 3, 4), np.uint64)
    sigs = rs.SignatureSet.from_counts(counts, num_tokens=[4, 4], top_k=1)
    for array in (sigs.values, sigs.counts, sigs.num_tokens, sigs[:1].values, rs.signatures(random_traces()).values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    counts[0] = 2
    assert counts.flags.writeable
