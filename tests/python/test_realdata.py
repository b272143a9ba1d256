"""Figures that were computed elsewhere from real routing: OLMoE-1B-7B-0924's expert counts and decode traces."""

import json

import numpy as np
import pytest

import routesig as rs

LAYERS = (0, 7, 15)


def realdata(repository, name):
    path = repository.parent / "shared/realdata" / name
    if not path.is_file():
        pytest.skip("the real routing data is not beside this checkout")
    return path


@pytest.fixture
def domains(repository):
    counts = json.loads(realdata(repository, "olmoe_domain_counts.json").read_text())["olmoe"]["expert_counts"]
    names = sorted(counts)
    return rs.SignatureSet.from_counts([counts[name] for name in names], ids=names, tasks=names, top_k=8)


@pytest.fixture
def decoding(repository):
    with np.load(realdata(repository, "olmoe_decode_traces.npz"), allow_pickle=False) as file:
        return rs.TraceSet(
            [
                rs.RoutingTrace.from_arrays(
                    file[name], num_experts=64, axes="tlk", ranked=False, prompt_tokens=0, id=name, task=name
                )
                for name in sorted(file.files)
            ]
        )


def test_load_of_domains_gives_the_known_figures(domains):
    """Entropy in bits, CV and largest violation of layers 0, 7 and 15."""
    expected = {
        "github": ((5.7661, 0.6613, 4.0063), (5.1082, 1.3489, 5.1566), (5.1178, 1.1898, 3.5086)),
        "c4": ((5.9384, 0.3242, 2.0165), (5.8904, 0.4023, 1.6579), (5.8101, 0.5124, 1.4992)),
    }
    found = rs.metrics.load(domains, by="prompt")
    for name, rows in expected.items():
        at = found.names.index(name)
        measures = np.stack([found.entropy[at], found.cv[at], found.max_violation[at]], axis=1)
        np.testing.assert_allclose(measures, rows, atol=5e-5)
    assert (found.entropy_bias < 1e-4).all()  # 208,896 tokens
    assert (found.cv > 10 * found.chance.cv).all()


def test_debiasing_hardly_moves_cosines_of_many_tokens(domains):
    plain, debiased = rs.similarity(domains), rs.similarity(domains, debias=True)
    off = ~np.eye(len(domains), dtype=bool)
    np.testing.assert_allclose(debiased[off], plain[off], rtol=1e-4)
    assert (debiased[off] > plain[off]).all()


def test_domains_specialize(domains):
    found = rs.metrics.domain_specialization(domains)
    np.testing.assert_allclose(found.shares.sum(axis=2), 8)
    assert found.shares.max() > 4 * found.chance


def test_neighbouring_tokens_repeat_experts(decoding):
    """So the window shrinks the squared norms of real text, and raises the debiased cosines."""
    near, far = rs.debiased_similarity(decoding, window=0), rs.debiased_similarity(decoding, window=4)
    assert (far.squared_norms.mean() < near.squared_norms.mean()).all()
    off = ~np.eye(4, dtype=bool)
    assert (far.values[off].mean() > near.values[off].mean()).all()


def test_real_halves_are_nearly_alike_and_adjacent_pairs_need_ranks(decoding):
    found = rs.reliability(decoding)
    assert found.values.min() > 0.95
    drifts = rs.reliability(decoding, split="contiguous").values < found.values
    # The dialogue fell into a loop of 22 tokens: an even lag, so that the interleaved halves repeat different tokens.
    assert dict(zip(found.ids, drifts.tolist(), strict=True)) == {
        "code": True,
        "dialogue": False,
        "math": True,
        "prose": True,
    }
    with pytest.raises(ValueError, match="rank order"):
        rs.metrics.coactivation(decoding, pairs="adjacent")
    together = rs.metrics.coactivation(decoding)
    assert together.conditional.max() > 4 * together.chance
