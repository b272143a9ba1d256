"""Information bounds and estimates, against SciPy, scikit-learn and their definitions."""

import importlib

import numpy as np
import pytest
from scipy.stats import beta, entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import routesig as rs
from support import random_traces


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
    found = rs.information.layer_information(sigs, permutations=400)
    for layer, one in enumerate(found):
        values = sigs.values[:, layer]
        assert one.plug_in == pytest.approx(plug_in(values, sigs.tasks), abs=1e-12)
        random = np.random.default_rng(layer)
        null = np.mean([plug_in(values, random.permutation(sigs.tasks)) for _ in range(400)])
        assert one.null_mean == pytest.approx(null, rel=0.05)
        assert one.corrected == pytest.approx((one.plug_in - one.null_mean) * 11 / 10)
        assert one.p_value.floor == 1 / 401
        assert 0 < one.p_value <= 1
        assert (one.prompts, one.absent) == (12, {})


def test_layer_information_does_not_depend_on_order_names_or_threads():
    sigs = rs.signatures(random_traces(12))
    found = rs.information.layer_information(sigs, permutations=50, seed=3)
    turned = rs.information.layer_information(sigs[::-1], permutations=50, seed=3)
    renamed = rs.information.layer_information(
        sigs, tasks=[{"code": "x", "math": "y"}[t] for t in sigs.tasks], permutations=50, seed=3
    )
    assert [one.plug_in for one in turned] == pytest.approx([one.plug_in for one in found])
    assert [one.standard_error for one in turned] == pytest.approx([one.standard_error for one in found])
    assert renamed == found
    for threads in (1, 2, 3):
        rs.set_num_threads(threads)
        assert rs.information.layer_information(sigs, permutations=50, seed=3, progress=True) == found
    rs.set_num_threads(0)
    assert rs.information.layer_information(sigs, permutations=50, seed=4) != found


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
    with pytest.raises(ValueError, match="permutations of 0 or more"):
        rs.information.layer_information(sigs, permutations=-1)


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
    }.items():
        with pytest.raises(ValueError, match=message):
            run()


def test_the_namespace_offers_what_it_lists():
    module = importlib.import_module("routesig.information")
    assert rs.information is module
    for name in module.__all__:
        assert getattr(module, name).__doc__
