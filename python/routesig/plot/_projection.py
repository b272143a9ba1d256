"""Signatures on a plane, a colour and a marker a task."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig._projection import Pca, Tsne
from routesig._text import as_labels
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pca(found: Any, tasks: Sequence[str | None] | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the prompts along the two directions of largest variance.

    Parameters
    ----------
    found : Study, or Pca
    tasks : sequence of str or None, optional
        One per prompt, for a Pca; default: all drawn as unlabelled.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Each axis says its share of the variance. Where prompts span one direction, the second is 0.

    Raises
    ------
    ValueError
        Where no component is defined, or tasks do not fit.

    References
    ----------
    arXiv 2603.11114, figure 4.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> rs.plot.pca(rs.pca(sigs), sigs.tasks, ax=Figure().subplots()).get_xlabel()
    'component 1 (100.0% of variance)'
    """
    result, tasks = _source.part(found, "pca", "pca", Pca), _tasks(found, tasks)
    points = _source.needed(result.points, "pca", "points", result.absent)
    ratio = _source.needed(result.explained_variance_ratio, "pca", "explained_variance_ratio", result.absent)
    share = [*ratio, 0.0][:2]
    points = np.column_stack([points, np.zeros(len(points))])[:, :2]
    ax = _scatter(ax, points, tasks, "pca")
    x, y = (f"component {i + 1} ({part:.1%} of variance)" for i, part in enumerate(share))
    return _style.dress(ax, f"Principal components of {len(points)} signatures", x, y)


def tsne(found: Any, tasks: Sequence[str | None] | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """Draw a t-SNE map of the prompts. Distances between its clusters mean nothing.

    Parameters
    ----------
    found : Study, or Tsne
    tasks : sequence of str or None, optional
        One per prompt, for a Tsne; default: all drawn as unlabelled.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        Its title says perplexity and seed.

    Raises
    ------
    ValueError
        Where there is no map, or tasks do not fit.

    References
    ----------
    arXiv 2603.11114, figure 5.

    Examples
    --------
    >>> import numpy as np
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> counts = np.random.default_rng(0).poisson([[[9, 3, 3]]] * 6 + [[[3, 9, 3]]] * 6)
    >>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code"] * 6 + ["math"] * 6)
    >>> rs.plot.tsne(rs.tsne(sigs), sigs.tasks, ax=Figure().subplots()).get_title()
    't-SNE of 12 prompts (perplexity 3.67, seed 0)'
    """
    result, tasks = _source.part(found, "tsne", "tsne", Tsne), _tasks(found, tasks)
    points = _source.needed(result.points, "tsne", "points", result.absent)
    ax = _scatter(ax, points, tasks, "tsne")
    ax.set_xticks([])
    ax.set_yticks([])
    title = f"t-SNE of {len(points)} prompts (perplexity {result.perplexity:.3g}, seed {result.seed})"
    return _style.dress(ax, title, "t-SNE 1 (no unit)", "t-SNE 2 (no unit)")


def _tasks(found: Any, tasks: Sequence[str | None] | None) -> Sequence[str | None] | None:
    return _source.tasks_of(found) if tasks is None and _source.is_study(found) else tasks


def _scatter(ax: "Axes | None", points: NDArray[Any], tasks: Sequence[str | None] | None, who: str) -> "Axes":
    names = [None] * len(points) if tasks is None else as_labels(tasks, f"plot.{who}", "tasks")
    if len(names) != len(points):
        raise ValueError(f"plot.{who}: expected tasks for {len(points)} prompts, got {len(names)}")
    ax = _style.axes(ax, (6.4, 4.4))
    for task, style in _style.task_styles(names).items():
        chosen = np.array([name == task for name in names])
        look: dict[str, Any] = {"linestyle": "", "markersize": _style.marker_size(ax) + 1, "mec": "white", "mew": 0.3}
        ax.plot(*points[chosen].T, **(look | style))
    if tasks is not None:
        _style.legend_beside(ax)
    return ax
