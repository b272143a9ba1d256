"""Bag of tokens and length, against scikit-learn and SciPy, beside the signature on the same folds."""

import itertools

import numpy as np
import pytest

import routesig as rs
from routesig.controls import TextControl, bag_of_tokens, length
from routesig.controls._text import _token_counts
from support import random_experts

TASKS = ("code", "math")


def traces_of(prompts=40, words=0.0, routing=0.0, longer=0, seed=0, group=None):
    """Tasks in turn; `words`, `routing`: the share of tokens and of top-1 experts that the task decides."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(prompts):
        task = i % 2
        tokens = 12 + longer * task + int(rng.integers(0, 3))
        ids = np.where(rng.random(tokens) < words, 100 + 20 * task, 0) + rng.integers(0, 20, tokens)
        experts = random_experts(2, tokens, 8, 2, seed * 1000 + i)
        told = rng.random((2, tokens)) < routing
        experts[told] = [task, task + 4]
        out.append(
            rs.RoutingTrace.from_arrays(
                experts,
                num_experts=8,
                token_ids=ids,
                prompt_tokens=tokens // 2,
                id=f"p{i}",
                task=TASKS[task],
                group=None if group is None else group(i),
            )
        )
    return rs.TraceSet(out)


def test_words_alone_are_found_by_the_bag_and_not_by_the_signature():
    found = bag_of_tokens(traces_of(words=0.7), seed=1)
    assert found.control.accuracy > 0.9
    assert found.signature.accuracy < 0.75
    assert found.difference == pytest.approx((found.signature.hits - found.control.hits) / 40)
    assert found.interval[1] < 0
    assert found.p_value.value < 0.05
    assert found.p_value.floor == pytest.approx(min(1.0, 2.0 / 2 ** (found.only_control + found.only_signature)))
    assert len(found.choices["control"]) == len(found.choices["signature"]) == 5
    assert "difference -0." in repr(found)


def test_routing_alone_is_found_by_the_signature_on_the_folds_of_classify():
    traces = traces_of(routing=0.7)
    found = bag_of_tokens(traces, seed=1)
    assert found.signature.accuracy > 0.9
    assert found.difference > 0.15
    expected = rs.classify(rs.signatures(traces), seed=1).folds
    assert (found.signature.folds == expected).all()
    assert (found.control.folds == expected).all()


def test_mcnemar_is_scipys_binomial_test():
    stats = pytest.importorskip("scipy.stats")
    found = bag_of_tokens(traces_of(words=0.3, routing=0.3), folds=4)
    discordant = found.only_signature + found.only_control
    expected = stats.binomtest(found.only_signature, discordant).pvalue if discordant else 1.0
    assert found.p_value.value == pytest.approx(expected)


def test_preparations_are_scikit_learns():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    bayes = pytest.importorskip("sklearn.naive_bayes")
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import normalize

    traces = traces_of(words=0.25, seed=4)
    counts = _token_counts(traces, "all")
    labels = np.arange(40) % 2
    fold = np.arange(40) // 10
    inner = rs._core.FoldPlan(2)
    models = {
        "log1p": (np.log1p, lambda: LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000)),
        "l2": (normalize, lambda: LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000)),
        "tf-idf": (None, lambda: LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000)),
        "naive Bayes": (lambda x: x, bayes.MultinomialNB),
    }
    for name, (prepare, model) in models.items():
        ours, _ = rs._core.tuned_cross_validation([(counts, name)], labels.tolist(), fold.tolist(), inner, c=[1.0])
        theirs = np.zeros(40, int)
        for f in range(4):
            train = fold != f
            if prepare is None:
                idf = text.TfidfTransformer(sublinear_tf=True).fit(counts[train])
                x = idf.transform(counts).toarray()
            else:
                x = prepare(counts)
            theirs[~train] = model().fit(x[train], labels[train]).predict(x[~train])
        assert ours == theirs.tolist(), name


def test_token_counts_follow_the_token_set():
    traces = traces_of(prompts=3)
    everything, prompt, generated = (_token_counts(traces, what) for what in ("all", "prompt", "generation"))
    assert everything.sum(axis=1).tolist() == [len(t) for t in traces]
    assert prompt.sum() + generated.sum() == everything.sum()
    ids, amounts = np.unique(traces[0].token_ids, return_counts=True)
    vocabulary = np.unique(np.concatenate([np.asarray(t.token_ids) for t in traces]))
    assert everything[0, np.searchsorted(vocabulary, ids)].tolist() == amounts.tolist()


def test_length_alone_is_found_where_tasks_differ_in_length():
    different, equal = length(traces_of(longer=10)), length(traces_of())
    assert set(different) == {"prompt", "all"}
    assert different["all"].control.accuracy == 1.0
    assert equal["all"].control.accuracy < 0.8
    assert isinstance(equal["prompt"], TextControl)
    assert equal["prompt"].choices == {}


def test_groups_stay_whole_inside_and_outside():
    traces = traces_of(words=0.5, group=lambda i: f"{i % 2}-{i // 8}")
    found = bag_of_tokens(traces, folds=3)
    groups = [trace.group for trace in traces]
    for group in set(groups):
        assert len(set(found.control.folds[[g == group for g in groups]])) == 1
    independent = bag_of_tokens(traces, folds=3, groups=None)
    assert (independent.control.folds != found.control.folds).any()


def test_same_result_on_any_number_of_threads():
    traces = traces_of(prompts=24, words=0.3, routing=0.3)
    found = []
    for threads in (1, 3):
        rs.set_num_threads(threads)
        one = bag_of_tokens(traces, folds=3, bootstrap=200)
        found.append((one.control.predictions, one.signature.predictions, one.interval, one.choices))
    rs.set_num_threads(0)
    assert found[0] == found[1]


def test_what_is_undefined_is_absent_with_a_reason():
    ids = random_experts(1, 5, 4, 2, 0)
    bare = rs.TraceSet(
        [rs.RoutingTrace.from_arrays(ids, num_experts=4, id=f"p{i}", task="ab"[i % 2]) for i in range(6)]
    )
    found = bag_of_tokens(bare, folds=2)
    assert found.difference is None
    assert found.absent["difference"] == "trace 'p0' has no token ids"
    assert "no token ids" in repr(found)
    one_task = traces_of(prompts=8)[::2]
    assert "two tasks or more" in bag_of_tokens(one_task, folds=2).absent["p_value"]
    assert "two tasks or more" in length(one_task, folds=2)["all"].absent["difference"]


def test_options_that_do_not_fit_are_one_sentence():
    traces = traces_of(prompts=8)
    with pytest.raises(ValueError, match="expected penalties above 0"):
        bag_of_tokens(traces, penalties=[0.0])
    with pytest.raises(ValueError, match="signatures of the same 8 traces"):
        bag_of_tokens(traces, rs.signatures(traces)[1:])
    with pytest.raises(ValueError, match="signatures of tokens='all', got 'prompt'"):
        length(traces, rs.signatures(traces, tokens="prompt"))


def test_groups_swap_their_hits_whole():
    traces = traces_of(words=0.2, routing=0.25, group=lambda i: f"{i % 2}-{i // 8}")
    found = bag_of_tokens(traces, folds=3)
    sigs = rs.signatures(traces)
    right = [
        np.array([guess == task for guess, task in zip(one.predictions, sigs.tasks, strict=True)], dtype=int)
        for one in (found.signature, found.control)
    ]
    names = np.array(sigs.groups)
    differences = np.array([(right[0] - right[1])[names == name].sum() for name in sorted(set(names))])
    differences = differences[differences != 0]
    assert len(differences) > 3
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    sums = signs @ np.abs(differences)
    assert found.p_value.value == pytest.approx((np.abs(sums) >= abs(differences.sum())).mean())
    assert found.p_value.floor == pytest.approx(2.0 ** (1 - len(differences)))
