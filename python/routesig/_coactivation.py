"""Which experts are chosen together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._absent import Masked
from routesig._equality import ByValue
from routesig._kinds import traces_of


@dataclass(frozen=True, eq=False)
class Coactivation(ByValue):
    """Which experts are chosen together.

    Attributes
    ----------
    counts : uint64 [layers, experts, experts]
        N_ij, tokens that chose both; N_i on the diagonal.
    conditional : masked float64 [layers, experts, experts]
        N_ij / N_i: of the tokens that chose i, the share that chose j too. Masked on the diagonal and for experts that
        no token chose.
    lift : masked float64 [layers, experts, experts]
        N_ij T / (N_i N_j): against choosing independently with the same popularity.
    chance : float or None
        `conditional` where every token draws its experts uniformly; None where there is one expert.
    num_tokens : uint64 [layers]
    pairs : str
    """

    counts: NDArray[np.uint64]
    conditional: Masked
    lift: Masked
    chance: float | None
    num_tokens: NDArray[np.uint64]
    pairs: str

    def __repr__(self) -> str:
        layers, experts, _ = self.counts.shape
        chance = "None" if self.chance is None else f"{self.chance:.4f}"
        return f"Coactivation({layers} layers x {experts} experts, pairs={self.pairs!r}, chance={chance})"


def coactivation(
    traces: _core.TraceSet, *, pairs: str = "all", tokens: str = "all", drop_invalid: bool = False
) -> Coactivation:
    """How often experts are chosen by the same token, over all traces.

    Parameters
    ----------
    traces : TraceSet
    pairs : {"all", "adjacent"}
        All pairs of a token's experts, or those of neighbouring ranks alone, which is what OLMoE's published script
        counts.
    tokens : {"all", "prompt", "generation"}
    drop_invalid : bool
        Leave impossible rows out instead of refusing them.

    Returns
    -------
    Coactivation

    Raises
    ------
    ValueError
        On adjacent pairs where the rank order is unknown.

    References
    ----------
    OLMoE, arXiv 2409.02060, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> ids = np.array([[[0, 1], [0, 2]]])
    >>> found = coactivation(TraceSet([RoutingTrace.from_arrays(ids, num_experts=3, id="hand")]))
    >>> found.conditional[0, 0].tolist(), found.chance
    ([None, 0.5, 0.5], 0.5)
    """
    traces = traces_of("coactivation", traces)
    counts, num_tokens = _core.coactivation(traces, pairs, tokens, drop_invalid)
    experts = counts.shape[1]
    alone = np.diagonal(counts, axis1=1, axis2=2).astype(float)  # [layers, experts]
    diagonal = np.broadcast_to(np.eye(experts, dtype=bool), counts.shape)
    unused = alone == 0
    one, some = np.where(unused, 1.0, alone), num_tokens.astype(float)[:, None, None]
    chance = None
    if traces.info is not None and experts > 1:
        top_k = traces.info.top_k
        chance = (top_k - 1) / (experts - 1) * (1.0 if pairs == "all" else 2.0 / top_k)
    return Coactivation(
        counts=counts,
        conditional=np.ma.MaskedArray(counts / one[:, :, None], diagonal | unused[:, :, None]),
        lift=np.ma.MaskedArray(
            counts * some / (one[:, :, None] * one[:, None, :]),
            diagonal | unused[:, :, None] | unused[:, None, :],
        ),
        chance=chance,
        num_tokens=num_tokens,
        pairs=pairs,
    )
