"""Whether two recordings of the same prompts pick the same experts, token by token."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._equality import ByValue
from routesig._labelled import number
from routesig._progress import progress_bar

UNRANKED = "the rank order of experts is unknown in one of the two"
NO_ROWS = "no row is known in both"


@dataclass(frozen=True)
class LayerAgreement:
    """One layer; each None where it has no row that is known in both.

    Attributes
    ----------
    layer, rows : int
        The layer, and its tokens that were compared.
    exact, overlap, top1 : float or None
        As in `ExpertAgreement`.
    marginal_chance, top1_chance : float or None
    load_divergence : float or None
        Jensen-Shannon divergence of the two loads over the compared tokens, in bits.
    """

    layer: int
    rows: int
    exact: float | None
    overlap: float | None
    top1: float | None
    marginal_chance: float | None
    top1_chance: float | None
    load_divergence: float | None


@dataclass(frozen=True)
class PromptAgreement:
    """One prompt: how many tokens were compared, where the two texts part, and what is agreed.

    Attributes
    ----------
    id : str
    tokens, rows : int
        Compared tokens, and tokens x layers that are known in both.
    parts_at : int or None
        Position of the first token that differs, or that only one recording has; None where all are the same.
    exact, overlap, top1 : float or None
    reason : str or None
        Why no token was compared.
    """

    id: str
    tokens: int
    rows: int
    parts_at: int | None
    exact: float | None
    overlap: float | None
    top1: float | None
    reason: str | None


@dataclass(frozen=True, eq=False)
class ExpertAgreement(ByValue):
    """Agreement of expert sets over the tokens that two recordings share.

    Attributes
    ----------
    exact : float
        Share of tokens x layers whose K experts are the same set.
    exact_chance : float
        The same for two independent uniform picks: 1 / (E choose K).
    overlap : float
        Mean of |A & B| / K.
    uniform_chance, marginal_chance : float
        The same for independent uniform picks, K / E; and for picks that are independent given how often each
        recording uses each expert, the sum over experts of pi_a pi_b / K, averaged over layers.
    top1, top1_chance : float or None
        Share of rows with the same best expert, and the sum of rho_a rho_b over experts, rho the shares as best expert.
    layers : list of LayerAgreement
    prompts : list of PromptAgreement
    first_divergent : uint64 [layers + 1]
        Tokens by the first of their known layers in which the sets differ; the last entry: in none.
    tokens, rows : int
        Compared tokens, and tokens x layers that are known in both.
    unknown_rows, dropped_rows : int
        Tokens x layers skipped because routing is unknown, or impossible (`drop_invalid`), in either.
    absent : dict
        Why a field is None.
    """

    exact: float
    exact_chance: float
    overlap: float
    uniform_chance: float
    marginal_chance: float
    top1: float | None
    top1_chance: float | None
    layers: list[LayerAgreement]
    prompts: list[PromptAgreement]
    first_divergent: NDArray[np.uint64]
    tokens: int
    rows: int
    unknown_rows: int
    dropped_rows: int
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"ExpertAgreement(exact={number(self.exact)}, overlap={number(self.overlap)} "
            f"(chance {number(self.uniform_chance)}, {number(self.marginal_chance)}), "
            f"{self.tokens} tokens of {sum(prompt.tokens > 0 for prompt in self.prompts)} prompts)"
        )


def expert_agreement(
    a: _core.TraceSet, b: _core.TraceSet, tokens: str, drop_invalid: bool, progress: bool
) -> ExpertAgreement | str:
    """The agreement of traces of the same prompts in one order, or why there is none."""
    with progress_bar("agreement", progress) as tell:
        found: dict[str, Any] = _core.agreement(a, b, tokens, drop_invalid, tell)
    prompts = [
        PromptAgreement(trace.id, **(one | {"reason": one["reason"] or None}))
        for trace, one in zip(a, found.pop("prompts"), strict=True)
    ]
    if found["rows"] == 0:
        first = next((prompt for prompt in prompts if prompt.reason), None)
        return NO_ROWS if first is None else f"no token could be compared; prompt {first.id!r}: {first.reason}"
    layers = [LayerAgreement(layer, **one) for layer, one in enumerate(found.pop("layers"))]
    absent = {} if found.pop("ranked") else dict.fromkeys(("top1", "top1_chance"), UNRANKED)
    absent |= {f"layers[{one.layer}]": NO_ROWS for one in layers if one.rows == 0}
    return ExpertAgreement(
        **found, layers=layers, prompts=prompts, tokens=sum(prompt.tokens for prompt in prompts), absent=absent
    )
