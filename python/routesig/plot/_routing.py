"""Routing itself: one prompt's signature or trace, experts chosen together, how sure the router is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from routesig import _core
from routesig._coactivation import Coactivation
from routesig._signatures import Signature
from routesig._text import as_labels
from routesig._uncertainty import Uncertainty
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_WORD = 7.0  # points that a word takes along the tokens, its text standing upright


def signature(one: Signature, *, ax: "Axes | None" = None) -> "Axes":
    """Draw a signature: the share of each layer's picks that each expert received.

    Parameters
    ----------
    one : Signature
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    References
    ----------
    arXiv 2603.11114, equation 3.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[3, 1], [2, 2]]], ids=["code-01"])
    >>> rs.plot.signature(sigs[0], ax=Figure().subplots()).get_title()
    'The signature of prompt code-01'
    """
    _source.expect(isinstance(one, Signature), "signature", "a Signature (sigs[0])", one)
    ax = _style.axes(ax)
    image = ax.imshow(one.values, aspect="auto", cmap=_style.MAP, interpolation="nearest")
    _style.colorbar(ax, image, "share of the layer's picks")
    _style.whole_numbers(ax.xaxis)
    _style.whole_numbers(ax.yaxis)
    return _style.dress(ax, f"The signature of prompt {_style.plain(one.id)}", "expert", "layer")


def trace(one: _core.RoutingTrace, *, words: bool | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw the best expert of every token in every layer.

    Parameters
    ----------
    one : RoutingTrace
    words : bool, optional
        Write each token's text below it. Default: where texts are known and there is room for them.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Grey where routing is unknown. Numbers of experts have no order: equal colours alone mean something.

    Raises
    ------
    ValueError
        Where the trace has no token, or words are asked for and it has none.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> trace = rs.RoutingTrace.from_arrays([[[0], [1], [2]]], num_experts=4, prompt_tokens=2, id="hand")
    >>> rs.plot.trace(trace, ax=Figure().subplots()).get_title()
    'Best experts of hand'
    """
    _source.expect(isinstance(one, _core.RoutingTrace), "trace", "a RoutingTrace (traces[0])", one)
    if not len(one):
        raise ValueError("plot.trace: expected a trace with tokens, got none")
    if words and one.token_texts is None:
        raise ValueError(f"plot.trace: expected a trace with token texts (words=True), got {one.id!r} without")
    ax = _style.axes(ax)
    best = np.ma.MaskedArray(np.asarray(one.experts[:, :, 0]), ~np.asarray(one.valid))
    last = max(1, one.info.experts - 1)
    image = ax.imshow(best, aspect="auto", cmap=_style.colours("twilight"), interpolation="nearest", vmin=0, vmax=last)
    for colour, width in (("white", 4), ("black", 1.5)):
        ax.axvline(one.prompt_tokens - 0.5, color=colour, linewidth=width)
    _style.colorbar(ax, image, "best expert")
    _style.whole_numbers(ax.xaxis)
    _style.whole_numbers(ax.yaxis)
    _style.dress(ax, f"Best experts of {_style.plain(one.id)}", "token (generated ones right of the line)", "layer")
    if words or (words is None and one.token_texts and len(one) <= _style.slot(ax)[0] / _WORD):
        names = [_style.plain(text.strip(), 12) or "␣" for text in one.token_texts or ()]
        ax.set_xticks(range(len(one)), names, rotation=90, fontsize=min(_style.text_size(ax), _WORD) - 0.5)
    return ax


def coactivation(found: Coactivation, layer: int = 0, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how often expert j is chosen for a token for which expert i is.

    Parameters
    ----------
    found : Coactivation, from `rs.metrics.coactivation`
    layer : int
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        The bar says what chance would give. Grey where there is no pair: the diagonal, experts that no token chose.

    Raises
    ------
    ValueError
        Where there is no such layer.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> trace = rs.RoutingTrace.from_arrays([[[0, 1], [1, 2]]], num_experts=4, id="hand")
    >>> rs.plot.coactivation(rs.metrics.coactivation(rs.TraceSet([trace])), ax=Figure().subplots()).get_title()
    'Experts chosen together, layer 0'
    """
    _source.expect(isinstance(found, Coactivation), "coactivation", "a Coactivation", found)
    if not 0 <= layer < len(found.conditional):
        raise ValueError(f"plot.coactivation: expected a layer from 0 to {len(found.conditional) - 1}, got {layer}")
    ax = _style.axes(ax, _style.SQUARE)
    image = ax.imshow(found.conditional[layer], cmap=_style.colours(), interpolation="nearest")
    _style.colorbar(ax, image, "P(j | i)" + ("" if found.chance is None else f", by chance {found.chance:.2f}"))
    return _style.dress(ax, f"Experts chosen together, layer {layer}", "expert j", "expert i")


def uncertainty(found: Uncertainty, tasks: Sequence[str | None] | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the entropy of the router over layers, mean over the prompts of each task.

    Parameters
    ----------
    found : Uncertainty, from `rs.metrics.uncertainty`
    tasks : sequence of str or None, optional
        One per prompt; default: one line for all.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        Where tasks do not fit.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> traces = rs.record(rs.load_model(), ["def add(a, b):"], max_new_tokens=0, router_logits=True, progress=False)
    >>> rs.plot.uncertainty(rs.metrics.uncertainty(traces), ax=Figure().subplots()).get_ylabel()
    'entropy of the router, bits'
    """
    _source.expect(isinstance(found, Uncertainty), "uncertainty", "an Uncertainty", found)
    entropy = np.ma.asarray(found.entropy)
    labels = ["all prompts"] * len(entropy) if tasks is None else as_labels(tasks, "plot.uncertainty", "tasks")
    if len(labels) != len(entropy):
        raise ValueError(f"plot.uncertainty: expected tasks for {len(entropy)} prompts, got {len(labels)}")
    ax = _style.axes(ax)
    for task, style in _style.task_styles(labels).items():
        rows = entropy[np.array([label == task for label in labels])]
        ax.plot(rows.mean(axis=0), markersize=4, linewidth=1.2, **style)
    _style.whole_numbers(ax.xaxis)
    _style.legend_beside(ax)
    return _style.dress(ax, "How sure the router is, by task", "layer", "entropy of the router, bits")
