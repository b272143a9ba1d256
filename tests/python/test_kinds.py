"""What a public function is given and does not take is refused in one sentence."""

import contextlib
import inspect
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import routesig as rs
from support import random_traces

TRACES = random_traces(n=12)
SIGS = rs.signatures(TRACES)

# What somebody may hand over, and how a message calls it.
VALUES = {
    "a TraceSet": TRACES,
    "a RoutingTrace": TRACES[0],
    "a list of RoutingTrace": list(TRACES),
    "a SignatureSet": SIGS,
    "a Signature": SIGS[0],
    "a list of Signature": list(SIGS),
    "a Study": rs.study(TRACES, permutations=9, bootstrap=9, null_draws=2, shuffles=2, folds=3, progress=False),
    "a list of str": ["a", "b"],
    "a DataFrame": pd.DataFrame({"count": ["many", "few"]}),
    "an ndarray": np.arange(6.0),
    "a str": "nowhere.jsonl",
    "None": None,
    "an int": 7,
}
TRACE_SETS = {"a TraceSet", "a list of RoutingTrace"}
SIGNATURES = {"a SignatureSet"}
EITHER = TRACE_SETS | SIGNATURES
SIMILARITIES = SIGNATURES | {"an ndarray"}  # an array of another shape has a sentence of its own
ARRAYS = {"an ndarray"}
NUMBERS = {"an int"}
PATHS = {"a str"}

OF_A_STUDY = (
    "baselines category_matrix comparison confusion controls decomposition evidence information layers length load "
    "load_balance null overlap_ladder pca tsne"
)
# What each takes as its first argument, and the arguments beside it.
TAKES = {
    "classify": (SIGNATURES, {}),
    "compare": ({"a TraceSet", "a SignatureSet", "a Study", "a str"}, {"b": SIGS}),
    "debiased_similarity": (EITHER, {}),
    "load_model": (PATHS | {"None"}, {}),
    "load_prompts": (PATHS | {"None", "a DataFrame"}, {}),
    "pca": (SIGNATURES, {}),
    "read_signatures": (PATHS, {}),
    "read_study": (PATHS, {}),
    "read_traces": (PATHS, {}),
    "record": (set(), {"prompts": ["text"]}),
    "reliability": (TRACE_SETS, {}),
    "separation": (SIMILARITIES, {}),
    "signatures": (TRACE_SETS, {}),
    "similarity": (EITHER | {"a Signature"}, {}),
    "study": (EITHER, {"progress": False}),
    "tsne": (SIGNATURES, {}),
    "statistics.benjamini_hochberg": (ARRAYS, {}),
    "statistics.bootstrap": (SIMILARITIES, {}),
    "statistics.category_matrix": (SIMILARITIES, {}),
    "statistics.depth_slope": (ARRAYS, {}),
    "statistics.dispersion_test": (SIMILARITIES, {}),
    "statistics.holm": (ARRAYS, {}),
    "statistics.layer_separation": (SIMILARITIES, {}),
    "statistics.permutation_test": (SIMILARITIES, {}),
    "statistics.separation": (SIMILARITIES, {}),
    "baselines.break_even_tokens": (NUMBERS, {"model_ratio": 1.0, "experts": 8, "top_k": 2}),
    "baselines.load_balance": (EITHER, {}),
    "baselines.load_balance_similarity": (NUMBERS | ARRAYS, {"tokens_b": 8, "experts": 8, "top_k": 2}),
    "baselines.marginal": (EITHER, {}),
    "baselines.permutation": (EITHER, {}),
    "baselines.permutation_moments": (ARRAYS | {"a Signature"}, {"b": SIGS[0]}),
    "baselines.token_pool": (TRACE_SETS, {}),
    "controls.bag_of_tokens": (TRACE_SETS, {}),
    "controls.context_test": (TRACE_SETS, {}),
    "controls.decomposition": (TRACE_SETS, {}),
    "controls.drop_common_prefix": (TRACE_SETS, {}),
    "controls.drop_first": (TRACE_SETS, {}),
    "controls.length": (TRACE_SETS, {}),
    "controls.overlap_ladder": (TRACE_SETS, {}),
    "controls.position_matched": (TRACE_SETS, {}),
    "controls.random_weights": (TRACE_SETS, {"controls": [TRACES]}),
    "controls.rotated_router": (TRACE_SETS, {"rotated": [TRACES]}),
    "controls.shuffled_signatures": (TRACE_SETS, {}),
    "controls.token_shuffle": (TRACE_SETS, {}),
    "controls.without_duplicates": (TRACE_SETS, {}),
    "information.evidence_over_tokens": (TRACE_SETS, {}),
    "information.fano_bound": (NUMBERS, {"n": 8, "classes": 2}),
    "information.layer_information": (SIGNATURES, {}),
    "information.log_loss_bound": (ARRAYS, {"labels": ["a", "b"]}),
    "metrics.coactivation": (TRACE_SETS, {}),
    "metrics.domain_specialization": (EITHER, {}),
    "metrics.load": (EITHER, {}),
    "metrics.uncertainty": ({"a TraceSet", "a RoutingTrace", "an ndarray"}, {"top_k": 2}),
    "metrics.vocabulary_specialization": (TRACE_SETS, {}),
    "plot.save_figures": ({"a Study"}, {"folder": "nowhere"}),
    "plot.separation": (SIMILARITIES | {"a Study"}, {}),
    "plot.signature": ({"a Signature"}, {}),
    "plot.similarity": (SIMILARITIES | {"a Study"}, {}),
    "plot.trace": ({"a RoutingTrace"}, {}),
    "plot.coactivation": (set(), {}),
    "plot.uncertainty": (set(), {}),
    **{f"plot.{name}": ({"a Study"}, {}) for name in OF_A_STUDY.split()},
    "SignatureSet.from_counts": (ARRAYS, {}),
    "LogisticRegression.fit": (ARRAYS | {"a DataFrame", "a list of str"}, {"y": ["a", "b"]}),
    "NearestCentroid.fit": (ARRAYS | {"a DataFrame", "a list of str"}, {"y": ["a", "b"]}),
    "SignatureTransformer.fit": (EITHER | {"a list of Signature"}, {}),
    "SignatureTransformer.transform": (EITHER | {"a list of Signature"}, {}),
}
NO_VALUES = {"num_threads", "set_num_threads"}  # takes none; is compiled


def public_functions():
    for module in (rs, rs.statistics, rs.baselines, rs.controls, rs.information, rs.metrics, rs.plot):
        for name in module.__all__:
            if callable(one := getattr(module, name)) and not inspect.isclass(one):
                yield name if module is rs else f"{module.__name__.rpartition('.')[2]}.{name}"


def called(name):
    """The function or the method of that name, of an estimator that has learned."""
    found = rs
    for part in name.split("."):
        found = getattr(found, part)
    if name.endswith(("fit", "transform")):
        kind = getattr(rs, name.partition(".")[0])()
        fitted = kind.fit(SIGS) if isinstance(kind, rs.SignatureTransformer) else kind
        return getattr(fitted, name.rpartition(".")[2])
    return found


def refusal(name, *given, **beside):
    if name.startswith("plot.") and name != "plot.save_figures":
        beside["ax"] = Figure().subplots()
    with pytest.raises((TypeError, ValueError)) as caught:
        called(name)(*given, **beside)
    return str(caught.value)


def check(message, name, kind):
    """One sentence that names the function and what it got: a kind, or a value that stands in a few letters."""
    who = name.partition(".")[0] if name.endswith((".fit", ".transform", ".from_counts")) else name.rpartition(".")[2]
    got = (f"got {kind}", f"got {VALUES[kind]!r}", f"got {kind.replace('a list of', 'a')}")
    assert not re.search("\n|incompatible function arguments|object has no attribute", message), message
    assert who in message, message
    assert any(one in message for one in got), message


def test_every_public_function_is_listed_here():
    assert set(public_functions()) - NO_VALUES <= set(TAKES)


@pytest.mark.parametrize("name", TAKES)
def test_a_first_argument_of_another_kind_is_refused_in_one_sentence(name):
    takes, beside = TAKES[name]
    for kind in VALUES.keys() - takes:
        check(refusal(name, VALUES[kind], **beside), name, kind)


@pytest.mark.parametrize("name", TAKES)
def test_what_is_said_to_be_taken_is_not_refused_for_its_kind(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them writes figures
    takes, beside = TAKES[name]
    if name.startswith("plot.") and name != "plot.save_figures":
        beside = beside | {"ax": Figure().subplots()}  # of no figure that pyplot keeps
    for kind in takes - {"a str"}:
        with contextlib.suppress(ValueError):  # a part that this study has not, a shape
            called(name)(VALUES[kind], **beside)


# The further arguments that are traces, signatures or a list of them.
SECOND = {
    ("compare", "b"): (SIGS, {"a TraceSet", "a SignatureSet", "a Study", "a str"}),
    ("debiased_similarity", "b"): (SIGS, EITHER | {"None"}),
    ("record", "prompts"): (None, set(VALUES) - {"a Study", "an int", "a list of RoutingTrace"}),
    ("similarity", "b"): (SIGS, EITHER | {"a Signature", "None"}),
    ("study", "controls"): (SIGS, {"None"}),
    ("controls.bag_of_tokens", "sigs"): (TRACES, SIGNATURES | {"None"}),
    ("controls.length", "sigs"): (TRACES, SIGNATURES | {"None"}),
    ("controls.random_weights", "controls"): (TRACES, set()),
    ("controls.rotated_router", "rotated"): (TRACES, set()),
}


@pytest.mark.parametrize(("name", "argument"), SECOND)
def test_a_further_argument_of_another_kind_is_refused_in_one_sentence(name, argument, request):
    first, takes = SECOND[name, argument]
    first = request.getfixturevalue("model") if first is None else first
    for kind in VALUES.keys() - takes:
        check(refusal(name, first, **{argument: VALUES[kind]}), name, kind)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rs.pca(TRACES), "pca: expected signatures, got a TraceSet; rs.signatures(traces) makes them"),
        (
            lambda: rs.controls.token_shuffle(SIGS),
            "token_shuffle: expected traces, got a SignatureSet (signatures have no tokens)",
        ),
        (
            lambda: rs.study("traces.jsonl"),
            "study: expected traces or signatures, got a str; rs.read_traces(path) reads a file",
        ),
        (
            lambda: rs.separation(list(TRACES)),
            "separation: expected signatures or similarities, got a list of RoutingTrace; rs.signatures(traces) makes "
            "them",
        ),
        (
            lambda: rs.classify(np.zeros((2, 3, 4))),
            "classify: expected signatures, got an ndarray; rs.SignatureSet.from_counts(counts) makes them",
        ),
        (
            lambda: rs.study(SIGS, controls={"untrained": 7}),
            "study, control 'untrained': expected traces or signatures, got an int",
        ),
    ],
)
def test_the_sentence_says_what_turns_one_into_the_other(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == message


def test_a_list_or_whatever_else_yields_traces_is_a_set_of_them():
    whole = rs.metrics.coactivation(TRACES).counts
    for given in (list(TRACES), tuple(TRACES), iter(TRACES), pd.Series(list(TRACES))):
        assert (rs.metrics.coactivation(given).counts == whole).all()
    assert len(rs.signatures([])) == 0
