"""What the statistics take: similarities of prompts, their tasks and their groups."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from routesig._signatures import SignatureSet
from routesig._similarity import similarity
from routesig._tasks import Groups, Tasks, numbered_groups, numbered_tasks

Floats = NDArray[np.float64]
Similarities: TypeAlias = "SignatureSet | NDArray[Any] | LabelledSimilarities"

NO_WITHIN = "no two prompts share a task"
NO_ACROSS = "there are fewer than two tasks"
NO_SPREAD = "similarities do not vary within and across tasks"


class LabelledSimilarities:
    """Similarities of prompts, and their tasks and groups as numbers.

    `matrix` is the mean over layers; layers are there as matrices that were given, or as the signatures that they are
    computed from one after another, because of many prompts they do not fit in memory together.
    """

    def __init__(self, sigs: Similarities, tasks: Tasks, groups: Groups, who: str) -> None:
        self.layers: Floats | None = None
        self.values: Floats | None = None
        if isinstance(sigs, SignatureSet):
            self.matrix: Floats = similarity(sigs)
            self.values = np.ascontiguousarray(sigs.values)
            tasks = sigs.tasks if tasks is None else tasks
        else:
            array = np.ascontiguousarray(sigs, dtype=np.float64)
            if array.ndim not in (2, 3) or array.shape[-1] != array.shape[-2]:
                raise ValueError(
                    f"{who}: expected similarities [prompts, prompts] or [layers, prompts, prompts], "
                    f"got shape {list(array.shape)}"
                )
            self.layers = array if array.ndim == 3 else None
            self.matrix = array if array.ndim == 2 else np.ascontiguousarray(array.mean(axis=0))
            if tasks is None:
                raise ValueError(f"{who}: expected tasks beside similarities, got none")
        labels = list(tasks)
        if len(labels) != len(self.matrix):
            raise ValueError(f"{who}: expected tasks for {len(self.matrix)} prompts, got {len(labels)}")
        self.names, self.codes = numbered_tasks(labels)
        self.unlabelled = self.codes.count(-1)
        own = sigs.groups if isinstance(sigs, SignatureSet) else []
        self.groups = numbered_groups(groups, own, self.names, self.codes, who)
        self.unit = "groups" if self.groups else "prompts"

    @classmethod
    def of(cls, given: Similarities, tasks: Tasks, groups: Groups, who: str) -> "LabelledSimilarities":
        """Those given, where a study has made them for all its parts."""
        return given if isinstance(given, cls) else cls(given, tasks, groups, who)

    def by_layer(self, of_matrices: Any, of_signatures: Any, *options: Any) -> Any:
        """What a `_core` function makes of the layers; None where one matrix was given."""
        if self.values is not None:
            return of_signatures(self.values, self.codes, self.groups, *options)
        return None if self.layers is None else of_matrices(self.layers, self.codes, self.groups, *options)

    def counts(self) -> list[int]:
        return [self.codes.count(i) for i in range(len(self.names))]

    def no_pairs(self) -> str:
        """Why there is no difference."""
        return NO_ACROSS if len(self.names) < 2 else NO_WITHIN

    def no_d(self) -> str:
        """Why there is no d."""
        return NO_SPREAD if len(self.names) > 1 and max(self.counts()) > 1 else self.no_pairs()


def masked(values: Sequence[float | None]) -> Any:
    return np.ma.MaskedArray(
        np.array([0.0 if value is None else value for value in values]), [value is None for value in values]
    )


def number(value: float | None) -> str:
    return "None" if value is None else f"{value:.4g}"
