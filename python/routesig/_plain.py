"""Results as what JSON can hold."""

import dataclasses
from typing import Any

import numpy as np

from routesig._p_value import PValue


def plain(value: Any) -> Any:
    """Dictionaries, lists, numbers, strings and None; masked entries are None, a p-value keeps its floor."""
    if isinstance(value, PValue):
        return {"value": value.value, "floor": value.floor}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):  # masked arrays too
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value
