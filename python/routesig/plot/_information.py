"""Bits about the task, token by token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from routesig._evidence import Evidence
from routesig.information import LayerInformation
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {"signature": (_style.BLUE, "o"), "bag": (_style.ORANGE, "s"), "length": (_style.GREY, "^")}


def evidence(found: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how many bits about the task the first t tokens give, at least.

    Parameters
    ----------
    found : Study, or Evidence
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Bands are one standard error, over prompts, to each side.

    Raises
    ------
    ValueError
        Where the study has no evidence over tokens.

    References
    ----------
    See `rs.information.evidence_over_tokens`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> def prompt(task, expert, i):
    ...     return rs.RoutingTrace.from_arrays([[[expert]] * 4], num_experts=2, task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", 0, i) for i in range(6)] + [prompt("b", 1, i) for i in range(6)])
    >>> found = rs.information.evidence_over_tokens(traces, features=["signature"])
    >>> rs.plot.evidence(found, ax=Figure().subplots()).get_xlabel()
    'first tokens of the text'
    """
    result = _source.part(found, "information.evidence", "evidence", Evidence)
    ax = _style.axes(ax)
    for name, bits in result.bits.items():
        colour, marker = _LOOKS.get(name, (_style.GREEN, "D"))
        at, error = result.reached.get(name), np.asarray(result.standard_error[name])
        raw = np.asarray(result.unclipped_bits[name])
        when = (
            f"{result.threshold:g} bit after {at} token{'s' if at > 1 else ''}"
            if at
            else f"never {result.threshold:g} bit"
        )
        label = f"{'bag of tokens' if name == 'bag' else name}: {when}"
        ax.fill_between(
            *(result.prefixes, np.maximum(raw - error, 0), np.maximum(raw + error, 0)),
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
        ax.plot(result.prefixes, bits, color=colour, marker=marker, markersize=_style.marker_size(ax) - 1, label=label)
    size = _style.text_size(ax)
    for value, text, style, at, side in (
        (result.entropy_bits, "all there is to know", "--", result.prefixes[0], "left"),
        (result.threshold, "threshold", ":", result.prefixes[-1], "right"),
    ):
        ax.axhline(value, color="black", linewidth=0.8, linestyle=style)
        ax.text(at, value, text, fontsize=size - 0.5, va="bottom", ha=side)
    ax.set_xscale("log", base=2)
    ticks = [
        t for t in result.prefixes if t & (t - 1) == 0 or t == result.prefixes[-1] > 1.4 * 2 ** (t.bit_length() - 1)
    ]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.set_ylim(0, 1.12 * max(result.entropy_bits, result.threshold))
    _style.legend_above(ax)
    return _style.dress(ax, "Evidence about the task over tokens", "first tokens of the text", "bits, at least")


def information(found: "Any | Sequence[LayerInformation]", *, ax: "Axes | None" = None) -> "Axes":
    """Draw what the expert of one layer tells about the task, layer by layer.

    Parameters
    ----------
    found : Study, or list of LayerInformation
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        The band is one jackknife standard error to each side; without a task effect the value is 0 on average.

    Raises
    ------
    ValueError
        Where no layer has a value.

    References
    ----------
    See `rs.information.layer_information`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> found = rs.information.layer_information(sigs, permutations=99)
    >>> rs.plot.information(found, ax=Figure().subplots()).get_xlabel()
    'layer'
    """
    rows = _source.part(found, "information.layers", "information", list)
    _source.expect(all(isinstance(row, LayerInformation) for row in rows), "information", "a Study or layers", rows)
    known = [(i, row) for i, row in enumerate(rows) if row.corrected is not None]
    if not known:
        reason = next((row.absent["corrected"] for row in rows if "corrected" in row.absent), "there are no layers")
        raise ValueError(f"plot.information: nothing to draw: {reason}")
    ax = _style.axes(ax)
    index, bits = [i for i, _ in known], np.array([row.corrected for _, row in known], dtype=np.float64)
    error = np.array([row.standard_error or 0.0 for _, row in known])
    ax.fill_between(index, bits - error, bits + error, color=_style.BLUE, alpha=0.2, linewidth=0)
    ax.plot(index, bits, color=_style.BLUE, marker="o", markersize=_style.marker_size(ax, len(rows)))
    ax.axhline(0, color="black", linewidth=0.8)
    _style.whole_numbers(ax.xaxis)
    title = "Information between the task and one expert choice"
    return _style.dress(ax, title, "layer", "bits, corrected by permutation")
