"""The parts of a study that no other result type holds already."""

from dataclasses import dataclass, field
from typing import Any, Literal

from routesig._absent import Masked
from routesig._bootstrap import Estimate
from routesig._debiased import DebiasedMeans
from routesig._equality import ByValue
from routesig._evidence import Evidence
from routesig._p_value import PValue
from routesig._reliability import Reliability
from routesig.information import FanoBound, LayerInformation, LogLossBound

Range = tuple[float, float]
TokenSet = Literal["all", "prompt", "generation"]
Weighting = Literal["count", "gate", "top1"]
LEAST_SEEDS = 19  # of a control model: with fewer no p of .05 is possible, and none is given


@dataclass(frozen=True)
class StudyOptions:
    """The options of `rs.study`: the numbers that were used, and the names of the controls that were given."""

    tokens: TokenSet = "all"
    weighting: Weighting = "count"
    seed: int = 0
    permutations: int = 10_000
    bootstrap: int = 2_000
    null_draws: int = 1_000
    shuffles: int = 200
    refits: int = 200
    folds: int = 5
    groups: bool = True
    sources: bool = True
    drop_invalid: bool = False
    controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyPrompt:
    """A prompt of a study: its labels, how many tokens count (None: unknown), and the task that was predicted."""

    id: str
    task: str | None
    group: str | None
    source: str | None
    tokens: int | None
    predicted: str | None


@dataclass(frozen=True)
class Group:
    """Similarities of pairs of prompts of one task (and of different groups), or of two: `ci` is that of the mean."""

    mean: float | None
    sd: float | None
    pairs: int
    ci: Range | None


@dataclass(frozen=True)
class LayerRow:
    """One layer of a study.

    Attributes
    ----------
    layer : int
        0-based.
    within, across, difference, cohens_d : float or None
    ci : (float, float) or None
        Bootstrap interval of d.
    p_value, adjusted : PValue or None
        Of this layer alone, and for all layers together.
    debiased : float or None
        The difference of the debiased similarity.
    information : float or None
        Bits between routing and task, corrected by permutation.
    """

    layer: int
    within: float | None
    across: float | None
    difference: float | None
    cohens_d: float | None
    ci: Range | None
    p_value: PValue | None
    adjusted: PValue | None
    debiased: float | None
    information: float | None


@dataclass(frozen=True)
class Depth:
    """Whether the separation grows with depth: slopes over the layers, a layer.

    `cohens_d` is that of d with its interval; `difference` and `debiased` those of D, plain and debiased; `controls`
    holds those of D of the control models, mean over their seeds.
    """

    cohens_d: Estimate | None
    difference: float | None
    debiased: float | None
    controls: dict[str, float]

    @property
    def grows(self) -> bool | None:
        """The interval of d's slope is above 0, and D's slopes exceed 0 and those of random weights, where known."""
        if self.cohens_d is None or self.cohens_d.interval is None or self.difference is None:
            return None
        untrained = self.controls.get("random weights", 0.0)
        debiased = self.difference if self.debiased is None else self.debiased
        return self.cohens_d.interval.low > 0 and debiased > 0 and self.difference > max(0.0, untrained)


@dataclass(frozen=True, eq=False)
class Debiased(ByValue):
    """Separation by the similarity that does not depend on text length.

    Attributes
    ----------
    within, across, difference : float or None
        Ratios of means over pairs.
    p_value : PValue or None
        Label permutation of the mean debiased similarities of pairs.
    layers : list of DebiasedMeans
    similarity : masked float64 [prompts, prompts]
    window : int
        Pairs of tokens at most this many positions apart were left out of the norms.
    reliability : Reliability or None
    absent : dict
    """

    within: float | None
    across: float | None
    difference: float | None
    p_value: PValue | None
    layers: list[DebiasedMeans]
    similarity: Masked
    window: int
    reliability: Reliability | None
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ControlSummary:
    """A statistic of a control: mean, smallest and largest over its seeds or repetitions."""

    mean: float
    low: float
    high: float
    repetitions: int

    @property
    def range(self) -> Range:
        """Smallest and largest."""
        return self.low, self.high


@dataclass(frozen=True, eq=False)
class Control(ByValue):
    """What a study finds when one explanation is held fixed.

    Attributes
    ----------
    name : str
    kind : {"null", "rival", "check"}
        null: the separation that is left when what is claimed is taken away; rival: a classifier that does not see the
        routing; check: the same analysis of fewer tokens or prompts.
    holds : str
        What is held fixed, in words.
    within, across, difference, cohens_d, accuracy : ControlSummary or None
    p_value : PValue or None
        Of the token shuffle: that what words do not account for follows the task (`context_test`). Of control models:
        the rank of the real one among them, from 19 seeds on. Of rivals: McNemar's.
    prompts : int
        Prompts that took part.
    layers : list of float or None
        D of every layer, mean over seeds; None where not computed.
    detail : object
        The whole result: TokenShuffle, TextControl, ControlComparison, FilteredTraces.
    rank : str or None
        Of a control model: how many of its seeds reach the real one's difference, in words.
    absent : dict
    """

    name: str
    kind: Literal["null", "rival", "check"]
    holds: str
    within: ControlSummary | None = None
    across: ControlSummary | None = None
    difference: ControlSummary | None = None
    cohens_d: ControlSummary | None = None
    accuracy: ControlSummary | None = None
    p_value: PValue | None = None
    prompts: int = 0
    layers: list[float] | None = None
    detail: Any = None
    rank: str | None = None
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        numbers = ", ".join(
            f"{what}={value.mean:.4g}"
            for what in ("difference", "cohens_d", "accuracy")
            if (value := getattr(self, what)) is not None
        )
        return f"Control({self.name!r}, {numbers or 'absent'})"


@dataclass(frozen=True, eq=False)
class Information(ByValue):
    """Information between routing and task, in bits; parts are None where undefined."""

    log_loss: LogLossBound | None
    fano: FanoBound | None
    layers: list[LayerInformation]
    evidence: Evidence | None
