"""Permutation tests, bootstrap intervals and their kin, against SciPy, NumPy and definitions written out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import routesig as rs
from routesig import statistics as rst
from support import tasks_apart

BY_HAND = np.array([[1, 0.9, 0.5, 0.4], [0.9, 1, 0.6, 0.3], [0.5, 0.6, 1, 0.8], [0.4, 0.3, 0.8, 1]])
AABB = ["a", "a", "b", "b"]


def difference(matrix, tasks):
    upper = np.triu(np.ones_like(matrix, dtype=bool), 1)
    same = np.equal.outer(np.array(tasks), np.array(tasks))
    return matrix[upper & same].mean() - matrix[upper & ~same].mean()


def test_permutation_test_by_hand():
    found = rst.permutation_test(BY_HAND, AABB)
    assert found.difference == pytest.approx(0.4)
    assert found.cohens_d == pytest.approx(3.4112, abs=5e-5)
    assert (found.p_value.value, found.p_value.floor) == (2 / 6, 2 / 6)
    assert (found.exact, found.permutations, found.labellings, found.units, found.unit) == (True, 6, 6, 4, "prompts")
    assert sorted(found.null.round(9)) == [-0.275, -0.275, -0.125, -0.125, 0.4, 0.4]
    assert "all labellings of 4 prompts" in repr(found)
    assert float(found.p_value) <= 0.34


def test_enumeration_equals_scipy():
    sigs = tasks_apart((3, 2, 2), effect=0.3)
    matrix = rs.similarity(sigs)
    tasks = np.array(sigs.tasks)
    found = rst.permutation_test(sigs)
    assert found.exact
    assert found.labellings == 210
    theirs = stats.permutation_test(
        (tasks.view(np.int32),),
        lambda codes: difference(matrix, codes),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=False,
    )
    # SciPy permutes prompts, 7! = 3! 2! 2! x 210, so that each labelling comes 24 times.
    assert found.difference == pytest.approx(theirs.statistic, abs=1e-13)
    assert found.p_value.value == pytest.approx(theirs.pvalue, abs=1e-12)


def test_random_permutations_agree_with_scipy():
    sigs = tasks_apart((9, 7, 6), effect=0.12, seed=5)
    matrix = rs.similarity(sigs)
    codes = np.unique(sigs.tasks, return_inverse=True)[1]
    found = rst.permutation_test(sigs, permutations=9_999, layers=False, pairs=False)
    theirs = stats.permutation_test(
        (codes,),
        lambda labels: difference(matrix, labels),
        permutation_type="pairings",
        n_resamples=3_000,
        alternative="greater",
        vectorized=False,
        rng=np.random.default_rng(1),
    )
    assert not found.exact
    assert found.p_value.floor == 1e-4
    p = found.p_value.value
    assert 0.001 < p < 0.9
    assert abs(p - theirs.pvalue) < 5 * np.sqrt(p * (1 - p) * (1 / 3_000 + 1 / 9_999))
    # Moments of the null distribution: means and sds from independent draws agree.
    assert abs(found.null.mean() - theirs.null_distribution.mean()) < 5 * found.null.std() / np.sqrt(2_300)
    assert found.null.std() == pytest.approx(theirs.null_distribution.std(), rel=0.1)


def test_layers_are_adjusted_by_the_maximum_over_layers():
    sigs = tasks_apart((6, 5), layers=4, effect=0.2, seed=3)
    found = rst.permutation_test(sigs, permutations=2_000)
    assert found.exact  # 462 labellings
    layers = rs.similarity(sigs, per_layer=True)
    labellings = [np.isin(np.arange(11), chosen).astype(int) for chosen in itertools.combinations(range(11), 6)]
    upper = np.triu_indices(11, 1)

    def cohens_d(matrix, labels):
        same = np.equal.outer(labels, labels)[upper]
        w, a = matrix[upper][same], matrix[upper][~same]
        pooled = ((len(w) - 1) * w.var(ddof=1) + (len(a) - 1) * a.var(ddof=1)) / (len(w) + len(a) - 2)
        return (w.mean() - a.mean()) / np.sqrt(pooled)

    table = np.array([[cohens_d(layer, labels) for layer in layers] for labels in labellings])
    observed = np.array([cohens_d(layer, np.array([0] * 6 + [1] * 5)) for layer in layers])
    for test in found.layers:
        at_least = table >= observed[test.layer] - 1e-12
        assert test.cohens_d == pytest.approx(observed[test.layer], rel=1e-10)
        assert test.p_value.value == pytest.approx(at_least[:, test.layer].mean())
        assert test.adjusted.value == pytest.approx((table.max(axis=1) >= observed[test.layer] - 1e-12).mean())


def test_pairs_of_tasks_are_tested_alone_and_adjusted_by_holm():
    sigs = tasks_apart((5, 4, 4), effect=0.5, seed=2)
    found = rst.permutation_test(sigs)
    assert [pair.tasks for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    for pair in found.pairs:
        alone = rst.permutation_test(sigs.select(tasks=pair.tasks))
        assert pair.p_value == alone.p_value
        assert pair.difference == pytest.approx(alone.difference)
        assert pair.adjusted.floor == pytest.approx(3 * pair.p_value.floor)
    expected = rst.holm([pair.p_value.value for pair in found.pairs])
    assert [pair.adjusted.value for pair in found.pairs] == expected.tolist()


def test_groups_move_together_and_are_found_in_the_signatures():
    groups = [f"g{i // 2}" for i in range(12)]
    sigs = tasks_apart((6, 6), groups=groups, seed=4)
    found = rst.permutation_test(sigs)
    assert (found.unit, found.units, found.labellings) == ("groups", 6, 20)
    assert found.p_value.floor == 0.1
    expected = []
    matrix = rs.similarity(sigs)
    for chosen in itertools.combinations(range(6), 3):
        expected.append(rs.separation(matrix, np.isin(np.arange(12) // 2, chosen).tolist(), groups=groups).difference)
    assert np.sort(found.null) == pytest.approx(np.sort(expected), abs=1e-13)
    assert rst.permutation_test(sigs, groups=False).units == 12
    assert rst.permutation_test(matrix, sigs.tasks, groups=groups).p_value == found.p_value
    assert rst.permutation_test(tasks_apart((6, 6), groups=[str(i) for i in range(12)])).unit == "prompts"
    with pytest.raises(ValueError, match="expected every group within one task, got group 'x' in 'a' and 'b'"):
        rst.permutation_test(BY_HAND, AABB, groups=["x", "y", "x", "z"])
    with pytest.raises(ValueError, match="expected groups for 4 prompts, got 1"):
        rst.permutation_test(BY_HAND, AABB, groups=["x"])


def test_plain_permutation_fails_where_group_permutation_holds():
    """Templates differ, tasks do not: plain permutation takes templates for tasks."""
    plain = grouped = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        rates = 6.0 * np.exp(0.5 * random.normal(size=(16, 2, 16))).repeat(4, axis=0)
        sigs = rs.SignatureSet.from_counts(
            random.poisson(rates),
            tasks=[f"task-{i // 16}" for i in range(64)],
            groups=[f"template-{i // 4}" for i in range(64)],
            unequal_layers=True,
        )
        options = {"permutations": 199, "layers": False, "pairs": False, "seed": seed}
        plain += rst.permutation_test(sigs, groups=False, **options).p_value.value <= 0.05
        grouped += rst.permutation_test(sigs, **options).p_value.value <= 0.05
    assert plain >= 55
    assert grouped <= 10  # binomial(60, .05): 99.9 % quantile 9


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(9)), st.permutations(range(6)), st.permutations(range(3)), st.integers(0, 99))
def test_orders_of_prompts_experts_and_layers_do_not_matter(prompts, experts, layers, seed):
    sigs = tasks_apart((4, 3, 2), layers=3, experts=6, seed=seed)
    counts = sigs.counts[prompts][:, layers][:, :, experts]
    other = rs.SignatureSet.from_counts(counts, tasks=[sigs.tasks[i] for i in prompts], unequal_layers=True)
    a, b = (rst.permutation_test(s, pairs=False) for s in (sigs, other))
    assert a.difference == pytest.approx(b.difference, abs=1e-13)
    assert a.p_value == b.p_value  # enumerated, so that it is a property of the set
    assert a.cohens_d == pytest.approx(b.cohens_d, rel=1e-9)
    for i, layer in enumerate(layers):
        assert a.layers[layer].p_value == b.layers[i].p_value
        assert a.layers[layer].adjusted.value == pytest.approx(b.layers[i].adjusted.value)
    same, again = rst.dispersion_test(sigs, permutations=2_000), rst.dispersion_test(other, permutations=2_000)
    assert same.f == pytest.approx(again.f, rel=1e-8)
    assert same.p_value.value == pytest.approx(again.p_value.value)


def test_threads_do_not_change_a_byte_and_seeds_do():
    sigs = tasks_apart((9, 8, 8), effect=0.1)
    results = []
    for threads in (1, 2, 3):
        rs.set_num_threads(threads)
        test = rst.permutation_test(sigs, permutations=3_000, seed=7)
        boot = rst.bootstrap(sigs, draws=400, seed=7)
        spread = rst.dispersion_test(sigs, permutations=3_000, seed=7)
        results.append((test.null.tobytes(), test.layers, test.pairs, boot.cohens_d, boot.layers, boot.slope, spread.f))
    rs.set_num_threads(0)
    assert results[0] == results[1] == results[2]
    assert rst.permutation_test(sigs, permutations=3_000, seed=8).null.tobytes() != results[0][0]
    assert rst.bootstrap(sigs, draws=400, seed=8).cohens_d != results[0][3]


def test_unlabelled_prompts_are_left_out_and_counted():
    sigs = tasks_apart((5, 5, 5))
    tasks = [None if task == "c" else task for task in sigs.tasks]
    mixed = rs.SignatureSet.from_counts(sigs.counts, tasks=tasks, unequal_layers=True)
    found, alone = rst.permutation_test(mixed), rst.permutation_test(sigs.select(tasks=["a", "b"]))
    assert (found.unlabelled, alone.unlabelled) == (5, 0)
    assert found.p_value == alone.p_value
    boot, small = rst.bootstrap(mixed, draws=100), rst.bootstrap(sigs.select(tasks=["a", "b"]), draws=100)
    assert boot.cohens_d.interval.low == pytest.approx(small.cohens_d.interval.low)
    assert rst.dispersion_test(mixed).distances.mask.tolist() == [False] * 10 + [True] * 5


def test_what_is_undefined_is_none_with_a_reason():
    one_task = rst.permutation_test(BY_HAND, ["a"] * 4)
    assert (one_task.difference, one_task.p_value, one_task.null.size) == (None, None, 0)
    assert one_task.absent["difference"] == "there are fewer than two tasks"
    singles = rst.permutation_test(BY_HAND, list("abcd"))
    assert singles.absent["p_value"] == "no two prompts share a task"
    assert singles.absent["pairs[a, b]"] == "no two prompts share a task"
    flat = rst.permutation_test(np.ones((4, 4)), AABB)
    assert (flat.difference, flat.p_value.value, flat.cohens_d) == (0.0, 1.0, None)
    assert flat.absent["cohens_d"] == "similarities do not vary within and across tasks"
    nobody = rst.permutation_test(BY_HAND, [None] * 4)
    assert nobody.p_value is None
    boot = rst.bootstrap(BY_HAND, AABB)
    assert boot.difference.value == pytest.approx(0.4)
    assert boot.difference.interval is None
    assert boot.absent["difference.interval"] == "a task has 2 of the 5 prompts that resampling needs"
    assert boot.absent["slope"] == "there are fewer than two layers"
    alone = rst.bootstrap(BY_HAND, ["a"] * 4)
    assert alone.absent["across.value"] == "there are fewer than two tasks"
    spread = rst.dispersion_test(BY_HAND, ["a"] * 4)
    assert spread.p_value is None
    assert "fewer than two tasks" in spread.absent["p_value"]
    counts = np.random.default_rng(0).poisson(3.0, (12, 2, 4))
    counts[:, 1] = 0
    empty = rs.SignatureSet.from_counts(counts, tasks=["a", "b"] * 6)
    found, boot = rst.permutation_test(empty), rst.bootstrap(empty, draws=50)
    assert found.layers[1].cohens_d is None
    assert found.layers[1].p_value is None
    assert found.absent["layers[1].difference"] == "too few prompts have tokens in this layer"
    assert boot.layers[1].value is None
    assert boot.slope.value is None
    assert {"layers[1].value", "slope.value"} <= set(boot.absent)


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(ValueError, match="permutation_test: expected tasks for 4 prompts, got 2"):
        rst.permutation_test(BY_HAND, ["a", "b"])
    with pytest.raises(ValueError, match="expected tasks beside similarities"):
        rst.bootstrap(BY_HAND)
    with pytest.raises(ValueError, match=r"bootstrap: expected similarities \[prompts, prompts\].*got shape \[4, 3\]"):
        rst.bootstrap(BY_HAND[:, :3], AABB)
    with pytest.raises(ValueError, match="expected 1 permutation or more, got 0"):
        rst.permutation_test(BY_HAND, AABB, permutations=0)
    with pytest.raises(ValueError, match="expected a level between 0 and 1, got 95"):
        rst.bootstrap(BY_HAND, AABB, level=95)
    broken = BY_HAND.copy()
    broken[0, 1] = np.nan
    for function in (rs.separation, rst.permutation_test, rst.bootstrap, rst.dispersion_test):
        with pytest.raises(ValueError, match="expected finite similarities"):
            function(broken, AABB)
    with pytest.raises(ValueError, match="category_matrix: expected finite similarities"):
        rst.category_matrix(broken, AABB)
    with pytest.raises(ValueError, match=r"expected \[layers, prompts, prompts\], got one matrix"):
        rst.layer_separation(BY_HAND, AABB)
    for function, count in (
        (rst.permutation_test, "permutations"),
        (rst.bootstrap, "draws"),
        (rst.dispersion_test, "permutations"),
    ):
        for option in (count, "seed"):
            with pytest.raises(ValueError, match=f"{function.__name__}: expected {option} from 0 to .*, got -1"):
                function(BY_HAND, AABB, **{option: -1})
            with pytest.raises(ValueError, match=f"{option} to be a whole number, got 2.5"):
                function(BY_HAND, AABB, **{option: 2.5})


def test_tasks_of_any_type_go_by_their_text():
    odd = [1, 1, "x", "x"]
    assert rst.permutation_test(BY_HAND, odd).p_value == rst.permutation_test(BY_HAND, AABB).p_value
    assert rs.separation(BY_HAND, odd).cohens_d == rs.separation(BY_HAND, AABB).cohens_d
    assert rst.category_matrix(BY_HAND, odd).tasks == ["1", "x"]


def test_balanced_means_and_the_category_matrix():
    sigs = tasks_apart((7, 4, 3))
    matrix, tasks = rs.similarity(sigs), np.array(sigs.tasks)
    found = rst.category_matrix(sigs)
    assert found.tasks == ["a", "b", "c"]
    for i, a in enumerate("abc"):
        for j, b in enumerate("abc"):
            block = matrix[np.ix_(tasks == a, tasks == b)]
            values = block[np.triu_indices(len(block), 1)] if i == j else block.ravel()
            assert found.mean[i, j] == pytest.approx(values.mean(), rel=1e-12)
            assert found.pairs[i, j] == values.size
    balanced, plain = rs.separation(sigs, balanced=True), rs.separation(sigs)
    assert balanced.within.mean == pytest.approx(np.diag(found.mean).mean(), rel=1e-12)
    assert balanced.across.mean == pytest.approx(found.mean[np.triu_indices(3, 1)].mean(), rel=1e-12)
    assert balanced.within.sd == plain.within.sd
    pooled = (plain.within.mean - plain.across.mean) / plain.cohens_d
    assert balanced.cohens_d == pytest.approx((balanced.within.mean - balanced.across.mean) / pooled, rel=1e-10)
    single = rst.category_matrix(BY_HAND, ["a", "a", "a", "b"])
    assert single.mean.mask.tolist() == [[False, False], [False, True]]
    same_size = tasks_apart((5, 5, 5))
    assert rs.separation(same_size, balanced=True).within.mean == pytest.approx(rs.separation(same_size).within.mean)


def test_dispersion_equals_its_definition():
    random = np.random.default_rng(1)
    points = random.normal(size=(14, 5)) * np.repeat([1.0, 1.5], [8, 6])[:, None]
    tasks = np.array(["a"] * 8 + ["b"] * 6)
    found = rst.dispersion_test(points @ points.T, list(tasks))
    expected = []
    for i in range(14):
        others = (tasks == tasks[i]) & (np.arange(14) != i)
        size = others.sum() + 1
        expected.append(np.linalg.norm(points[i] - points[others].mean(axis=0)) * np.sqrt((size - 1) / size))
    expected = np.array(expected)
    np.testing.assert_allclose(found.distances, expected, rtol=1e-10)
    assert not found.distances.mask.any()
    assert found.f == pytest.approx(stats.f_oneway(expected[tasks == "a"], expected[tasks == "b"]).statistic, rel=1e-8)
    assert found.task_means["a"] == pytest.approx(expected[:8].mean())
    theirs = stats.permutation_test(
        (expected[:8], expected[8:]),
        lambda x, y: stats.f_oneway(x, y).statistic,
        n_resamples=10_000,
        alternative="greater",
        vectorized=False,
    )
    assert found.exact  # 3,003 labellings
    assert found.p_value.value == pytest.approx(theirs.pvalue, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_p_values_keep_order_and_benjamini_hochberg_equals_scipy(values):
    p = np.array(values)
    assert rst.benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh"), abs=1e-12)
    order = np.argsort(p, kind="stable")
    written_out = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    assert rst.holm(p)[order] == pytest.approx(written_out, abs=1e-12)
    assert (rst.holm(p) >= p).all()
    assert (rst.holm(p) >= rst.benjamini_hochberg(p) - 1e-15).all()


def test_adjusted_p_values_keep_their_shape():
    table = np.array([[0.01, 0.5], [0.02, 0.9]])
    assert rst.benjamini_hochberg(table).shape == (2, 2)
    with pytest.raises(ValueError, match=r"expected p-values from 0 to 1, got 1\.5"):
        rst.holm([0.1, 1.5])


@pytest.fixture
def one_thread():
    """Progress is told by the thread that asked; alone it does every piece."""
    rs.set_num_threads(1)
    yield
    rs.set_num_threads(0)


def test_progress_is_told_and_a_callback_that_raises_stops_the_work(one_thread):
    matrix, codes = rs.similarity(tasks_apart((40, 40))), [0] * 40 + [1] * 40
    heard = []
    rs._core.permutation_test(matrix, codes, [], 3_000, 0, [], lambda done, total: heard.append((done, total)))
    assert heard[-1] == (3_000, 3_000)

    def refuse(done, total):
        raise RuntimeError("enough")

    for call in (
        lambda: rs._core.permutation_test(matrix, codes, [], 3_000, 0, [], refuse),
        lambda: rs._core.bootstrap(matrix, codes, [], 3_000, 0, 0.95, refuse),
        lambda: rs._core.dispersion_test(matrix, codes, [], 3_000, 0, [], refuse),
    ):
        with pytest.raises(RuntimeError, match="enough"):
            call()


def test_a_bar_is_shown_on_stderr(capsys):
    rst.permutation_test(BY_HAND, AABB, progress=True)
    assert "permutation test" in capsys.readouterr().err
