"""Bootstrap intervals, and the slope of d over layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from routesig import _core
from routesig._equality import ByValue
from routesig._kinds import numbers_of
from routesig._labelled import NO_ACROSS, LabelledSimilarities, Similarities, number
from routesig._options import number_of_draws, whole_number
from routesig._progress import progress_bar
from routesig._tasks import Groups, Tasks


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval; `method` is "BCa", or "percentile" where that is not finite."""

    low: float
    high: float
    method: str

    def __repr__(self) -> str:
        return f"Interval({self.low:.4g}, {self.high:.4g}, {self.method})"


@dataclass(frozen=True)
class Estimate:
    """A value, its bootstrap standard error and its interval; each None where undefined."""

    value: float | None
    se: float | None
    interval: Interval | None

    @property
    def ci(self) -> tuple[float, float] | None:
        """The two ends of the interval."""
        return None if self.interval is None else (self.interval.low, self.interval.high)


@dataclass(frozen=True, eq=False)
class Bootstrap(ByValue):
    """Result of `bootstrap`: estimates with intervals.

    Attributes
    ----------
    within, across, difference, cohens_d : Estimate
        Of the mean similarities, of D and of d.
    layers : list of Estimate
        d, layer by layer; empty where no layers were given.
    slope : Estimate or None
        Slope of d over the layers, a layer.
    unit, units, unlabelled, draws, level
        What was resampled ("prompts" or "groups"), how many, how many prompts had no task, and the options.
    absent : dict
        Why a field is None.
    """

    within: Estimate
    across: Estimate
    difference: Estimate
    cohens_d: Estimate
    layers: list[Estimate]
    slope: Estimate | None
    unit: str
    units: int
    unlabelled: int
    draws: int
    level: float
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"Bootstrap(difference={number(self.difference.value)} {self.difference.interval}, "
            f"cohens_d={number(self.cohens_d.value)} {self.cohens_d.interval}, "
            f"{self.draws} draws of {self.units} {self.unit})"
        )


def bootstrap(
    sigs: Similarities,
    tasks: Tasks = None,
    *,
    draws: int = 2_000,
    seed: int = 0,
    groups: Groups = None,
    level: float = 0.95,
    layers: bool = True,
    progress: bool = False,
) -> Bootstrap:
    """Intervals for the separation, from resampled prompts. Conditional on these tasks.

    A draw takes n - 1 of a task's n prompts with replacement. A pair of different prompts taken m_i and m_j times
    counts m_i m_j times; a prompt is never paired with itself, nor with one of its group. Intervals are BCa, or
    percentiles where that is not finite.

    Parameters
    ----------
    sigs : SignatureSet, or similarities [prompts, prompts] or [layers, prompts, prompts]
        Of layers, their mean gets intervals, and d of each of them.
    tasks : sequence of str, optional
        One per prompt, needed for matrices; None where unlabelled (left out).
    draws : int
        2,000 or more for a report.
    seed : int
    groups : sequence of str, False, or None
        As in `permutation_test`; whole groups are drawn.
    level : float
        Coverage between 0 and 1.
    layers : bool
        Also d layer by layer, and its slope.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Bootstrap
        Without intervals where a task has fewer than five prompts (or groups).

    Raises
    ------
    ValueError
        Where shapes do not fit, similarities are not finite, or a group spans two tasks.

    References
    ----------
    Efron, Better bootstrap confidence intervals, JASA 1987.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson([[[9, 3, 3]]] * 6 + [[[3, 9, 3]]] * 6)
    >>> found = bootstrap(SignatureSet.from_counts(counts, tasks=["code"] * 6 + ["math"] * 6))
    >>> found.difference.interval.low < found.difference.value < found.difference.interval.high
    True
    """
    given = LabelledSimilarities.of(sigs, tasks, groups, "bootstrap")
    draws = number_of_draws("bootstrap", "draws", draws)
    seed = whole_number("bootstrap", "seed", seed)
    with progress_bar("bootstrap", progress) as tell:
        found = _core.bootstrap(given.matrix, given.codes, given.groups, draws, seed, level, tell)
        by_layer = None
        if layers:
            by_layer = given.by_layer(_core.bootstrap, _core.layer_bootstrap, draws, seed, level, tell)
    names = ("within", "across", "difference", "cohens_d")
    row = found["separations"][0] if found["separations"] else dict.fromkeys(names, _NOTHING)
    overall = {name: _estimate(row[name]) for name in names}
    by_layers = [_estimate(layer["cohens_d"]) for layer in by_layer["separations"]] if by_layer else []
    slope = _estimate(by_layer["slope"]) if by_layer and len(by_layers) > 1 else None

    absent: dict[str, str] = {}
    too_few = f"a task has {found['fewest']} of the 5 {given.unit} that resampling needs"
    undefined = {
        "within": given.no_pairs(),
        "across": NO_ACROSS,
        "difference": given.no_pairs(),
        "cohens_d": given.no_d(),
    }
    estimates = list(overall.items()) + [(f"layers[{i}]", one) for i, one in enumerate(by_layers)]
    if slope is not None:
        estimates.append(("slope", slope))
    elif layers:
        absent["slope"] = "there are fewer than two layers"
    for name, one in estimates:
        if one.value is None:
            absent[f"{name}.value"] = undefined.get(name, given.no_d())
        elif one.interval is None:
            few = found["fewest"] < 5
            absent[f"{name}.interval"] = too_few if few else "it is undefined in more than 5 % of the draws"
    return Bootstrap(
        **overall,
        layers=by_layers,
        slope=slope,
        unit=given.unit,
        units=found["units"],
        unlabelled=given.unlabelled,
        draws=draws,
        level=level,
        absent=absent,
    )


def depth_slope(values: Sequence[float | None]) -> float | None:
    """Least-squares slope of layer-wise values over the layer number, a layer.

    Parameters
    ----------
    values : sequence of float, one per layer

    Returns
    -------
    float or None
        None for fewer than two layers, or where a value is None.

    Examples
    --------
    >>> depth_slope([1.0, 1.5, 2.0])
    0.5
    """
    numbers_of("depth_slope", "values of layers", values)
    known = [float(value) for value in values if value is not None]
    if not np.isfinite(known).all():
        raise ValueError("depth_slope: expected finite values")
    return _core.depth_slope(known) if len(known) == len(values) else None


_NOTHING: dict[str, Any] = {"value": None, "se": None, "interval": None}


def _estimate(found: dict[str, Any]) -> Estimate:
    interval = None if found["interval"] is None else Interval(*found["interval"])
    return Estimate(found["value"], found["se"], interval)
