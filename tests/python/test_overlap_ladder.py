"""The overlap ladder against a sum over all pairs of tokens."""

from itertools import combinations

import numpy as np
import pytest

import routesig as rs
from support import relabelled, world

controls = rs.controls


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
    ladder = controls.overlap_ladder(traces)
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
    ladder = controls.overlap_ladder(world(0.7))
    assert ladder.effect.interval[0] > 0.05
    assert ladder.overlap["same id, same task"] > ladder.overlap["same id, other task"] > 0
    assert "same id, same task: 0." in repr(ladder)


def test_ladder_says_what_is_absent():
    ladder = controls.overlap_ladder(relabelled(world(0.0, prompts=1), lambda t: t.id))
    assert ladder.effect is None
    assert set(ladder.absent) == {"effect", "same id, same task", "other id, same task"}
    assert set(controls.overlap_ladder([]).absent) == {"effect", "chance", *ladder.overlap}


def test_the_error_of_the_effect_is_over_prompts_or_groups():
    found = [controls.overlap_ladder(world(0.5, seed, by="prompt")).effect for seed in range(40)]
    assert sum(effect.interval[0] > 0 for effect in found) <= 4  # Binomial(40, .025): more with probability .003
    assert np.std([effect.observed for effect in found]) == pytest.approx(
        np.mean([effect.standard_error for effect in found]), rel=0.5
    )
    few = controls.overlap_ladder(world(0.5, prompts=4))
    assert few.effect.interval is None
    assert few.absent["effect.standard_error"] == "a task has 4 prompts, fewer than 5"
    assert "standard_error" not in repr(few.effect)
