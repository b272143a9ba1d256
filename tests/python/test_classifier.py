"""Classifiers against scikit-learn, and the cross-validated classification of signatures."""

import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import routesig as rs
from support import with_value

sklearn = pytest.importorskip("sklearn")
from scipy.stats import binomtest  # noqa: E402
from sklearn import linear_model, metrics, neighbors  # noqa: E402
from sklearn.model_selection import PredefinedSplit, cross_val_predict  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

FOUR = ["code", "math", "poem", "story"]


def random_set(prompts=40, layers=3, experts=8, tasks=4, effect=6.0, seed=0, **options):
    """Counts of which task t prefers expert t; the tasks are in turn."""
    rng = np.random.default_rng(seed)
    rates = np.full((prompts, layers, experts), 4.0)
    for i in range(prompts):
        rates[i, :, i % tasks] += effect
    tasks = [FOUR[i % tasks] for i in range(prompts)]
    return rs.SignatureSet.from_counts(rng.poisson(rates), tasks=tasks, unequal_layers=True, **options)


def reference(C=1.0, solver="lbfgs"):
    return linear_model.LogisticRegression(C=C, tol=1e-10, max_iter=100_000, solver=solver)


@pytest.mark.parametrize(("rows", "columns"), [(90, 6), (40, 100)])
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("C", [0.05, 1.0, 20.0])
def test_probabilities_are_scikit_learns(rows, columns, classes, C):
    rng = np.random.default_rng(rows + classes)
    x = rng.normal(size=(rows, columns))
    y = np.arange(rows) % classes
    x[:, 0] += y
    # Its lbfgs stops where the objective no longer falls, some 1e-6 from the minimum; its Newton solver goes on.
    ours, theirs = rs.LogisticRegression(C=C).fit(x, y), reference(C, "newton-cholesky").fit(x, y)
    new = rng.normal(size=(50, columns))
    np.testing.assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-7)
    np.testing.assert_allclose(ours.decision_function(new), theirs.decision_function(new), atol=1e-6)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.converged_
    assert (ours.predict(x) == theirs.predict(x)).all()


def test_without_intercept_it_is_scikit_learns_too():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)) + 1.0, rng.integers(0, 3, 60)
    theirs = linear_model.LogisticRegression(tol=1e-10, max_iter=10_000, fit_intercept=False).fit(x, y)
    ours = rs.LogisticRegression(fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-6)


def test_nearest_centroids_are_scikit_learns():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(80, 7)), rng.integers(0, 4, 80)
    ours, theirs = rs.NearestCentroid().fit(x, y), neighbors.NearestCentroid().fit(x, y)
    np.testing.assert_allclose(ours.centroids_, theirs.centroids_, atol=1e-14)
    assert (ours.predict(x) == theirs.predict(x)).all()


@pytest.mark.parametrize(
    "estimator",
    [rs.LogisticRegression(), rs.NearestCentroid(), rs.NearestCentroid(metric="cosine")],
    ids=["LogisticRegression", "NearestCentroid", "NearestCentroid-cosine"],
)
def test_scikit_learns_estimator_checks_pass(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    by_status = {status: [r for r in results if r["status"] == status] for status in ("passed", "failed", "xfail")}
    assert [(r["check_name"], r["exception"]) for r in by_status["failed"] + by_status["xfail"]] == []
    assert len(by_status["passed"]) >= 50  # 53 with scikit-learn 1.9


def test_estimators_refuse_options_that_do_not_fit():
    x, y = np.zeros((4, 6)), [0, 0, 1, 1]
    with pytest.raises(ValueError, match="expected C above 0, got -1"):
        rs.LogisticRegression(C=-1.0).fit(x, y)
    with pytest.raises(ValueError, match="expected metric to be 'euclidean' or 'cosine', got 'city'"):
        rs.NearestCentroid(metric="city").fit(x, y)
    with pytest.raises(ValueError, match="number of layers that divides 6 features, got 4"):
        rs.NearestCentroid(metric="cosine", layers=4).fit(x, y)


def test_classification_by_hand():
    # Two prompts per task and fold; one "a" of fold 1 routes like "b".
    counts = [[[9, 1]], [[8, 2]], [[1, 9]], [[2, 8]], [[9, 1]], [[1, 9]], [[1, 9]], [[2, 8]]]
    sigs = rs.SignatureSet.from_counts(counts, tasks=list("aabbaabb"))
    found = rs.classify(sigs, folds=[0, 0, 0, 0, 1, 1, 1, 1], classifier="nearest_centroid")
    assert found.fold_accuracy.tolist() == [1.0, 0.75]
    assert (found.accuracy, found.accuracy_sd) == (0.875, 0.125)
    assert (found.hits, found.trials, found.chance) == (7, 8, 0.5)
    assert found.confusion.tolist() == [[3, 1], [0, 4]]
    assert found.macro_f1 == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert found.predictions == ["a", "a", "b", "b", "a", "b", "b", "b"]
    assert found.probabilities is None
    assert "no probabilities" in found.absent["probabilities"]
    assert found.p_value is None
    assert "refits=0" in found.absent["p_value"]
    assert repr(found).startswith("Classification(accuracy=0.875 +- 0.125, 7 of 8, 95 % 0.529 to 0.978, chance=0.500)")


def test_classification_is_scikit_learns_pipeline_on_the_same_folds():
    for sigs in (random_set(60, 3, 8), random_set(40, 6, 16)):
        found = rs.classify(sigs, folds=5, seed=3)
        x = sigs.values.reshape(len(sigs), -1)
        y = np.array(sigs.tasks)
        split = PredefinedSplit(found.folds)
        p = cross_val_predict(make_pipeline(StandardScaler(), reference()), x, y, cv=split, method="predict_proba")
        np.testing.assert_allclose(found.probabilities, p, atol=1e-6)
        guess = np.array(found.classes)[p.argmax(axis=1)]
        assert found.predictions == guess.tolist()
        accuracy = [(guess == y)[found.folds == f].mean() for f in range(5)]
        assert found.accuracy == pytest.approx(np.mean(accuracy))
        assert found.accuracy_sd == pytest.approx(np.std(accuracy))
        assert found.macro_f1 == pytest.approx(metrics.f1_score(y, guess, average="macro"))
        by_fold = [metrics.f1_score(y[i], guess[i], average="macro") for i in (found.folds == f for f in range(5))]
        assert found.macro_f1_folds == pytest.approx(np.mean(by_fold))
        assert (found.confusion == metrics.confusion_matrix(y, guess)).all()
        interval = binomtest(found.hits, found.trials).proportion_ci(method="wilson")
        assert found.wilson == pytest.approx((interval.low, interval.high))


def test_folds_are_stratified_shuffled_and_seeded():
    sigs = random_set(43)
    first, again, other = (rs.classify(sigs, folds=5, seed=seed).folds for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    for task in FOUR:
        sizes = np.bincount(first[np.array(sigs.tasks) == task], minlength=5)
        assert sizes.max() - sizes.min() <= 1


def test_groups_stay_whole_and_permutations_move_whole_groups():
    groups = [f"{i % 4}-{i // 4 % 5}" for i in range(40)]
    sigs = random_set(40, groups=groups)
    found = rs.classify(sigs, folds=5, refits=30)
    for group in set(groups):
        assert len(set(found.folds[[g == group for g in groups]])) == 1
    assert (found.p_value, found.p_value.floor) == (1 / 31, 1 / 31)
    mixed = rs.classify(sigs, folds=5, refits=30, groups=[i // 10 for i in range(40)] + [None] * 0)
    assert mixed.accuracy is None
    assert "5 folds need 5 groups or more, there are 4" in mixed.absent["accuracy"]
    crossed = rs.classify(sigs, folds=2, refits=30, groups=[i // 8 for i in range(40)])
    assert crossed.accuracy is not None
    assert crossed.p_value is None
    assert "several tasks" in crossed.absent["p_value"]
    assert (rs.classify(sigs, groups=None).folds == rs.classify(random_set(40)).folds).all()


def test_given_folds_may_be_indices_and_the_order_of_prompts_does_not_matter():
    sigs = random_set(24, effect=2.0)
    fold = np.arange(24) // 6
    by_number = rs.classify(sigs, folds=fold)
    by_index = rs.classify(sigs, folds=[np.flatnonzero(fold == f) for f in range(4)])
    assert by_number.predictions == by_index.predictions
    order = np.random.default_rng(0).permutation(24)
    shuffled = rs.classify(sigs[order], folds=fold[order])
    assert shuffled.predictions == [by_number.predictions[i] for i in order]
    assert shuffled.accuracy == pytest.approx(by_number.accuracy)
    some = rs.classify(sigs, folds=[[0, 1, 2, 3]])
    assert some.trials == 4
    assert some.predictions[4:] == [None] * 20
    assert some.probabilities.mask[4:].all()
    assert not some.probabilities.mask[:4].any()


def test_relabelled_experts_and_layers_change_nothing():
    sigs = random_set(40, effect=2.0)
    rng = np.random.default_rng(0)
    counts = sigs.counts[:, rng.permutation(3)][:, :, rng.permutation(8)]
    for classifier in ("logistic_regression", "nearest_centroid"):
        a = rs.classify(sigs, classifier=classifier)
        b = rs.classify(
            rs.SignatureSet.from_counts(counts, tasks=sigs.tasks, unequal_layers=True), classifier=classifier
        )
        assert a.predictions == b.predictions


def test_unlabelled_prompts_are_left_out_and_counted():
    sigs = random_set(41)
    odd = rs.SignatureSet.from_counts(sigs.counts, tasks=[*sigs.tasks[:40], None], unequal_layers=True)
    found, without = rs.classify(odd, folds=4), rs.classify(random_set(41)[:40], folds=4)
    assert found.left_out == 1
    assert found.predictions == [*without.predictions, None]
    assert found.folds[40] == -1
    assert found.probabilities.mask[40].all()


def test_permutation_p_values():
    clear = rs.classify(random_set(40), refits=99, seed=1)
    assert (clear.p_value, clear.p_value.floor) == (0.01, 0.01)
    none = rs.classify(random_set(40, effect=0.0, seed=5), refits=99, seed=1)
    assert none.p_value.value > 0.05


def test_repetitions_have_folds_of_their_own():
    found = rs.classify(random_set(40, effect=1.5), repeats=10)
    assert found.repeated.shape == (10,)
    assert found.repeated[0] == found.accuracy
    assert len(set(found.repeated.tolist())) > 1


def test_same_bytes_on_any_number_of_threads():
    sigs = random_set(60, 4, 8, effect=1.0)
    found = []
    for threads in (1, 2, 3):
        rs.set_num_threads(threads)
        one = rs.classify(sigs, refits=12, repeats=3)
        found.append((one.probabilities.tobytes(), one.repeated.tobytes(), one.p_value))
    rs.set_num_threads(0)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("tasks", "folds", "reason"),
    [
        ([None] * 4, 2, "prompts of two tasks or more, there is none"),
        (["a"] * 4, 2, "prompts of two tasks or more, there is 1"),
        (["a", "b", "a", "b"], 5, "5 folds need 5 prompts with a task or more, there are 4"),
        (["a", "b", "a", "b"], [0, 0, 0, 0], "leave no prompt to learn from"),
        (["a", "b", None, None], [-1, -1, 0, 1], "hold no prompt with a task out"),
    ],
)
def test_what_is_undefined_is_absent_with_a_reason(tasks, folds, reason):
    found = rs.classify(rs.SignatureSet.from_counts(np.ones((4, 1, 2), int), tasks=tasks), folds=folds, refits=5)
    assert found.accuracy is None
    assert found.p_value is None
    assert reason in found.absent["accuracy"]
    assert reason in repr(found)


def test_a_task_of_one_prompt_is_not_scored_and_empty_layers_are_no_trouble():
    counts = np.random.default_rng(0).poisson(3.0, (13, 2, 4))
    counts[:, 1] = 0
    found = rs.classify(rs.SignatureSet.from_counts(counts, tasks=["a"] * 6 + ["b"] * 6 + ["alone"]), folds=3)
    assert (found.classes, found.not_scored) == (["a", "b"], ["alone"])
    assert (found.trials, found.predictions[-1], found.left_out) == (12, None, 0)
    assert np.isfinite(found.probabilities[:12]).all()
    empty = rs.classify(rs.SignatureSet.from_counts(np.zeros((4, 1, 2), int), tasks=list("abab")), folds=2)
    assert empty.trials == 4


def test_a_task_of_one_group_or_one_fold_is_not_scored():
    counts = np.random.default_rng(0).poisson(3.0, (18, 2, 4))
    tasks = ["a"] * 6 + ["b"] * 6 + ["c"] * 6
    groups = [str(i // 2) for i in range(12)] + ["one"] * 6
    sigs = rs.SignatureSet.from_counts(counts, tasks=tasks, groups=groups, unequal_layers=True)
    assert rs.classify(sigs, folds=3).not_scored == ["c"]
    assert rs.classify(sigs, folds=3, groups=None).not_scored == []
    # Held out by source, a task that one source alone has was never learned.
    folds = [0, 1] * 6 + [1] * 6
    found = rs.classify(sigs, folds=folds, groups=None)
    assert (found.not_scored, found.trials) == (["c"], 12)
    singles = rs.classify(rs.SignatureSet.from_counts(counts[:7], tasks=list("abcdefg"), unequal_layers=True), folds=2)
    assert singles.accuracy is None
    assert "there is none beside 7 of a single prompt" in singles.absent["accuracy"]


def test_the_first_cross_validation_is_the_first_of_the_repeats():
    sigs = random_set()
    found = rs.classify(sigs, repeats=3, refits=0)
    assert found.repeated[0] == found.accuracy
    assert len(found.repeated) == 3
    again = rs.classify(sigs, repeats=2)
    assert again.repeated.tolist() == found.repeated[:2].tolist()


def test_labels_are_permuted_within_sources():
    """Task and source coincide but for two prompts: within sources little can move."""
    random = np.random.default_rng(2)
    tasks = ["a"] * 10 + ["b"] * 10
    sources = ["x"] * 9 + ["y"] * 2 + ["x"] + ["y"] * 8
    counts = (
        random.poisson(5.0, (20, 1, 6)) + 9 * np.eye(6, dtype=int)[[0 if s == "x" else 1 for s in sources]][:, None]
    )
    sigs = rs.SignatureSet.from_counts(counts, tasks=tasks, sources=sources)
    free = rs.classify(sigs, refits=99, sources=False)
    within = rs.classify(sigs, refits=99)
    assert free.accuracy == within.accuracy
    assert free.p_value <= 0.02
    assert within.p_value > 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "expected folds from 2 to .*, got 1"),
        ({"folds": [0, 1]}, "one fold for each of 40 prompts, got 2"),
        ({"folds": [[0, 40]]}, "indices from 0 to 39 in fold 0"),
        ({"folds": [[0, 1], [1, 2]]}, "every prompt in one fold, fold 1 repeats one"),
        ({"C": 0.0}, "expected C above 0, got 0"),
        ({"repeats": 0}, "repeats from 1 to .*, got 0"),
        ({"refits": -1}, "refits from 0 to .*, got -1"),
        ({"groups": "some"}, "expected groups to be 'auto'"),
        ({"groups": ["a"]}, "a group for each of 40 prompts, got 1"),
        ({"classifier": "tree"}, "logistic_regression or nearest_centroid"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        rs.classify(random_set(), **options)


def test_values_that_are_not_finite_are_refused():
    sigs = random_set()
    sigs = with_value(sigs, (3, 0, 0), np.nan)
    with pytest.raises(ValueError, match="expected finite values, got NaN or infinity in row 3"):
        rs.classify(sigs)


def test_a_bar_is_shown_on_request(capsys):
    rs.classify(random_set(), refits=3, repeats=2, progress=True)
    shown = capsys.readouterr().err
    assert "permuted refits" in shown
    assert "repeated cross-validation" in shown


def test_ctrl_c_stops_permutations():
    sigs = random_set(200, 8, 32)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        rs.classify(sigs, refits=1_000_000)  # would last hours


def test_classify_works_without_scikit_learn_and_estimators_say_what_to_install():
    code = """
import sys
sys.modules["sklearn"] = None
import routesig as rs
sigs = rs.SignatureSet.from_counts([[[9, 1]], [[1, 9]]] * 4, tasks=["a", "b"] * 4)
assert rs.classify(sigs, folds=2, refits=5).accuracy == 1.0
for name in ("LogisticRegression", "NearestCentroid", "SignatureTransformer"):
    try:
        getattr(rs, name)
    except ImportError as error:
        assert "pip install 'routesig[sklearn]'" in str(error), error
    else:
        raise AssertionError(name)
try:
    rs.tsne(sigs)
except ImportError as error:
    assert "pip install 'routesig[sklearn]'" in str(error)
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "done"


def test_results_can_be_pickled():
    found = rs.classify(random_set(), refits=3)
    again = pickle.loads(pickle.dumps(found))
    assert (again.accuracy, again.p_value, again.predictions) == (found.accuracy, found.p_value, found.predictions)


def test_no_prompts_and_odd_folds_are_one_sentence_each():
    assert "there is none" in rs.classify(random_set()[:0]).absent["accuracy"]
    for folds, message in (
        (2.0, "expected a whole number of folds, or the folds themselves, got 2.0"),
        ([np.arange(40) < 20, np.arange(40) >= 20], "expected indices of prompts in fold 0, got bool"),
    ):
        with pytest.raises(ValueError, match=message):
            rs.classify(random_set(), folds=folds)
    with pytest.raises(ValueError, match=r"classify: expected seed from 0 to .*, got -1"):
        rs.classify(random_set(), seed=-1)
