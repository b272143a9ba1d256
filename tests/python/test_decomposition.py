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
    traces = world(0.4, common=0.7)
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
            experts, num_experts=64, token_ids=np.arange(tokens) % 8, task="ab"[i // 6], id=str(i)
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
    traces = world(0.4, common=0.7)
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
    few = controls.decomposition(world(0.2, prompts=3, common=0.7), shuffles=3)
    assert few.overall.context.band is None
    assert few.absent == dict.fromkeys(("band", "crossing.band"), "a task has 3 prompts, fewer than 5")
    alone = controls.decomposition(world(0.2, tasks=1), shuffles=3)
    assert alone.overall is None
    assert "fewer than two tasks" in repr(alone)
    assert controls.decomposition([], length=0.1, shuffles=1).layers == []


def test_bands_resample_whole_groups():
    traces = world(0.4, prompts=12, by="prompt", common=0.7)
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


def own_words(context: float) -> rs.TraceSet:
    """Tasks whose words are their own, all but one; routed by their task alone, or by their words."""
    random = np.random.default_rng(1)

    def prompt(task, i):
        words = np.where(random.random(40) < 0.2, 0, 1 + 5 * task + random.integers(0, 5, 40))
        favourite = np.where(random.random(40) < context, 8 + task, words % 8)
        return rs.RoutingTrace.from_arrays(
            favourite[None, :, None], num_experts=16, token_ids=words, task=f"t{task}", id=f"{task}-{i}"
        )

    return rs.TraceSet([prompt(task, i) for task in range(3) for i in range(6)])


def test_words_that_cannot_cross_tasks_are_not_called_vocabulary():
    """Routing that ignores words would otherwise be "100 % vocabulary"."""
    parts = controls.decomposition(own_words(1.0), shuffles=20, bootstrap=50)
    assert parts.overall is None
    assert parts.layers == []
    assert parts.crossing_share == pytest.approx(0.2, abs=0.05)
    assert "% of the tokens can cross tasks, fewer than half" in parts.absent["overall"]
    # Of the one word that can, nothing is vocabulary: it is routed by its task.
    total, _, vocabulary, context = (part.value for part in parts.crossing)
    assert context > 0.8 * total > 0.5
    assert abs(vocabulary) < 0.2 * total


def test_the_context_test_asks_for_tasks_and_the_shuffle_does_not():
    """Each prompt routes in a way of its own: no effect of the task, yet tokens are not exchangeable."""
    found = [controls.context_test(world(0.5, seed, by="prompt"), shuffles=20, permutations=199) for seed in range(20)]
    assert sum(one.p_value <= 0.05 for one in found) <= 4  # Binomial(20, .05): 5 or more with probability .003
    for one in found:
        assert one.p_value == max(one.p_labels, one.p_words)
        assert one.p_value.floor == pytest.approx(1 / 21)  # of 20 shuffles
        assert one.p_labels.floor == pytest.approx(1 / 200)
    with_task = controls.context_test(world(0.5), shuffles=20, permutations=199)
    assert with_task.p_value == with_task.p_value.floor
    shuffle = controls.token_shuffle(world(0.5), shuffles=20)
    assert with_task.difference == pytest.approx(shuffle.difference.observed - shuffle.difference.mean, abs=1e-13)
    assert controls.context_test(own_words(0.0), shuffles=5).across_tasks > 0


def test_the_context_test_permutes_whole_groups_and_within_sources():
    def regrouped(traces):
        return rs.TraceSet(
            [
                rs.RoutingTrace.from_arrays(
                    t.experts, num_experts=16, token_ids=t.token_ids, task=t.task, id=t.id, group=str(i // 2)
                )
                for i, t in enumerate(traces)
            ]
        )

    grouped = controls.context_test(regrouped(world(0.5)), shuffles=5).test
    assert (grouped.unit, grouped.units, grouped.permutations) == ("groups", 9, 1680)  # 9! / (3!)^3
    sources = controls.context_test(world(0.5), shuffles=5, sources=["xy"[i % 2] for i in range(18)])
    assert sources.test.sources == 2
    alone = controls.context_test(world(0.0, tasks=1), shuffles=5)
    assert alone.p_value is None
    assert set(alone.absent) == {"difference", "p_value", "p_labels", "p_words", "test"}
