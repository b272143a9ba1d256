"""Which task was taken for which: a map and the commonest mistakes, where tasks are too many for a table of all."""

from typing import Any

import numpy as np

from routesig._report._numbers import plain

TABLE = 4  # tasks of a table whose every cell is a number


def confusion_data(study: Any) -> dict[str, Any] | None:
    """The matrix for a map; None where it stands in a table, or is absent."""
    read = study.classification
    if read.confusion is None or len(read.classes) <= TABLE:
        return None
    return {"tasks": list(read.classes), "counts": plain(read.confusion)}


def confusion_rows(study: Any, most: int = 3) -> list[dict[str, Any]]:
    """For each task of the map: its prompts, those predicted right, and what the others were taken for."""
    if confusion_data(study) is None:
        return []
    read, rows = study.classification, []
    for i, (task, counts) in enumerate(zip(read.classes, np.asarray(read.confusion), strict=True)):
        others = [int(j) for j in np.argsort(-counts, kind="stable") if j != i and counts[j]]
        wrong = [f"{read.classes[j]} ({counts[j]})" for j in others[:most]]
        more = len(others) - len(wrong)
        wrong += [f"{more} more"] if more else []
        rows.append({"task": task, "prompts": int(counts.sum()), "right": int(counts[i]), "wrong": wrong})
    return rows
