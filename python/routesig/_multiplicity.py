"""P-values adjusted for many tests at once."""

import numpy as np
from numpy.typing import ArrayLike

from routesig import _core
from routesig._labelled import Floats


def holm(p_values: ArrayLike) -> Floats:
    """P-values adjusted by Holm: reject those at or below 5 %, and at most 5 % of studies reject anything falsely.

    Parameters
    ----------
    p_values : array of float, any shape

    Returns
    -------
    float64 of the same shape

    Raises
    ------
    ValueError
        Where one is not from 0 to 1.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.ascontiguousarray(p_values, dtype=np.float64)
    return np.asarray(_core.holm(p.ravel())).reshape(p.shape)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """P-values adjusted by Benjamini and Hochberg: of those at or below 5 %, at most 5 % are expected to be false.

    Parameters
    ----------
    p_values : array of float, any shape

    Returns
    -------
    float64 of the same shape

    Raises
    ------
    ValueError
        Where one is not from 0 to 1.

    References
    ----------
    Benjamini and Hochberg, Controlling the false discovery rate, JRSS B 1995.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.02]).tolist()
    [0.03, 0.04, 0.03]
    """
    p = np.ascontiguousarray(p_values, dtype=np.float64)
    return np.asarray(_core.benjamini_hochberg(p.ravel())).reshape(p.shape)
