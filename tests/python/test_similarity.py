"""Similarity and separation, against NumPy and against real counts."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

import routesig as rs
from support import random_traces, with_value


def cosine(a, b):
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else 0.0


def by_definition(a, b):
    return [[[cosine(x[layer], y[layer]) for y in b] for x in a] for layer in range(a.shape[1])]


def test_similarity_equals_its_definition():
    sigs = rs.signatures(random_traces())
    layers = np.array(by_definition(sigs.values, sigs.values))
    np.testing.assert_allclose(rs.similarity(sigs, per_layer=True), layers, atol=1e-14)
    np.testing.assert_allclose(rs.similarity(sigs), layers.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(rs.similarity(sigs[:2], sigs[2:]), layers.mean(axis=0)[:2, 2:], atol=1e-14)
    np.testing.assert_allclose(rs.similarity(sigs[:2], sigs[2:], per_layer=True), layers[:, :2, 2:], atol=1e-14)
    value = rs.similarity(sigs[0], sigs[1])
    assert isinstance(value, float)
    assert value == pytest.approx(layers[:, 0, 1].mean(), abs=1e-14)
    np.testing.assert_allclose(rs.similarity(sigs[0], sigs[1], per_layer=True), layers[:, 0, 1], atol=1e-14)


METRICS = {
    "jensen-shannon": lambda p, q: 1 - jensenshannon(p, q, base=2) ** 2,
    "hellinger": lambda p, q: np.sqrt(p * q).sum(),
    "overlap": lambda p, q: 1 - np.abs(p - q).sum() / 2,
}


@pytest.mark.parametrize("metric", METRICS)
def test_other_metrics_equal_scipy_and_numpy(metric):
    sigs = rs.signatures(random_traces())
    expected = [[[METRICS[metric](x[i], y[i]) for y in sigs.values] for x in sigs.values] for i in range(3)]
    np.testing.assert_allclose(rs.similarity(sigs, metric=metric, per_layer=True), expected, atol=1e-12)
    np.testing.assert_allclose(rs.similarity(sigs, metric=metric), np.mean(expected, axis=0), atol=1e-12)
    np.testing.assert_allclose(
        rs.similarity(sigs[1:3], sigs, metric=metric), np.mean(expected, axis=0)[1:3], atol=1e-12
    )


@pytest.mark.parametrize("metric", ["cosine", "hellinger"])
def test_single_precision_stays_within_a_millionth(metric):
    sigs = rs.signatures(random_traces(60, layers=16, tokens=40, experts=64, top_k=8))
    single = rs.similarity(sigs, metric=metric, dtype="float32")
    assert single.dtype == np.float32
    assert np.abs(single - rs.similarity(sigs, metric=metric)).max() < 1e-6
    layers = rs.similarity(sigs[:9], sigs, metric=metric, dtype="float32", per_layer=True)
    assert np.abs(layers - rs.similarity(sigs[:9], sigs, metric=metric, per_layer=True)).max() < 1e-6


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["cosine", *METRICS]),
    st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=1, max_size=7),
)
def test_similarity_is_symmetric_bounded_and_masked_without_a_common_layer(metric, rows):
    counts = np.array(rows).reshape(len(rows), 2, 3)
    matrix = rs.similarity(rs.SignatureSet.from_counts(counts, unequal_layers=True), metric=metric)
    known = counts.any(axis=2)
    shared = known.astype(int) @ known.T > 0
    assert (np.ma.getmaskarray(matrix) == ~shared).all()
    matrix = np.ma.getdata(matrix)[shared].reshape(-1) if not shared.all() else np.ma.getdata(matrix)
    assert np.isfinite(matrix).all()
    if matrix.ndim == 1:
        assert ((matrix >= 0) & (matrix <= 1 + 1e-12)).all()
        return
    assert (matrix == matrix.T).all()
    assert (matrix >= 0).all()
    assert (matrix <= 1 + 1e-12).all()


def test_a_layer_without_data_is_no_similarity_of_zero():
    counts = np.array([[[3, 1], [0, 0], [0, 0]], [[3, 1], [2, 2], [0, 0]], [[0, 0], [4, 0], [0, 0]]])
    sigs = rs.SignatureSet.from_counts(counts, tasks=["a", "a", "b"])
    matrix = rs.similarity(sigs)
    assert matrix[0, 1] == pytest.approx(1.0)  # layer 0 alone
    assert matrix[1, 2] == pytest.approx(np.sqrt(0.5))  # layer 1 alone
    assert matrix[0, 2] is np.ma.masked
    assert matrix.diagonal().tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert rs.similarity(sigs[0], sigs[1]) == pytest.approx(1.0)
    assert rs.similarity(sigs[0], sigs[2]) is None
    layers = rs.similarity(sigs, per_layer=True)
    assert layers.mask[2].all()
    assert layers[0].tolist() == [[pytest.approx(1.0), pytest.approx(1.0), None]] * 2 + [[None] * 3]
    assert rs.separation(sigs).across.pairs == 1


def test_threads_do_not_change_a_byte():
    sigs = rs.signatures(random_traces(40))
    rs.set_num_threads(1)
    one = rs.similarity(sigs)
    rs.set_num_threads(4)
    four = rs.similarity(sigs)
    rs.set_num_threads(0)
    assert one.tobytes() == four.tobytes()


def test_what_does_not_fit_is_one_sentence():
    sigs = rs.signatures(random_traces())
    with pytest.raises(ValueError, match="expected 3 layers x 16 experts, got 2 x 16"):
        rs.similarity(sigs, rs.signatures(random_traces(layers=2)))
    with pytest.raises(ValueError, match='one of cosine, hellinger, jensen-shannon, overlap, got "euclid"'):
        rs.similarity(sigs, metric="euclid")
    with pytest.raises(ValueError, match="expected dtype to be float64 or float32, got 'float16'"):
        rs.similarity(sigs, dtype="float16")
    with pytest.raises(ValueError, match='expected dtype float64 for metric "overlap"'):
        rs.similarity(sigs, metric="overlap", dtype="float32")
    with pytest.raises(TypeError, match="expected traces or signatures, got a list of int"):
        rs.similarity([1, 2])


def test_separation_by_hand():
    matrix = np.ones((4, 4))
    for (i, j), value in {(0, 1): 0.9, (2, 3): 0.8, (0, 2): 0.5, (0, 3): 0.4, (1, 2): 0.6, (1, 3): 0.3}.items():
        matrix[i, j] = matrix[j, i] = value
    found = rs.separation(matrix, ["a", "a", "b", "b"])
    assert found.within.mean == pytest.approx(0.85)
    assert found.across.mean == pytest.approx(0.45)
    assert found.cohens_d == pytest.approx(3.4112, abs=5e-5)
    assert (found.within.pairs, found.across.pairs) == (2, 4)
    assert rs.separation(matrix, ["a", "a", "b", None]).across.pairs == 2


def test_separation_equals_numpy_and_names_what_is_absent():
    sigs = rs.signatures(random_traces(12))
    found = rs.separation(sigs)
    matrix = rs.similarity(sigs)
    upper = np.triu(np.ones_like(matrix, dtype=bool), 1)
    same = np.equal.outer(sigs.tasks, sigs.tasks)
    w, a = matrix[upper & same], matrix[upper & ~same]
    pooled = np.sqrt(((len(w) - 1) * w.var(ddof=1) + (len(a) - 1) * a.var(ddof=1)) / (len(w) + len(a) - 2))
    assert found.cohens_d == pytest.approx((w.mean() - a.mean()) / pooled, rel=1e-12)
    assert found.within.sd == pytest.approx(w.std(ddof=1), rel=1e-12)
    alone = rs.separation(sigs, ["code"] * 12)
    assert alone.across.mean is None
    assert alone.cohens_d is None
    with pytest.raises(ValueError, match="expected tasks for 12 prompts, got 11"):
        rs.separation(sigs, ["code"] * 11)
    with pytest.raises(ValueError, match="expected tasks beside similarities"):
        rs.separation(matrix)


def test_real_counts_give_the_published_cosines(repository):
    """Cosines of OLMoE-1B-7B-0924's expert counts per domain, computed elsewhere."""
    path = repository.parent / "shared/realdata/olmoe_domain_counts.json"
    if not path.is_file():
        pytest.skip("the real routing data is not beside this checkout")
    expected = {
        ("arxiv", "github"): (0.7102, 0.9284, 0.8516),
        ("book", "c4"): (0.8825, 0.6743, 0.8596),
        ("book", "github"): (0.6750, 0.2653, 0.2437),
        ("c4", "github"): (0.7841, 0.4486, 0.3774),
        ("arxiv", "book"): (0.5522, 0.2913, 0.3171),
        ("c4", "wikipedia"): (0.7483, 0.6551, 0.4479),
    }
    domains = json.loads(path.read_text())["olmoe"]["expert_counts"]
    names = sorted({name for pair in expected for name in pair})
    sigs = rs.SignatureSet.from_counts([domains[name] for name in names], ids=names, top_k=8)
    layers = rs.similarity(sigs, per_layer=True)
    for (a, b), values in expected.items():
        np.testing.assert_allclose(layers[:, names.index(a), names.index(b)], values, atol=5e-5, err_msg=f"{a}-{b}")


@pytest.mark.parametrize("metric", ["cosine", "jensen-shannon", "hellinger", "overlap"])
def test_what_is_not_finite_is_refused(metric):
    sigs = rs.SignatureSet.from_counts([[[3, 1]], [[1, 3]]])
    sigs = with_value(sigs, (0, 0, 0), np.nan)
    for a, b in ((sigs, None), (sigs[1:], sigs), (sigs[0], sigs[1])):
        with pytest.raises(ValueError, match="similarity: expected finite signatures, got NaN or infinity"):
            rs.similarity(a, b, metric=metric)
