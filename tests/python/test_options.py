"""Numbers among the options: what is none, or out of range, is one sentence, before anything is made room for."""

import numpy as np
import pytest

import routesig as rs
from routesig import controls, information, metrics, statistics
from routesig._options import real_number, whole_number
from support import random_traces

TRACES = random_traces(n=12, layers=2, tokens=24)
SIGS = rs.signatures(TRACES)
ROWS, LABELS = SIGS.values.reshape(len(SIGS), -1), [0, 1] * 6

CALLS = {  # name: the call, and its whole numbers with the least and the largest that are taken
    "study": (
        lambda **one: rs.study(TRACES, progress=False, **one),
        {
            "seed": (0, 2**64 - 1),
            "folds": (2, 2**31 - 1),
            "permutations": (1, 10**7),
            "bootstrap": (1, 10**7),
            "null_draws": (2, 10**7),
            "shuffles": (1, 10**7),
            "refits": (0, 10**7),
        },
    ),
    "compare": (
        lambda **one: rs.compare(TRACES, TRACES, **one),
        {"seed": (0, 2**64 - 1), "bootstrap": (0, 10**7), "permutations": (1, 10**7)},
    ),
    "classify": (
        lambda **one: rs.classify(SIGS, **one),
        {"seed": (0, 2**64 - 1), "repeats": (1, 10**7), "refits": (0, 10**7)},
    ),
    "permutation_test": (
        lambda **one: statistics.permutation_test(SIGS, **one),
        {"seed": (0, 2**64 - 1), "permutations": (0, 10**7)},
    ),
    "dispersion_test": (
        lambda **one: statistics.dispersion_test(SIGS, **one),
        {"seed": (0, 2**64 - 1), "permutations": (0, 10**7)},
    ),
    "bootstrap": (lambda **one: statistics.bootstrap(SIGS, **one), {"seed": (0, 2**64 - 1), "draws": (0, 10**7)}),
    "information": (
        lambda **one: information.layer_information(SIGS, **one),
        {"seed": (0, 2**64 - 1), "permutations": (0, 10**7)},
    ),
    "evidence": (
        lambda **one: information.evidence_over_tokens(TRACES, SIGS, **one),
        {"seed": (0, 2**64 - 1)},
    ),
    "baselines": (
        lambda **one: rs.baselines.permutation(SIGS, **one),
        {"seed": (0, 2**64 - 1), "repetitions": (0, 10**7)},
    ),
    "token_shuffle": (
        lambda **one: controls.token_shuffle(TRACES, **one),
        {"seed": (0, 2**64 - 1), "shuffles": (0, 10**7)},
    ),
    "context_test": (lambda **one: controls.context_test(TRACES, **one), {"permutations": (0, 10**7)}),
    "decomposition": (lambda **one: controls.decomposition(TRACES, **one), {"bootstrap": (0, 10**7)}),
    "bag_of_tokens": (
        lambda **one: controls.bag_of_tokens(TRACES, **one),
        {"seed": (0, 2**64 - 1), "bootstrap": (0, 10**7)},
    ),
    "length": (lambda **one: controls.length(TRACES, **one), {"seed": (0, 2**64 - 1), "bootstrap": (0, 10**7)}),
    "position_matched": (lambda **one: controls.position_matched(TRACES, **one), {"length": (1, 2**31 - 1)}),
    "debiased": (lambda **one: rs.debiased_similarity(TRACES, **one), {"window": (0, 2**31 - 1)}),
    "specialization": (lambda **one: metrics.vocabulary_specialization(TRACES, **one), {"least": (1, 2**31 - 1)}),
    "signatures": (lambda **one: rs.SignatureSet.from_counts([[[2, 2]]], **one), {"top_k": (1, 2)}),
    "uncertainty": (lambda **one: metrics.uncertainty([0.0, 1.0], **one), {"top_k": (0, 2**31 - 1)}),
    "pca": (lambda **one: rs.pca(SIGS, **one), {"components": (1, 2**31 - 1)}),
    "tsne": (lambda **one: rs.tsne(SIGS, **one), {"seed": (0, 2**32 - 1)}),
    "LogisticRegression": (
        lambda **one: rs.LogisticRegression(**one).fit(ROWS, LABELS),
        {"max_iter": (0, 2**31 - 1)},
    ),
    "NearestCentroid": (
        lambda **one: rs.NearestCentroid("cosine", **one).fit(ROWS, LABELS),
        {"layers": (0, 2**64 - 1)},
    ),
    "baselines ": (
        lambda **one: rs.baselines.load_balance_similarity(8, 8, **{"experts": 4, "top_k": 2, **one}),
        {"experts": (0, 2**31 - 1), "top_k": (0, 2**31 - 1)},
    ),
    "set_num_threads": (lambda count: rs.set_num_threads(count), {"count": (0, 1024)}),
}
OPTIONS = [(who, name) for who, (_, options) in CALLS.items() for name in options]
NO_NUMBERS = {3.0: "3.0", 2.5: "2.5", "3": "'3'", (1,): "a tuple of int", float("nan"): "nan"}


def check(who, call, name, least, most):
    for value in (least - 1, most + 1, 2**100, -(2**100)):
        with pytest.raises(ValueError, match=f"^{who}: expected {name} from {least} to {most}, got {value}$"):
            call(**{name: value})
    for value, got in NO_NUMBERS.items():
        with pytest.raises(ValueError, match=f"^{who}: expected {name} to be a whole number, got ") as caught:
            call(**{name: value})
        assert str(caught.value).endswith(f"got {got}")


@pytest.mark.parametrize(("who", "name"), OPTIONS)
def test_a_whole_number_out_of_range_is_one_sentence(who, name):
    call, options = CALLS[who]
    check(who.strip(), call, name, *options[name])


def test_the_numbers_of_models_are_checked_too(model):
    def record(**one):
        return rs.record(model, ["text"], progress=False, **one)

    def generate(**one):
        return model.generate([1], **one)

    seeds, tokens = (0, 2**64 - 1), (0, 2**31 - 1)
    for who, call, name, limits in (
        ("record", record, "seed", seeds),
        ("record", record, "max_new_tokens", tokens),
        ("record", record, "batch_size", (1, 2**64 - 1)),
        ("record", record, "rotated_routers", (0, 1_000)),
        ("generate", generate, "seed", seeds),
        ("generate", generate, "max_new_tokens", tokens),
        ("load_model", rs.load_model, "random_weights", seeds),
    ):
        check(who, call, name, *limits)
    for who, call in (("record", record), ("generate", generate)):
        with pytest.raises(ValueError, match=f"^{who}: expected temperature to be a number, got None$"):
            call(temperature=None)
    for given in (5, None, "text"):
        with pytest.raises(ValueError, match=r"^model: expected token ids as a list, or a list of lists, got "):
            model.forward(given)


@pytest.mark.parametrize("folds", [None, 2.5, "3"])
def test_what_is_neither_a_number_of_folds_nor_folds_is_one_sentence(folds):
    with pytest.raises(ValueError, match=r"^classify: expected a whole number of folds, or the folds themselves, got "):
        rs.classify(SIGS, folds=folds)
    with pytest.raises(ValueError, match=r"^classify: expected folds from 2 to 2147483647, got 1099511627776$"):
        rs.classify(SIGS, folds=2**40)


def test_numbers_are_what_numpy_takes_for_numbers():
    assert [whole_number("f", "n", value) for value in (True, np.int8(3), np.uint64(2**64 - 1))] == [1, 3, 2**64 - 1]
    assert [real_number("f", "x", value) for value in (True, np.float32(0.5), 3)] == [1.0, 0.5, 3.0]
    for value, got in (("3", "'3'"), (None, "None"), ([], "an empty list"), (TRACES, "a TraceSet")):
        with pytest.raises(ValueError, match=rf"^f: expected x to be a number, got {got}$"):
            real_number("f", "x", value)
    with pytest.raises(ValueError, match=r"^f: expected x to be a number, got 10{400}$"):
        real_number("f", "x", 10**400)
