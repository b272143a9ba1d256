"""Which tasks and which tokens an expert serves."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._absent import Masked
from routesig._equality import ByValue
from routesig._kinds import either_of, traces_of
from routesig._load import groups_of, pooled_counts
from routesig._options import whole_number
from routesig._signatures import SignatureSet, experts_a_token, signatures


@dataclass(frozen=True, eq=False)
class Specialization(ByValue):
    """What an expert serves: of the tokens of one kind, the share that chose it.

    Attributes
    ----------
    names : list
        Tasks, or token ids.
    shares : masked float64 [names, layers, experts]
        Sums to top_k over experts; masked where a kind has no token in a layer.
    num_tokens : uint64 [names, layers]
    chance : float or None
        K / E; None for no traces.
    left_out : int
        Unlabelled prompts.
    """

    names: list[Any]
    shares: Masked
    num_tokens: NDArray[np.uint64]
    chance: float | None
    left_out: int

    def __repr__(self) -> str:
        names, layers, experts = self.shares.shape
        return f"Specialization({names} names, {layers} layers x {experts} experts, chance={self.chance})"


def domain_specialization(sigs: SignatureSet | _core.TraceSet) -> Specialization:
    """Of each task's tokens, the share that chose each expert: N_iD / N_D.

    Parameters
    ----------
    sigs : SignatureSet with counts, or TraceSet

    Returns
    -------
    Specialization

    Raises
    ------
    ValueError
        On gate weights, and where the experts per token are unknown.

    References
    ----------
    OLMoE, arXiv 2409.02060, section 5.3.

    Examples
    --------
    >>> sigs = SignatureSet.from_counts([[[3, 1]], [[0, 4]]], tasks=["code", "math"], top_k=1)
    >>> domain_specialization(sigs).shares[:, 0].tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    sigs = either_of("domain_specialization", sigs)
    if isinstance(sigs, _core.TraceSet):
        sigs = signatures(sigs)
    names, groups = groups_of(sigs, "task")
    pooled, num_tokens, reason = pooled_counts(sigs, groups)
    if num_tokens is None:
        raise ValueError(f"specialization: expected counts and experts per token ({reason})")
    return Specialization(
        names=names,
        shares=_shares(pooled, num_tokens),
        num_tokens=num_tokens,
        chance=experts_a_token(sigs) / sigs.experts,
        left_out=len(sigs) - sum(map(len, groups)),
    )


def vocabulary_specialization(
    traces: _core.TraceSet, *, least: int = 10, tokens: str = "all", drop_invalid: bool = False
) -> Specialization:
    """Of the occurrences of each token id, the share that chose each expert: N_ix / N_x.

    Parameters
    ----------
    traces : TraceSet
        With token ids.
    least : int
        Ids that occur less often are left out.
    tokens : {"all", "prompt", "generation"}
    drop_invalid : bool
        Leave impossible rows out instead of refusing them.

    Returns
    -------
    Specialization
        `names` are token ids, ascending.

    Raises
    ------
    ValueError
        Where a trace has no token ids.

    References
    ----------
    OLMoE, arXiv 2409.02060, section 5.4.

    Examples
    --------
    >>> import routesig as rs
    >>> trace = rs.RoutingTrace.from_arrays([[[0], [0], [1], [1]]], num_experts=2, token_ids=[7, 7, 7, 9], id="hand")
    >>> found = rs.metrics.vocabulary_specialization(rs.TraceSet([trace]), least=2)
    >>> found.names, found.shares[0, 0].round(3).tolist()
    ([7], [0.667, 0.333])
    """
    traces = traces_of("vocabulary_specialization", traces)
    least = whole_number("specialization", "least", least, least=1, most=2**31 - 1)
    ids, occurrences, shares = _core.vocabulary_specialization(traces, least, tokens, drop_invalid)
    info = traces.info
    return Specialization(
        names=ids.tolist(),
        shares=np.ma.MaskedArray(shares, np.broadcast_to((occurrences == 0)[:, :, None], shares.shape)),
        num_tokens=occurrences,
        chance=None if info is None else info.top_k / info.experts,
        left_out=0,
    )


def _shares(pooled: NDArray[np.float64], num_tokens: NDArray[np.uint64]) -> Masked:
    empty = np.broadcast_to((num_tokens == 0)[:, :, None], pooled.shape)
    return np.ma.MaskedArray(pooled / np.maximum(num_tokens, 1)[:, :, None], empty)
