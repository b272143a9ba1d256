"""RoutingTrace and TraceSet."""

import copy
import gc
import pickle

import numpy as np
import pytest

import routesig as rs
from support import random_experts, random_traces


def one(experts, **options):
    return rs.RoutingTrace.from_arrays(experts, **{"num_experts": 8, **options})


def test_from_arrays_by_hand():
    trace = one([[[0, 3], [1, 2]], [[7, 6], [5, 4]]], prompt_tokens=1, id="hand", task="code")
    assert trace.experts.tolist() == [[[0, 3], [1, 2]], [[7, 6], [5, 4]]]
    assert trace.experts.dtype == np.uint16
    assert trace.token_types.tolist() == [0, 1]
    assert trace.positions.tolist() == [0, 1]
    assert (trace.weights, trace.token_ids, trace.router_logits, trace.token_texts) == (None, None, None, None)
    assert (trace.id, trace.task, trace.group, trace.fields, len(trace)) == ("hand", "code", None, {}, 2)
    assert repr(trace) == 'RoutingTrace(id="hand", task="code", layers=2, tokens=2, top_k=2, experts=8)'


@pytest.mark.parametrize("axes", ["ltk", "tlk", "ktl", "klt", "lkt", "tkl"])
def test_axes_are_told_never_guessed(axes):
    ids = random_experts(2, 5, 8, 3, seed=1)
    order = ["ltk".index(axis) for axis in axes]
    weights = np.random.default_rng(0).random(ids.shape).astype(np.float32)
    trace = one(ids.transpose(order), weights=weights.transpose(order), axes=axes)
    assert (trace.experts == ids).all()
    assert (trace.weights == weights).all()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
def test_any_integer_type_is_read(dtype):
    ids = random_experts(2, 5, 8, 3, seed=2)
    assert (one(ids.astype(dtype)).experts == ids).all()


def test_unknown_rows_are_minus_one_or_65535():
    for unknown in (np.array([[[-1, -1]]]), np.array([[[65535, 65535]]], dtype=np.uint16)):
        trace = one(unknown)
        assert trace.experts.tolist() == [[[65535, 65535]]]
        assert trace.valid.tolist() == [[False]]


def test_rows_with_weights_that_are_not_finite_are_unknown_and_counted():
    experts = [[[0, 1], [2, 3], [4, 5]], [[1, 0], [3, 2], [5, 4]]]
    weights = np.full((2, 3, 2), 0.25, np.float32)
    weights[0, 1, 1] = np.nan
    weights[1, 2] = np.inf
    trace = one(experts, weights=weights, id="a")
    assert trace.valid.tolist() == [[True, False, True], [True, True, False]]
    assert trace.experts[0, 1].tolist() == [65535, 65535]
    assert np.isnan(trace.weights[0, 1, 1])
    assert (trace.nonfinite_rows, trace.unknown_rows) == (2, 2)
    assert repr(trace).endswith("experts=8, unknown_rows=2, nonfinite_rows=2)")
    assert repr(rs.TraceSet([trace])).endswith("top-2, 2 unknown rows, 2 not finite)")
    assert pickle.loads(pickle.dumps(trace)) == trace
    sigs = rs.signatures([trace], weighting="gate")
    assert sigs.info["unknown_rows"] == 2
    assert np.isfinite(sigs.values).all()


def test_positions_that_do_not_ascend_are_refused_or_the_earlier_tokens_dropped():
    ids = np.array([[[0], [1], [2], [3], [4], [5]]])
    options = {"positions": [0, 1, 2, 3, 2, 3], "token_ids": [7, 8, 9, 10, 11, 12], "prompt_tokens": 3, "id": "draft"}
    message = r'expected positions that ascend, got 2 after 3 at token 4 \(trace "draft"; drop_invalid keeps the later'
    with pytest.raises(ValueError, match=message):
        one(ids, **options)
    trace = one(ids, **options, drop_invalid=True)
    assert trace.positions.tolist() == [0, 1, 2, 3]
    assert trace.experts[0, :, 0].tolist() == [0, 1, 4, 5]
    assert trace.token_ids.tolist() == [7, 8, 11, 12]
    assert trace.token_types.tolist() == [0, 0, 1, 1]
    assert (trace.prompt_tokens, trace.dropped_tokens) == (2, 2)
    traces = rs.TraceSet([trace, one(ids, id="whole", drop_invalid=True)])
    assert (traces.dropped_tokens, traces[1].dropped_tokens, traces[:1].dropped_tokens) == (2, 0, 2)
    assert "2 tokens dropped" in repr(traces)
    assert "dropped_tokens=2" in repr(trace)
    assert pickle.loads(pickle.dumps(traces)).dropped_tokens == 2
    with pytest.raises(ValueError, match="got 1 after 1 at token 2"):
        one(ids, positions=[0, 1, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("experts", "options", "message"),
    [
        ([[[0, 8]]], {}, r"expected expert ids from 0 to 7 \(-1 where unknown\), got 8 in layer 0, token 0"),
        ([[[0, -2]]], {}, "got -2"),
        (np.array([[[2**64 - 1, 0]]], dtype=np.uint64), {}, "got 18446744073709551615"),
        ([[[0.0, 1.0]]], {}, "expected integer expert ids, got float64"),
        ([[0, 1]], {}, r"from_arrays: expected experts with 3 axes \(layers, tokens, top_k\), got shape \(1, 2\)"),
        ([[[0, 1]]], {"axes": "lt"}, "expected axes to name l, t and k"),
        ([[[0, 1]]], {"axes": "lltk"}, "expected axes to name l, t and k"),
        ([[[0, 1]]], {"num_experts": 1}, "expected top_k from 1 to 1"),
        ([[[0, 1]]], {"num_experts": 0}, "experts, got 0"),
        (np.zeros((0, 3, 2), int), {}, "expected 1 to 65536 layers, got 0"),
        (
            [[[0, 1]]],
            {"weights": [[[0.5]]]},
            r"from_arrays: expected weights of the shape of experts, \(1, 1, 2\), got \(1, 1, 1\)$",
        ),
        ([[[0, 1]]], {"weights": [[0.5, 0.5]]}, r"shape of experts, \(1, 1, 2\), got \(1, 2\)$"),
        (
            [[[0, 1]]],
            {"token_ids": [1, 2]},
            r"from_arrays: expected 1 token ids for 1 rows, got 2: the last sampled token is never fed to the model, "
            r"so leave it out \(token_ids\[:-1\]\)$",
        ),
        ([[[0, 1]]], {"token_ids": [1, 2, 3]}, "expected 1 token ids for 1 rows, got 3$"),
        ([[[0, 1]]], {"positions": [0, 1]}, r"so leave it out \(positions\[:-1\]\)$"),
        ([[[0, 1]]], {"positions": []}, "expected 1 positions for 1 rows, got 0$"),
        ([[[0, 1]]], {"token_ids": [1.5]}, "expected token ids as integers"),
        ([[[0, 1]]], {"positions": [-1]}, "expected positions from 0"),
        ([[[0, 1]]], {"token_ids": [2**31]}, "expected token ids from 0 to 2147483647, got 2147483648"),
        (
            [[[0, 1]]],
            {"prompt_tokens": 2},
            "expected prompt_tokens from 0 to 1, got 2: there are 1 rows, one for each",
        ),
        ([[[0, 1]], [[0]]], {}, "inhomogeneous"),
    ],
)
def test_what_does_not_fit_is_one_sentence(experts, options, message):
    with pytest.raises(ValueError, match=message):
        one(experts, **options)


def test_masked_arrays_are_refused_since_what_lies_under_the_mask_is_no_data():
    experts = np.ma.MaskedArray([[[0, 1], [2, 3]]], mask=[[[False, False], [True, True]]])
    with pytest.raises(ValueError, match=r"from_arrays: expected experts without masked entries.*-1 where unknown"):
        one(experts)
    with pytest.raises(ValueError, match="expected token ids without masked entries"):
        one([[[0, 1]]], token_ids=np.ma.MaskedArray([1], mask=[True]))
    assert one(np.ma.MaskedArray([[[0, 1]]])).experts.tolist() == [[[0, 1]]]
    with pytest.raises(ValueError, match="signatures: expected counts without masked entries"):
        rs.SignatureSet.from_counts(experts)


def test_arrays_are_views_that_keep_their_trace_alive():
    traces = random_traces()
    first, second = traces[0].experts, traces[0].experts
    assert np.shares_memory(first, second)
    expected = first.copy()
    del traces, second
    gc.collect()
    churn = [np.full(expected.shape, 9, np.uint16) for _ in range(100)]
    assert (first == expected).all()
    assert len(churn) == 100
    for array in (first,):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1


def test_an_empty_trace_has_empty_arrays():
    trace = one(np.zeros((2, 0, 2), np.int64))
    assert trace.experts.shape == (2, 0, 2)
    assert trace.token_types.shape == (0,)
    assert trace.valid.shape == (2, 0)


def test_pickle_and_copy_keep_everything():
    traces = random_traces()
    for again in (pickle.loads(pickle.dumps(traces)), copy.copy(traces), copy.deepcopy(traces)):
        assert again == traces
    trace = pickle.loads(pickle.dumps(traces[1]))
    assert trace == traces[1]
    assert (trace.weights == traces[1].weights).all()
    assert copy.copy(trace) == copy.deepcopy(trace) == trace
    assert traces[0] != traces[1]
    assert pickle.loads(pickle.dumps(traces.info)) == traces.info


def test_a_set_indexes_slices_and_iterates_like_a_list():
    traces = random_traces(5)
    assert len(traces) == 5
    assert [t.id for t in traces] == traces.ids == ["p0", "p1", "p2", "p3", "p4"]
    assert traces[-1].id == "p4"
    assert traces[1:4:2].ids == ["p1", "p3"]
    assert traces[::-1].ids == traces.ids[::-1]
    assert traces.take([3, -5]).ids == ["p3", "p0"]
    assert traces.tasks == ["code", "math", "code", "math", "code"]
    assert repr(traces) == "TraceSet(5 traces, 60 tokens, 3 layers x 16 experts x top-4)"
    assert repr(rs.TraceSet()) == "TraceSet(0 traces)"
    with pytest.raises(IndexError, match="index 5 is out of range for 5 traces"):
        traces[5]


def test_a_set_is_also_indexed_by_id_by_numbers_and_by_a_mask():
    traces = random_traces(5)
    assert traces["p3"] == traces[3]
    assert traces[[3, -5]].ids == traces[np.array([3, 0])].ids == ["p3", "p0"]
    assert traces[[len(trace) > 12 for trace in traces]].ids == ["p3", "p4"]
    assert traces[[]].ids == []
    with pytest.raises(KeyError, match='expected an id that occurs, got "p9"'):
        traces["p9"]
    with pytest.raises(IndexError, match="expected a mask of 5 entries, got 2"):
        traces[[True, False]]
    with pytest.raises(IndexError, match="index 7 is out of range for 5 traces"):
        traces[[7]]
    with pytest.raises(TypeError, match="a list of integers or a boolean mask, got float"):
        traces[1.5]


def test_sets_are_selected_from_by_task_and_id_in_their_order():
    traces = random_traces(5)
    assert traces.select(tasks="math").ids == ["p1", "p3"]
    assert traces.select(tasks=["math", "code"], ids=["p4", "p1"]).ids == ["p1", "p4"]
    assert traces.with_tasks({"p1": None}).select(tasks=[None]).ids == ["p1"]
    with pytest.raises(ValueError, match="traces: expected tasks that occur, got 'physics'"):
        traces.select(tasks="physics")
    with pytest.raises(TypeError, match="traces: expected tasks as text or a list of texts, got an int"):
        traces.select(tasks=5)
    with pytest.raises(ValueError, match="traces: expected ids that occur, got 'p9'"):
        traces.select(ids=["p9"])


def test_tasks_can_be_given_anew_by_id_or_one_by_one():
    traces = random_traces(3)
    assert traces.with_tasks({"p1": "physics"}).tasks == ["code", "physics", "code"]
    assert traces.with_tasks(["a", None, float("nan")]).tasks == ["a", None, None]
    assert traces.with_tasks(np.array(["a", "b", "c"])).tasks == ["a", "b", "c"]
    renamed = traces.with_tasks(["a", "b", "c"])
    assert np.shares_memory(renamed[0].experts, traces[0].experts)
    assert renamed[0].text == traces[0].text
    assert traces.tasks == ["code", "math", "code"]
    with pytest.raises(ValueError, match="with_tasks: expected ids that occur, got 'p9'"):
        traces.with_tasks({"p9": "a"})
    with pytest.raises(ValueError, match="traces: expected 3 tasks, got 2"):
        traces.with_tasks(["a", "b"])


def test_sets_are_added_in_order_and_keep_what_both_say():
    traces = random_traces(4)
    assert traces[:1] + traces[2:] == traces[[0, 2, 3]]
    assert (traces + rs.TraceSet()) == (rs.TraceSet() + traces) == traces
    with pytest.raises(ValueError, match="expected 3 layers x 16 experts x top-4, got 2 x 16 x top-4"):
        traces + random_traces(1, layers=2)
    with pytest.raises(TypeError):
        traces + traces[0]


def test_rotated_routers_follow_tasks_and_sums():
    traces = random_traces(3)
    traces.rotated = [random_traces(3, seed=1)]
    both = traces.with_tasks(["a", "b", "c"]) + traces[:1].with_tasks(["d"])
    assert both.rotated[0].tasks == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="expected as many rotated routers in both sets, got 1 and 0"):
        traces + random_traces(1)


def test_top_experts_are_those_of_the_largest_share_of_each_task():
    counts = [[[6, 3, 1]], [[2, 7, 1]], [[0, 1, 9]]]
    sigs = rs.SignatureSet.from_counts(counts, tasks=["code", "code", "math"])
    found = sigs.top_experts(2)
    assert found["task"].tolist() == ["code", "code", "math", "math"]
    assert found["rank"].tolist() == [1, 2, 1, 2]
    assert found["expert"].tolist() == [1, 0, 2, 1]
    np.testing.assert_allclose(found["share"], [0.5, 0.4, 0.9, 0.1])
    np.testing.assert_allclose(found["elsewhere"], [0.1, 0.0, 0.1, 0.5])
    assert np.isnan(sigs.select(tasks="code").top_experts(1)["elsewhere"]).all()
    traces = random_traces(4)
    assert traces.top_experts(3, tokens="prompt").equals(rs.signatures(traces, tokens="prompt").top_experts(3))
    assert sigs.top_experts(50).equals(sigs.top_experts(3))
    with pytest.raises(ValueError, match=r"top_experts: expected count from 1 to .*, got 0"):
        sigs.top_experts(0)
    with pytest.raises(ValueError, match="top_experts: expected prompts with a task, got none"):
        rs.SignatureSet.from_counts(counts).top_experts()


def test_a_set_is_made_of_traces_alone():
    assert len(rs.TraceSet(iter(random_traces(2)))) == 2
    for wrong, named in ((3, "an int"), ([1], "a list of int"), ("t.jsonl", "a str")):
        with pytest.raises(TypeError, match=f"^TraceSet: expected a list of RoutingTrace, got {named}$"):
            rs.TraceSet(wrong)


def test_a_notebook_shows_every_layer_of_a_trace():
    trace = one(np.arange(40 * 3 * 2).reshape(3, 40, 2) % 4, prompt_tokens=30, text="<b>")
    page = trace._repr_html_()
    assert page.count("<tr>") == 5 + 1 + 3  # facts, header, layers
    assert "40 (30 of the prompt)" in page
    assert "8 more tokens" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_a_set_holds_one_routing_shape():
    with pytest.raises(ValueError, match="expected 3 layers x 16 experts x top-4, got 2 x 16 x top-4"):
        rs.TraceSet([random_traces(1)[0], random_traces(1, layers=2)[0]])
