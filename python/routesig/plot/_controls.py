"""The separation of the real routing beside that of its controls."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VALUES = {
    "difference": "within minus across similarity (D)",
    "cohens_d": "Cohen's d, within against across tasks",
    "accuracy": "accuracy on held-out prompts",
}


def controls(given: Any, value: str = "difference", *, observed: Any = None, ax: "Axes | None" = None) -> "Axes":
    """Draw a value of the real routing and of every control, each control with its range.

    Parameters
    ----------
    given : Study, or dict of results
        Name -> Control, ControlComparison, TokenShuffle, or what else has `difference` (`.mean`, `.low`, `.high`).
    value : {"difference", "cohens_d", "accuracy"}
        What to draw. Where accuracies are known they stand beside D and d, too.
    observed : Estimate or float, optional
        Of the real routing; default: the study's, or what the results themselves say.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        A row a control that has the value; its bar runs over seeds or draws, that of the real routing is its 95 %
        interval.

    Raises
    ------
    ValueError
        Where no control has the value.
    """
    if value not in _VALUES:
        raise ValueError(f"plot.controls: expected one of {', '.join(_VALUES)}, got {value!r}")
    found = _source.part(given, "controls", "controls")
    _source.expect(isinstance(found, Mapping), "controls", "a dict of results", found)
    rows = {name: summary for name, one in found.items() if (summary := getattr(one, value, None)) is not None}
    if not rows:
        raise ValueError(f"plot.controls: expected a control with {value}, got none")
    ax = _style.axes(ax)
    real, interval = _real(given, value, observed, list(rows.values()))
    labels = [*(["real routing"] if real is not None else []), *rows]
    first = len(labels) - len(rows)
    if real is not None:
        _dot(ax, 0, real, interval, _style.BLUE, "o")
        ax.axvline(real, color=_style.BLUE, linewidth=0.8, linestyle=":")
    for at, summary in enumerate(rows.values()):
        _dot(ax, at + first, summary.mean, (summary.low, summary.high), _style.ORANGE, "s")
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.grid(axis="y", color=_style.LIGHT, linewidth=0.6)
    ax.set_axisbelow(True)
    reference = _chance_or_zero(ax, given, value)
    title = {"difference": "D", "cohens_d": "Cohen's d", "accuracy": "Accuracy"}[value]
    _style.dress(ax, f"{title} of the real routing and of its controls", _VALUES[value] + reference)
    ax.set_yticks(range(len(labels)), labels)
    if value != "accuracy":
        _accuracies(ax, given, found, labels)
    return ax


def _real(given: Any, value: str, observed: Any, rows: list[Any]) -> tuple[float | None, Any]:
    """The value of the real routing, and its interval."""
    if observed is None and _source.is_study(given):
        if value == "accuracy":
            found = given.classification
            return (None, None) if found is None else (found.accuracy, found.wilson)
        observed = getattr(given, value)
    if observed is None:
        known = [x for x in (getattr(row, "real", getattr(row, "observed", None)) for row in rows) if x is not None]
        return (known[0] if known else None), None
    interval = getattr(observed, "interval", None)
    return getattr(observed, "value", observed), None if interval is None else (interval.low, interval.high)


def _dot(ax: "Axes", at: int, mean: float, bounds: Any, colour: str, marker: str) -> None:
    reach = None if bounds is None else [[max(0.0, mean - bounds[0])], [max(0.0, bounds[1] - mean)]]
    ax.errorbar(mean, at, xerr=reach, fmt=marker, markersize=_style.marker_size(ax), color=colour, capsize=2)


def _chance_or_zero(ax: "Axes", given: Any, value: str) -> str:
    """A black line where nothing is known about tasks; what it is, for the label."""
    if value != "accuracy":
        ax.axvline(0, color="black", linewidth=0.8)
        return ""
    chance = getattr(getattr(given, "classification", None), "chance", None)
    if chance is None:
        return ""
    ax.axvline(chance, color="black", linewidth=0.8)
    return f"\n(black line: always the commonest task, {chance:.2f})"


def _accuracies(ax: "Axes", given: Any, found: Mapping[str, Any], labels: list[str]) -> None:
    """Accuracies in a column of their own, right of the rows."""
    texts = []
    for name in labels:
        if name == "real routing":
            accuracy = getattr(getattr(given, "classification", None), "accuracy", None)
        else:
            accuracy = getattr(getattr(found[name], "accuracy", None), "mean", None)
        texts.append("" if accuracy is None else f"{accuracy:.2f}")
    if any(texts):
        right = ax.twinx()
        right.set_ylim(ax.get_ylim())
        size = _style.text_size(ax)
        right.set_yticks(range(len(labels)), texts, fontsize=size - 0.5)
        right.tick_params(length=0)
        right.set_ylabel("accuracy on held-out prompts", fontsize=size)


def overlap_ladder(found: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how many experts two tokens of different prompts share, by word and by task.

    Parameters
    ----------
    found : Study, or OverlapLadder
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Bars are means over layers, dots are layers; a rung without pairs has neither.

    Raises
    ------
    ValueError
        Where the study has no ladder, or no rung has a pair.

    References
    ----------
    See `rs.controls.overlap_ladder`.
    """
    result = _source.part(found, "overlap_ladder", "overlap_ladder")
    _source.expect(
        hasattr(result, "overlap") and hasattr(result, "chance"), "overlap_ladder", "an OverlapLadder", result
    )
    if all(value is None for value in result.overlap.values()):
        reason = next(iter(result.absent.values()), "no rung has a pair")
        raise ValueError(f"plot.overlap_ladder: nothing to draw: {reason}")
    ax = _style.axes(ax)
    size = _style.text_size(ax)
    for at, ((rung, value), colour) in enumerate(
        zip(result.overlap.items(), (_style.BLUE, _style.SKY, _style.ORANGE, _style.AMBER), strict=True)
    ):
        if value is None:
            ax.text(at, 0, "no pair", ha="center", va="bottom", fontsize=size)
            continue
        ax.bar(at, value, 0.7, color=colour)
        layers = [layer.overlap[rung] for layer in result.layers if layer.overlap[rung] is not None]
        ax.plot([at] * len(layers), layers, ".", color="black", markersize=3, alpha=0.6)
    if result.chance is not None:
        ax.axhline(result.chance, color="black", linewidth=0.8, linestyle=":", label=f"chance {result.chance:.3f}")
        _style.legend_above(ax)
    effect = "no word in common tests the task"
    if result.effect is not None:
        effect = f"task effect at equal words {result.effect.observed:+.3f}, {_style.p_text(result.effect.p_value)}"
    _style.dress(ax, f"Experts shared by two tokens of different prompts\n{effect}", None, "share of the experts")
    names = [
        rung.replace(", ", ",\n") + ("" if value is None else f"\n{value:.3f}")
        for rung, value in result.overlap.items()
    ]
    ax.set_xticks(range(len(names)), names)
    return ax
