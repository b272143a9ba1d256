"""The separation of the real routing beside that of its controls."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VALUES = {
    "difference": ("D", "within minus across similarity"),
    "cohens_d": ("Cohen's d", "Cohen's d, within against across tasks"),
    "accuracy": ("Accuracy", "accuracy on held-out prompts"),
}
_KINDS = {"null": (_style.ORANGE, "s"), "rival": (_style.PINK, "D"), "check": (_style.GREEN, "^")}


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
        A row a control that has the value: a null takes away what is claimed, a rival is a classifier that does not see
        the routing, a check has fewer tokens or prompts. The bar of a null runs over its seeds or draws; that of the
        real routing is its 95 % interval (bootstrap; Wilson's of an accuracy).

    Raises
    ------
    ValueError
        Where no control has the value.

    References
    ----------
    See `rs.controls`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> def prompts(experts):
    ...     return rs.TraceSet([
    ...         rs.RoutingTrace.from_arrays([[[e]]], num_experts=3, token_ids=[i], task="aabb"[i], id=str(i))
    ...         for i, e in enumerate(experts)
    ...     ])
    >>> found = rs.controls.random_weights(prompts([0, 0, 1, 1]), [prompts([0, 0, 1, 2]), prompts([0, 1, 0, 1])])
    >>> rs.plot.controls({"random weights": found}, ax=Figure().subplots()).get_xlabel()
    'within minus across similarity'
    """
    if value not in _VALUES:
        raise ValueError(f"plot.controls: expected one of {', '.join(_VALUES)}, got {value!r}")
    found: Mapping[str, Any] = _source.part(given, "controls", "controls", Mapping)  # type: ignore[type-abstract]
    rows = {name: (one, shown) for name, one in found.items() if (shown := getattr(one, value, None)) is not None}
    if not rows:
        raise ValueError(f"plot.controls: expected a control with {value}, got none")
    ax = _style.axes(ax)
    real, interval = _real(given, value, observed, [shown for _, shown in rows.values()])
    labels = [*(["real routing"] if real is not None else []), *rows]
    if real is not None:
        _dot(ax, 0, real, interval, "real", _style.BLUE, "o")
        ax.axvline(real, color=_style.BLUE, linewidth=0.8, linestyle=":")
    kinds = set()
    for at, (one, shown) in enumerate(rows.values(), len(labels) - len(rows)):
        kind = getattr(one, "kind", "null")
        label = None if kind in kinds else kind
        _dot(ax, at, shown.mean, (shown.low, shown.high), label, *_KINDS[kind])
        kinds.add(kind)
    ax.grid(axis="y", color=_style.LIGHT, linewidth=0.6)
    ax.set_axisbelow(True)
    title, label = _VALUES[value]
    _style.dress(ax, f"{title} of the real routing and of its controls", label + _reference(ax, given, value))
    _style.named_rows(ax, labels)
    if value != "accuracy":
        _accuracies(ax, given, found, labels)
    return ax


def _real(given: Any, value: str, observed: Any, rows: list[Any]) -> tuple[float | None, Any]:
    """The value of the real routing, and its interval."""
    if observed is None and _source.is_study(given):
        if value == "accuracy":
            return given.classification.accuracy, given.classification.wilson
        observed = getattr(given, value)
    if observed is None:
        known = [x for x in (getattr(row, "real", getattr(row, "observed", None)) for row in rows) if x is not None]
        return (known[0] if known else None), None
    return getattr(observed, "value", observed), getattr(observed, "ci", None)


def _dot(ax: "Axes", at: int, mean: float, bounds: Any, label: str | None, colour: str, marker: str) -> None:
    reach = None if bounds is None else [[max(0.0, mean - bounds[0])], [max(0.0, bounds[1] - mean)]]
    size = _style.marker_size(ax)
    ax.errorbar(mean, at, xerr=reach, fmt=marker, markersize=size, color=colour, capsize=2, label=label)


def _reference(ax: "Axes", given: Any, value: str) -> str:
    """A black line where nothing is known about tasks; what it is, for the label."""
    if value != "accuracy":
        ax.axvline(0, color="black", linewidth=0.8)
        return ""
    chance = given.classification.chance if _source.is_study(given) else None
    if chance is None:
        return ""
    ax.axvline(chance, color="black", linewidth=0.8)
    return f"\n(black line: always the commonest task, {chance:.2f})"


def _accuracies(ax: "Axes", given: Any, found: Mapping[str, Any], labels: list[str]) -> None:
    """Accuracies in a column of their own, right of the rows."""
    known = {name: getattr(getattr(one, "accuracy", None), "mean", None) for name, one in found.items()}
    if _source.is_study(given):
        known["real routing"] = given.classification.accuracy
    texts = ["" if (accuracy := known.get(name)) is None else f"{accuracy:.2f}" for name in labels]
    if any(texts):
        right = ax.twinx()
        right.set_ylim(ax.get_ylim())
        size = _style.text_size(ax)
        right.set_yticks(range(len(labels)), texts, fontsize=ax.get_yticklabels()[0].get_fontsize())
        right.tick_params(length=0)
        right.set_ylabel("accuracy on held-out prompts", fontsize=size)
