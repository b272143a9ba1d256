"""Nulls and controls: the same-token shuffle, the overlap ladder, trace filters, control models."""

from itertools import combinations

import numpy as np
import pytest

import routesig as rs
from support import random_traces

controls = rs.controls


def world(
    context: float, seed: int = 0, tasks: int = 3, prompts: int = 6, layers: int = 2, by: str = "task"
) -> rs.TraceSet:
    """Prompts whose tokens are routed by their word, or, with probability `context`, by their task (or prompt)."""
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
            own = 5 * task if by == "task" else int(random.integers(16))
            for layer in range(layers):
                favourite = np.where(random.random(length) < context, (own + layer) % 16, (words * 5 + layer) % 16)
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
    assert ladder.effect.p_value == ladder.effect.p_value.floor
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


def test_routing_by_prompt_and_not_by_task_gives_a_share_above_one():
    """Prompts that route in ways of their own: the shuffle mixes them, which raises similarity within tasks."""
    results = [controls.token_shuffle(world(0.5, seed=seed, by="prompt"), shuffles=49) for seed in range(10)]
    observed = np.mean([result.difference.observed for result in results])
    assert np.mean([result.difference.mean for result in results]) > 1.2 * observed > 0


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
    with pytest.raises(ValueError, match="expected a bootstrap of 0 or more"):
        controls.decomposition(traces, bootstrap=-1)


def test_decomposition_says_what_is_absent():
    few = controls.decomposition(world(0.2, prompts=3), shuffles=3)
    assert few.overall.context.band is None
    assert few.absent == {"band": "a task has 3 prompts, fewer than 5"}
    alone = controls.decomposition(world(0.2, tasks=1), shuffles=3)
    assert alone.overall is None
    assert "two tasks or more" in repr(alone)
    assert controls.decomposition([], length=0.1, shuffles=1).layers == []


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
    with pytest.raises(ValueError, match="expected a length of 1 or more, got 0"):
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


@pytest.mark.parametrize("compare", [controls.random_weights, controls.rotated_router])
def test_control_models_give_gain_mean_and_range(compare):
    real = world(0.6)

    def control(seed):
        random = np.random.default_rng(seed)
        return rs.TraceSet(
            [
                rs.RoutingTrace.from_arrays(
                    random.permuted(np.tile(np.arange(16), (*t.experts.shape[:2], 1)), axis=2)[:, :, :2],
                    num_experts=16,
                    token_ids=t.token_ids,
                    prompt_tokens=t.prompt_tokens,
                    task=t.task,
                    id=t.id,
                )
                for t in real
            ]
        )

    sets = [control(seed) for seed in range(4)]
    result = compare(real, sets)
    separations = [rs.separation(rs.signatures(traces)) for traces in (real, *sets)]
    differences = [s.within.mean - s.across.mean for s in separations]
    d = result.difference
    assert [d.real, *d.controls] == pytest.approx(differences, abs=1e-13)
    assert (d.mean, d.low, d.high) == pytest.approx(
        (np.mean(differences[1:]), min(differences[1:]), max(differences[1:])), abs=1e-13
    )
    assert d.gain == pytest.approx(differences[0] - np.mean(differences[1:]), abs=1e-13)
    assert (d.p_value, d.p_value.floor) == (0.2, 0.2)
    assert result.cohens_d.real == pytest.approx(separations[0].cohens_d, abs=1e-12)
    by_layer = numpy_difference(rs.signatures(real).values, real.tasks)
    assert [layer.real for layer in result.layers] == pytest.approx(by_layer, abs=1e-13)
    with pytest.raises(ValueError, match="expected a list of trace sets, one a seed"):
        compare(real, sets[0])
    with pytest.raises(ValueError, match="expected one control or more, got none"):
        compare(real, [])
    with pytest.raises(ValueError, match="expected the 18 prompts of the real model, got 2 in control 1"):
        compare(real, [sets[0], sets[1][:2]])
    with pytest.raises(ValueError, match="expected the tokens of the real model, got others"):
        compare(real, [world(0.6, seed=9)])


def test_control_models_that_cannot_be_compared_are_absent():
    alone = world(0.0, tasks=1)
    result = controls.random_weights(alone, [alone])
    assert (result.difference, result.cohens_d, result.layers) == (None, None, [None, None])
    assert set(result.absent) == {"difference", "cohens_d"}
    unlabelled = relabelled(world(0.0), lambda t: None if t.id == "0-0" else t.task)
    assert controls.random_weights(unlabelled, [unlabelled]).left_out == [("0-0", "no task")]


def test_the_shipped_model_routes_by_more_than_vocabulary(model):
    """Small: 40 prompts, few generated tokens. Random weights see the same tokens and separate less."""
    prompts = [p for i, p in enumerate(rs.load_prompts()) if i % 2 == 0]
    traces = rs.record(model, prompts, max_new_tokens=4, progress=False)
    parts = controls.decomposition(traces, shuffles=99, bootstrap=200)
    assert parts.overall.context.band[0] > 0
    untrained = rs.record(rs.load_model(random_weights=0), traces, progress=False)
    assert controls.random_weights(traces, [untrained]).difference.gain > 0
