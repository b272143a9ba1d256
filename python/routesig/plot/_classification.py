"""Which task was taken for which."""

from typing import TYPE_CHECKING, Any

import numpy as np

from routesig._classification import Classification
from routesig.plot import _source, _style
from routesig.plot._similarity import block_size, name_blocks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion(found: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how many held-out prompts of each task were taken for each task.

    Parameters
    ----------
    found : Study, or Classification
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Colours are shares of the row, numbers are prompts.

    Raises
    ------
    ValueError
        Where nothing was classified.

    References
    ----------
    arXiv 2603.11114, section 5.4.

    Examples
    --------
    >>> import numpy as np
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> counts = np.random.default_rng(0).poisson([[[9, 3, 3]]] * 6 + [[[3, 9, 3]]] * 6)
    >>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code"] * 6 + ["math"] * 6)
    >>> rs.plot.confusion(rs.classify(sigs), ax=Figure().subplots()).get_xlabel()
    'predicted task'
    """
    result = _source.part(found, "classification", "confusion", Classification)
    counts = np.asarray(_source.needed(result.confusion, "confusion", "confusion", result.absent))
    ax = _style.axes(ax, _style.SQUARE)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    image = ax.imshow(shares, cmap=_style.MAP, vmin=0, vmax=1)
    _style.colorbar(ax, image, "share of the task's prompts")
    size = min(_style.text_size(ax), block_size(ax, result.classes, np.ones(len(counts))) / 1.8)
    for (i, j), count in np.ndenumerate(counts) if size > 4 else ():
        colour = _style.on_map(image, shares[i, j])
        ax.text(j, i, str(count), ha="center", va="center", fontsize=size, color=colour)
    title = f"{result.hits} of {result.trials} held-out prompts predicted right"
    chance = "" if result.chance is None else f" (commonest task: {result.chance:.0%})"
    _style.dress(ax, title + chance, "predicted task", "task")
    name_blocks(ax, np.arange(len(counts)), result.classes, np.ones(len(counts)))
    return ax
