"""Nulls and controls: the same-token shuffle, the overlap ladder, trace filters, control models."""

from itertools import combinations

import numpy as np
import pytest

import routesig as rs
from support import random_traces

controls = rs.controls


def world(context: float, seed: int = 0, tasks: int = 3, prompts: int = 6, layers: int = 2) -> rs.TraceSet:
    """Prompts whose tokens are routed by their word, or, with probability `context`, by their task."""
    random = np.random.default_rng(seed)
    out = []
    for task in range(tasks):
        for p in range(prompts):
            length = int(random.integers(12, 30))
            words = np.where(
                random.random(length) < 0.5,
                random.integers(0, 12, length),
                12 + 3 * task + random.integers(0, 3, length),
            )
            experts = np.empty((layers, length, 2), dtype=np.int64)
            for layer in range(layers):
                favourite = np.where(random.random(length) < context, 5 * task + layer, (words * 5 + layer) % 16)
                first = np.where(random.random(length) < 0.7, favourite, random.integers(0, 16, length))
                experts[layer] = np.stack([first, (first + random.integers(1, 16, length)) % 16], axis=1)
            trace = rs.RoutingTrace.from_arrays(
                experts, num_experts=16, token_ids=words, prompt_tokens=length // 2, task=f"t{task}", id=f"{task}-{p}"
            )
            out.append(trace)
    return rs.TraceSet(out)


def relabelled(traces, task_of):
    """The same traces under other tasks."""
    return rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                t.experts,
                num_experts=t.info.experts,
                token_ids=t.token_ids,
                positions=t.positions,
                prompt_tokens=t.prompt_tokens,
                task=task_of(t),
                id=t.id,
            )
            for t in traces
        ]
    )


def numpy_difference(signatures: np.ndarray, tasks: list[str]) -> np.ndarray:
    """D per layer from signatures [prompts, layers, experts], pair by pair."""
    unit = signatures / np.linalg.norm(signatures, axis=2, keepdims=True)
    within, across = [], []
    for i, j in combinations(range(len(tasks)), 2):
        (within if tasks[i] == tasks[j] else across).append((unit[i] * unit[j]).sum(axis=1))
    return np.mean(within, axis=0) - np.mean(across, axis=0)


def test_shuffle_observes_the_difference_of_the_separation():
    traces = world(0.4)
    result = controls.token_shuffle(traces, shuffles=9)
    s = rs.separation(rs.signatures(traces))
    assert result.difference.observed == pytest.approx(s.within.mean - s.across.mean, abs=1e-13)
    by_layer = numpy_difference(rs.signatures(traces).values, traces.tasks)
    assert [test.observed for test in result.layers] == pytest.approx(by_layer, abs=1e-13)


def test_shuffle_has_the_null_distribution_of_a_numpy_shuffle():
    traces = world(0.4, seed=3)
    tasks, layers = traces.tasks, traces.info.layers
    rows = np.concatenate([t.experts.transpose(1, 0, 2) for t in traces])  # [tokens, layers, top_k]
    prompt = np.repeat(np.arange(len(traces)), [len(t) for t in traces])
    keys = [
        (int(w), int(k), int(p) == 0)
        for t in traces
        for w, k, p in zip(t.token_ids, t.token_types, t.positions, strict=True)
    ]
    strata = [np.flatnonzero([key == k for k in keys]) for key in sorted(set(keys))]
    random = np.random.default_rng(1)
    draws = []
    for _ in range(400):
        source = np.arange(len(rows))
        for stratum in strata:
            source[stratum] = random.permutation(stratum)
        counts = np.zeros((len(traces), layers, 16))
        for layer in range(layers):
            np.add.at(counts, (prompt[:, None], layer, rows[source][:, layer]), 1)
        draws.append(numpy_difference(counts, tasks).mean())
    ours = controls.token_shuffle(traces, shuffles=400).difference
    # 5 standard errors of a difference of two means of 400 draws; sds within 5 of theirs (1 / sqrt(2 * 400) each).
    assert ours.mean == pytest.approx(np.mean(draws), abs=5 * ours.sd * np.sqrt(2 / 400))
    assert ours.sd == pytest.approx(np.std(draws, ddof=1), rel=5 * np.sqrt(2 / 800))


def test_shuffle_tells_vocabulary_from_context():
    lexical = controls.token_shuffle(world(0.0, seed=1), shuffles=99)
    contextual = controls.token_shuffle(world(0.7, seed=1), shuffles=99)
    assert contextual.difference.p_value == contextual.difference.p_floor == pytest.approx(0.01)
    assert contextual.lexical_share < 0.5 < 0.8 < lexical.lexical_share < 1.2
    assert contextual.lexical_share == pytest.approx(contextual.draws.mean() / contextual.difference.observed)


def test_shuffled_signatures_are_those_of_the_draws():
    traces = world(0.4)
    result = controls.token_shuffle(traces, shuffles=4, seed=7)
    drawn = list(controls.shuffled_signatures(traces, shuffles=4, seed=7, observed_first=True))
    assert (drawn[0].counts == rs.signatures(traces).counts).all()
    assert drawn[0].ids == traces.ids
    for sigs, draw in zip(drawn[1:], result.draws, strict=True):
        assert numpy_difference(sigs.values, sigs.tasks).mean() == pytest.approx(draw, abs=1e-13)
        assert (sigs.counts.sum(axis=2) == drawn[0].counts.sum(axis=2)).all()
        assert (sigs.counts.sum(axis=0) == drawn[0].counts.sum(axis=0)).all()


def test_shuffle_takes_a_statistic_of_ones_own():
    def difference(sigs):
        s = rs.separation(sigs)
        return s.within.mean - s.across.mean

    result = controls.token_shuffle(world(0.3), shuffles=19, statistic=difference)
    assert result.statistic.p_value == result.difference.p_value
    assert result.statistic.mean == pytest.approx(result.difference.mean, abs=1e-12)


def test_same_seed_same_bytes_whatever_the_threads_and_the_order():
    traces = world(0.2)
    once = controls.token_shuffle(traces, shuffles=30, seed=5)
    for threads in (1, 2, 3):
        rs.set_num_threads(threads)
        again = controls.token_shuffle(traces.take(range(len(traces) - 1, -1, -1)), shuffles=30, seed=5)
        assert again.layer_draws.tobytes() == once.layer_draws.tobytes()
        assert again.difference == once.difference
    rs.set_num_threads(0)
    assert controls.token_shuffle(traces, shuffles=30, seed=6).draws.tobytes() != once.draws.tobytes()


def test_what_took_no_part_is_listed():
    traces = list(world(0.0))
    nothing = rs.RoutingTrace.from_arrays(
        np.full((2, 3, 2), -1), num_experts=16, token_ids=[1, 2, 3], task="t0", id="unknown"
    )
    traces += [nothing, *relabelled(world(0.0)[:1], lambda t: None)]
    result = controls.token_shuffle(traces, shuffles=3)
    assert result.left_out == [("unknown", "no token with known routing"), ("0-0", "no task")]
    assert result.unknown_rows == 6
    assert result.difference == controls.token_shuffle(traces[:-2], shuffles=3).difference
    assert len(next(controls.shuffled_signatures(traces, shuffles=1))) == len(traces) - 2


def test_undefined_results_are_absent_with_a_reason():
    alone = controls.token_shuffle(relabelled(world(0.0), lambda t: "same"), shuffles=3)
    assert alone.difference is None
    assert alone.lexical_share is None
    assert alone.absent["difference"] == "D needs prompts of two tasks or more; there are 1"
    single = controls.token_shuffle(relabelled(world(0.0), lambda t: t.id), shuffles=3)
    assert single.absent["difference"] == "D needs a task with two prompts or more; every task has one"
    assert "difference=None" in repr(single)
    nothing = controls.token_shuffle([], shuffles=3)
    assert (nothing.tokens, nothing.movable_share, nothing.difference) == (0, None, None)


def test_bad_input_is_one_sentence():
    without_ids = rs.TraceSet([rs.RoutingTrace.from_arrays([[[0, 1]]], num_experts=4, task="a", id="x")])
    impossible = rs.RoutingTrace.from_arrays([[[1, 1], [0, 1]]], num_experts=4, token_ids=[3, 4], task="a", id="y")
    for function in (controls.token_shuffle, controls.overlap_ladder):
        with pytest.raises(ValueError, match='expected token ids, trace "x" has none'):
            function(without_ids)
        with pytest.raises(ValueError, match=r"expected 2 distinct experts below 4, got \[1, 1\]"):
            function([impossible])
        with pytest.raises(ValueError, match="expected 1 shuffle or more, got 0"):
            function(world(0.0), shuffles=0)
        with pytest.raises(ValueError, match='expected tokens to be one of all, prompt, generation, got "some"'):
            function(world(0.0), tokens="some")
    assert controls.token_shuffle([impossible], drop_invalid=True, shuffles=1).dropped_rows == 1


def numpy_ladder(traces):
    """Overlap by rung, and Delta, of one layer at a time, pair of tokens by pair of tokens."""
    k = traces.info.top_k
    tokens = [
        (i, t.task, int(w), e)
        for i, t in enumerate(traces)
        for w, e in zip(t.token_ids, t.experts.swapaxes(0, 1), strict=True)
    ]
    layers = []
    for layer in range(traces.info.layers):
        sums = {rung: [] for rung in ("ss", "so", "os", "oo")}
        of_word: dict[int, dict[str, list[float]]] = {}
        for (p, task, word, experts), (p2, task2, word2, experts2) in combinations(tokens, 2):
            if p == p2:
                continue
            shared = len(np.intersect1d(experts[layer], experts2[layer])) / k
            sums[("s" if word == word2 else "o") + ("s" if task == task2 else "o")].append(shared)
            if word == word2:
                of_word.setdefault(word, {"s": [], "o": []})["s" if task == task2 else "o"].append(shared)
        weighted = weights = 0.0
        for x in of_word.values():
            if x["s"] and x["o"]:
                w = len(x["s"]) * len(x["o"]) / (len(x["s"]) + len(x["o"]))
                weighted += w * (np.mean(x["s"]) - np.mean(x["o"]))
                weights += w
        layers.append(([np.mean(s) for s in sums.values()], [len(s) for s in sums.values()], weighted / weights))
    return layers


def test_ladder_equals_the_sum_over_all_pairs_of_tokens():
    traces = world(0.3, prompts=3)
    ladder = controls.overlap_ladder(traces, shuffles=2)
    slow = numpy_ladder(traces)
    for layer, (overlap, pairs, effect) in zip(ladder.layers, slow, strict=True):
        assert list(layer.overlap.values()) == pytest.approx(overlap, abs=1e-13)
        assert list(layer.pairs.values()) == pairs
        assert layer.effect.observed == pytest.approx(effect, abs=1e-13)
    assert ladder.effect.observed == pytest.approx(np.mean([layer[2] for layer in slow]), abs=1e-13)
    shares = np.stack([np.bincount(np.concatenate([t.experts[0].ravel() for t in traces]), minlength=16)])
    pi = shares / sum(len(t) for t in traces)
    assert ladder.layers[0].chance == pytest.approx((pi**2).sum() / 2, abs=1e-13)


def test_ladder_finds_context_at_equal_vocabulary():
    ladder = controls.overlap_ladder(world(0.7), shuffles=99)
    assert ladder.effect.p_value == ladder.effect.p_floor
    assert ladder.overlap["same id, same task"] > ladder.overlap["same id, other task"] > 0
    assert "same id, same task: 0." in repr(ladder)


def test_ladder_says_what_is_absent():
    ladder = controls.overlap_ladder(relabelled(world(0.0, prompts=1), lambda t: t.id), shuffles=1)
    assert ladder.effect is None
    assert set(ladder.absent) == {"effect", "same id, same task", "other id, same task"}
    assert set(controls.overlap_ladder([], shuffles=1).absent) == {"effect", "chance", *ladder.overlap}


def test_progress_shows_a_bar(capfd):
    controls.token_shuffle(world(0.0), shuffles=5, progress=True)
    controls.overlap_ladder(random_traces(), shuffles=5, progress=True)
    err = capfd.readouterr().err
    assert "token shuffle" in err
    assert "overlap ladder" in err
