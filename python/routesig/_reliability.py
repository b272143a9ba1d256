"""How reliable the similarity of finite texts is."""

from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._absent import Masked
from routesig._equality import ByValue
from routesig._kinds import traces_of
from routesig._plain import NOT_HELD
from routesig._signatures import SignatureSet, signatures
from routesig._similarity import similarity


@dataclass(frozen=True, eq=False)
class Reliability(ByValue):
    """How reliable the signature of each prompt is.

    Attributes
    ----------
    values : masked float64 [prompts]
        2 h / (1 + h) with h the similarity of the two halves of the prompt, mean over layers.
    layers : masked float64 [prompts, layers]
    num_tokens : uint64 [prompts, layers]
    ceiling : masked float64 [prompts, prompts]
        sqrt(rel_a rel_b): the similarity that two samples of the same routing would show. Computed when asked for.
    disattenuated : masked float64 [prompts, prompts]
        Similarity over the ceiling; it may exceed 1. Computed when asked for.
    split : str
    ids : list of str
    absent : dict
        Prompt id -> why it has no value.
    """

    values: Masked
    layers: Masked
    num_tokens: NDArray[np.uint64]
    split: str
    ids: list[str]
    absent: dict[str, str]
    _signatures: partial[SignatureSet] | None = field(repr=False, compare=False)

    @cached_property
    def ceiling(self) -> Masked:
        return np.ma.sqrt(self.values[:, None] * self.values[None, :])

    @cached_property
    def disattenuated(self) -> Masked:
        if self._signatures is None:
            raise ValueError(f"reliability: expected signatures to compare, got a result from a file: {NOT_HELD}")
        return similarity(self._signatures()) / self.ceiling

    def tokens_needed(self, reliability: float) -> Masked:
        """Tokens at which each prompt's routing would reach `reliability`: r rho / (1 - rho).

        Parameters
        ----------
        reliability : float
            rho, between 0 and 1.

        Returns
        -------
        masked float64 [prompts]
            With r = T (1 - rel) / rel from the prompt's own T tokens and reliability.
        """
        tokens = self.num_tokens.sum(axis=1) / max(self.num_tokens.shape[1], 1)
        r = tokens * np.maximum(1 - self.values, 0) / self.values
        return r * _core.tokens_for_reliability(reliability, 1.0)

    def __repr__(self) -> str:
        mean = "none known" if self.values.mask.all() else f"mean {float(self.values.mean()):.3f}"
        return f"Reliability({len(self.ids)} prompts, split={self.split!r}, {mean})"


def reliability(
    traces: _core.TraceSet, *, split: str = "interleaved", tokens: str = "all", drop_invalid: bool = False
) -> Reliability:
    """How alike the two halves of each prompt are, and what that says about similarities.

    Parameters
    ----------
    traces : TraceSet
    split : {"interleaved", "contiguous"}
        Every other token, or the first half against the second. Neighbouring tokens repeat experts, so interleaved
        halves are more alike than two separate texts; contiguous ones also differ where a text changes its subject.
    tokens : {"all", "prompt", "generation"}
        Which tokens count.
    drop_invalid : bool
        Leave impossible rows out instead of refusing them.

    Returns
    -------
    Reliability

    References
    ----------
    Spearman, British Journal of Psychology 3 (1910); Brown, ibid.

    Examples
    --------
    >>> import numpy as np
    >>> ids = np.array([[[0], [0], [0], [1]]])  # halves (0, 0) and (0, 1)
    >>> trace = RoutingTrace.from_arrays(ids, num_experts=2, id="hand")
    >>> round(float(reliability(TraceSet([trace])).values[0]), 4)  # h = 1 / sqrt 2
    0.8284
    """
    traces = traces_of("reliability", traces)
    halves, num_tokens = _core.half_similarities(traces, split, tokens, drop_invalid)
    mean = halves.sum(axis=1) / max(halves.shape[1], 1)
    known = (num_tokens >= 2) & (halves > 0)
    whole = known.all(axis=1)
    values: Masked = np.ma.MaskedArray(_core.spearman_brown(mean), ~whole)
    return Reliability(
        values=values,
        layers=np.ma.MaskedArray(_core.spearman_brown(halves), ~known),
        num_tokens=num_tokens,
        split=split,
        ids=traces.ids,
        absent={
            name: _why_absent(int(np.argmin(row)), half, count)
            for name, row, half, count in zip(traces.ids, known, halves, num_tokens, strict=True)
            if not row.all()
        },
        _signatures=partial(signatures, traces, tokens=tokens, drop_invalid=drop_invalid),
    )


def _why_absent(layer: int, halves: NDArray[np.float64], num_tokens: NDArray[np.uint64]) -> str:
    if num_tokens[layer] < 2:
        return f"expected at least 2 tokens, got {num_tokens[layer]} in layer {layer}"
    return f"expected halves that share an expert, got none in layer {layer}"
