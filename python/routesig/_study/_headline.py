"""The headline of a study: sentences that a careful reader accepts."""

from typing import TYPE_CHECKING

from routesig._p_value import PValue
from routesig._study._parts import Control

if TYPE_CHECKING:
    from routesig._study._result import Study

NOT_CLAIMED = (
    "Individual experts are not human-readable skills.",
    "Routing is not the only mechanism of task behaviour; telling tasks apart by it does not explain them.",
    "How often an expert is selected is not how important it is.",
    "The intervals hold for these tasks: other tasks, other prompts and other models may differ.",
)

_ALPHA = 0.05


def headline(study: "Study") -> list[str]:
    """One sentence each: the separation, what is left of it under the strongest control, its parts, the classifier."""
    sentences = [_separation(study), _strongest(study), _parts(study), _classifier(study)]
    return [sentence for sentence in sentences if sentence]


def p_text(p: PValue | None) -> str:
    """A p-value with the smallest value that it could have taken."""
    if p is None:
        return "p absent"
    return (
        f"p = {p:.2g}, the smallest possible here" if p.at_floor else f"p = {p:.2g} (smallest possible {p.floor:.2g})"
    )


def interval_text(ci: tuple[float, float] | None) -> str:
    return "no interval" if ci is None else f"95 % interval {ci[0]:.3f} to {ci[1]:.3f}"


def percent(share: float) -> str:
    return f"{round(100 * share)} %"


def _separation(study: "Study") -> str:
    within, across, difference = study.within.mean, study.across.mean, study.difference.value
    if within is None or across is None or difference is None or study.p_value is None:
        return f"There is no separation of tasks to test: {study.absent.get('difference', 'no pairs of prompts')}."
    test = study.permutation_test
    if study.p_value <= _ALPHA:
        verdict = "Prompts of one task are routed more alike than prompts of different tasks"
    else:
        verdict = "Routing is not shown to follow the task"
    unit = "whole groups of prompts" if test.unit == "groups" else "prompts, treated as independent,"
    return (
        f"{verdict}: similarity {within:.3f} against {across:.3f}, a difference of {difference:.3f} "
        f"({interval_text(study.difference.ci)}; {unit} permuted across tasks: {p_text(study.p_value)}), "
        f"on {len(study.signatures)} prompts{_lengths(study)}."
    )


def _lengths(study: "Study") -> str:
    tokens = study.signatures.num_tokens
    if tokens is None or not len(tokens):
        return ""
    which = "" if study.options.tokens == "all" else f"{study.options.tokens} "
    return f" of {int(tokens.min())} to {int(tokens.max())} {which}tokens"


def _strongest(study: "Study") -> str:
    control, difference = study.strongest, study.difference.value
    if control is None or control.difference is None or difference is None or difference <= 0:
        return ""
    left = difference - control.difference.mean
    what = {
        "token shuffle": "the same tokens with their routing dealt anew",
        "random weights": "the same tokens through random weights",
        "rotated router": "the same hidden states through rotated routers",
    }.get(control.name, f"the control {control.name!r}")
    beyond = _beyond(study, control)
    more = f"{left:.3f} more than" if left > 0 else "no more than"
    return f"That is {more} the strongest control, {what}, which reaches {control.difference.mean:.3f}{beyond}."


def _beyond(study: "Study", control: Control) -> str:
    """The interval and the p of what exceeds the control."""
    parts = []
    overall = None if study.decomposition is None else study.decomposition.overall
    if control.name == "token shuffle" and overall is not None and overall.context.band is not None:
        parts.append(f"95 % band of the excess {overall.context.band[0]:.3f} to {overall.context.band[1]:.3f}")
    elif control.difference is not None and control.difference.repetitions > 1:
        parts.append(f"{control.difference.low:.3f} to {control.difference.high:.3f} over its seeds")
    if control.p_value is not None:
        parts.append(p_text(control.p_value))
    return f" ({'; '.join(parts)})" if parts else ""


def _parts(study: "Study") -> str:
    overall = None if study.decomposition is None else study.decomposition.overall
    if overall is None or overall.total.value <= 0 or study.p_value is None or study.p_value > _ALPHA:
        return ""
    length, vocabulary, context = (
        percent(part.value / overall.total.value) for part in (overall.length, overall.vocabulary, overall.context)
    )
    return (
        f"Of the difference, {length} is text length, {vocabulary} vocabulary (which tokens occur) and {context} "
        "context (the same tokens routed differently)."
    )


def _classifier(study: "Study") -> str:
    read = study.classification
    if read.accuracy is None or read.wilson is None or read.chance is None:
        return ""
    sentence = (
        f"A linear classifier names the task of {read.hits} of {read.trials} held-out prompts "
        f"({percent(read.wilson[0])} to {percent(read.wilson[1])}; guessing {percent(read.chance)})"
    )
    bag = study.controls.get("bag of tokens")
    if bag is None or bag.accuracy is None or bag.detail.difference is None:
        return sentence + "."
    found = bag.detail
    against = f"tuned alike, the words alone give {found.control.hits} and the routing {found.signature.hits}"
    if found.p_value is not None and found.p_value <= _ALPHA and found.difference > 0:
        return f"{sentence}; {against} (McNemar {p_text(found.p_value)})."
    return f"{sentence}; {against}, so that the accuracy is no evidence beyond the words."
