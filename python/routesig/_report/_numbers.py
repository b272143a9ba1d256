"""Numbers as the page writes them."""

import re
from typing import Any

import numpy as np

from routesig._p_value import PValue

ABSENT = "\u2013"
_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def decimal(value: Any, places: int = 3) -> str:
    """A number with a true minus, or a dash where it is absent."""
    if value is None or value is np.ma.masked or not np.isfinite(value):
        return ABSENT
    text = f"{float(value):.{places}f}"
    return text.replace("-", "\u2212") if float(text) else text.lstrip("-")


def true_minus(text: str) -> str:
    """A text whose negative numbers have a minus, not a hyphen."""
    return re.sub(r"(?<![\w-])-(?=\d)", "\u2212", text)


def percent(value: Any, places: int = 1) -> str:
    """A share as a percentage."""
    return ABSENT if value is None else f"{decimal(100 * float(value), places)}\u00a0%"


def interval(limits: Any, places: int = 3) -> str | None:
    """Two limits, or None."""
    return None if limits is None else f"{decimal(limits[0], places)} to {decimal(limits[1], places)}"


def spread(summary: Any, places: int = 3) -> str | None:
    """Smallest and largest of several, or None of one alone."""
    if summary is None or summary.high <= summary.low:
        return None
    return f"{decimal(summary.low, places)} to {decimal(summary.high, places)}"


def p_value(p: PValue | None) -> str:
    """A p-value; never without the smallest that its test can give."""
    if p is None:
        return ABSENT
    return f"{significant(p)}, {floor(p)}"


def floor(p: PValue) -> str:
    """The smallest that a p-value could have been."""
    if p.floor >= 1:
        return "the only value possible"
    return "the smallest possible" if p.at_floor else f"smallest possible {significant(p.floor)}"


def significant(value: float, digits: int = 2) -> str:
    """Two significant digits, with a power of ten below a millionth."""
    if value == 0:
        return "0"
    if value < 1e-6:
        mantissa, _, exponent = f"{value:.0e}".partition("e")
        return f"{mantissa} \u00d7 10" + str(int(exponent)).translate(_RAISED)
    places = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain(value: Any, places: int = 5) -> Any:
    """Of anything, what JSON can hold: rounded floats, None where masked or not finite."""
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, np.ma.MaskedArray):
        return [plain(one, places) for one in value]
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one, places) for one in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    return round(float(value), places) if np.isfinite(value) else None
