"""The same-token shuffle, and what the controls that shuffle have in common."""

import numpy as np
import pytest

import routesig as rs
from support import numpy_difference, relabelled, world

controls = rs.controls


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
    assert contextual.difference.p_value == contextual.difference.p_value.floor == pytest.approx(0.01)
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
    assert alone.absent["difference"] == "there are fewer than two tasks"
    single = controls.token_shuffle(relabelled(world(0.0), lambda t: t.id), shuffles=3)
    assert single.absent["difference"] == "no two prompts share a task"
    assert "difference=None" in repr(single)
    nothing = controls.token_shuffle([], shuffles=3)
    assert (nothing.tokens, nothing.movable_share, nothing.difference) == (0, None, None)


def test_bad_input_is_one_sentence():
    without_ids = rs.TraceSet([rs.RoutingTrace.from_arrays([[[0, 1]]], num_experts=4, task="a", id="x")])
    impossible = rs.RoutingTrace.from_arrays([[[1, 1], [0, 1]]], num_experts=4, token_ids=[3, 4], task="a", id="y")
    for function in (controls.token_shuffle, controls.overlap_ladder, controls.context_test, controls.decomposition):
        with pytest.raises(ValueError, match='expected token ids, trace "x" has none'):
            function(without_ids)
        with pytest.raises(ValueError, match=r"expected 2 distinct experts below 4, got \[1, 1\]"):
            function([impossible])
        if function is not controls.overlap_ladder:
            with pytest.raises(ValueError, match="expected 1 shuffle or more, got 0"):
                function(world(0.0), shuffles=0)
        with pytest.raises(ValueError, match='expected tokens to be one of all, prompt, generation, got "some"'):
            function(world(0.0), tokens="some")
    assert controls.token_shuffle([impossible], drop_invalid=True, shuffles=1).dropped_rows == 1


def test_progress_shows_a_bar(capfd):
    controls.token_shuffle(world(0.0), shuffles=5, progress=True)
    controls.context_test(world(0.0), shuffles=5, permutations=5, progress=True)
    err = capfd.readouterr().err
    assert "token shuffle" in err
    assert "context test" in err


def test_routing_by_prompt_and_not_by_task_gives_a_share_above_one():
    """Prompts that route in ways of their own: the shuffle mixes them, which raises similarity within tasks."""
    results = [controls.token_shuffle(world(0.5, seed=seed, by="prompt"), shuffles=49) for seed in range(10)]
    observed = np.mean([result.difference.observed for result in results])
    assert np.mean([result.difference.mean for result in results]) > 1.2 * observed > 0
