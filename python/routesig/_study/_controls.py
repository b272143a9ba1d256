"""The controls of a study: what separation and accuracy are left when one explanation is held fixed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from routesig import _core, controls
from routesig._classification import classify
from routesig._signatures import SignatureSet, signatures
from routesig._similarity import separation
from routesig._study._parts import Control, ControlSummary, StudyOptions
from routesig.controls import ControlComparison, FilteredTraces, TextControl, TokenShuffle

GivenControls = Mapping[str, "_core.TraceSet | SignatureSet | Sequence[_core.TraceSet | SignatureSet]"]
Kind = Literal["null", "rival", "check"]
Filter = Callable[[_core.TraceSet], FilteredTraces]

_CLASSIFIED_SHUFFLES = 20  # of which the accuracy is taken too
_ALIKE = "tokens and length of every prompt; the routing goes to another occurrence of the same token"
_KNOWN = {
    "random weights": "tokens and architecture; the weights were never trained",
    "rotated router": "hidden states; the router's rows are rotated at random",
}


def shuffle_control(shuffled: TokenShuffle, traces: _core.TraceSet, options: StudyOptions) -> Control:
    """Routing dealt anew among the occurrences of each token."""
    found = shuffled.difference
    if found is None:
        return Control("token shuffle", "null", _ALIKE, detail=shuffled, absent=dict(shuffled.absent))
    draws = controls.shuffled_signatures(
        traces,
        shuffles=min(options.shuffles, _CLASSIFIED_SHUFFLES),
        seed=options.seed,
        tokens=options.tokens,
        drop_invalid=options.drop_invalid,
    )
    return replace(
        measured("token shuffle", "null", _ALIKE, draws, options),
        difference=summary(shuffled.draws),  # of all shuffles
        p_value=found.p_value,
        layers=[layer.mean for layer in shuffled.layers],
        detail=shuffled,
    )


def model_control(name: str, given: Any, real: Any, options: StudyOptions) -> Control:
    """Trace sets, or signatures, of control models: one a seed."""
    sets = [given] if isinstance(given, (_core.TraceSet, SignatureSet)) else list(given)
    if not sets:
        raise ValueError(f"study: expected a control {name!r} of one set of traces or more, got none")
    sigs = [one if isinstance(one, SignatureSet) else _signatures(one, options) for one in sets]
    control = measured(name, "null", _KNOWN.get(name, "as given"), sigs, options)
    if options.weighting != "count":
        return replace(control, absent=control.absent | {"p_value": 'it compares counts (weighting="count")'})
    recorded = [one for one in sets if isinstance(one, _core.TraceSet)]
    if not isinstance(real, _core.TraceSet) or len(recorded) < len(sets):
        return replace(control, absent=control.absent | {"p_value": "it needs traces of the same prompts and tokens"})
    try:
        compare = controls.rotated_router if name == "rotated router" else controls.random_weights
        compared = compare(real, recorded, tokens=options.tokens, drop_invalid=options.drop_invalid)
    except ValueError as error:  # other prompts or tokens: shown, without a comparison
        return replace(control, absent=control.absent | {"p_value": str(error)})
    return _with_comparison(control, compared)


def _with_comparison(control: Control, compared: ControlComparison) -> Control:
    layers = [None if layer is None else layer.mean for layer in compared.layers]
    return replace(
        control,
        p_value=None if compared.difference is None else compared.difference.p_value,
        layers=None if None in layers else [layer for layer in layers if layer is not None],
        detail=compared,
        absent=control.absent | ({"p_value": compared.absent["difference"]} if compared.difference is None else {}),
    )


def text_control(name: str, holds: str, found: TextControl) -> Control:
    """A classifier that sees something cheaper than the routing."""
    accuracy = found.control.accuracy
    return Control(
        name,
        "rival",
        holds,
        accuracy=None if accuracy is None else summary([accuracy]),
        p_value=found.p_value,
        prompts=found.control.trials,
        detail=found,
        absent=dict(found.absent),
    )


def filter_control(name: str, holds: str, keep: Filter, options: StudyOptions, traces: _core.TraceSet) -> Control:
    """The same analysis of fewer tokens or prompts."""
    kept = keep(traces)
    if not len(kept.traces):
        why = kept.left_out[0].reason if kept.left_out else "there are no prompts"
        reasons = dict.fromkeys(("within", "across", "difference", "cohens_d", "accuracy"), f"no prompt is left: {why}")
        return Control(name, "check", holds, detail=kept, absent=reasons)
    whole = replace(options, tokens="all") if kept.length is not None else options  # what was matched is all there is
    control = measured(name, "check", holds, [_signatures(kept.traces, whole)], whole)
    return replace(control, detail=kept, absent=control.absent | {"p_value": "it is a check, not a hypothesis"})


def measured(name: str, kind: Kind, holds: str, sets: Iterable[SignatureSet], options: StudyOptions) -> Control:
    """Separation and accuracy of every set, condensed."""
    rows = [_measured(sigs, options) for sigs in sets]
    fields: dict[str, Any] = {}
    absent = {}
    for what in ("within", "across", "difference", "cohens_d", "accuracy"):
        reason = next((row["why"] for row in rows if row[what] is None), None)
        fields[what] = summary([row[what] for row in rows]) if reason is None else None
        if reason is not None:
            absent[what] = reason
    return Control(name, kind, holds, prompts=rows[0]["prompts"], absent=absent, **fields)


def summary(values: Any) -> ControlSummary:
    array = np.asarray(values, dtype=np.float64)
    return ControlSummary(float(array.mean()), float(array.min()), float(array.max()), len(array))


def _measured(sigs: SignatureSet, options: StudyOptions) -> dict[str, Any]:
    found = separation(sigs)
    read = classify(sigs, folds=options.folds, seed=options.seed)
    within, across = found.within.mean, found.across.mean
    return {
        "within": within,
        "across": across,
        "difference": None if within is None or across is None else within - across,
        "cohens_d": found.cohens_d,
        "accuracy": read.accuracy,
        "prompts": sum(task is not None for task in sigs.tasks),
        "why": read.absent.get("accuracy") or "the prompts left give no pairs within and across tasks",
    }


def _signatures(traces: _core.TraceSet, options: StudyOptions) -> SignatureSet:
    found = signatures(traces, tokens=options.tokens, weighting=options.weighting, drop_invalid=options.drop_invalid)
    return found[np.flatnonzero(found.values.any(axis=(1, 2)))]
