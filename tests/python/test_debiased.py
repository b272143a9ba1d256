"""Debiased similarity and reliability, against their definitions in NumPy and on real traces."""

import numpy as np
import pytest

import routesig as rs
from support import random_traces


def squared_norm(experts, window):
    """Mean of |E_s & E_t| over pairs of tokens more than `window` apart; experts [tokens, top_k]."""
    tokens = len(experts)
    common = [
        len(set(experts[s].tolist()) & set(experts[t].tolist()))
        for s in range(tokens)
        for t in range(tokens)
        if abs(s - t) > window
    ]
    return np.mean(common)


@pytest.mark.parametrize("window", [0, 4])
def test_debiased_similarity_equals_its_definition(window):
    traces = random_traces(4, tokens=20)
    found = rs.debiased_similarity(traces, window=window)
    counts = rs.signatures(traces).counts.astype(float)
    for layer in range(3):
        norms = [squared_norm(trace.experts[layer], window) for trace in traces]
        shares = [c[layer] / len(trace) for c, trace in zip(counts, traces, strict=True)]
        expected = np.array([[a @ b / np.sqrt(m * n) for b, n in zip(shares, norms, strict=True)]
                             for a, m in zip(shares, norms, strict=True)])  # fmt: skip
        np.testing.assert_allclose(found.squared_norms[:, layer], norms, atol=1e-12)
        off = ~np.eye(4, dtype=bool)
        np.testing.assert_allclose(found.layers[layer].data[off], expected[off], atol=1e-12)
    np.testing.assert_allclose(found.values, found.layers.mean(axis=0), atol=1e-12)
    assert found.values.mask.tolist() == np.eye(4, dtype=bool).tolist()
    assert found.absent == {}
    assert repr(found) == f"DebiasedSimilarity(4 x 4 prompts, window={window}, 0 prompts absent)"


def test_similarity_takes_debias_from_counts_and_from_traces():
    traces = random_traces(5)
    sigs = rs.signatures(traces)
    from_counts = rs.similarity(sigs, debias=True)
    assert np.ma.allclose(from_counts, rs.debiased_similarity(traces, window=0).values, atol=1e-12)
    assert rs.similarity(traces, debias=True, per_layer=True).shape == (3, 5, 5)
    assert (rs.similarity(traces) == rs.similarity(sigs)).all()
    block = rs.similarity(sigs[:2], sigs[2:], debias=True)
    np.testing.assert_allclose(block, from_counts[:2, 2:], atol=1e-12)
    assert not np.ma.getmaskarray(block).any()


def test_experts_a_token_come_from_top_k_or_from_num_tokens():
    sigs = rs.signatures(random_traces(3))
    known = rs.debiased_similarity(sigs).values
    by_tokens = rs.SignatureSet.from_counts(sigs.counts, num_tokens=sigs.num_tokens)
    assert np.ma.allclose(rs.debiased_similarity(by_tokens).values, known)
    with pytest.raises(ValueError, match="expected signatures that know top_k or num_tokens"):
        rs.debiased_similarity(rs.SignatureSet.from_counts(sigs.counts))
    with pytest.raises(ValueError, match="same whole number of experts per token"):
        rs.debiased_similarity(rs.SignatureSet.from_counts(sigs.counts, num_tokens=sigs.num_tokens + 1))
    top1 = rs.debiased_similarity(rs.signatures(random_traces(3), weighting="top1"))
    assert (top1.num_tokens[:, 0] == [10, 11, 12]).all()


def test_what_does_not_fit_is_one_sentence():
    traces = random_traces(3)
    with pytest.raises(ValueError, match="expected counts, got gate-weighted"):
        rs.similarity(rs.signatures(traces, weighting="gate"), debias=True)
    with pytest.raises(ValueError, match="expected metric cosine and dtype float64 with debias, got overlap"):
        rs.similarity(traces, metric="overlap", debias=True)
    with pytest.raises(ValueError, match="expected window 0 for counts"):
        rs.debiased_similarity(rs.signatures(traces), window=4)
    with pytest.raises(ValueError, match="two sets of one kind, got windows 4 and 0"):
        rs.debiased_similarity(traces, rs.signatures(traces))
    with pytest.raises(TypeError, match="expected traces or signatures, got a Signature"):
        rs.similarity(rs.signatures(traces)[0], debias=True)
    with pytest.raises(ValueError, match="tokens to be one of all, prompt, generation"):
        rs.debiased_similarity(traces, tokens="some")
    with pytest.raises(ValueError, match="similarity of one set with itself"):
        rs.debiased_similarity(traces[:1], traces[1:]).means()


def test_short_prompts_are_absent_with_a_reason():
    long, short = random_traces(2, tokens=20), random_traces(1, tokens=5, seed=9)
    traces = rs.TraceSet([*long, short[0]])
    found = rs.debiased_similarity(traces, window=0)
    assert found.absent == {"p0": "expected at least 8 tokens, got 5 in layer 0"}
    assert found.values.mask[2].all()
    assert not found.values.mask[0, 1]
    assert np.isfinite(found.values.data).all()
    overall, layers = found.means(["a", "a", "b"])
    assert overall.within == pytest.approx(found.values[0, 1])
    assert (overall.across, overall.difference, overall.across_pairs) == (None, None, 0)
    assert len(layers) == 3


def test_means_are_ratios_of_means():
    traces = random_traces(8, tokens=20)
    found = rs.debiased_similarity(traces)
    overall, layers = found.means()
    scale = np.sqrt(found.squared_norms[:, None] * found.squared_norms[None, :]).data  # [prompts, prompts, layers]
    upper = np.triu(np.ones((8, 8), dtype=bool), 1)
    same = np.equal.outer(traces.tasks, traces.tasks)
    for layer, means in enumerate(layers):
        for group, value in ((upper & same, means.within), (upper & ~same, means.across)):
            inner = found.layers[layer].data[group] * scale[group][:, layer]
            assert value == pytest.approx(inner.sum() / scale[group][:, layer].sum(), rel=1e-12)
    assert overall.within == pytest.approx(np.mean([layer.within for layer in layers]))
    assert overall.difference == pytest.approx(overall.within - overall.across)


def test_unlike_the_cosine_it_does_not_grow_with_length():
    """Prompts of one routing, half of them eight times as long: nothing separates them but length."""
    random = np.random.default_rng(0)
    share = np.full(16, 0.25)
    share[:4] += [0.5, 0.4, 0.3, 0.2]
    long_and_short = []
    for i in range(60):
        tokens = (24, 192)[i % 2]
        keys = np.log(random.random((1, tokens, 16))) / share
        ids = keys.argsort(axis=-1)[..., -4:].astype(np.uint16)
        long_and_short.append(rs.RoutingTrace.from_arrays(ids, num_experts=16, id=str(i), task=("a", "b")[i % 2]))
    traces = rs.TraceSet(long_and_short)
    plain = rs.similarity(traces)
    assert plain[1::2, 1::2].mean() - plain[::2, ::2].mean() > 0.05
    debiased = rs.debiased_similarity(traces).values
    assert abs(debiased[1::2, 1::2].mean() - debiased[::2, ::2].mean()) < 0.01
    assert debiased.mean() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("split", ["interleaved", "contiguous"])
def test_reliability_equals_its_definition(split):
    traces = random_traces(5, tokens=15)
    found = rs.reliability(traces, split=split)
    halves = np.empty((5, 3))
    for i, trace in enumerate(traces):
        middle = (len(trace) + 1) // 2
        first, second = (np.s_[::2], np.s_[1::2]) if split == "interleaved" else (np.s_[:middle], np.s_[middle:])
        for layer in range(3):
            a, b = (np.bincount(trace.experts[layer, half].ravel(), minlength=16) for half in (first, second))
            halves[i, layer] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(found.layers, 2 * halves / (1 + halves), atol=1e-12)
    h = halves.mean(axis=1)
    np.testing.assert_allclose(found.values, 2 * h / (1 + h), atol=1e-12)
    np.testing.assert_allclose(found.ceiling[0, 1], np.sqrt(found.values[0] * found.values[1]), atol=1e-12)
    np.testing.assert_allclose(found.disattenuated, rs.similarity(traces) / found.ceiling, atol=1e-12)
    r = (15 + np.arange(5)) * (1 - found.values) / found.values
    np.testing.assert_allclose(found.tokens_needed(0.9), r * 0.9 / 0.1, rtol=1e-12)


def test_reliability_is_absent_where_halves_are():
    ids = np.array([[[0], [1], [0], [1]]])
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(ids, num_experts=2, id="apart"),
            rs.RoutingTrace.from_arrays(ids[:, :1], num_experts=2, id="one"),
            rs.RoutingTrace.from_arrays(ids * 0, num_experts=2, id="fine"),
        ]
    )
    found = rs.reliability(traces)
    assert found.absent == {
        "apart": "expected halves that share an expert, got none in layer 0",
        "one": "expected at least 2 tokens, got 1 in layer 0",
    }
    assert found.values.mask.tolist() == [True, True, False]
    assert found.disattenuated.mask.sum() == 8
    assert found.disattenuated[2, 2] == pytest.approx(1.0)
    assert np.isfinite(found.disattenuated.compressed()).all()
    assert repr(found) == "Reliability(3 prompts, split='interleaved', mean 1.000)"
    with pytest.raises(ValueError, match='split to be one of interleaved, contiguous, got "odd"'):
        rs.reliability(traces, split="odd")


def test_threads_do_not_change_a_byte():
    traces = random_traces(30, tokens=12)
    rs.set_num_threads(1)
    one = rs.debiased_similarity(traces).layers.data.tobytes() + rs.reliability(traces).values.data.tobytes()
    for threads in (2, 3):
        rs.set_num_threads(threads)
        again = rs.debiased_similarity(traces).layers.data.tobytes() + rs.reliability(traces).values.data.tobytes()
        assert again == one
    rs.set_num_threads(0)


def test_reliability_of_no_traces_is_empty():
    for traces in (rs.TraceSet(), random_traces(3)[:0]):
        found = rs.reliability(traces)
        assert (found.values.shape, found.ceiling.shape, found.absent) == ((0,), (0, 0), {})
        assert found.tokens_needed(0.9).shape == (0,)
