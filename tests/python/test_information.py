"""Information bounds and estimates, against SciPy, scikit-learn and their definitions."""

import importlib
import itertools

import numpy as np
import pytest
from scipy.stats import beta, entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import routesig as rs
from support import random_traces, with_value


def test_log_loss_bound_equals_scikit_learn():
    random = np.random.default_rng(0)
    q = random.dirichlet([1, 1, 1], 50)
    labels = random.choice(["a", "b", "c"], 50, p=[0.6, 0.3, 0.1]).tolist()
    found = rs.information.log_loss_bound(q, labels, floor=0.0)
    shares = [labels.count(name) / 50 for name in "abc"]
    assert found.entropy_bits == pytest.approx(entropy(shares, base=2))
    assert found.loss_bits == pytest.approx(log_loss(labels, q) / np.log(2))
    assert found.unclipped_bits == pytest.approx(found.entropy_bits - found.loss_bits)
    assert found.bits == max(0.0, found.unclipped_bits)
    losses = -np.log2(q[np.arange(50), ["abc".index(label) for label in labels]])
    assert found.standard_error == pytest.approx(losses.std(ddof=1) / np.sqrt(50))
    floored = rs.information.log_loss_bound(q, labels)
    assert floored.loss_bits == pytest.approx(log_loss(labels, 0.99 * q + 0.01 / 3) / np.log(2))


def test_log_loss_bound_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"labels among the classes \['a'\], got 'b'"):
        rs.information.log_loss_bound([[1.0]], ["b"], ["a"])
    with pytest.raises(ValueError, match=r"sum to 1, got 0\.9 for prompt 0"):
        rs.information.log_loss_bound([[0.5, 0.4]], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="floor above 0"):
        rs.information.log_loss_bound([[0.0, 1.0]], ["a"], ["a", "b"], floor=0.0)
    with pytest.raises(ValueError, match=r"\[prompts, classes\], got 1 axes"):
        rs.information.log_loss_bound([1.0], ["a"])
    with pytest.raises(ValueError, match="at least one prompt"):
        rs.information.log_loss_bound(np.empty((0, 2)), [], ["a", "b"])


def test_fano_of_six_errors_in_eighty():
    found = rs.information.fano_bound(6, 80, 4)
    assert found.point_bits == pytest.approx(1.497, abs=5e-4)
    assert found.valid_bits == pytest.approx(1.183, abs=5e-4)


@pytest.mark.parametrize(("errors", "n", "confidence"), [(0, 80, 0.95), (6, 80, 0.95), (31, 400, 0.9), (79, 80, 0.99)])
def test_upper_error_equals_scipy(errors, n, confidence):
    found = rs.information.fano_bound(errors, n, 4, confidence=confidence)
    assert found.upper_error == pytest.approx(beta.ppf(confidence, errors + 1, n - errors), abs=1e-9)


def plug_in(values, labels):
    labels = np.asarray(labels)
    shares = {c: (labels == c).mean() for c in np.unique(labels)}
    means = {c: values[labels == c].mean(axis=0) for c in shares}
    return entropy(sum(shares[c] * means[c] for c in shares), base=2) - sum(
        shares[c] * entropy(means[c], base=2) for c in shares
    )


def test_layer_information_equals_its_definition():
    sigs = rs.signatures(random_traces(12))
    found = rs.information.layer_information(sigs, permutations=400, groups=False)
    for layer, one in enumerate(found):
        values = sigs.values[:, layer]
        assert one.plug_in == pytest.approx(plug_in(values, sigs.tasks), abs=1e-12)
        random = np.random.default_rng(layer)
        null = np.mean([plug_in(values, random.permutation(sigs.tasks)) for _ in range(400)])
        assert one.null_mean == pytest.approx(null, rel=0.05)
        assert one.corrected == pytest.approx((one.plug_in - one.null_mean) * 11 / 10)
        assert one.p_value.floor == 1 / 401
        assert 0 < one.p_value <= 1
        assert (one.prompts, one.unit, one.units, one.absent) == (12, "prompts", 12, {})


def test_layer_information_does_not_depend_on_order_names_or_threads():
    sigs = rs.signatures(random_traces(12))
    found = rs.information.layer_information(sigs, permutations=50, seed=3, groups=False)
    turned = rs.information.layer_information(sigs[::-1], permutations=50, seed=3, groups=False)
    renamed = rs.information.layer_information(
        sigs, tasks=[{"code": "x", "math": "y"}[t] for t in sigs.tasks], permutations=50, seed=3, groups=False
    )
    assert [one.plug_in for one in turned] == pytest.approx([one.plug_in for one in found])
    assert [one.standard_error for one in turned] == pytest.approx([one.standard_error for one in found])
    assert renamed == found
    for threads in (1, 2, 3):
        rs.set_num_threads(threads)
        assert rs.information.layer_information(sigs, permutations=50, seed=3, groups=False, progress=True) == found
    rs.set_num_threads(0)
    assert rs.information.layer_information(sigs, permutations=50, seed=4, groups=False) != found


def test_layer_information_is_absent_with_a_reason():
    sigs = rs.SignatureSet.from_counts([[[1, 0]], [[0, 1]], [[1, 1]]], tasks=["a", "b", None])
    found = rs.information.layer_information(sigs)[0]
    assert (found.prompts, found.plug_in, found.corrected, found.p_value) == (2, None, None, None)
    assert found.absent["corrected"].endswith("more prompts than tasks, got 2 prompts")
    plain = rs.information.layer_information(sigs, tasks=["a", "b", "b"], permutations=0)[0]
    assert plain.plug_in is not None
    assert plain.corrected is None
    assert plain.absent["corrected"] == "permutations=0"
    with pytest.raises(ValueError, match="expected tasks for 3 prompts, got 2"):
        rs.information.layer_information(sigs, tasks=["a", "b"])
    with pytest.raises(ValueError, match="permutations from 0 to"):
        rs.information.layer_information(sigs, permutations=-1)


def test_layer_information_permutes_whole_groups():
    """Templates that differ tell tasks apart by themselves, unless they are permuted whole."""
    random = np.random.default_rng(0)
    rejected = {None: 0, False: 0}
    for seed in range(40):
        rates = 20 * random.dirichlet(np.full(6, 2.0), size=(8, 1)).repeat(4, axis=0)
        sigs = rs.SignatureSet.from_counts(
            random.poisson(rates), tasks=["a"] * 16 + ["b"] * 16, groups=[f"t{i // 4}" for i in range(32)]
        )
        for groups in rejected:
            found = rs.information.layer_information(sigs, permutations=199, seed=seed, groups=groups)[0]
            rejected[groups] += found.p_value <= 0.05
        assert (found.unit, found.units) == ("prompts", 32)
    assert rejected[None] <= 7  # binomial(40, .05): 99.9 % quantile 8
    assert rejected[False] > 20
    found = rs.information.layer_information(sigs, permutations=199)[0]
    assert (found.unit, found.units, found.prompts) == ("groups", 8, 32)
    labellings = [np.isin(np.arange(32) // 4, chosen) for chosen in itertools.combinations(range(8), 4)]
    null = np.array([plug_in(sigs.values[:, 0], list(map(str, labels))) for labels in labellings])
    assert found.null_mean == pytest.approx(null.mean(), abs=1e-12)
    assert found.p_value.value == pytest.approx((null >= found.plug_in - 1e-12).mean())
    assert found.p_value.floor == 2 / 70
    assert found.corrected == pytest.approx((found.plug_in - null.mean()) * 7 / 6)
    few = rs.information.layer_information(sigs[[0, 1, 16, 17]])[0]
    assert few.absent["corrected"] == "expected groups of two tasks or more, and more groups than tasks, got 2 groups"
    with pytest.raises(ValueError, match="expected every group within one task, got group 't0' in 'a' and 'b'"):
        rs.information.layer_information(sigs, tasks=["a", "b"] * 16)


def test_what_is_not_finite_or_no_whole_number_is_one_sentence():
    sigs = rs.SignatureSet.from_counts([[[1, 0]], [[0, 1]], [[1, 1]]], tasks=["a", "b", "a"])
    for option in ("permutations", "seed"):
        with pytest.raises(ValueError, match=f"information: expected {option} from 0 to"):
            rs.information.layer_information(sigs, **{option: -1})
    sigs = with_value(sigs, (0, 0, 0), np.nan)
    with pytest.raises(ValueError, match="information: expected finite values, got nan"):
        rs.information.layer_information(sigs)
    with pytest.raises(ValueError, match=r"expected errors to be a whole number, got 6\.5"):
        rs.information.fano_bound(6.5, 80, 4)
    with pytest.raises(ValueError, match="expected errors from 0 to"):
        rs.information.fano_bound(-1, 80, 4)
    for bits in (-1.0, 2.5, np.nan):
        with pytest.raises(ValueError, match=r"expected an entropy from 0 to 2 bits \(4 classes\)"):
            rs.information.fano_bound(6, 80, 4, entropy=bits)
    with pytest.raises(ValueError, match="expected a label for every prompt, got None"):
        rs.information.log_loss_bound([[0.5, 0.5]] * 2, ["a", None])


def planted_traces(n=40, tokens=24, start=6):
    """Two tasks that route alike for `start` tokens and differently afterwards; token ids say nothing."""
    random = np.random.default_rng(1)
    out = []
    for i in range(n):
        likely = np.arange(8)[None, :] // 4 == i % 2
        odds = np.where(likely & (np.arange(tokens)[:, None] >= start), 4.0, 1.0)
        keys = np.log(random.random((tokens, 8))) / odds
        out.append(
            rs.RoutingTrace.from_arrays(
                keys.argsort(axis=1)[None, :, -2:],
                num_experts=8,
                token_ids=random.integers(0, 5, tokens),
                id=str(i),
                task=("a", "b")[i % 2],
            )
        )
    return rs.TraceSet(out)


def test_evidence_appears_where_the_tasks_part():
    found = rs.information.evidence_over_tokens(
        planted_traces(), LogisticRegression(C=0.1), prefixes=[1, 6, 12, 24], threshold=0.3
    )
    signature = found.bits["signature"]
    assert signature[:2].max() < 0.2
    assert signature[3] > 0.4
    assert found.reached["signature"] in (12, 24)
    assert found.bits["length"].max() == 0
    assert (found.reached["bag"], found.reached["length"]) == (None, None)
    assert (found.ended, found.entropy_bits, found.left_out) == ([0, 0, 0, 0], 1.0, 0)
    assert (found.unclipped_bits["bag"] <= found.bits["bag"]).all()
    assert repr(found).startswith("Evidence(bits after 24 tokens: signature 0.")


def test_evidence_of_whole_texts_equals_a_bound_worked_by_hand():
    traces = planted_traces(20)
    fold = [i // 2 % 4 for i in range(20)]
    found = rs.information.evidence_over_tokens(
        traces, lambda: LogisticRegression(), prefixes=[24], features=["signature"], folds=fold
    )
    x = rs.signatures(traces).values.reshape(20, -1)
    q = np.zeros((20, 2))
    for one in range(4):
        test = np.array(fold) == one
        mean, scale = x[~test].mean(axis=0), x[~test].std(axis=0)
        scale[scale == 0] = 1
        fitted = LogisticRegression().fit((x[~test] - mean) / scale, np.array(traces.tasks)[~test])
        q[test] = fitted.predict_proba((x[test] - mean) / scale)
    by_hand = rs.information.log_loss_bound(q, traces.tasks)
    assert found.unclipped_bits["signature"][0] == pytest.approx(by_hand.unclipped_bits, abs=1e-9)
    assert found.standard_error["signature"][0] == pytest.approx(by_hand.standard_error, abs=1e-9)


def test_texts_that_end_tell_their_task_by_length():
    ids = np.zeros((1, 30, 1), dtype=int)
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(ids[:, : (10, 30)[i % 2]], num_experts=2, id=str(i), task=("a", "b")[i % 2])
            for i in range(20)
        ]
    )
    found = rs.information.evidence_over_tokens(traces, LogisticRegression())
    assert found.prefixes == [1, 2, 3, 4, 6, 8, 12, 16, 24, 30]
    assert found.ended[-4:] == [10, 10, 10, 10]
    assert found.bits["length"][:6].max() == 0
    assert found.bits["length"][-1] > 0.8
    assert found.absent == {"bag": "some traces have no token ids"}
    assert set(found.bits) == {"signature", "length"}


def test_evidence_takes_our_logistic_regression_where_none_is_given():
    options = {"prefixes": [6, 24], "features": ["signature"], "folds": 4}
    ours = rs.information.evidence_over_tokens(planted_traces(20), rs.LogisticRegression(), **options)
    default = rs.information.evidence_over_tokens(planted_traces(20), **options)
    np.testing.assert_array_equal(default.bits["signature"], ours.bits["signature"])


def test_evidence_keeps_groups_together_and_leaves_unlabelled_traces_out():
    seen = []

    class Spy(LogisticRegression):
        def fit(self, x, y):
            seen.append(len(x))
            return super().fit(x, y)

    traces = planted_traces(24)
    grouped = [
        rs.RoutingTrace.from_arrays(
            np.asarray(t.experts), num_experts=8, id=t.id, task=t.task if i < 20 else None, group=f"{t.task}{i // 10}"
        )
        for i, t in enumerate(traces)
    ]
    found = rs.information.evidence_over_tokens(
        rs.TraceSet(grouped), Spy, prefixes=[24], features=["signature"], folds=4
    )
    assert found.left_out == 4
    assert seen == [15, 15, 15, 15]  # 4 groups of 5 prompts: one a fold


def test_evidence_refuses_what_does_not_fit():
    traces, model = planted_traces(8), LogisticRegression()
    one_task = rs.TraceSet([t for t in traces if t.task == "a"])
    for message, run in {
        "prompts of at least two tasks, got 1": lambda: rs.information.evidence_over_tokens(one_task, model),
        "features among signature, bag, length, got": lambda: rs.information.evidence_over_tokens(
            traces, model, features=["words"]
        ),
        "prefixes of 1 token or more": lambda: rs.information.evidence_over_tokens(traces, model, prefixes=[0]),
        "expected 2 to 8 folds": lambda: rs.information.evidence_over_tokens(traces, model, folds=9),
        "fold of each of 8 prompts, got 2": lambda: rs.information.evidence_over_tokens(traces, model, folds=[0, 1]),
        "at least 2 different folds": lambda: rs.information.evidence_over_tokens(traces, model, folds=[0] * 8),
        "tokens to be one of all": lambda: rs.information.evidence_over_tokens(traces, model, tokens="some"),
        "evidence: expected seed from 0 to": lambda: rs.information.evidence_over_tokens(traces, model, seed=-1),
    }.items():
        with pytest.raises(ValueError, match=message):
            run()


def test_the_namespace_offers_what_it_lists():
    module = importlib.import_module("routesig.information")
    assert rs.information is module
    for name in module.__all__:
        assert getattr(module, name).__doc__
