"""Real routing beside worlds in which routing follows no task."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from routesig._baseline import Baseline
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bounds = tuple[float, float] | None
_KINDS = (("within", "within task", _style.BLUE, "o", -0.13), ("across", "across tasks", _style.ORANGE, "s", 0.13))


def baselines(given: "Any | Mapping[str, Baseline] | Iterable[Baseline]", *, ax: "Axes | None" = None) -> "Axes":
    """Draw within- and across-task similarity of the real routing and of its baselines.

    Parameters
    ----------
    given : Study, Baseline, or several of them
        A dict names its baselines.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Bars of a baseline hold 95 % of its repetitions; those of the real routing are a study's bootstrap intervals.
        The label says how long the texts are: what load balancing gives rises with length for any model, and is no
        evidence about tasks.

    Raises
    ------
    ValueError
        Where there is no baseline.

    References
    ----------
    arXiv 2603.11114, sections 4.5 and 5.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[9, 6, 1]], [[8, 7, 1]], [[1, 8, 7]]], tasks=["a", "a", "b"], top_k=2)
    >>> ax = rs.plot.baselines(rs.baselines.marginal(sigs, repetitions=50), ax=Figure().subplots())
    >>> ax.get_title()
    'Real routing beside the baselines'
    """
    found = _named(given, "baselines")
    ax = _style.axes(ax)
    real = given if _source.is_study(given) else next(iter(found.values())).observed
    for kind, label, colour, marker, shift in _KINDS:
        mean = getattr(real, kind).mean
        _point(ax, shift, mean, getattr(getattr(real, kind), "ci", None), color=colour, fmt=marker, label=label)
        for at, one in enumerate(found.values()):
            _point(ax, at + 1 + shift, *_centre(one, kind), color=colour, fmt=marker)
        if mean is not None:
            ax.axvline(mean, color=colour, linewidth=0.8, linestyle=":")
    ax.axhline(0.5, color="black", linewidth=0.6)
    lengths = _lengths(list(found.values()))
    _style.dress(ax, "Real routing beside the baselines", f"mean similarity of two prompts\n{lengths}")
    _style.named_rows(ax, ["real routing", *found])
    return ax


def load_balance(given: "Any | Mapping[str, Baseline]", *, ax: "Axes | None" = None) -> "Axes":
    """Draw observed similarities and those under load balancing, for one set of tokens after the other.

    Parameters
    ----------
    given : Study, or dict of load-balance baselines by token set
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Filled: observed; open: load balancing. Each row says how long its texts are: the longer, the farther right
        load balancing lies, for any model.

    Raises
    ------
    ValueError
        Where there is no baseline.

    References
    ----------
    arXiv 2603.11114, sections 3.3 and 4.5; see `rs.baselines.load_balance`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[9, 6, 1]], [[8, 7, 1]], [[1, 8, 7]]], tasks=["a", "a", "b"], top_k=2)
    >>> found = {"all": rs.baselines.load_balance(sigs, repetitions=50)}
    >>> rs.plot.load_balance(found, ax=Figure().subplots()).get_title()
    'Load balancing by length of text'
    """
    found = _named(given, "load_balance")
    ax = _style.axes(ax)
    for kind, label, colour, marker, shift in _KINDS:
        for at, one in enumerate(found.values()):
            named = label if at == 0 else None
            _point(ax, at + shift, getattr(one.observed, kind).mean, None, color=colour, fmt=marker, label=named)
            _point(ax, at + shift, *_centre(one, kind), color=colour, fmt=marker, mfc="white")
    _style.dress(ax, "Load balancing by length of text", "mean similarity of two prompts\n(open: under load balancing)")
    _style.named_rows(ax, [f"{name} tokens,\n{_span(one)}" for name, one in found.items()])
    return ax


def _named(given: Any, field: str) -> dict[str, Baseline]:
    several: Any = [given] if isinstance(given, Baseline) else given
    if _source.is_study(given):
        several = _source.part(given, field, field, dict)
    if isinstance(several, Mapping):
        found = {name.replace("_", " "): one for name, one in several.items()}
    else:
        ours = isinstance(several, (list, tuple)) and all(isinstance(one, Baseline) for one in several)
        _source.expect(ours, field, "a Study or baselines", several)
        found = {one.name.replace("_", " "): one for one in several}
    if not found:
        raise ValueError(f"plot.{field}: expected a baseline or more, got none")
    _source.expect(all(isinstance(one, Baseline) for one in found.values()), field, "baselines", several)
    if all(one.observed.within.mean is None and one.observed.across.mean is None for one in found.values()):
        reason = next((why for one in found.values() for why in one.absent.values()), "there is no pair of prompts")
        raise ValueError(f"plot.{field}: nothing to draw: {reason}")
    return found


def _centre(one: Baseline, kind: str) -> tuple[float | None, Bounds]:
    """Mean and range over repetitions, or the closed form where nothing was drawn."""
    drawn = getattr(one, kind)
    if drawn is not None:
        return drawn.mean, (drawn.low, drawn.high)
    return (None if one.closed_form is None else getattr(one.closed_form, kind)), None


def _point(ax: "Axes", at: float, mean: float | None, bounds: Bounds, **look: Any) -> None:
    if mean is not None:
        reach = None if bounds is None else [[max(0.0, mean - bounds[0])], [max(0.0, bounds[1] - mean)]]
        ax.errorbar(mean, at, xerr=reach, markersize=_style.marker_size(ax), capsize=2, **look)


def _span(one: Baseline) -> str:
    if one.token_range is None:
        return "length unknown"
    return f"{one.token_range[0]} to {one.token_range[2]} a prompt"


def _lengths(found: list[Baseline]) -> str:
    """How long the texts are, and from which length on load balancing is as similar as one task."""
    spans = [one.token_range for one in found if one.token_range is not None]
    if not spans:
        return "tokens of the prompts unknown"
    low, middle, high = spans[0]
    text = f"{low} to {high} tokens per prompt, median {middle:g}"
    even = next((one.break_even for one in found if one.break_even is not None), None)
    return text + (f"; from {even.tokens:.0f} on, load balance exceeds one task" if even and even.tokens > 0 else "")
