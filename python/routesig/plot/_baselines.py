"""Real routing beside worlds in which routing follows no task."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from routesig._baseline import Baseline
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = (("within", _style.BLUE, "o", -0.13), ("across", _style.ORANGE, "s", 0.13))


def baselines(
    given: "Any | Mapping[str, Baseline] | Iterable[Baseline] | Baseline", *, ax: "Axes | None" = None
) -> "Axes":
    """Draw within- and across-task similarity of the real routing and of its baselines.

    Parameters
    ----------
    given : Study, Baseline, or several of them
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Bars of a baseline hold 95 % of its repetitions; those of the real routing are a study's bootstrap intervals.
        The label says how long the texts are: what load balancing gives rises with length for any model.

    Raises
    ------
    ValueError
        Where there is no baseline.

    References
    ----------
    arXiv 2603.11114, sections 4.5 and 5.
    """
    found = _found(given)
    ax = _style.axes(ax)
    real = given if _source.is_study(given) else found[0].observed
    for kind, colour, marker, shift in _KINDS:
        label = f"{kind} task{'s' if kind == 'across' else ''}"
        rows = [(0, getattr(real, kind).mean, getattr(getattr(real, kind), "ci", None))]
        rows += [(i + 1, *_centre(one, kind)) for i, one in enumerate(found)]
        for at, mean, bounds in rows:
            if mean is not None:
                reach = None if bounds is None else [[max(0.0, mean - bounds[0])], [max(0.0, bounds[1] - mean)]]
                ax.errorbar(
                    mean,
                    at + shift,
                    xerr=reach,
                    fmt=marker,
                    ms=_style.marker_size(ax),
                    color=colour,
                    capsize=2,
                    label=label,
                )
                label = "_" + label  # named once
        if rows[0][1] is not None:
            ax.axvline(rows[0][1], color=colour, linewidth=0.8, linestyle=":")
    ax.axhline(0.5, color="black", linewidth=0.6)
    ax.set_ylim(len(found) + 1.4, -0.5)  # a row for the legend
    _style.dress(ax, "Real routing beside the baselines", f"mean similarity of two prompts\n{_lengths(found)}")
    ax.set_yticks(range(len(found) + 1), ["real routing", *(one.name.replace("_", " ") for one in found)])
    _style.legend(ax, loc="lower center", ncols=2)
    return ax


def _found(given: Any) -> list[Baseline]:
    several = _source.part(given, "baselines", "baselines")
    if isinstance(several, Baseline):
        return [several]
    found = list(several.values() if isinstance(several, Mapping) else several)
    if not found:
        raise ValueError("plot.baselines: expected a baseline or more, got none")
    _source.expect(all(isinstance(one, Baseline) for one in found), "baselines", "baselines", found[0])
    return found


def _centre(one: Baseline, kind: str) -> tuple[float | None, tuple[float, float] | None]:
    """Mean and range over repetitions, or the closed form where nothing was drawn."""
    drawn = getattr(one, kind)
    if drawn is not None:
        return drawn.mean, (drawn.low, drawn.high)
    return (None if one.closed_form is None else getattr(one.closed_form, kind)), None


def _lengths(found: list[Baseline]) -> str:
    spans = {one.token_range for one in found if one.token_range is not None}
    if not spans:
        return "tokens of the prompts unknown"
    low, middle, high = min(spans)
    even = next((one.break_even for one in found if one.break_even is not None), None)
    text = f"{low} to {high} tokens a prompt, median {middle:g}"
    return text + (f"; load balance passes one task at {even.tokens:.0f}" if even and even.tokens > 0 else "")
