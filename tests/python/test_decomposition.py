"""Length, vocabulary and context add up to the separation."""

from itertools import combinations

import numpy as np
import pytest

import routesig as rs
from support import numpy_difference, world

controls = rs.controls


def closed_form_length(traces) -> float:
    """D of 1 / sqrt((1 + r / T_a) (1 + r / T_b)), pair by pair."""
    r = traces.info.experts / traces.info.top_k - 1
    within, across = [], []
    for a, b in combinations(traces, 2):
        cosine = 1 / np.sqrt((1 + r / len(a)) * (1 + r / len(b)))
        (within if a.task == b.task else across).append(cosine)
    return np.mean(within) - np.mean(across)


def test_decomposition_adds_up_to_the_separation():
    traces = world(0.4)
    parts = controls.decomposition(traces, shuffles=20, bootstrap=200)
    shuffle = controls.token_shuffle(traces, shuffles=20)
    s = rs.separation(rs.signatures(traces))
    total, length, vocabulary, context = (part.value for part in parts.overall)
    assert total == pytest.approx(s.within.mean - s.across.mean, abs=1e-13)
    assert length + vocabulary + context == pytest.approx(total, abs=1e-14)
    assert length == pytest.approx(closed_form_length(traces), abs=1e-14)
    assert context == pytest.approx(total - shuffle.difference.mean, abs=1e-14)
    for name in ("total", "length", "vocabulary", "context"):
        values = [getattr(layer, name).value for layer in parts.layers]
        assert getattr(parts.overall, name).value == pytest.approx(np.mean(values), abs=1e-14)
        low, high = getattr(parts.overall, name).band
        assert low <= high
    assert parts.overall.context.band[0] > 0
    assert parts.absent == {}
    assert "context=0." in repr(parts)


def test_closed_form_length_agrees_with_simulated_load_balance():
    random = np.random.default_rng(4)
    lengths = [200] * 6 + [8] * 6

    def trace(i, tokens):
        experts = random.random((1, tokens, 64)).argsort(axis=2)[:, :, :8]
        return rs.RoutingTrace.from_arrays(
            experts, num_experts=64, token_ids=np.arange(tokens), task="ab"[i // 6], id=str(i)
        )

    draws = []
    for _ in range(60):
        traces = rs.TraceSet([trace(i, tokens) for i, tokens in enumerate(lengths)])
        draws.append(numpy_difference(rs.signatures(traces).values, traces.tasks).mean())
    closed = controls.decomposition(traces, shuffles=1, bootstrap=0).overall.length.value
    # The formula is good to .004 from 8 tokens on; 4 standard errors of the simulation beside it.
    assert closed == pytest.approx(np.mean(draws), abs=0.004 + 4 * np.std(draws) / np.sqrt(60))
    assert closed > 0.02


def test_decomposition_takes_the_length_it_is_given():
    traces = world(0.4)
    per_layer = controls.decomposition(traces, length=[0.01, 0.03], shuffles=5, bootstrap=50)
    one = controls.decomposition(traces, length=0.02, shuffles=5, bootstrap=50)
    assert [layer.length.value for layer in per_layer.layers] == [0.01, 0.03]
    assert one.overall.length.value == per_layer.overall.length.value == 0.02
    assert one.overall.vocabulary.value == pytest.approx(per_layer.overall.vocabulary.value, abs=1e-14)
    with pytest.raises(ValueError, match="expected length for 2 layers, got 3"):
        controls.decomposition(traces, length=[1, 2, 3], shuffles=1)
    with pytest.raises(ValueError, match="expected finite length, got nan"):
        controls.decomposition(traces, length=np.nan, shuffles=1)
    with pytest.raises(ValueError, match=r"one number or \[layers\], got 2 axes"):
        controls.decomposition(traces, length=[[1, 2]], shuffles=1)
    with pytest.raises(ValueError, match="decomposition: expected bootstrap from 0 to"):
        controls.decomposition(traces, bootstrap=-1)


def test_decomposition_says_what_is_absent():
    few = controls.decomposition(world(0.2, prompts=3), shuffles=3)
    assert few.overall.context.band is None
    assert few.absent == {"band": "a task has 3 prompts, fewer than 5"}
    alone = controls.decomposition(world(0.2, tasks=1), shuffles=3)
    assert alone.overall is None
    assert "two tasks or more" in repr(alone)
    assert controls.decomposition([], length=0.1, shuffles=1).layers == []


def test_bands_resample_whole_groups():
    traces = world(0.4, prompts=12, by="prompt")
    grouped = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                trace.experts,
                num_experts=16,
                token_ids=trace.token_ids,
                prompt_tokens=trace.prompt_tokens,
                task=trace.task,
                id=f"{trace.id}{copy}",
                group=trace.id,
            )
            for trace in traces
            for copy in "ab"
        ]
    )
    # Every prompt twice is no more evidence than once: taken for independent, the band would be narrower.
    width = {
        groups: np.diff(controls.decomposition(grouped, shuffles=3, groups=groups).overall.total.band)[0]
        for groups in (True, False)
    }
    assert width[True] > 1.2 * width[False]
