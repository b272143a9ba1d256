"""The controls of a study: what separation and accuracy are left when one explanation is held fixed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from routesig import _core, controls
from routesig._classification import classify
from routesig._kinds import either_of, refused
from routesig._signatures import SignatureSet, signatures
from routesig._similarity import separation
from routesig._study._parts import LEAST_SEEDS, Control, ControlSummary, StudyOptions
from routesig.controls import ContextTest, ControlComparison, FilteredTraces, TextControl, TokenShuffle

GivenControls = Mapping[str, "_core.TraceSet | SignatureSet | Sequence[_core.TraceSet | SignatureSet]"]
Kind = Literal["null", "rival", "check"]
Filter = Callable[[_core.TraceSet], FilteredTraces]

_CLASSIFIED_SHUFFLES = 20  # of which the accuracy is taken too
_ALIKE = "tokens and length of every prompt; each token takes the routing of another occurrence of the same token"
_KNOWN = {
    "random weights": "tokens and architecture; the weights were never trained",
    "rotated router": "hidden states; the router's rows are rotated at random",
}
SYNONYMS = {"rotated routers": "rotated router"}


def chosen_signatures(traces: _core.TraceSet, options: StudyOptions) -> SignatureSet:
    """Signatures as the study takes them: of its tokens, with the groups and sources that it is to respect."""
    sigs = signatures(traces, tokens=options.tokens, weighting=options.weighting, drop_invalid=options.drop_invalid)
    return respected(sigs, options)


def respected(sigs: SignatureSet, options: StudyOptions) -> SignatureSet:
    """The same without groups or sources that the study is to ignore."""
    alone: list[str | None] = [None] * len(sigs)
    return replace(
        sigs,
        groups=sigs.groups if options.groups else alone,
        sources=sigs.sources if options.sources else alone,
    )


def shuffle_control(
    shuffled: TokenShuffle, context: ContextTest | None, traces: _core.TraceSet, options: StudyOptions
) -> Control:
    """Each token with the routing of another occurrence of the same token."""
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
    control = measured("token shuffle", "null", _ALIKE, (respected(sigs, options) for sigs in draws), options)
    layers = [None if layer is None else layer.mean for layer in shuffled.layers]
    if context is None or context.p_value is None:
        reason = "it was not computed" if context is None else context.absent["p_value"]
        control = replace(control, absent=control.absent | {"p_value": reason})
    return replace(
        control,
        difference=summary(shuffled.draws),  # of all shuffles
        p_value=None if context is None else context.p_value,
        layers=None if None in layers else [layer for layer in layers if layer is not None],
        detail=shuffled,
    )


def models_of(controls: Any) -> dict[str, list[Any]]:
    """Trace sets, or signatures, of control models by name: one per seed."""
    if not isinstance(controls, Mapping):
        raise refused("study", "controls as a dict of traces by name", controls)
    found = {}
    for name, given in controls.items():
        several = isinstance(given, Iterable) and not isinstance(given, (_core.TraceSet, SignatureSet, str))
        found[name] = [either_of(f"study, control {name!r}", one) for one in (given if several else [given])]
    return found


def model_control(name: str, sets: list[Any], real: Any, options: StudyOptions) -> Control:
    """Sets of traces, or of signatures, of one control model: one per seed."""
    if not sets:
        raise ValueError(f"study: expected a control {name!r} of one set of traces or more, got none")
    sigs = [respected(one, options) if isinstance(one, SignatureSet) else _signatures(one, options) for one in sets]
    control = measured(name, "null", _KNOWN.get(name, "as given"), sigs, options)
    if options.weighting != "count":
        return replace(control, absent=control.absent | {"p_value": 'it compares counts (weighting="count")'})
    recorded = [one for one in sets if isinstance(one, _core.TraceSet)]
    if not isinstance(real, _core.TraceSet) or len(recorded) < len(sets):
        return replace(control, absent=control.absent | {"p_value": "it needs traces of the same prompts and tokens"})
    try:
        compare = controls.rotated_router if name == "rotated router" else controls.random_weights
        compared = compare(
            real, recorded, tokens=options.tokens, drop_invalid=options.drop_invalid, groups=options.groups
        )
    except ValueError as error:  # other prompts or tokens: shown, without a comparison
        return replace(control, absent=control.absent | {"p_value": str(error)})
    return _with_comparison(control, compared)


def _with_comparison(control: Control, compared: ControlComparison) -> Control:
    layers = [None if layer is None else layer.mean for layer in compared.layers]
    found = compared.difference
    control = replace(
        control, layers=None if None in layers else [layer for layer in layers if layer is not None], detail=compared
    )
    if found is None:
        return replace(control, absent=control.absent | {"p_value": compared.absent["difference"]})
    rank = rank_text(found.real, found.controls)
    if len(found.controls) < LEAST_SEEDS:
        reason = f"{rank}; from {LEAST_SEEDS} seeds on this has a p"
        return replace(control, rank=rank, absent=control.absent | {"p_value": reason})
    return replace(control, rank=rank, p_value=found.p_value)


def rank_text(real: float, seeds: Sequence[float]) -> str:
    """Where the real value stands among those of control models."""
    reached = sum(value >= real for value in seeds)
    if len(seeds) == 1:
        return "reached by the only seed" if reached else "above the only seed"
    return f"reached by {reached} of {len(seeds)} seeds" if reached else f"above all {len(seeds)} seeds"


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
    return {
        "within": found.within.mean,
        "across": found.across.mean,
        "difference": found.difference,
        "cohens_d": found.cohens_d,
        "accuracy": read.accuracy,
        "prompts": sum(task is not None for task in sigs.tasks),
        "why": read.absent.get("accuracy") or "the prompts left give no pairs within and across tasks",
    }


def _signatures(traces: _core.TraceSet, options: StudyOptions) -> SignatureSet:
    found = chosen_signatures(traces, options)
    return found[np.flatnonzero(found.values.any(axis=(1, 2)))]


def source_control(sigs: SignatureSet, options: StudyOptions) -> Control:
    """The classifier on prompts of sources that it did not learn from."""
    holds = "the classifier learns from the other sources"
    sources = sorted({source for source in sigs.sources if source is not None})
    if len(sources) < 2:
        raise ValueError("prompts of two sources or more are needed")
    folds = [[i for i, one in enumerate(sigs.sources) if one == source] for source in sources]
    read = classify(sigs, folds=folds, groups=None, sources=False, seed=options.seed)
    absent = dict.fromkeys(("within", "across", "difference", "cohens_d"), "it is about the classifier alone")
    absent["p_value"] = "it is a check, not a hypothesis"
    if read.accuracy is None:
        absent["accuracy"] = read.absent["accuracy"]
    accuracy = None if read.accuracy is None else summary([read.accuracy])
    return Control("unseen source", "check", holds, accuracy=accuracy, prompts=read.trials, detail=read, absent=absent)
