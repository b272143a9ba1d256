"""The separations of two sets of similarities of the same prompts, and how much they differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from routesig import _core
from routesig._bootstrap import Estimate, Interval
from routesig._labelled import Floats, LabelledSimilarities
from routesig._progress import progress_bar

_LEVEL = 0.95


@dataclass(frozen=True)
class PairedEstimate:
    """A statistic of A, of B, and of B less A, with intervals from the same resampled prompts."""

    a: Estimate
    b: Estimate
    difference: Estimate


@dataclass(frozen=True)
class PairedBootstrap:
    """D and d of two sides; `tasks` are the prompts' tasks as numbers, negative where unknown."""

    difference: PairedEstimate
    cohens_d: PairedEstimate
    unit: str
    units: int
    tasks: list[int]
    absent: dict[str, str] = field(default_factory=dict)


def paired_bootstrap(
    a: Floats,
    b: Floats,
    tasks: Sequence[str | None],
    groups: Sequence[str | None],
    draws: int,
    seed: int,
    progress: bool,
) -> PairedBootstrap:
    """Of similarities [prompts, prompts]. Groups of two prompts or more are drawn whole."""
    known = [group for group in groups if group is not None]
    torn = _group_of_two_tasks(groups, tasks)
    whole = list(groups) if len(known) > len(set(known)) and torn is None else None
    given = LabelledSimilarities(a, tasks, whole, "compare")
    with progress_bar("paired bootstrap", progress) as tell:
        found = _core.paired_bootstrap(a, b, given.codes, given.groups, draws, seed, _LEVEL, tell)
    absent = {}
    for name, undefined in (("difference", given.no_pairs()), ("cohens_d", given.no_d())):
        for which, one in found[name].items():
            if torn is not None:
                one |= {"se": None, "interval": None}
            if one["value"] is None:
                absent[f"{name}.{which}.value"] = undefined
            elif one["interval"] is None:
                too_few = f"a task has {found['fewest']} of the 5 {given.unit} that resampling needs"
                often = "it is undefined in more than 5 % of the draws"
                absent[f"{name}.{which}.interval"] = torn or (too_few if found["fewest"] < 5 else often)
    return PairedBootstrap(
        difference=_paired(found["difference"]),
        cohens_d=_paired(found["cohens_d"]),
        unit=given.unit,
        units=found["units"],
        tasks=given.codes,
        absent=absent,
    )


def _group_of_two_tasks(groups: Sequence[str | None], tasks: Sequence[str | None]) -> str | None:
    """Why groups cannot be resampled whole."""
    home: dict[str, str] = {}
    for group, task in zip(groups, tasks, strict=True):
        if group is not None and task is not None and home.setdefault(group, task) != task:
            return f"group {group!r} holds prompts of tasks {home[group]!r} and {task!r}; a group must lie in one task"
    return None


def _paired(found: dict[str, Any]) -> PairedEstimate:
    estimates = (
        Estimate(one["value"], one["se"], None if one["interval"] is None else Interval(*one["interval"]))
        for one in (found["a"], found["b"], found["difference"])
    )
    return PairedEstimate(*estimates)
