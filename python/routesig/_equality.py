"""`==` of results: field by field, arrays entry by entry."""

import dataclasses
from typing import Any

import numpy as np


class ByValue:
    """For dataclasses that hold arrays: equal where every compared field is, in type and value.

    NaN equals NaN, and a masked entry another, whatever lies beneath. Such results have no hash, as lists have none.
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _fields_alike(self, other)


def alike(a: Any, b: Any) -> bool:
    """Whether two values say the same: of one type and, inside containers and dataclasses too, equal."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return _arrays_alike(a, b)
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a == b or (a != a and b != b)) and getattr(a, "floor", None) == getattr(b, "floor", None)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if dataclasses.is_dataclass(a):
        return _fields_alike(a, b)
    return bool(a == b)


def _fields_alike(a: Any, b: Any) -> bool:
    return all(alike(getattr(a, one.name), getattr(b, one.name)) for one in dataclasses.fields(a) if one.compare)


def _arrays_alike(a: Any, b: Any) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    known = ~np.ma.getmaskarray(a)
    if not np.array_equal(known, ~np.ma.getmaskarray(b)):
        return False
    return np.array_equal(np.ma.getdata(a)[known], np.ma.getdata(b)[known], equal_nan=a.dtype.kind == "f")
