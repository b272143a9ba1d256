"""Recordings that agree once layers are shifted, or experts numbered otherwise; and those that never do."""

import json
import sys

import numpy as np
import pytest

import routesig as rs
from support import random_experts, random_traces

LAYERS, EXPERTS, TOP_K = 5, 16, 4


def rerouted(traces, change):
    """The same prompts and tokens; `change` turns [layers, tokens, top_k] into what B has."""
    return rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(
                change(np.asarray(t.experts).astype(int), i),
                num_experts=traces.info.experts,
                token_ids=t.token_ids,
                prompt_tokens=t.prompt_tokens,
                id=t.id,
                task=t.task,
                text=t.text,
            )
            for i, t in enumerate(traces)
        ]
    )


def shifted(by):
    """Layer l of A is layer l + `by` of B; the layer that is left over is random."""

    def change(experts, i):
        moved = np.roll(experts, by, axis=0)
        edge = 0 if by > 0 else -1
        moved[edge] = random_experts(1, experts.shape[1], EXPERTS, TOP_K, 900 + i)[0]
        return moved

    return change


PERMUTATIONS = np.random.default_rng(7).permuted(np.tile(np.arange(EXPERTS), (LAYERS, 1)), axis=1)


def permuted(experts, _):
    return np.stack([PERMUTATIONS[layer][experts[layer]] for layer in range(LAYERS)])


def both(experts, i):
    return shifted(1)(permuted(experts, i), i)


def noisy(change, share):
    def changed(experts, i):
        out = change(experts, i)
        hit = np.random.default_rng(i).random(out.shape[:2]) < share
        return np.where(hit[:, :, None], random_experts(*out.shape[:2], EXPERTS, TOP_K, 300 + i), out)

    return changed


@pytest.fixture(scope="module")
def traces():
    return random_traces(12, layers=LAYERS, tokens=40, experts=EXPERTS, top_k=TOP_K)


def aligned(traces, change, **options):
    return rs.compare(traces, rerouted(traces, change), bootstrap=1, permutations=9, **options)


@pytest.mark.parametrize("by", [1, -1])
def test_a_shift_by_one_layer_is_found_in_either_direction(traces, by):
    comparison = aligned(traces, shifted(by))
    found = comparison.alignment
    assert (found.kind, found.shift, found.permutations) == ("layer shift", by, None)
    assert found.after == 1.0
    assert found.before == pytest.approx(TOP_K / EXPERTS, abs=0.03)
    assert found.chance == pytest.approx(TOP_K / EXPERTS, abs=0.03)
    sentence = f"layer l of A agrees with layer l {'+' if by > 0 else '-'} 1 of B"
    assert sentence in " ".join(str(comparison).split())
    assert sentence in comparison._repr_html_()


def test_experts_that_are_numbered_otherwise_are_found_and_their_numbers_given(traces):
    comparison = aligned(traces, permuted)
    found = comparison.alignment
    assert (found.kind, found.shift) == ("expert permutation", 0)
    np.testing.assert_array_equal(found.permutations, PERMUTATIONS)
    assert found.after == 1.0
    assert (found.fitted, found.scored) == (6, 6)  # on one half, on the other
    assert "matched one to one on 6 prompts" in " ".join(str(comparison).split())


def test_a_shift_and_other_numbers_together_are_found(traces):
    found = aligned(traces, both).alignment
    assert (found.kind, found.shift) == ("layer shift and expert permutation", 1)
    np.testing.assert_array_equal(found.permutations[:-1], PERMUTATIONS[:-1])
    np.testing.assert_array_equal(found.permutations[-1], np.full(EXPERTS, -1))  # no layer of B is its like
    assert found.after == 1.0


@pytest.mark.parametrize("change", [shifted(1), permuted, both])
def test_an_alignment_is_found_through_noise(traces, change):
    clean, found = aligned(traces, change).alignment, aligned(traces, noisy(change, 0.3)).alignment
    assert (found.kind, found.shift) == (clean.kind, clean.shift)
    assert found.after == pytest.approx(0.7 + 0.3 * TOP_K / EXPERTS, abs=0.04)


@pytest.mark.parametrize("seed", range(5))
def test_unrelated_recordings_have_no_alignment(traces, seed):
    def unrelated(experts, i):
        return random_experts(*experts.shape[:2], EXPERTS, TOP_K, 5_000 + 100 * seed + i)

    found = aligned(traces, unrelated)
    assert found.alignment is None
    assert "alignment" not in found.absent


def test_words_that_two_models_route_each_in_its_way_have_no_alignment(traces):
    """Matching finds experts that answer to the same words: more than chance, and far from agreement."""
    own = [random_experts(LAYERS, 500, EXPERTS, TOP_K, seed) for seed in (1, 2)]
    words = [np.asarray(t.token_ids) % 60 for t in traces]
    a, b = (rerouted(traces, lambda _, i, own=own: own[:, words[i]]) for own in own)
    assert rs.compare(a, b, bootstrap=1, permutations=9).alignment is None


def test_popularity_alone_is_no_alignment(traces):
    """All of A picks the same experts, all of B picks others: a matching can only match what is always so."""
    a, b = (rerouted(traces, lambda experts, _, first=first: experts % 1 + first + np.arange(4)) for first in (0, 8))
    found = rs.compare(a, b, bootstrap=1, permutations=9)
    assert found.agreement.overlap == 0.0
    assert found.alignment is None


def test_recordings_that_agree_as_they_are_need_none(traces):
    assert aligned(traces, noisy(lambda experts, _: experts, 0.3)).alignment is None


def test_the_order_of_the_prompts_does_not_matter(traces):
    other = rerouted(traces, both)
    order = np.random.default_rng(3).permutation(len(traces)).tolist()
    options = {"bootstrap": 1, "permutations": 9}
    straight, mixed = (rs.compare(traces, one, **options).to_json() for one in (other, other.take(order)))
    assert straight == mixed


def test_unknown_rows_and_other_tokens_take_no_part(traces):
    def unknown(experts, i):
        out = permuted(experts, i)
        out[:, ::3] = -1
        return out

    found = aligned(traces, unknown, tokens="generation").alignment
    np.testing.assert_array_equal(found.permutations, PERMUTATIONS)
    assert found.after == 1.0


def test_one_prompt_leaves_nothing_to_score_a_matching_on(traces):
    comparison = aligned(traces[:1], permuted)
    assert comparison.alignment is None
    assert comparison.absent["alignment"] == (
        "experts are matched on one half of the prompts and scored on the other: got one prompt"
    )
    assert aligned(traces[:1], shifted(1)).alignment.kind == "layer shift"


def test_without_scipy_one_sentence_says_what_is_missing(traces, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    comparison = aligned(traces, permuted)
    assert comparison.alignment is None
    assert comparison.absent["alignment"] == "matching experts one to one needs SciPy: pip install scipy"
    assert aligned(traces, shifted(-1)).alignment.shift == -1
    assert "alignment" not in aligned(traces, lambda experts, _: experts).absent


def test_it_stands_in_the_json(traces):
    read = json.loads(aligned(traces, permuted).to_json())["alignment"]
    assert read["kind"] == "expert permutation"
    assert read["permutations"] == PERMUTATIONS.tolist()
    assert json.loads(aligned(traces, shifted(1)).to_json())["alignment"]["permutations"] is None
    assert json.loads(rs.compare(traces, traces, bootstrap=1, permutations=9).to_json())["alignment"] is None
