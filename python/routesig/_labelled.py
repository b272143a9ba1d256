"""What the statistics take: similarities of prompts, their tasks and their groups."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._kinds import numbers_of
from routesig._signatures import SignatureSet
from routesig._similarity import similarity
from routesig._tasks import Groups, Sources, Tasks, numbered_groups, numbered_sources, numbered_tasks

Floats = NDArray[np.float64]
Similarities: TypeAlias = "SignatureSet | NDArray[Any] | LabelledSimilarities"

NO_WITHIN = "no two prompts share a task"
NO_ACROSS = "there are fewer than two tasks"
NO_SPREAD = "similarities do not vary within and across tasks"
NO_TEST = "no test is possible: no other labelling differs from this one"


class LabelledSimilarities:
    """Similarities of prompts, and their tasks, groups and sources as numbers.

    `matrix` is the mean over layers, NaN where a pair has no similarity; layers are there as matrices that were given,
    or as the signatures that they are computed from one after another, because of many prompts they do not fit in
    memory together.
    """

    def __init__(self, sigs: Similarities, tasks: Tasks, groups: Groups, who: str, sources: Sources = False) -> None:
        self.layers: Floats | None = None
        self.values: Floats | None = None
        if isinstance(sigs, SignatureSet):
            self.matrix: Floats = filled(similarity(sigs))
            self.values = np.ascontiguousarray(sigs.values)
            tasks = sigs.tasks if tasks is None else tasks
        else:
            array = filled(numbers_of(who, "signatures or similarities", sigs), who)
            if array.ndim not in (2, 3) or array.shape[-1] != array.shape[-2]:
                raise ValueError(
                    f"{who}: expected similarities [prompts, prompts] or [layers, prompts, prompts], "
                    f"got shape {list(array.shape)}"
                )
            self.layers = array if array.ndim == 3 else None
            self.matrix = array if array.ndim == 2 else filled(np.ma.masked_invalid(array).mean(axis=0))
            if tasks is None:
                raise ValueError(f"{who}: expected tasks beside similarities, got none")
        labels = list(tasks)
        if len(labels) != len(self.matrix):
            raise ValueError(f"{who}: expected tasks for {len(self.matrix)} prompts, got {len(labels)}")
        self.names, self.codes = numbered_tasks(labels)
        self.unlabelled = self.codes.count(-1)
        own = sigs if isinstance(sigs, SignatureSet) else None
        self.groups = numbered_groups(groups, own.groups if own else [], self.names, self.codes, who)
        self.sources = numbered_sources(sources, own.sources if own else [], self.codes, who)
        self.unit = "groups" if self.groups else "prompts"

    @classmethod
    def of(
        cls, given: Similarities, tasks: Tasks, groups: Groups, who: str, sources: Sources = False
    ) -> "LabelledSimilarities":
        """Those given, where a study has made them for all its parts."""
        return given if isinstance(given, cls) else cls(given, tasks, groups, who, sources)

    def by_layer(self, of_matrices: Any, of_signatures: Any, *options: Any) -> Any:
        """What a `_core` function makes of the layers; None where one matrix was given."""
        if self.values is not None:
            return of_signatures(self.values, self.codes, self.groups, *options)
        return None if self.layers is None else of_matrices(self.layers, self.codes, self.groups, *options)

    def counts(self) -> list[int]:
        return [self.codes.count(i) for i in range(len(self.names))]

    def no_pairs(self) -> str:
        """Why there is no difference."""
        return why_no_pairs(self.names, self.codes, self.groups)

    def no_d(self) -> str:
        """Why there is no d."""
        few = len(self.names) < 2 or max(self.counts()) < 2 or self.short()
        return self.no_pairs() if few else NO_SPREAD

    def short(self) -> bool:
        """Whether leaving out pairs of one group leaves a task too few."""
        return _core.short_task(self.codes, self.groups) is not None


def why_no_pairs(names: Sequence[str], codes: Sequence[int], groups: Sequence[int]) -> str:
    """Why there is no mean within tasks, or none across; tasks and groups as numbers."""
    if len(names) < 2:
        return NO_ACROSS
    short = _core.short_task(list(codes), list(groups))
    if short is None:
        return NO_WITHIN
    if len({(task, group) for task, group in zip(codes, groups, strict=True) if task >= 0}) == len(names):
        return "every task is a single group, and pairs of one group are no evidence about a task"
    pairs = f"{short[1]} pair{'s' * (short[1] != 1)}"
    return (
        f"task {names[short[0]]!r} has {pairs} of prompts of different groups, fewer than 5 "
        "(groups=False takes prompts for independent)"
    )


def filled(values: Any, who: str = "") -> Floats:
    """An array with NaN for what is masked; `who` refuses NaN that stands there unmasked."""
    if who and np.isnan(np.ma.getdata(values)[~np.ma.getmaskarray(values)]).any():
        raise ValueError(f"{who}: expected finite similarities, got NaN (mask the pairs that have none)")
    return np.ascontiguousarray(np.ma.filled(values, np.nan), dtype=np.float64)


def masked(values: Sequence[float | None]) -> Any:
    return np.ma.MaskedArray(
        np.array([0.0 if value is None else value for value in values]), [value is None for value in values]
    )


def number(value: float | None) -> str:
    return "None" if value is None else f"{value:.4g}"
