"""Bootstrap intervals, against SciPy and NumPy."""

import numpy as np
import pytest
from scipy import stats

import routesig as rs
from routesig import statistics as rst
from support import tasks_apart


def weighted(matrix, tasks, weights):
    """Within, across, D and d with pair weights m_i m_j, written out."""
    i, j = np.triu_indices(len(tasks), 1)
    w, x, same = weights[i] * weights[j], matrix[i, j], np.asarray(tasks)[i] == np.asarray(tasks)[j]
    within, across = (np.average(x[part], weights=w[part]) for part in (same, ~same))
    squares = (w * (x - np.where(same, within, across)) ** 2).sum()
    return within, across, within - across, (within - across) / np.sqrt(squares / (w.sum() - 2))


def test_bootstrap_agrees_with_draws_and_bca_written_in_numpy():
    sigs = tasks_apart((9, 8, 7), effect=0.4, seed=11)
    matrix, tasks = rs.similarity(sigs), np.array(sigs.tasks)
    found = rst.bootstrap(sigs, draws=4_000, layers=False)
    random = np.random.default_rng(0)
    draws = []
    for _ in range(4_000):
        weights = np.zeros(len(tasks))
        for task in "abc":
            members = np.flatnonzero(tasks == task)
            np.add.at(weights, random.choice(members, len(members) - 1), 1.0)
        draws.append(weighted(matrix, tasks, weights))
    draws = np.array(draws)
    left_out = np.array([weighted(matrix, tasks, np.arange(len(tasks)) != i) for i in range(len(tasks))])
    for k, name in enumerate(("within", "across", "difference", "cohens_d")):
        ours = getattr(found, name)
        value = weighted(matrix, tasks, np.ones(len(tasks)))[k]
        assert ours.value == pytest.approx(value, rel=1e-10)
        assert ours.se == pytest.approx(draws[:, k].std(ddof=1), rel=0.06)
        z0 = stats.norm.ppf((draws[:, k] < value).mean())
        cubes = squares = 0.0
        for task in "abc":
            theta = left_out[tasks == task, k]
            influence = (len(theta) - 1) * (theta.mean() - theta) / len(theta)
            cubes, squares = cubes + (influence**3).sum(), squares + (influence**2).sum()
        a = cubes / (6 * squares**1.5)
        z = z0 + stats.norm.ppf([0.025, 0.975])
        expected = np.quantile(draws[:, k], stats.norm.cdf(z0 + z / (1 - a * z)))
        assert ours.interval.method == "BCa"
        assert [ours.interval.low, ours.interval.high] == pytest.approx(expected, abs=0.25 * ours.se)


def test_bca_equals_scipy_on_the_same_draws():
    """SciPy's BCa of a mean against ours through a statistic that is a mean: one prompt's mark, pair by pair."""
    random = np.random.default_rng(3)
    marks = [random.gamma(2.0, size=12), random.gamma(2.0, size=9)]
    theirs = stats.bootstrap(
        marks,
        lambda x, y, axis: x.mean(axis) + y.mean(axis),
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    # Similarity x_i + y_j across tasks and 0 within: the across mean is the sum of the two means.
    matrix = np.zeros((21, 21))
    matrix[:12, 12:] = np.add.outer(*marks)
    matrix[12:, :12] = matrix[:12, 12:].T
    ours = rst.bootstrap(matrix, ["x"] * 12 + ["y"] * 9, draws=20_000).across
    assert ours.value == pytest.approx(sum(mark.mean() for mark in marks))
    # n - 1 draws of n spread more by sqrt(n / (n - 1)).
    expected_se = np.sqrt(marks[0].var(ddof=1) / 12 + marks[1].var(ddof=1) / 9)
    assert ours.se == pytest.approx(expected_se, rel=0.02)
    low, high = theirs.confidence_interval
    assert ours.interval.low == pytest.approx(low, abs=0.2 * ours.se)
    assert ours.interval.high == pytest.approx(high, abs=0.2 * ours.se)


def test_slope_of_d_over_layers():
    random = np.random.default_rng(0)
    rates = np.full((16, 4, 6), 8.0)
    for layer in range(4):
        rates[:8, layer, 0] += 4.0 * layer
        rates[8:, layer, 1] += 4.0 * layer
    sigs = rs.SignatureSet.from_counts(random.poisson(rates), tasks=["a"] * 8 + ["b"] * 8, unequal_layers=True)
    found = rst.bootstrap(sigs, draws=500)
    d = [layer.cohens_d for layer in rst.layer_separation(sigs)]
    assert [estimate.value for estimate in found.layers] == pytest.approx(d, rel=1e-10)
    assert found.slope.value == pytest.approx(np.polyfit(range(4), d, 1)[0], rel=1e-9)
    assert rst.depth_slope(d) == pytest.approx(found.slope.value, rel=1e-9)
    assert found.slope.interval.low > 0
    assert rst.depth_slope([1.0, None]) is None
    assert rst.depth_slope([1.0]) is None
    with pytest.raises(ValueError, match="expected finite values"):
        rst.depth_slope([1.0, np.nan])
