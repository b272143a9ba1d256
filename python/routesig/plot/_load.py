"""Which experts carry the load."""

from typing import TYPE_CHECKING, Any

import numpy as np

from routesig._load import Load
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def load(found: Any, group: str | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how often each expert of each layer is picked, with what even routing would give.

    Parameters
    ----------
    found : Study, or Load
    group : str, optional
        Of a Load with several groups, or a task of a Study; default: all prompts, or the only group.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        White crosses are experts without a token; the title says how many even routing would leave so.

    Raises
    ------
    ValueError
        Where the group is not there.

    References
    ----------
    See `rs.metrics.load`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> rs.plot.load(rs.metrics.load(sigs), ax=Figure().subplots()).get_xlabel()
    'expert'
    """
    result = _source.part(found, "load" if group in (None, "all") else "load_by_task", "load", Load)
    if group is None and len(result.names) != 1:
        raise ValueError(f"plot.load: expected one of {', '.join(result.names)} as group, got none")
    if group is not None and group not in result.names:
        raise ValueError(f"plot.load: expected one of {', '.join(result.names)} as group, got {group!r}")
    row = 0 if group is None else result.names.index(group)
    shares = 100 * np.asarray(result.shares[row])
    layers, experts = shares.shape
    ax = _style.axes(ax)
    image = ax.imshow(shares, aspect="auto", cmap=_style.MAP, interpolation="nearest", vmin=0)
    bar = _style.colorbar(ax, image, f"% of the layer's picks (even: {100 / experts:.3g})")
    bar.ax.axhline(100 / experts, color="white", linewidth=1.5)
    which = "" if result.names[row] == "all" else f", {_style.plain(result.names[row])}"
    idle = np.argwhere(shares == 0)
    side = min(_style.slot(ax)[0] / experts, _style.slot(ax)[1] / layers)
    ax.plot(idle[:, 1], idle[:, 0], "x", color="white", markersize=min(4.0, 0.8 * side), markeredgewidth=0.8)
    _style.whole_numbers(ax.xaxis)
    _style.whole_numbers(ax.yaxis)
    ax.set_xlim(-0.5, experts - 0.5)
    ax.set_ylim(layers - 0.5, -0.5)
    title = f"Load of the experts{which}\n{len(idle)} of {layers * experts} unused{' (crosses)' * bool(len(idle))}"
    if result.chance is not None:
        expected = float(result.chance.unused[row].sum())
        title += f"; even routing would leave {f'{expected:.1f}' if expected >= 0.05 else 'none'}"
    return _style.dress(ax, title, "expert", "layer")
