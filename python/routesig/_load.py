"""How evenly experts are used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._absent import Masked
from routesig._equality import ByValue
from routesig._kinds import either_of
from routesig._signatures import SignatureSet, experts_a_token, signatures


@dataclass(frozen=True, eq=False)
class LoadMeasures(ByValue):
    """Measures of load, masked float64 [groups, layers] each; masked where no token was routed.

    Attributes
    ----------
    entropy : H in bits; log2(experts) where even.
    effective_experts : 2^H.
    cv : standard deviation (ddof 0) over mean.
    max_violation : largest over mean, minus 1.
    gini : 0 where even.
    jain : 1 / (1 + cv^2); 1 where even.
    balancedness : mean over largest.
    unused : experts without a token.
    coverage : [groups, layers, experts], share of the n + 1 most used experts.
    """

    entropy: Masked
    effective_experts: Masked
    cv: Masked
    max_violation: Masked
    gini: Masked
    jain: Masked
    balancedness: Masked
    unused: Masked
    coverage: Masked


@dataclass(frozen=True, eq=False)
class Load(LoadMeasures):
    """The load of every layer of every group of prompts: the measures, and what chance would give.

    Attributes
    ----------
    names : list of str
        The groups.
    shares : float64 [groups, layers, experts]
    num_tokens : uint64 [groups, layers] or None
    chance : LoadMeasures or None
        Expected where every token draws its experts uniformly.
    entropy_bias : masked float64 [groups, layers] or None
        Bits by which `entropy` is too low on average, because tokens are finitely many.
    unused_p_value : masked float64 [groups, layers] or None
        (1 - K/E)^T: probability that uniform routing leaves a given expert without a token.
    left_out : int
        Unlabelled prompts, where groups are tasks.
    absent : dict
        Field -> why it is None.
    """

    names: list[str]
    shares: NDArray[np.float64]
    num_tokens: NDArray[np.uint64] | None
    chance: LoadMeasures | None
    entropy_bias: Masked | None
    unused_p_value: Masked | None
    left_out: int
    absent: dict[str, str]

    def dead(self, alpha: float = 0.01) -> NDArray[np.bool_]:
        """Experts that are unused although chance would hardly allow it.

        Parameters
        ----------
        alpha : float
            Bound on the probability that uniform routing leaves any expert of a layer unused (Bonferroni).

        Returns
        -------
        bool [groups, layers, experts]
        """
        if self.unused_p_value is None:
            raise ValueError(f"load: expected a known number of tokens, got none ({self.absent['unused_p_value']})")
        rare = (self.unused_p_value * self.shares.shape[2]).filled(np.inf) <= alpha
        dead: NDArray[np.bool_] = (self.shares == 0) & rare[:, :, None]
        return dead

    def __repr__(self) -> str:
        groups, layers, experts = self.shares.shape
        return f"Load({groups} groups, {layers} layers x {experts} experts)"


def load(
    sigs: SignatureSet | _core.TraceSet, *, by: str = "all", tokens: str = "all", drop_invalid: bool = False
) -> Load:
    """How evenly experts are used.

    Parameters
    ----------
    sigs : SignatureSet or TraceSet
    by : {"all", "task", "prompt"}
        What is pooled: the counts of all prompts, of each task, or of each prompt alone. Gate weights are pooled as
        means weighted by tokens.
    tokens : {"all", "prompt", "generation"}
        Of traces: which tokens count.
    drop_invalid : bool
        Of traces: leave impossible rows out instead of refusing them.

    Returns
    -------
    Load

    Notes
    -----
    The entropy of T tokens is too low by about (E - 1)(1 - K/E) / (2 T K ln 2) bits; chance has the same bias. An
    unused expert is no dead one unless chance would have used it: see `Load.dead`.

    References
    ----------
    CV: Shazeer et al., arXiv 1701.06538. Largest over mean: Wang et al., arXiv 2408.15664. Jain, Chiu and Hawe, DEC
    TR-301 (1984). Entropy bias: Miller (1955), for K distinct experts per token.

    Examples
    --------
    >>> found = load(SignatureSet.from_counts([[[1, 2, 0, 1]]], top_k=1))
    >>> float(found.entropy[0, 0]), float(found.max_violation[0, 0]), float(found.unused[0, 0])
    (1.5, 1.0, 1.0)
    >>> round(float(found.chance.unused[0, 0]), 4)  # of 4 tokens: 4 (3/4)^4
    1.2656
    """
    sigs = either_of("load", sigs)
    if isinstance(sigs, _core.TraceSet):
        sigs = signatures(sigs, tokens=tokens, drop_invalid=drop_invalid)
    elif tokens != "all":
        raise ValueError("load: expected tokens to be chosen when the signatures were made (signatures(tokens=...))")
    names, groups = groups_of(sigs, by)
    pooled, num_tokens, reason = pooled_counts(sigs, groups)
    observed = _measures(_core.load(pooled))
    chance = bias = p_value = None
    if num_tokens is not None:
        top_k, empty = experts_a_token(sigs), num_tokens == 0
        chance = _measures(_core.chance_load(sigs.experts, top_k, num_tokens))
        some = np.maximum(num_tokens, 1)
        bias = np.ma.MaskedArray(_core.entropy_bias(sigs.experts, top_k, some), empty)
        p_value = np.ma.MaskedArray(_core.unused_probability(sigs.experts, top_k, some), empty)
    fields = ("num_tokens", "chance", "entropy_bias", "unused_p_value")
    totals = pooled.sum(axis=2, keepdims=True)
    return Load(
        **observed.__dict__,
        names=names,
        shares=np.divide(pooled, totals, out=np.zeros_like(pooled), where=totals > 0),
        num_tokens=num_tokens,
        chance=chance,
        entropy_bias=bias,
        unused_p_value=p_value,
        left_out=len(sigs) - sum(map(len, groups)),
        absent={} if reason is None else dict.fromkeys(fields, reason),
    )


def groups_of(sigs: SignatureSet, by: str) -> tuple[list[str], list[NDArray[np.intp]]]:
    """Names of the groups, and the prompts of each."""
    if by == "all":
        return ["all"], [np.arange(len(sigs))]
    if by == "prompt":
        return list(sigs.ids), [np.array([i]) for i in range(len(sigs))]
    if by != "task":
        raise ValueError(f"load: expected by to be one of all, task, prompt, got {by!r}")
    names = sorted({task for task in sigs.tasks if task is not None})
    return names, [np.flatnonzero([task == name for task in sigs.tasks]) for name in names]


def pooled_counts(
    sigs: SignatureSet, groups: Sequence[NDArray[np.intp]]
) -> tuple[NDArray[np.float64], NDArray[np.uint64] | None, str | None]:
    """Counts (or gate shares) of each group [groups, layers, experts]; tokens [groups, layers], or why not known."""
    shape = (len(groups), sigs.layers, sigs.experts)
    if sigs.counts is None:
        weights = np.ones(len(sigs)) if sigs.num_tokens is None else sigs.num_tokens.astype(float)
        gates = [np.tensordot(weights[group], sigs.values[group], axes=1) for group in groups]
        return np.array(gates).reshape(shape), None, "gate weights are not counts: chance is not known"
    pooled = np.array([sigs.counts[group].sum(axis=0) for group in groups], dtype=np.uint64).reshape(shape)
    try:
        top_k = experts_a_token(sigs)
    except ValueError as error:
        return pooled.astype(float), None, str(error)
    return pooled.astype(float), pooled.sum(axis=2) // np.uint64(top_k), None


def _measures(arrays: dict[str, NDArray[Any]]) -> LoadMeasures:
    absent = arrays.pop("known") == 0
    wide = np.broadcast_to(absent[:, :, None], arrays["coverage"].shape)
    return LoadMeasures(
        **{name: np.ma.MaskedArray(array, wide if name == "coverage" else absent) for name, array in arrays.items()}
    )
