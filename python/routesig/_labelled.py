"""What the statistics take: similarities of prompts, their tasks and their groups."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from routesig._signatures import SignatureSet
from routesig._similarity import similarity

Floats = NDArray[np.float64]
Similarities: TypeAlias = "SignatureSet | NDArray[Any] | LabelledSimilarities"
Tasks = Sequence[str | None] | None
Groups = Sequence[str | None] | Literal[False] | None

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
        self.names = sorted({str(task) for task in labels if task is not None})
        number = {name: i for i, name in enumerate(self.names)}
        self.codes = [-1 if task is None else number[str(task)] for task in labels]
        self.unlabelled = self.codes.count(-1)
        self.groups = self._group_codes(sigs, groups, who)
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

    def _group_codes(self, sigs: Similarities, groups: Groups, who: str) -> list[int]:
        if groups is False:
            return []
        asked = groups is not None
        if groups is None:
            groups = sigs.groups if isinstance(sigs, SignatureSet) else []
        if asked and len(groups) != len(self.codes):
            raise ValueError(f"{who}: expected groups for {len(self.codes)} prompts, got {len(groups)}")
        home: dict[str, int] = {}
        number: dict[str, int] = {}
        codes = []
        for group, task in zip(groups, self.codes, strict=True) if groups else []:
            if group is None or task < 0:
                codes.append(-1)
                continue
            name = str(group)
            if home.setdefault(name, task) != task:
                raise ValueError(
                    f"{who}: expected every group within one task, got group {name!r} in {self.names[home[name]]!r} "
                    f"and {self.names[task]!r}; groups=False treats prompts as independent"
                )
            codes.append(number.setdefault(name, len(number)))
        members = sum(code >= 0 for code in codes)
        return codes if asked or members > len(number) else []

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
