"""Maps of similarity: of every pair of prompts, and of every pair of tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _similarity
from routesig._kinds import numbers_of
from routesig._signatures import SignatureSet
from routesig._text import as_labels
from routesig.plot import _source, _style
from routesig.statistics import CategoryMatrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def similarity(sigs: Any, tasks: Sequence[str | None] | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the similarity of every pair of prompts, prompts of one task side by side.

    Parameters
    ----------
    sigs : Study, SignatureSet, or a similarity matrix [prompts, prompts]
    tasks : sequence of str, optional
        One per prompt, for a matrix; default: the prompts' own.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    References
    ----------
    arXiv 2603.11114, equation 5 and figure 1.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> rs.plot.similarity(sigs, ax=Figure().subplots()).get_title()
    'Similarity of routing signatures, 4 prompts'
    """
    matrix, labels = _matrix(sigs, tasks)
    names = sorted(set(labels), key=lambda name: (name == "", name))  # prompts without a task come last
    place = {name: i for i, name in enumerate(names)}
    order = np.array(sorted(range(len(labels)), key=lambda i: place[labels[i]]))
    matrix = matrix[np.ix_(order, order)]
    ax = _style.axes(ax, _style.SQUARE)

    off_diagonal = np.where(np.eye(len(matrix), dtype=bool), np.inf, matrix)
    low = float(off_diagonal.min()) if len(matrix) > 1 else 0.0
    # Where pixels are fewer than prompts, neighbours are averaged instead of left out.
    image = ax.imshow(matrix, cmap=_style.MAP, vmin=min(low, 1.0), vmax=1.0, interpolation="antialiased")
    _style.colorbar(ax, image, "mean layer-wise cosine")
    sizes = np.array([labels.count(name) for name in names])
    ends = np.cumsum(sizes)
    thin = min(1.0, block_size(ax, names, sizes) / 15)  # between small blocks
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color="white", linewidth=thin)
        ax.axvline(end - 0.5, color="white", linewidth=thin)
    _style.dress(ax, f"Similarity of routing signatures, {len(matrix)} prompts")
    name_blocks(ax, ends - 0.5 - sizes / 2, [name or ("no task" if len(names) > 1 else "") for name in names], sizes)
    return ax


def _matrix(sigs: Any, tasks: Sequence[str | None] | None) -> tuple[NDArray[np.float64], list[str]]:
    """The matrix, and the task of every prompt ("" where it has none)."""
    if _source.is_study(sigs):
        matrix, own = _source.part(sigs, "similarity", "similarity", np.ndarray), _source.tasks_of(sigs)
    elif isinstance(sigs, SignatureSet):
        matrix, own = _similarity.similarity(sigs), sigs.tasks
    else:
        matrix, own = numbers_of("plot.similarity", "signatures or similarities", sigs), None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"plot.similarity: expected a matrix [prompts, prompts], got shape {list(matrix.shape)}")
    given = own if tasks is None else as_labels(tasks, "plot.similarity", "tasks")
    names = [task or "" for task in ([None] * len(matrix) if given is None else given)]
    if len(names) != len(matrix):
        raise ValueError(f"plot.similarity: expected tasks for {len(matrix)} prompts, got {len(names)}")
    return matrix, names


def category_matrix(matrix: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean similarity of every pair of tasks.

    Parameters
    ----------
    matrix : Study, or CategoryMatrix
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Grey where no two prompts make a pair.

    Raises
    ------
    ValueError
        Where no prompt has a task.

    References
    ----------
    arXiv 2603.11114, section 5.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> sigs = SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]]], tasks=["a", "a", "b"])
    >>> ax = category_matrix(statistics.category_matrix(sigs), ax=Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    ['0.95', '0.16', '0.16', '-']
    """
    found = _source.part(matrix, "category_matrix", "category_matrix", CategoryMatrix)
    if not found.tasks:
        raise ValueError("plot.category_matrix: expected prompts with a task, got none")
    ax = _style.axes(ax, _style.SQUARE)
    values = np.ma.asarray(found.mean)
    known = values.compressed()
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    image = ax.imshow(values, cmap=_style.colours(), vmin=low, vmax=max(high, low + 1e-9))
    _style.colorbar(ax, image, "mean layer-wise cosine")
    _style.dress(ax, "Mean similarity of two prompts, by task")
    size = min(_style.text_size(ax), block_size(ax, found.tasks, np.ones(len(found.tasks))) / 2.4)
    if size > 4:  # smaller numbers cannot be read
        for (i, j), value in np.ndenumerate(values.filled(np.nan)):
            text, colour = (f"{value:.2f}", _style.on_map(image, value)) if np.isfinite(value) else ("-", "black")
            ax.text(j, i, text, ha="center", va="center", fontsize=size, color=colour)
    name_blocks(ax, np.arange(len(found.tasks)), found.tasks, np.ones(len(found.tasks)))
    return ax


def name_blocks(ax: "Axes", middles: NDArray[Any], names: Sequence[str], sizes: NDArray[Any]) -> None:
    """Name rows and columns: upright where a name does not fit its block, small where many are, as many as fit."""
    names = [_style.plain(name) for name in names]
    block = block_size(ax, names, sizes)
    size = min(_style.text_size(ax) - 0.5, max(4.0, 0.9 * block))
    points = np.asarray(middles) * block / np.min(sizes)
    shown = _style.spaced(points, 1.05 * size)
    fits = max(len(name) for name in names) * 0.6 * size < block
    middles, names = np.asarray(middles)[shown], [names[i] for i in shown]
    ax.set_xticks(middles, names, rotation=0 if fits else 90, fontsize=size)
    ax.set_yticks(middles, names, rotation=90 if fits else 0, va="center", fontsize=size)
    ax.tick_params(length=0)


def block_size(ax: "Axes", names: Sequence[str], sizes: NDArray[Any]) -> float:
    """Side of the smallest block in points, once names have taken their room."""
    width, share = min(_style.slot(ax)), float(np.min(sizes)) / float(np.sum(sizes))
    longest = max(len(_style.plain(name)) for name in names) * 0.6 * _style.text_size(ax)
    return share * (width if longest < share * width else max(0.4 * width, width - longest + 20))
