"""The nulls of routing, against NumPy and against enumeration."""

import itertools

import numpy as np
import pytest

import routesig as rs
from routesig import _core
from support import random_experts, random_traces, with_value

EXPERTS, TOP_K, LAYERS = 16, 4, 3


def preferring(tokens, strength=4.0, own=0.0, seed=0):
    """Counts of prompts of tasks "a" and "b" in turn; their tokens prefer some experts, by task and by prompt."""
    preferences, draws = np.random.default_rng(0), np.random.default_rng(seed)
    counts = np.zeros((len(tokens), LAYERS, EXPERTS), dtype=np.int64)
    for p, length in enumerate(tokens):
        for layer in range(LAYERS):
            logits = own * preferences.standard_normal(EXPERTS)
            logits[4 * (p % 2) : 4 * (p % 2) + 4] += strength
            keys = logits + draws.gumbel(size=(length, EXPERTS))
            chosen = keys.argsort(axis=1)[:, -TOP_K:]
            counts[p, layer] = np.bincount(chosen.ravel(), minlength=EXPERTS)
    tasks = [("a", "b")[p % 2] for p in range(len(tokens))]
    return rs.SignatureSet.from_counts(counts, tasks=tasks, top_k=TOP_K)


def numpy_separation(values, tasks):
    """Mean within- and across-task similarity."""
    norms = np.linalg.norm(values, axis=2, keepdims=True)
    unit = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    matrix = np.einsum("ile,jle->ij", unit, unit) / values.shape[1]
    upper = np.triu(np.ones_like(matrix, dtype=bool), 1)
    same = np.equal.outer(np.array(tasks), np.array(tasks))
    return matrix[upper & same].mean(), matrix[upper & ~same].mean()


def assert_same_distribution(ours, theirs):
    """Means within 4.5 standard errors of their difference, sd within 25 %."""
    theirs = np.array(theirs)
    error = np.sqrt(ours.sd**2 / len(ours.values) + theirs.var(ddof=1) / len(theirs))
    assert abs(ours.mean - theirs.mean()) < 4.5 * error
    assert ours.sd == pytest.approx(theirs.std(ddof=1), rel=0.25)


def test_permutation_equals_numpy():
    sigs = preferring([9, 14, 20, 11, 17, 30])
    random = np.random.default_rng(2)
    theirs = [numpy_separation(random.permuted(sigs.values, axis=2), sigs.tasks) for _ in range(600)]
    base = rs.baselines.permutation(sigs, repetitions=600, seed=1)
    for name, column in zip(("within", "across"), np.transpose(theirs), strict=True):
        assert_same_distribution(getattr(base, name), column)
    assert_same_distribution(base.difference, np.subtract(*np.transpose(theirs)))
    np.testing.assert_allclose(
        (base.observed.within.mean, base.observed.across.mean), numpy_separation(sigs.values, sigs.tasks), atol=1e-13
    )


def test_load_balance_equals_numpy():
    lengths = [9, 14, 20, 11, 17, 30]
    sigs = preferring(lengths)
    random = np.random.default_rng(3)
    theirs = []
    for _ in range(400):
        values = np.zeros(sigs.values.shape)
        for p, length in enumerate(lengths):
            for layer in range(LAYERS):
                chosen = random.random((length, EXPERTS)).argsort(axis=1)[:, :TOP_K]
                values[p, layer] = np.bincount(chosen.ravel(), minlength=EXPERTS)
        theirs.append(numpy_separation(values, sigs.tasks))
    base = rs.baselines.load_balance(sigs, repetitions=400, seed=1)
    for name, column in zip(("within", "across"), np.transpose(theirs), strict=True):
        assert_same_distribution(getattr(base, name), column)


def test_marginal_keeps_popularity_and_its_closed_form_holds():
    sigs = preferring([20, 25, 30, 20, 25, 30, 20, 25])
    base = rs.baselines.marginal(sigs, repetitions=300)
    totals = sigs.counts.sum(axis=0)
    pi = TOP_K * totals / totals.sum(axis=1, keepdims=True)
    ratio = (TOP_K - (pi**2).sum(axis=1)) / (pi**2).sum(axis=1)
    lengths = np.array([20, 25, 30, 20, 25, 30, 20, 25])
    factor = 1 / np.sqrt(1 + ratio[None] / lengths[:, None])
    expected = factor @ factor.T / LAYERS
    upper = np.triu(np.ones((8, 8), dtype=bool), 1)
    same = np.equal.outer(sigs.tasks, sigs.tasks)
    assert base.closed_form.within == pytest.approx(expected[upper & same].mean(), abs=1e-12)
    assert base.closed_form.across == pytest.approx(expected[upper & ~same].mean(), abs=1e-12)
    assert base.within.mean == pytest.approx(base.closed_form.within, abs=0.006)
    assert base.p_value.value == base.p_value.floor == pytest.approx(1 / 301)


def test_token_pool_equals_the_enumeration_of_all_ways_to_redistribute():
    """Two tasks, three prompts of 2, 2 and 1 tokens: every one of 5! orders."""
    ids = [[[0], [1]], [[0], [2]], [[3]]]
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(np.array([prompt]), num_experts=4, id=str(i), task="aab"[i])
            for i, prompt in enumerate(ids)
        ]
    )
    tokens = [token[0] for prompt in ids for token in prompt]
    within, across = [], []
    for order in itertools.permutations(tokens):
        values = np.zeros((3, 1, 4))
        for prompt, token in zip((0, 0, 1, 1, 2), order, strict=True):
            values[prompt, 0, token] += 1
        w, a = numpy_separation(values, ["a", "a", "b"])
        within.append(w)
        across.append(a)
    base = rs.baselines.token_pool(traces, repetitions=20_000)
    assert base.within.mean == pytest.approx(np.mean(within), abs=0.01)
    assert base.within.sd == pytest.approx(np.std(within), abs=0.01)
    assert base.across.mean == pytest.approx(np.mean(across), abs=0.01)
    reached = np.subtract(within, across) >= base.observed.within.mean - base.observed.across.mean - 1e-12
    assert base.p_value.value == pytest.approx(reached.mean(), abs=0.015)


def test_token_pool_takes_the_token_set_and_the_weighting():
    traces = random_traces(8)
    for tokens in ("all", "prompt", "generation"):
        base = rs.baselines.token_pool(traces, tokens=tokens, repetitions=20)
        sigs = rs.signatures(traces, tokens=tokens)
        assert base.observed.within.mean == rs.separation(sigs).within.mean
        assert (base.tokens == sigs.num_tokens).all()
    gate = rs.baselines.token_pool(traces, weighting="gate", repetitions=20)
    assert gate.observed.cohens_d == rs.separation(rs.signatures(traces, weighting="gate")).cohens_d
    assert gate.within.mean != rs.baselines.token_pool(traces, repetitions=20).within.mean


def test_traces_are_taken_as_their_signatures():
    traces = random_traces(8)
    sigs = rs.signatures(traces)
    for null in (rs.baselines.permutation, rs.baselines.load_balance, rs.baselines.marginal):
        assert null(traces, repetitions=9).within.values.tolist() == null(sigs, repetitions=9).within.values.tolist()
    assert (rs.baselines.load_balance(traces, repetitions=1).tokens == sigs.num_tokens).all()


def test_best_experts_alone_draw_one_expert_a_token():
    sigs = rs.signatures(random_traces(8, tokens=30), weighting="top1")
    base = rs.baselines.load_balance(sigs, repetitions=200)
    assert (base.tokens == sigs.num_tokens).all()
    form = [
        rs.baselines.load_balance_similarity(int(a), int(b), 16, 1)
        for (i, a), (j, b) in itertools.combinations(enumerate(sigs.num_tokens), 2)
        if sigs.tasks[i] == sigs.tasks[j]
    ]
    assert base.closed_form.within == pytest.approx(np.mean(form), abs=1e-12)
    assert base.within.mean == pytest.approx(base.closed_form.within, abs=0.01)


def test_within_above_load_balance_fails_on_long_texts():
    """The same preferences, brief and at length: the paper's ordering depends on T, at the break-even length."""
    brief = rs.baselines.load_balance(preferring([10] * 10, strength=3, own=1), repetitions=50)
    long = rs.baselines.load_balance(preferring([1500] * 10, strength=3, own=1), repetitions=50)
    assert brief.observed.within.mean > brief.within.high
    assert long.observed.within.mean < long.within.low
    assert 10 < long.break_even.tokens < 1500
    at = long.break_even.tokens
    assert long.break_even.within / (1 + long.break_even.model_ratio / at) == pytest.approx(
        rs.baselines.load_balance_similarity(at, at, EXPERTS, TOP_K)
    )
    around = [round(at / 3), round(at * 3)]
    below, above = (rs.baselines.load_balance(preferring([t] * 10, 3, 1, seed=5), repetitions=20) for t in around)
    assert below.observed.within.mean > below.within.mean
    assert above.observed.within.mean < above.within.mean


def test_prompt_order_and_names_of_experts_and_layers_do_not_matter():
    sigs = preferring([9, 14, 20, 11, 17, 30, 12, 13])
    random = np.random.default_rng(4)
    order = random.permutation(8)
    experts = np.array([random.permutation(EXPERTS) for _ in range(LAYERS)])
    counts = np.take_along_axis(sigs.counts[order], np.broadcast_to(experts, sigs.counts.shape), axis=2)[:, [2, 0, 1]]
    renamed = rs.SignatureSet.from_counts(counts, tasks=[sigs.tasks[i] for i in order], top_k=TOP_K)
    for null in (rs.baselines.permutation, rs.baselines.load_balance, rs.baselines.marginal):
        a, b = null(sigs, repetitions=300), null(renamed, repetitions=300)
        assert a.observed.cohens_d == pytest.approx(b.observed.cohens_d, rel=1e-9)
        for key in ("within", "across", "difference"):
            assert getattr(a.closed_form, key) == pytest.approx(getattr(b.closed_form, key), abs=1e-12)
        assert_same_distribution(a.difference, b.difference.values)


def test_threads_do_not_change_a_byte_and_seeds_do():
    traces = random_traces(10)

    def everything(seed):
        nulls = (rs.baselines.permutation, rs.baselines.load_balance, rs.baselines.marginal, rs.baselines.token_pool)
        bases = [null(traces, repetitions=17, seed=seed) for null in nulls]
        return b"".join(b.within.values.tobytes() + b.cohens_d.values.tobytes() for b in bases)

    rs.set_num_threads(1)
    one = everything(3)
    for threads in (2, 3):
        rs.set_num_threads(threads)
        assert everything(3) == one
    rs.set_num_threads(0)
    assert everything(4) != one


def test_spread_is_over_repetitions_and_pair_sd_over_pairs():
    base = rs.baselines.load_balance(preferring([9, 14, 20, 11, 17, 30]), repetitions=200)
    for name in ("within", "across", "difference", "cohens_d"):
        column = getattr(base, name)
        assert column.mean == pytest.approx(column.values.mean())
        assert column.sd == pytest.approx(column.values.std(ddof=1))
        np.testing.assert_allclose((column.low, column.high), np.quantile(column.values, (0.025, 0.975)))
    np.testing.assert_allclose(base.difference.values, base.within.values - base.across.values, atol=1e-15)
    assert base.within_pair_sd > 1.5 * base.within.sd  # 6 pairs a repetition
    assert "within_pair_sd" not in base.absent


def test_what_is_undefined_is_none_with_a_reason():
    sigs = preferring([9, 14, 20, 11])
    one_task = rs.SignatureSet.from_counts(sigs.counts, tasks=["a"] * 4, top_k=TOP_K)
    base = rs.baselines.marginal(one_task, repetitions=5)
    assert base.across is None
    assert base.absent["across"] == "there are fewer than two tasks"
    assert {"difference", "cohens_d", "p_value", "across_pair_sd"} <= set(base.absent)
    assert base.within is not None
    singles = rs.SignatureSet.from_counts(sigs.counts, tasks=["a", "b", "c", "d"], top_k=TOP_K)
    base = rs.baselines.load_balance(singles, repetitions=5)
    assert base.within is None
    assert base.absent["within"] == "no two prompts share a task"
    assert "two prompts" in base.absent["break_even"]
    assert base.across is not None
    undrawn = rs.baselines.permutation(sigs, repetitions=0)
    assert undrawn.closed_form.within_sd > 0
    assert undrawn.absent["within"] == "repetitions is 0: nothing was drawn"
    assert "concentration" in undrawn.absent["p_value"]
    assert rs.baselines.load_balance(preferring([5, 5, 5, 5]), repetitions=1).break_even is None
    pool = rs.baselines.token_pool(random_traces(4), repetitions=5)
    assert pool.closed_form is None
    assert "closed form" in pool.absent["closed_form"]


def test_every_none_has_a_reason():
    traces = random_traces(4)
    for null in (rs.baselines.permutation, rs.baselines.load_balance, rs.baselines.marginal, rs.baselines.token_pool):
        for repetitions in (0, 1, 9):
            base = null(traces, repetitions=repetitions)
            fields = {name for name, value in vars(base).items() if value is None}
            assert fields == {key for key in base.absent if "." not in key}


def test_prompts_without_task_or_tokens_are_left_out_and_named():
    counts = preferring([9, 14, 20, 11, 17, 30]).counts.copy()
    counts[3] = 0
    tasks = ["a", "b", None, "b", "a", "b"]
    sigs = rs.SignatureSet.from_counts(counts, tasks=tasks, ids=list("pqrstu"), top_k=TOP_K)
    base = rs.baselines.load_balance(sigs, repetitions=5)
    assert base.left_out == [("r", "no task"), ("s", "no token with known routing")]
    assert base.tokens.tolist() == [9, 14, 17, 30]
    assert base.observed.within.pairs + base.observed.across.pairs == 6
    keep = [0, 1, 4, 5]
    alone = rs.SignatureSet.from_counts(counts[keep], tasks=[tasks[i] for i in keep], top_k=TOP_K)
    assert base.within.values.tolist() == rs.baselines.load_balance(alone, repetitions=5).within.values.tolist()
    nothing = rs.baselines.marginal(rs.SignatureSet.from_counts(counts, top_k=TOP_K), repetitions=5)
    assert len(nothing.left_out) == 6
    assert nothing.within is None
    assert nothing.token_range is None


def test_layers_with_unknown_rows_draw_as_many_tokens_as_are_known():
    experts = random_experts(2, 20, 8, 2, seed=0).astype(int)
    experts[1, 5:] = -1
    make = rs.RoutingTrace.from_arrays
    traces = rs.TraceSet([make(experts, num_experts=8, id=str(i), task="ab"[i % 2]) for i in range(4)])
    base = rs.baselines.load_balance(traces, repetitions=300)
    form = (rs.baselines.load_balance_similarity(20, 20, 8, 2) + rs.baselines.load_balance_similarity(5, 5, 8, 2)) / 2
    assert base.closed_form.within == pytest.approx(form)
    assert base.within.mean == pytest.approx(form, abs=0.015)
    assert base.tokens.tolist() == [20] * 4


def test_experts_a_token_may_come_from_the_number_of_tokens():
    counts = np.full((6, 2, 4), 5)
    known = rs.SignatureSet.from_counts(counts, tasks=["a", "b"] * 3, top_k=2)
    told = rs.SignatureSet.from_counts(counts, tasks=["a", "b"] * 3, num_tokens=[10] * 6)
    for null in (rs.baselines.load_balance, rs.baselines.marginal):
        one, other = null(known, repetitions=5), null(told, repetitions=5)
        assert (one.within.values == other.within.values).all()
        assert one.token_range == other.token_range == (10, 10.0, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: rs.baselines.load_balance(s, draws="twice"), "expected draws to be one of distinct, with_repl"),
        (lambda s: rs.baselines.load_balance(s, repetitions=-1), "expected repetitions from 0"),
        (lambda s: rs.baselines.marginal(s, seed=-1), "expected seed from 0"),
        (
            lambda s: rs.baselines.load_balance(rs.SignatureSet.from_counts(s.counts, tasks=s.tasks)),
            "expected signatures that know top_k",
        ),
        (
            lambda s: rs.baselines.marginal(rs.SignatureSet.from_counts([[[9, 1, 0]]] * 2, tasks=["a", "b"], top_k=2)),
            "got expert 0 in 18 of 20 selections",
        ),
        (lambda s: rs.baselines.load_balance(rs.signatures(random_traces(), weighting="gate")), "got gate weighting"),
        (lambda s: rs.baselines.token_pool(random_traces(), tokens="some"), "expected tokens to be one of all"),
        (lambda s: rs.baselines.load_balance_similarity(8, 8, 4, 5), "expected top_k from 1 to 4"),
        (lambda s: rs.baselines.permutation_moments([0.5, 0.5], [1.0]), "expected two signatures of one shape"),
        (lambda s: rs.baselines.permutation_moments([np.nan, 1], [1, 0]), "expected finite signatures"),
    ],
)
def test_what_does_not_fit_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call(preferring([9, 14, 20, 11]))


def test_signatures_that_are_not_finite_are_refused():
    sigs = preferring([9, 14, 20, 11])
    sigs = with_value(sigs, (1, 0, 0), np.nan)
    with pytest.raises(ValueError, match="expected finite signatures, got nan"):
        rs.baselines.permutation(sigs)


def test_permutation_takes_gate_weights_and_unknown_top_k():
    gate = rs.baselines.permutation(rs.signatures(random_traces(), weighting="gate"), repetitions=5)
    assert gate.token_range == (10, 12.5, 15)
    bare = rs.SignatureSet.from_counts(preferring([9, 14, 20, 11]).counts, tasks=list("aabb"))
    base = rs.baselines.permutation(bare, repetitions=5)
    assert base.tokens is None
    assert base.token_range is None
    assert "top_k" in base.absent["tokens"]


def test_progress_is_told_and_shown(capsys):
    rs.set_num_threads(1)  # progress is told by the calling thread, which may otherwise have nothing to do
    base = rs.baselines.load_balance(preferring([9, 14, 20, 11]), repetitions=30, progress=True)
    rs.set_num_threads(0)
    assert "load balance baseline: 100%" in capsys.readouterr().err
    assert base.repetitions == 30


def test_long_work_can_be_interrupted():
    def interrupted(done, total):
        raise KeyboardInterrupt

    sigs = preferring([9, 14, 20, 11])
    rs.set_num_threads(1)
    with pytest.raises(KeyboardInterrupt):
        _core.marginal_baseline(sigs.counts, TOP_K, [0, 1, 0, 1], [], repetitions=10**6, seed=0, progress=interrupted)
    rs.set_num_threads(0)


def test_a_baseline_says_what_it_is():
    text = repr(rs.baselines.load_balance(preferring([9, 14, 20, 11]), repetitions=7, seed=2))
    assert text.startswith("Baseline('load_balance', within=0.")
    assert text.endswith("tokens=9/12.5/20, repetitions=7, seed=2)")
    assert repr(rs.baselines.permutation(preferring([9, 14]), repetitions=2).across).startswith("Distribution(mean=")


def test_real_tokens_are_not_exchangeable_between_kinds_of_text(repository):
    """Real OLMoE decoding of four kinds of text, cut into pieces of 32 tokens."""
    path = repository.parent / "shared/realdata/olmoe_decode_traces.npz"
    if not path.is_file():
        pytest.skip("the real routing data is not beside this checkout")
    with np.load(path, allow_pickle=False) as file:
        kinds = {name: file[name][:256] for name in file.files if file[name].ndim == 3}
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(piece, num_experts=64, axes="tlk", ranked=False, id=f"{kind}-{i}", task=kind)
            for kind, ids in kinds.items()
            for i, piece in enumerate(np.split(ids, 8))
        ]
    )
    pool = rs.baselines.token_pool(traces, repetitions=99)
    assert pool.p_value.value == pool.p_value.floor
    assert pool.difference.high < 0.2 * (pool.observed.within.mean - pool.observed.across.mean)
    marginal = rs.baselines.marginal(traces, repetitions=20)
    assert marginal.within.mean == pytest.approx(marginal.closed_form.within, abs=0.004)
    assert marginal.within.mean == pytest.approx(pool.within.mean, abs=0.01)
