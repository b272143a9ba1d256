"""Load, co-activation, uncertainty and specialisation, against NumPy and SciPy."""

import importlib
import itertools

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

import routesig as rs
from support import random_traces


def by_definition(counts):
    """The measures of one layer, written out."""
    share = counts / counts.sum()
    pairs = np.abs(share[:, None] - share[None, :]).sum()
    return {
        "entropy": entropy(share, base=2),
        "effective_experts": 2 ** entropy(share, base=2),
        "cv": counts.std() / counts.mean(),
        "max_violation": counts.max() / counts.mean() - 1,
        "gini": pairs / (2 * len(share) * share.sum()),
        "jain": counts.sum() ** 2 / (len(counts) * (counts**2).sum()),
        "balancedness": counts.mean() / counts.max(),
        "unused": (counts == 0).sum(),
    }


@pytest.mark.parametrize("by", ["all", "task", "prompt"])
def test_load_equals_its_definition_on_signatures_and_on_traces(by):
    traces = random_traces(6)
    found = rs.metrics.load(rs.signatures(traces), by=by)
    again = rs.metrics.load(traces, by=by)
    counts = rs.signatures(traces).counts.astype(float)
    groups = {"all": [slice(None)], "task": [slice(0, None, 2), slice(1, None, 2)], "prompt": [[i] for i in range(6)]}
    assert found.names == {"all": ["all"], "task": ["code", "math"], "prompt": traces.ids}[by]
    for i, group in enumerate(groups[by]):
        for layer in range(3):
            pooled = counts[group].sum(axis=0)[layer]
            for name, value in by_definition(pooled).items():
                assert getattr(found, name)[i, layer] == pytest.approx(value, abs=1e-12), name
                assert getattr(again, name)[i, layer] == getattr(found, name)[i, layer]
            np.testing.assert_allclose(found.coverage[i, layer], np.sort(pooled)[::-1].cumsum() / pooled.sum())
            assert found.num_tokens[i, layer] * 4 == pooled.sum()


def test_chance_is_beside_every_measure():
    """Uniform routing: observed measures scatter around chance, and the stated entropy bias is the deficit."""
    traces = random_traces(400, layers=1, tokens=46, experts=32, top_k=4)
    found = rs.metrics.load(traces, by="prompt")
    for name, tolerance in {"entropy": 0.002, "cv": 0.02, "gini": 0.02, "jain": 0.02, "max_violation": 0.05}.items():
        observed, chance = getattr(found, name).mean(), getattr(found.chance, name).mean()
        assert observed == pytest.approx(chance, rel=tolerance), name
    deficit = np.log2(32) - found.entropy
    assert deficit.mean() == pytest.approx(found.entropy_bias.mean(), rel=0.05)
    assert not found.dead().any()


def test_dead_needs_tokens_enough():
    counts = np.zeros((1, 2, 8), dtype=int)
    counts[0, :, 0] = (20, 200)
    counts[0, :, 1] = (20, 200)
    found = rs.metrics.load(rs.SignatureSet.from_counts(counts, top_k=2, unequal_layers=True))
    assert found.unused[0].tolist() == [6, 6]
    assert found.unused_p_value[0, 0] == pytest.approx(0.75**20)
    assert found.chance.unused[0, 0] == pytest.approx(8 * 0.75**20)
    assert found.dead(alpha=0.01).sum(axis=2).tolist() == [[0, 6]]
    assert found.dead(alpha=0.05).sum(axis=2).tolist() == [[6, 6]]


def test_load_is_absent_where_nothing_was_routed_and_chance_where_tokens_are_unknown():
    found = rs.metrics.load(rs.SignatureSet.from_counts([[[0, 0], [3, 1]]], top_k=1))
    assert found.entropy.mask.tolist() == [[True, False]]
    assert found.chance.cv.mask.tolist() == [[True, False]]
    assert found.entropy_bias.mask.tolist() == [[True, False]]
    assert np.isfinite(found.coverage.data).all()
    unknown = rs.metrics.load(rs.SignatureSet.from_counts([[[3, 1]]]))
    assert unknown.chance is None
    assert "top_k or num_tokens" in unknown.absent["chance"]
    with pytest.raises(ValueError, match="expected a known number of tokens"):
        unknown.dead()
    gates = rs.signatures(random_traces(3), weighting="gate")
    by_gate = rs.metrics.load(gates)
    weights = gates.num_tokens / gates.num_tokens.sum()
    np.testing.assert_allclose(by_gate.shares[0], np.tensordot(weights, gates.values, axes=1), atol=1e-12)
    assert "gate weights" in by_gate.absent["chance"]


def test_load_of_tasks_leaves_unlabelled_prompts_out_and_says_how_many():
    sigs = rs.SignatureSet.from_counts([[[3, 1]], [[1, 1]], [[0, 4]]], tasks=["a", None, "b"], top_k=1)
    found = rs.metrics.load(sigs, by="task")
    assert (found.names, found.left_out) == (["a", "b"], 1)
    with pytest.raises(ValueError, match="by to be one of all, task, prompt, got 'layer'"):
        rs.metrics.load(sigs, by="layer")
    with pytest.raises(ValueError, match="tokens to be chosen when the signatures were made"):
        rs.metrics.load(sigs, tokens="prompt")
    assert repr(found) == "Load(2 groups, 1 layers x 2 experts)"


def test_coactivation_equals_its_definition():
    traces = random_traces(5)
    found = rs.metrics.coactivation(traces)
    chosen = [np.zeros((len(trace), 3, 16)) for trace in traces]
    for trace, onto in zip(traces, chosen, strict=True):
        for layer in range(3):
            np.put_along_axis(onto[:, layer], trace.experts[layer].astype(int), 1, axis=1)
    all_tokens = np.concatenate(chosen)
    counts = np.einsum("tli,tlj->lij", all_tokens, all_tokens)
    assert (found.counts == counts).all()
    alone = np.diagonal(counts, axis1=1, axis2=2)
    off = ~np.eye(16, dtype=bool)
    np.testing.assert_allclose(found.conditional[:, off], (counts / alone[:, :, None])[:, off])
    lift = counts * len(all_tokens) / (alone[:, :, None] * alone[:, None, :])
    np.testing.assert_allclose(found.lift[:, off], lift[:, off])
    assert found.chance == 3 / 15
    assert found.conditional.mean() == pytest.approx(found.chance, abs=0.01)
    assert found.num_tokens.tolist() == [len(all_tokens)] * 3
    assert repr(found) == "Coactivation(3 layers x 16 experts, pairs='all', chance=0.2000)"


def test_adjacent_coactivation_counts_neighbouring_ranks():
    traces = random_traces(40)
    found = rs.metrics.coactivation(traces, pairs="adjacent")
    counts = np.zeros((16, 16), dtype=int)
    for trace in traces:
        for row in trace.experts[0].astype(int):
            for a, b in itertools.pairwise(row):
                counts[a, b] += 1
                counts[b, a] += 1
    off = ~np.eye(16, dtype=bool)
    assert (found.counts[0][off] == counts[off]).all()
    assert found.conditional.mean() == pytest.approx(found.chance, abs=0.01)  # uniform ranks
    with pytest.raises(ValueError, match="one of all, adjacent"):
        rs.metrics.coactivation(traces, pairs="next")


def test_unused_experts_have_no_coactivation():
    traces = rs.TraceSet([rs.RoutingTrace.from_arrays(np.array([[[0, 1], [0, 1]]]), num_experts=3, id="x")])
    found = rs.metrics.coactivation(traces)
    assert found.conditional.mask[0, 2].all()
    assert found.conditional[0, 0].tolist() == [None, 1.0, 0.0]
    assert np.isfinite(found.conditional.data).all()


def test_uncertainty_equals_scipy():
    logits = np.random.default_rng(0).normal(scale=2, size=(3, 50, 16)).astype(np.float32)
    found = rs.metrics.uncertainty(logits, top_k=4)
    p = np.sort(softmax(logits.astype(float), axis=-1), axis=-1)[..., ::-1]
    ordered = np.sort(logits.astype(float), axis=-1)[..., ::-1]
    entropies = -(softmax(logits.astype(float), axis=-1) * log_softmax(logits.astype(float), axis=-1)).sum(axis=-1)
    np.testing.assert_allclose(found.entropy, entropies / np.log(2), atol=1e-10)
    np.testing.assert_allclose(found.gap, p[..., 0] - p[..., 1], atol=1e-10)
    np.testing.assert_allclose(found.mass, p[..., :4].sum(axis=-1), atol=1e-10)
    np.testing.assert_allclose(found.margin, ordered[..., 3] - ordered[..., 4], atol=1e-10)
    assert found.chance == {"entropy": 4.0, "gap": 0.0, "mass": 0.25, "margin": 0.0}
    shifted = rs.metrics.uncertainty(logits + 1, top_k=4)
    np.testing.assert_allclose(shifted.entropy, found.entropy, atol=1e-5)


def test_uncertainty_of_what_is_not_finite_is_absent():
    found = rs.metrics.uncertainty([[0.0, 1.0], [np.nan, 0.0]], top_k=1)
    assert found.entropy.mask.tolist() == [False, True]
    assert (found.left_out, repr(found)) == (1, "Uncertainty(shape=[2], left_out=1)")
    with pytest.raises(ValueError, match="expected top_k beside an array"):
        rs.metrics.uncertainty([[0.0, 1.0]])
    with pytest.raises(ValueError, match=r"expected top_k from 1 to 2 .*got 3"):
        rs.metrics.uncertainty([[0.0, 1.0]], top_k=3)


def test_uncertainty_of_traces_needs_router_logits():
    with pytest.raises(ValueError, match='trace "p0" has none'):
        rs.metrics.uncertainty(random_traces(2))
    with pytest.raises(ValueError, match="expected at least one trace"):
        rs.metrics.uncertainty(rs.TraceSet([]))


def test_uncertainty_of_recorded_traces(model):
    traces = rs.record(model, rs.load_prompts()[:3], max_new_tokens=4, router_logits=True, progress=False)
    found = rs.metrics.uncertainty(traces)
    assert found.entropy.shape == (3, traces.info.layers)
    each = rs.metrics.uncertainty(traces[1])
    np.testing.assert_allclose(found.mass[1], each.mass.mean(axis=1))
    weights = traces[1].weights.astype(float).sum(axis=2)
    np.testing.assert_allclose(each.mass, weights, atol=1e-5)  # OLMoE applies the probabilities as they are


def test_domain_specialization_equals_its_definition():
    traces = random_traces(6)
    found = rs.metrics.domain_specialization(traces)
    counts = rs.signatures(traces).counts.astype(float)
    tokens = np.array([len(trace) for trace in traces])
    for i, task in enumerate(["code", "math"]):
        np.testing.assert_allclose(found.shares[i], counts[i::2].sum(axis=0) / tokens[i::2].sum(), err_msg=task)
    assert (found.names, found.chance) == (["code", "math"], 0.25)
    np.testing.assert_allclose(found.shares.sum(axis=2), 4)
    with pytest.raises(ValueError, match="expected counts and experts per token"):
        rs.metrics.domain_specialization(rs.signatures(traces, weighting="gate"))


def test_vocabulary_specialization_equals_its_definition():
    ids = np.random.default_rng(3).integers(0, 6, 80)
    plain = random_traces(1, tokens=80)[0]
    trace = rs.RoutingTrace.from_arrays(np.asarray(plain.experts), num_experts=16, token_ids=ids, id="x")
    found = rs.metrics.vocabulary_specialization(rs.TraceSet([trace]), least=12)
    kept = [x for x in range(6) if (ids == x).sum() >= 12]
    assert found.names == kept
    assert kept != list(range(6))
    for i, x in enumerate(kept):
        for layer in range(3):
            counts = np.bincount(trace.experts[layer, ids == x].ravel(), minlength=16)
            np.testing.assert_allclose(found.shares[i, layer], counts / (ids == x).sum())
    with pytest.raises(ValueError, match="expected least from 1 to"):
        rs.metrics.vocabulary_specialization(rs.TraceSet([trace]), least=0)


def test_the_namespace_offers_what_it_lists():
    module = importlib.import_module("routesig.metrics")
    assert rs.metrics is module
    assert all(hasattr(module, name) for name in module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_logits_without_an_axis_of_experts_are_refused():
    for logits, shape in (([], r"\[0\]"), (np.zeros((2, 0)), r"\[2, 0\]")):
        with pytest.raises(ValueError, match=rf"expected logits \[\.\.\., experts\], got shape {shape}"):
            rs.metrics.uncertainty(logits, top_k=1)
    assert rs.metrics.uncertainty([[1e300, 0.0], [1.0, 0.0]], top_k=1).entropy.mask.tolist() == [True, False]
