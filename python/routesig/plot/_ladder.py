"""How many experts two tokens share, by word and by task."""

from typing import TYPE_CHECKING, Any

from routesig.controls import OverlapLadder
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> def prompt(task, experts, i):
    ...     ids = [[[e] for e in experts]]
    ...     return rs.RoutingTrace.from_arrays(ids, num_experts=4, token_ids=[7, 8], task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", [0, 1], 0), prompt("a", [0, 2], 1), prompt("b", [1, 3], 0)])
    >>> ax = rs.plot.overlap_ladder(rs.controls.overlap_ladder(traces), ax=Figure().subplots())
    >>> ax.get_title().endswith("+0.500")
    True
    """
    result = _source.part(found, "overlap_ladder", "overlap_ladder", OverlapLadder)
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
        layers = [shared for layer in result.layers if (shared := layer.overlap[rung]) is not None]
        ax.plot([at] * len(layers), layers, ".", color="black", markersize=3, alpha=0.6)
    if result.chance is not None:
        ax.axhline(result.chance, color="black", linewidth=0.8, linestyle=":", label=f"chance {result.chance:.3f}")
        _style.legend_above(ax)
    effect = "no word in common tests the task"
    if result.effect is not None:
        interval = result.effect.interval
        within = "" if interval is None else f" (95 % interval {interval[0]:+.3f} to {interval[1]:+.3f})"
        effect = f"task effect at equal words {result.effect.observed:+.3f}{within}"
    _style.dress(ax, f"Experts shared by two tokens of different prompts\n{effect}", None, "share of the experts")
    names = [
        rung.replace(", ", ",\n") + ("" if value is None else f"\n{value:.3f}")
        for rung, value in result.overlap.items()
    ]
    ax.set_xticks(range(len(names)), names)
    return ax
