"""What baselines expect without drawing: permutation moments and the closed form of load balancing."""

import itertools

import numpy as np
import pytest

import routesig as rs


def test_permutation_moments_by_hand():
    mean, sd = rs.baselines.permutation_moments([0.5, 0.5, 0, 0], [0.7, 0.1, 0.1, 0.1])
    assert mean == pytest.approx(0.4903, abs=5e-5)
    assert sd == pytest.approx(0.2942, abs=5e-5)


def test_permutation_moments_equal_an_average_over_all_permutations():
    a, b = np.random.default_rng(1).random((2, 2, 5))
    layers = []
    for x, y in zip(a, b, strict=True):
        cosines = [x @ np.array(p) / np.linalg.norm(x) / np.linalg.norm(y) for p in itertools.permutations(y)]
        layers.append((np.mean(cosines), np.var(cosines)))
    means, variances = np.transpose(layers)
    mean, sd = rs.baselines.permutation_moments(a, b)
    assert mean == pytest.approx(means.mean(), abs=1e-12)
    assert sd == pytest.approx(np.sqrt(variances.sum()) / 2, abs=1e-12)


def test_load_balance_similarity_by_hand():
    form = rs.baselines.load_balance_similarity([8, 32, 50], [8, 32, 50], 64, 8)
    np.testing.assert_allclose(form, [0.5333, 0.8205, 0.8772], atol=5e-5)
    np.testing.assert_allclose(form, [0.5363, 0.8216, 0.8775], atol=0.004)  # simulated elsewhere
    assert rs.baselines.load_balance_similarity(32, 32, 64, 8, draws="with_replacement") == pytest.approx(
        1 / (1 + 7.875 / 32)
    )
    assert rs.baselines.load_balance_similarity(10**9, 10**9, 64, 8) == pytest.approx(1.0)


@pytest.mark.parametrize("tokens", [8, 32, 50])
def test_load_balance_of_olmoes_shape_equals_its_closed_form(tokens):
    counts = np.zeros((12, 16, 64), dtype=int)
    counts[..., :8] = tokens
    sigs = rs.SignatureSet.from_counts(counts, tasks=["a", "b"] * 6, top_k=8)
    base = rs.baselines.load_balance(sigs, repetitions=100)
    assert base.token_range == (tokens, tokens, tokens)
    form = rs.baselines.load_balance_similarity(tokens, tokens, 64, 8)
    assert base.closed_form.within == pytest.approx(form, abs=1e-12)
    assert base.within.mean == pytest.approx(form, abs=0.004)
    assert base.across.mean == pytest.approx(form, abs=0.004)


def test_numbers_that_do_not_fit_are_one_sentence():
    for tokens in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="expected finite numbers of tokens of 0 or more"):
            rs.baselines.load_balance_similarity([8, tokens], 8, 64, 8)
    with pytest.raises(ValueError, match="broadcast"):
        rs.baselines.load_balance_similarity([1, 2], [1, 2, 3], 64, 8)
    assert rs.baselines.load_balance_similarity(0, 8, 64, 8) == 0
    with pytest.raises(ValueError, match=r"break_even_tokens: expected finite numbers, got 0\.5 and inf"):
        rs.baselines.break_even_tokens(0.5, np.inf, experts=64, top_k=8)
