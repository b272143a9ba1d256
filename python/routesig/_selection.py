"""Which prompts of a set are meant: by index, mask, task or id."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig._kinds import refused
from routesig._text import as_labels, is_missing

Names = str | Iterable[str | None] | None


def indices(asked: Any, size: int, who: str) -> list[int]:
    """The numbers of a list of integers or of a boolean mask [size]; negative ones count from the end."""
    array = np.asarray(asked)
    if array.ndim == 1 and array.dtype == bool:
        if len(array) != size:
            raise IndexError(f"{who}: expected a mask of {size} entries, got {len(array)}")
        return np.flatnonzero(array).tolist()  # type: ignore[no-any-return]
    if array.ndim == 1 and (array.dtype.kind in "iu" or not len(array)):
        return array.astype(np.int64).tolist()  # type: ignore[no-any-return]
    raise TypeError(
        f"{who}: expected an index that is an integer, a slice, an id, a list of integers or a boolean mask, "
        f"got {type(asked).__name__}"
    )


def matching(
    who: str, tasks: Sequence[str | None], ids: Sequence[str], of_tasks: Names, of_ids: Names
) -> NDArray[np.bool_]:
    """The mask bool [prompts] of those whose task is in `of_tasks` and whose id is in `of_ids`; None: any."""
    keep = np.ones(len(ids), dtype=bool)
    for what, wanted, present in (("task", of_tasks, tasks), ("id", of_ids, ids)):
        if wanted is None:
            continue
        given = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(given, Iterable):
            raise refused(who, f"{what}s as text or a list of texts", given)
        names = {None if is_missing(name) else name for name in given}
        for name in names - set(present):
            raise ValueError(f"{who}: expected {what}s that occur, got {name!r}")
        keep &= np.array([entry in names for entry in present], dtype=bool)
    return keep


def other_tasks(ids: Sequence[str], tasks: Sequence[str | None], given: Any) -> list[str | None]:
    """The tasks that `with_tasks` asks for: of a mapping by id, or one per trace."""
    if not isinstance(given, Mapping):
        return as_labels(given, "with_tasks", "tasks")
    for name in given.keys() - set(ids):
        raise ValueError(f"with_tasks: expected ids that occur, got {name!r}")
    return as_labels([given.get(name, task) for name, task in zip(ids, tasks, strict=True)], "with_tasks", "tasks")
