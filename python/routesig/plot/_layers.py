"""Layer by layer: the size of the separation, and what it is made of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig._bootstrap import Bootstrap, Estimate
from routesig._debiased import DebiasedMeans
from routesig.controls import Decomposition
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PARTS = (("length", _style.GREY, ""), ("vocabulary", _style.AMBER, "////"), ("context", _style.BLUE, ""))


def layers(
    given: Any,
    *,
    debiased: "bool | Sequence[DebiasedMeans] | None" = None,
    alpha: float = 0.05,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw Cohen's d of every layer with its bootstrap interval, and the debiased difference beside it.

    Parameters
    ----------
    given : Study, Bootstrap, or what `rs.statistics.layer_separation` or `permutation_test(...).layers` gives
    debiased : bool, or list of DebiasedMeans, optional
        Draw D, free of text length, on an axis of its own. Default: where the study has it; True insists.
    alpha : float
        Layers whose adjusted p is not below it get an open marker.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        The one of d. The title gives the slope of d over layers with its interval, where known.

    Raises
    ------
    ValueError
        Where no layer has a d, or `debiased` is True and the study has none.

    References
    ----------
    arXiv 2603.11114, section 5. See `rs.statistics.bootstrap`, `rs.debiased_similarity`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> rs.plot.layers(rs.statistics.layer_separation(sigs), ax=Figure().subplots()).get_ylabel()
    "Cohen's d"
    """
    rows = given.layers if isinstance(given, Bootstrap) or _source.is_study(given) else given
    ours = isinstance(rows, (list, tuple)) and all(isinstance(x, Estimate) or hasattr(x, "cohens_d") for x in rows)
    _source.expect(ours, "layers", "a Study, Bootstrap or list of layers", rows)
    d = np.array([np.nan if (value := _value(row)) is None else value for row in rows], dtype=np.float64)
    if not np.isfinite(d).any():
        reason = f": {given.absent['cohens_d']}" if _source.is_study(given) and "cohens_d" in given.absent else ""
        raise ValueError(f"plot.layers: expected a layer with a Cohen's d, got none{reason}")
    free = _debiased(given, debiased)
    ax = _style.axes(ax)
    boot = given.bootstrap if _source.is_study(given) else given
    index, size = np.arange(len(d)), _style.marker_size(ax, len(d))
    bands = np.array([getattr(row, "ci", None) or (np.nan, np.nan) for row in rows])
    if np.isfinite(bands).any():
        label = f"{boot.level:.0%} bootstrap interval"
        ax.fill_between(index, *bands.T, color=_style.BLUE, alpha=0.25, linewidth=0, label=label)
    ax.plot(index, d, color=_style.BLUE, marker="o", markersize=size, label="Cohen's d")
    adjusted = [getattr(row, "adjusted", None) for row in rows]
    weak = np.array([p is not None and p >= alpha for p in adjusted])
    if weak.any():
        label = f"adjusted p ≥ {alpha:g}"
        ax.plot(index[weak], d[weak], "o", mfc="white", mec=_style.BLUE, markersize=size, label=label)
    _zero_line(ax, d, bands)
    _style.whole_numbers(ax.xaxis)
    _style.dress(ax, f"Separation of tasks, layer by layer{_slope(boot)}", "layer", "Cohen's d")
    _beside(ax, free)
    return ax


def _value(row: Any) -> float | None:
    """Of an Estimate, or of a row with a d."""
    value: float | None = row.value if isinstance(row, Estimate) else row.cohens_d
    return value


def _slope(boot: Any) -> str:
    slope = getattr(boot, "slope", None)
    if slope is None or slope.value is None:
        return ""
    interval = "" if slope.ci is None else f" ({slope.ci[0]:+.3f} to {slope.ci[1]:+.3f})"
    return f"\nslope of d {slope.value:+.3f} a layer{interval}"


def _debiased(given: Any, debiased: "bool | Sequence[DebiasedMeans] | None") -> NDArray[np.float64]:
    """The debiased difference of every layer, NaN where there is none; empty where it is not wanted."""
    rows: Sequence[Any] = ()
    if debiased is True:
        if not _source.is_study(given):
            raise ValueError("plot.layers: expected the list of DebiasedMeans beside a result that is no Study")
        rows = _source.part(given, "debiased.layers", "layers", list)
    elif debiased is None and _source.is_study(given):
        rows = () if given.debiased is None else given.debiased.layers
    elif debiased:
        rows = debiased
    return np.array([np.nan if row.difference is None else row.difference for row in rows], dtype=np.float64)


def _zero_line(ax: "Axes", *drawn: NDArray[Any]) -> None:
    """Zero always shows: a scale that begins elsewhere makes small differences look large."""
    ax.axhline(0, color="black", linewidth=0.8)
    if all(np.nanmin(values) >= 0 for values in drawn if np.isfinite(values).any()):
        ax.set_ylim(bottom=0)


def _align_zeros(left: "Axes", right: "Axes") -> None:
    """One zero for both axes, where both reach above it."""
    (low, high), (other_low, other_high) = left.get_ylim(), right.get_ylim()
    if high > 0 and other_high > 0:
        below = min(low / high, other_low / other_high)
        left.set_ylim(below * high, high)
        right.set_ylim(below * other_high, other_high)


def _beside(ax: "Axes", free: NDArray[np.float64]) -> None:
    """The debiased difference on the right axis; then the legend of both."""
    handles, labels = ax.get_legend_handles_labels()
    others = []
    if np.isfinite(free).any():
        right = ax.twinx()
        size = _style.text_size(ax)
        look: dict[str, Any] = {
            "color": _style.ORANGE,
            "marker": "s",
            "markersize": _style.marker_size(ax, len(free)) - 0.5,
            "linestyle": "--",
        }
        handles = [*handles, *right.plot(free, linewidth=1.2, **look)]
        labels = [*labels, "debiased difference (right)"]
        _zero_line(right, free)
        _align_zeros(ax, right)
        right.set_ylabel("debiased difference", fontsize=size)
        right.tick_params(labelsize=size - 0.5)
        right.set_zorder(ax.get_zorder() - 1)  # d is drawn above
        ax.patch.set_visible(False)
        others = [right]
    if len(handles) > 1:
        _style.legend_above(ax, *others, handles=handles, labels=labels)


def decomposition(given: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Draw what the difference of every layer is made of: length, vocabulary and context, stacked.

    Parameters
    ----------
    given : Study, or Decomposition
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Negative parts hang below zero. A thin line is a part's 95 % band, standing on what lies beneath the part.

    Raises
    ------
    ValueError
        Where there is no difference to split.

    References
    ----------
    See `rs.controls.decomposition`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> def prompt(task, expert, i):
    ...     return rs.RoutingTrace.from_arrays([[[expert]]], num_experts=2, token_ids=[7], task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", 0, i) for i in range(8)] + [prompt("b", 1, i) for i in range(8)])
    >>> parts = rs.controls.decomposition(traces, shuffles=20, bootstrap=0)
    >>> rs.plot.decomposition(parts, ax=Figure().subplots()).get_title()
    'What the difference is made of'
    """
    found = _source.part(given, "decomposition", "decomposition", Decomposition)
    overall = _source.needed(found.overall, "decomposition", "overall", found.absent)
    ax = _style.axes(ax)
    known = [(i, layer) for i, layer in enumerate(found.layers) if layer is not None]
    index = np.array([i for i, _ in known])
    above, below = np.zeros(len(index)), np.zeros(len(index))
    for place, (name, colour, hatch) in enumerate(_PARTS):
        parts = [getattr(layer, name) for _, layer in known]
        values = np.array([part.value for part in parts])
        base = np.where(values >= 0, above, below)
        most = "at most " if name == "vocabulary" else ""
        label = f"{name}, {most}{getattr(overall, name).value:.3f}"
        ax.bar(index, values, 0.85, base, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=label)
        _bands(ax, index + 0.25 * (place - 1), base, parts)
        above, below = above + np.maximum(values, 0), below + np.minimum(values, 0)
    total = [layer.total.value for _, layer in known]
    ax.plot(
        index,
        total,
        "k_",
        markersize=_style.marker_size(ax, len(index)),
        markeredgewidth=1.4,
        label=f"sum, {overall.total.value:.3f}",
    )
    ax.axhline(0, color="black", linewidth=0.8)
    _style.whole_numbers(ax.xaxis)
    size = _style.text_size(ax) - 0.5
    _style.legend_above(ax, title="mean over layers", title_fontsize=size, ncols=2)
    ax.set_xlim(-0.7, len(found.layers) - 0.3)
    return _style.dress(ax, "What the difference is made of", "layer", "within minus across similarity")


def _bands(ax: "Axes", x: NDArray[Any], base: NDArray[Any], parts: Sequence[Any]) -> None:
    for at, foot, part in zip(x, base, parts, strict=True):
        if part.band is not None:
            ax.plot([at, at], [foot + part.band[0], foot + part.band[1]], color="black", linewidth=0.7)
