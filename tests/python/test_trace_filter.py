"""Position-matched traces, first positions dropped, duplicates removed."""

import numpy as np
import pytest

import routesig as rs
from support import random_traces, relabelled, world

controls = rs.controls


def test_position_matching_keeps_the_first_tokens_and_lists_the_rest():
    traces = world(0.2)
    matched = controls.position_matched(traces, tokens="all")
    lengths = [len(t) for t in traces]
    assert matched.length == max(16, int(np.quantile(lengths, 0.05)))
    assert [entry.id for entry in matched.left_out] == [t.id for t in traces if len(t) < matched.length]
    kept = [t for t in traces if len(t) >= matched.length]
    assert matched.traces.ids == [t.id for t in kept]
    assert matched.tokens_dropped == sum(len(t) - matched.length for t in kept)
    for before, after in zip(kept, matched.traces, strict=True):
        assert (after.experts == before.experts[:, : matched.length]).all()
        assert (after.token_ids == before.token_ids[: matched.length]).all()
        assert after.prompt_tokens == min(before.prompt_tokens, matched.length)
        assert (after.task, after.text, after.fields) == (before.task, before.text, before.fields)
    assert controls.position_matched(traces, tokens="generation", length=3).traces[0].prompt_tokens == 0
    with pytest.raises(ValueError, match=r"expected length from 1 to .*, got 0"):
        controls.position_matched(traces, length=0)
    assert (
        repr(controls.position_matched([]))
        == "FilteredTraces(0 traces, length=16, 0 prompts left out, 0 tokens dropped)"
    )


def test_filters_keep_weights_positions_and_the_file_form(tmp_path):
    traces = random_traces()
    dropped = controls.drop_first(traces)
    assert dropped.tokens_dropped == len(traces)
    for before, after in zip(traces, dropped.traces, strict=True):
        assert (after.weights == before.weights[:, 1:]).all()
        assert (after.positions == before.positions[1:]).all()
        assert after.prompt_tokens == before.prompt_tokens - 1
    assert dropped.length is None
    dropped.traces.save(tmp_path / "dropped.jsonl")
    assert rs.read_traces(tmp_path / "dropped.jsonl")[0] == dropped.traces[0]
    assert controls.drop_first(dropped.traces).tokens_dropped == 0


def test_duplicates_are_removed_and_named():
    traces = list(random_traces())
    again = relabelled([traces[1]], lambda t: "code")[0]
    cleaned = controls.without_duplicates([*traces, again])
    assert cleaned.traces.ids == [t.id for t in traces]
    assert cleaned.left_out == [("p1", 'same token ids as "p1"')]
    with pytest.raises(ValueError, match="expected token ids"):
        controls.without_duplicates([rs.RoutingTrace.from_arrays([[[0]]], num_experts=2)])
