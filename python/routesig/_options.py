"""Numbers among the options: seeds, counts of draws, sizes."""

import contextlib
import numbers
import operator
from typing import Any

_MOST_DRAWS = 10_000_000  # whose values, one for each layer, still fit into memory


def whole_number(who: str, name: str, value: Any, *, least: int = 0, most: int = 2**64 - 1) -> int:
    """Return `value` as an int; ValueError where it is none, or out of range."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{who}: expected {name} to be a whole number, got {_got(value)}") from None
    if not least <= number <= most:
        raise ValueError(f"{who}: expected {name} from {least} to {most}, got {number}")
    return number


def number_of_draws(who: str, name: str, value: Any, *, least: int = 0) -> int:
    """Return `value` as an int; ValueError where it is none, or more than there is memory for."""
    return whole_number(who, name, value, least=least, most=_MOST_DRAWS)


def real_number(who: str, name: str, value: Any) -> float:
    """Return `value` as a float; ValueError where it is none."""
    if not isinstance(value, str):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            return float(value)
    raise ValueError(f"{who}: expected {name} to be a number, got {_got(value)}")


def _got(value: Any) -> str:
    from routesig._kinds import named  # which needs NumPy

    return repr(value) if isinstance(value, (str, numbers.Number)) else named(value)
