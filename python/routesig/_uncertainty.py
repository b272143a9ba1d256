"""How sure the router is of its choice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from routesig import _core
from routesig._absent import Masked
from routesig._equality import ByValue
from routesig._kinds import numbers_of
from routesig._options import whole_number


@dataclass(frozen=True, eq=False)
class Uncertainty(ByValue):
    """How sure the router is; masked float64 arrays, masked where logits are not finite.

    Attributes
    ----------
    entropy : entropy of p(e|h) in bits.
    gap : largest p minus second largest.
    mass : sum of the top_k largest p.
    margin : logit of rank K minus logit of rank K + 1.
    chance : dict
        The value of each for a flat router.
    left_out : int
        Rows whose logits are not finite.
    """

    entropy: Masked
    gap: Masked
    mass: Masked
    margin: Masked
    chance: dict[str, float]
    left_out: int

    def __repr__(self) -> str:
        return f"Uncertainty(shape={list(self.entropy.shape)}, left_out={self.left_out})"


def uncertainty(traces: "_core.TraceSet | _core.RoutingTrace | ArrayLike", *, top_k: int | None = None) -> Uncertainty:
    """How sure the router is of its choice, from its logits over all experts.

    Parameters
    ----------
    traces : TraceSet, RoutingTrace, or float array [..., experts]
        Traces recorded with `router_logits=True`, or the logits themselves.
    top_k : int, optional
        Experts per token; known for traces.

    Returns
    -------
    Uncertainty
        Of a set: means over tokens [prompts, layers]; of a trace: [layers, tokens]; of an array: [...].

    Raises
    ------
    ValueError
        Where no router logits were recorded.

    Examples
    --------
    >>> found = uncertainty([0.0, 0.0, 0.0, 0.0], top_k=1)
    >>> float(found.entropy), float(found.mass)
    (2.0, 0.25)
    """
    if isinstance(traces, _core.TraceSet):
        each = [uncertainty(trace) for trace in traces]
        if not each:
            raise ValueError("uncertainty: expected at least one trace, got none")
        means = {name: np.ma.stack([getattr(one, name).mean(axis=1) for one in each]) for name in _UNCERTAINTY}
        return Uncertainty(**means, chance=each[0].chance, left_out=sum(one.left_out for one in each))
    if isinstance(traces, _core.RoutingTrace):
        if traces.router_logits is None:
            raise ValueError(
                f'uncertainty: expected router logits, trace "{traces.id}" has none (record with router_logits=True)'
            )
        logits, top_k = traces.router_logits, traces.info.top_k
    else:
        with np.errstate(over="ignore"):  # beyond float32: infinite, and so not known
            logits = numbers_of("uncertainty", "traces or logits", traces).astype(np.float32)
        if logits.ndim == 0 or logits.shape[-1] == 0:
            raise ValueError(f"uncertainty: expected logits [..., experts], got shape {list(logits.shape)}")
        if top_k is None:
            raise ValueError("uncertainty: expected top_k beside an array of logits, got none")
        top_k = whole_number("uncertainty", "top_k", top_k, most=2**31 - 1)
    *values, known = _core.uncertainty(np.ascontiguousarray(logits), top_k)
    experts = logits.shape[-1]
    absent = known == 0
    return Uncertainty(
        **{name: np.ma.MaskedArray(value, absent) for name, value in zip(_UNCERTAINTY, values, strict=True)},
        chance={"entropy": float(np.log2(experts)), "gap": 0.0, "mass": top_k / experts, "margin": 0.0},
        left_out=int(absent.sum()),
    )


_UNCERTAINTY = ("entropy", "gap", "mass", "margin")
