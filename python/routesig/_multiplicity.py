"""P-values adjusted for many tests at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from routesig import _core
from routesig._kinds import numbers_of
from routesig._labelled import Floats


def holm(p_values: ArrayLike) -> Floats:
    """P-values adjusted by Holm: reject those at or below 5 %, and at most 5 % of studies reject anything falsely.

    Takes an array of any shape and returns float64 of that shape; raises ValueError where one is not from 0 to 1.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    return _adjusted("holm", _core.holm, p_values)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """P-values adjusted by Benjamini and Hochberg: of those at or below 5 %, at most 5 % are expected to be false.

    Takes, returns and raises what `holm` does; for independent or positively dependent tests.

    References
    ----------
    Benjamini and Hochberg, Controlling the false discovery rate, JRSS B 1995.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.02]).tolist()
    [0.03, 0.04, 0.03]
    """
    return _adjusted("benjamini_hochberg", _core.benjamini_hochberg, p_values)


def _adjusted(who: str, method: Callable[[Floats], Floats], p_values: ArrayLike) -> Floats:
    p = np.ascontiguousarray(numbers_of(who, "p-values", p_values))
    return method(p.ravel()).reshape(p.shape)
