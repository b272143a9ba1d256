"""Principal components and t-SNE of signatures."""

import dataclasses

import numpy as np
import pytest

import routesig as rs
from support import with_value


def random_set(prompts, layers=3, experts=8, seed=0):
    counts = np.random.default_rng(seed).poisson(5.0, (prompts, layers, experts))
    tasks = ["a", "b"] * (prompts // 2) + ["a"] * (prompts % 2)
    return rs.SignatureSet.from_counts(counts, tasks=tasks, unequal_layers=True)


def test_pca_by_hand():
    sigs = rs.SignatureSet.from_counts([[[4, 0]], [[2, 2]], [[0, 4]]])
    found = rs.pca(sigs, components=1)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(found.points.ravel(), [root, 0, -root], atol=1e-15)
    np.testing.assert_allclose(found.components.ravel(), [root, -root], atol=1e-15)
    assert found.explained_variance_ratio == pytest.approx([1.0])
    assert found.mean.tolist() == [[0.5, 0.5]]
    assert found.absent == {}
    assert repr(found) == "Pca(3 prompts, variance explained: 100.0%)"


@pytest.mark.parametrize("prompts", [12, 60, 300])
def test_pca_is_that_of_scikit_learn(prompts):
    decomposition = pytest.importorskip("sklearn.decomposition")
    sigs = random_set(prompts, 4, 64) if prompts == 300 else random_set(prompts)
    found = rs.pca(sigs, components=3)
    x = sigs.values.reshape(prompts, -1)
    theirs = decomposition.PCA(3, svd_solver="full").fit(x)
    np.testing.assert_allclose(found.explained_variance, theirs.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(found.explained_variance_ratio, theirs.explained_variance_ratio_, rtol=1e-10)
    signs = np.sign((found.components.reshape(3, -1) * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(found.components.reshape(3, -1) * signs[:, None], theirs.components_, atol=1e-9)
    np.testing.assert_allclose(found.points * signs, theirs.transform(x), atol=1e-9)
    np.testing.assert_allclose(found.transform(sigs), found.points, atol=1e-12)


def test_signs_do_not_depend_on_the_order_of_prompts():
    sigs = random_set(20)
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_allclose(rs.pca(sigs[order]).points, rs.pca(sigs).points[order], atol=1e-12)


def test_what_is_undefined_is_absent_with_a_reason():
    same = rs.pca(rs.SignatureSet.from_counts([[[3, 1]]] * 4))
    assert same.points is None
    assert same.absent["points"] == "the signatures do not differ"
    assert "do not differ" in repr(same)
    assert rs.pca(random_set(1)).absent["points"] == "PCA needs 2 prompts or more, got 1"
    assert rs.pca(random_set(3)[:0]).absent["points"] == "PCA needs 2 prompts or more, got 0"
    line = rs.pca(rs.SignatureSet.from_counts([[[4, 0]], [[2, 2]], [[0, 4]]]))
    assert line.points.shape == (3, 1)
    assert line.absent["points"] == "the prompts span 1 direction, 2 were asked for"
    with pytest.raises(ValueError, match="expected components to project on"):
        same.transform(random_set(3))
    with pytest.raises(ValueError, match="expected 3 layers x 8 experts, got 2 x 8"):
        rs.pca(random_set(5)).transform(random_set(5, layers=2))
    with pytest.raises(ValueError, match=r"expected components from 1 to .*, got 0"):
        rs.pca(random_set(5), components=0)


def test_tsne_is_scikit_learns_and_seeded():
    pytest.importorskip("sklearn")
    sigs = random_set(20)
    found = rs.tsne(sigs, seed=3)
    assert found.points.shape == (20, 2)
    assert found.perplexity == pytest.approx(19 / 3)
    assert (rs.tsne(sigs, seed=3).points == found.points).all()
    assert repr(found) == "Tsne(20 prompts, perplexity=6.33333, seed=3)"
    with pytest.raises(ValueError, match="perplexity from 1 to below 20"):
        rs.tsne(sigs, perplexity=20)
    with pytest.raises(ValueError, match="tsne: expected seed from 0 to 4294967295, got -1"):
        rs.tsne(sigs, seed=-1)
    sigs = with_value(sigs, (0, 0, 0), np.inf)
    with pytest.raises(ValueError, match="tsne: expected finite values"):
        rs.tsne(sigs)


def test_tsne_of_too_few_or_equal_prompts_is_absent():
    assert rs.tsne(random_set(3)).absent["points"] == "t-SNE needs 4 prompts or more, got 3"
    pytest.importorskip("sklearn")
    assert rs.tsne(rs.SignatureSet.from_counts([[[3, 1]]] * 5)).absent["points"] == "the signatures do not differ"


def differing_by(scale):
    """12 prompts; each layer of a share that is all but 1, and another of `scale` to 12 times that."""
    sigs = random_set(12)
    values = np.zeros_like(sigs.values)
    values[..., 0], values[..., 1] = 1, scale * (1 + np.arange(12)[:, None])
    return dataclasses.replace(sigs, values=values)


@pytest.mark.parametrize("scale", [5e-324, 1e-320, 1e-200, 1e-40, 1e-30, 1e-20])
def test_tsne_of_prompts_that_hardly_differ_is_absent(scale):
    assert rs.tsne(differing_by(scale)).absent["points"] == "the signatures do not differ"


def test_tsne_of_prompts_that_differ_in_little_is_finite():
    assert np.isfinite(rs.tsne(differing_by(1e-18)).points).all()


def test_tsne_of_what_float32_cannot_square_is_refused():
    sigs = random_set(12)
    with pytest.raises(ValueError, match=r"tsne: expected shares, got values that differ by 1e\+300"):
        rs.tsne(with_value(sigs, (0, 0, 0), 1e300))
