"""Whole numbers among the options: counts of draws, seeds."""

import operator
from typing import Any


def whole_number(who: str, name: str, value: Any, *, least: int = 0, most: int = 2**64 - 1) -> int:
    """Return `value` as an int; ValueError where it is none, or out of range."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{who}: expected {name} to be a whole number, got {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{who}: expected {name} from {least} to {most}, got {number}")
    return number
