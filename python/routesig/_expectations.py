"""How similar signatures are expected to be where routing follows no task, in closed form."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from routesig import _core
from routesig._kinds import numbers_of
from routesig._options import real_number, whole_number
from routesig._signatures import Signature

RowDraws = Literal["distinct", "with_replacement"]


def permutation_moments(a: "Signature | ArrayLike", b: "Signature | ArrayLike") -> tuple[float, float]:
    """Mean and standard deviation of the similarity of two signatures whose experts are relabelled at random.

    Parameters
    ----------
    a, b : Signature, or array [experts] or [layers, experts]

    Returns
    -------
    (mean, sd) : floats
        Exact; layers are relabelled independently.

    Raises
    ------
    ValueError
        Where the two have different shapes.

    References
    ----------
    See `permutation`.

    Examples
    --------
    >>> [round(x, 4) for x in permutation_moments([0.5, 0.5, 0, 0], [0.7, 0.1, 0.1, 0.1])]
    [0.4903, 0.2942]
    """
    x, y = (
        np.atleast_2d(s.values if isinstance(s, Signature) else numbers_of("permutation_moments", "a signature", s))
        for s in (a, b)
    )
    if x.shape != y.shape:
        raise ValueError(f"permutation_moments: expected two signatures of one shape, got {x.shape} and {y.shape}")
    if not np.isfinite([x, y]).all():
        raise ValueError("permutation_moments: expected finite signatures, got NaN or infinity")
    return _core.permutation_moments(np.stack([x, y]))


def load_balance_similarity(
    tokens_a: ArrayLike, tokens_b: ArrayLike, experts: int, top_k: int, *, draws: RowDraws = "distinct"
) -> Any:
    """Expected similarity of two signatures of uniform routing: 1 / sqrt((1 + r/T_a)(1 + r/T_b)), r = E/K - 1.

    Parameters
    ----------
    tokens_a, tokens_b : float or array
        T_a and T_b; arrays are broadcast.
    experts, top_k : int
    draws : {"distinct", "with_replacement"}
        With replacement r = (E - 1)/K.

    Returns
    -------
    float, or float64 array
        Within .004 of the mean of draws from 8 tokens on; 0 without tokens.

    Raises
    ------
    ValueError
        Where `top_k` is not between 1 and `experts`, or a number of tokens is negative or not finite.

    References
    ----------
    First-order expansion of the expected cosine; |s|^2 has mean (1 + r/T)/E.

    Examples
    --------
    >>> load_balance_similarity([8, 32], [8, 32], experts=64, top_k=8).round(4).tolist()
    [0.5333, 0.8205]
    """
    ratio = _ratio(experts, top_k, draws)
    given = (numbers_of("load_balance_similarity", "numbers of tokens", t, axes=0) for t in (tokens_a, tokens_b))
    a, b = np.broadcast_arrays(*given)
    if not (np.isfinite(a) & np.isfinite(b) & (a >= 0) & (b >= 0)).all():
        raise ValueError("load_balance_similarity: expected finite numbers of tokens of 0 or more")
    return _core.sampled_similarity(a, b, ratio)


def break_even_tokens(
    within: float, model_ratio: float, *, experts: int, top_k: int, draws: RowDraws = "distinct"
) -> float | None:
    """The text length at which load balancing is as similar as prompts of one task: T* = (r w - r') / (1 - w).

    Parameters
    ----------
    within : float
        Within-task similarity w of endless texts (debiased).
    model_ratio : float
        The model's own r': |s|^2 grows by 1 + r'/T when a prompt has T tokens.
    experts, top_k : int
    draws : {"distinct", "with_replacement"}

    Returns
    -------
    float or None
        At most 0 where load balancing is more similar at any length; None where w is not below 1: it never is.

    Raises
    ------
    ValueError
        Where `top_k` is not between 1 and `experts`, or `within` or `model_ratio` is not finite.

    References
    ----------
    Where w / (1 + r'/T) meets 1 / (1 + r/T).

    Examples
    --------
    >>> round(break_even_tokens(0.9, 1.5, experts=64, top_k=8), 6)
    48.0
    """
    within = real_number("break_even_tokens", "within", within)
    model_ratio = real_number("break_even_tokens", "model_ratio", model_ratio)
    if not np.isfinite([within, model_ratio]).all():
        raise ValueError(f"break_even_tokens: expected finite numbers, got {within} and {model_ratio}")
    return _core.break_even_tokens(within, model_ratio, _ratio(experts, top_k, draws))


def _ratio(experts: int, top_k: int, draws: str) -> float:
    experts = whole_number("baselines", "experts", experts, most=2**31 - 1)
    top_k = whole_number("baselines", "top_k", top_k, most=2**31 - 1)
    return float(_core.sampling_ratio(experts, top_k, with_replacement(draws)))


def with_replacement(draws: str) -> bool:
    """Check the name of a way to draw the experts of a token."""
    if draws not in ("distinct", "with_replacement"):
        raise ValueError(f"baselines: expected draws to be one of distinct, with_replacement, got {draws!r}")
    return draws == "with_replacement"
