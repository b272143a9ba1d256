"""What a baseline gives: the observed separation, that of every repetition, and what is expected."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._equality import ByValue
from routesig._left_out import LeftOut
from routesig._p_value import PValue


@dataclass(frozen=True, eq=False)
class Distribution(ByValue):
    """A statistic in every repetition of a baseline: `values` float64 [repetitions], and how they spread.

    `values` is None where a file was read, which holds none. `sd` has ddof 1; `low` and `high` are the 2.5 % and 97.5 %
    quantiles.
    """

    values: NDArray[np.float64] | None
    mean: float
    sd: float
    low: float
    high: float

    def __repr__(self) -> str:
        drawn = "" if self.values is None else f", repetitions={len(self.values)}"
        return f"Distribution(mean={self.mean:.4f}, sd={self.sd:.4f}, low={self.low:.4f}, high={self.high:.4f}{drawn})"


@dataclass(frozen=True)
class ClosedForm:
    """What a baseline is expected to give, and its sd over repetitions; None where undefined or not known."""

    within: float | None
    across: float | None
    difference: float | None
    within_sd: float | None = None
    across_sd: float | None = None
    difference_sd: float | None = None


@dataclass(frozen=True)
class BreakEven:
    """The text length from which load balancing is more similar than prompts of one task are.

    `tokens` from `within` (the within-task similarity) and `model_ratio` (r'), both estimated free of text length.
    At most 0: load balancing is more similar at any length.
    """

    tokens: float
    within: float
    model_ratio: float


@dataclass(frozen=True, eq=False)
class Baseline(ByValue):
    """Separation as observed, and in repetitions of a world whose routing follows no task.

    Attributes
    ----------
    name : str
        "permutation", "load_balance", "marginal" or "token_pool".
    observed : Separation
        Of the prompts as they are.
    within, across, difference, cohens_d : Distribution or None
        Mean within- and across-task similarity, within minus across, and Cohen's d of every repetition.
    within_pair_sd, across_pair_sd : float or None
        The standard deviation over pairs, averaged over repetitions; the `sd` of a Distribution is over repetitions.
    closed_form : ClosedForm or None
        What is expected, without drawing.
    p_value : PValue or None
        One-sided, of the observed difference, where the baseline is a hypothesis about it.
    break_even : BreakEven or None
        Load balancing only.
    tokens : uint64 [prompts] or None
        Tokens of every prompt that takes part (the most over its layers, where routing is partly unknown).
    repetitions, seed : int
    left_out : list of LeftOut
        Prompts that took no part: no task, or no tokens.
    absent : dict
        Field -> why it is None.
    """

    name: str
    observed: _core.Separation
    within: Distribution | None
    across: Distribution | None
    difference: Distribution | None
    cohens_d: Distribution | None
    within_pair_sd: float | None
    across_pair_sd: float | None
    closed_form: ClosedForm | None
    p_value: PValue | None
    break_even: BreakEven | None
    tokens: NDArray[np.uint64] | None
    repetitions: int
    seed: int
    left_out: list[LeftOut] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def token_range(self) -> tuple[int, float, int] | None:
        """Smallest, median and largest number of tokens of a prompt; None where unknown."""
        if self.tokens is None or not len(self.tokens):
            return None
        return int(self.tokens.min()), float(np.median(self.tokens)), int(self.tokens.max())

    def __repr__(self) -> str:
        def number(x: float | None) -> str:
            return "None" if x is None else f"{x:.4f}"

        parts = [repr(self.name)]
        for what in ("within", "across"):
            null = getattr(self, what)
            drawn = "None" if null is None else f"{null.mean:.4f} +- {null.sd:.4f}"
            parts.append(f"{what}={number(getattr(self.observed, what).mean)} (baseline {drawn})")
        if self.token_range is not None:
            low, median, high = self.token_range
            parts.append(f"tokens={low}/{median:g}/{high}")
        return f"Baseline({', '.join(parts)}, repetitions={self.repetitions}, seed={self.seed})"
