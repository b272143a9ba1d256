"""Pairs of prompts: how alike they are within and across tasks, and how that depends on text length."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig._expectations import load_balance_similarity
from routesig._labelled import LabelledSimilarities
from routesig._reliability import Reliability
from routesig._text import as_labels
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]


def separation(sigs: Any, tasks: Sequence[str | None] | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how alike pairs of prompts of one task are, and pairs of different tasks.

    Parameters
    ----------
    sigs : Study, SignatureSet, or a similarity matrix [prompts, prompts]
    tasks : sequence of str, optional
        One per prompt, needed for a matrix.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        Where no two prompts share a task and none differ in it.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> rs.plot.separation(sigs, ax=Figure().subplots()).get_xlabel()
    'similarity of two prompts'
    """
    if _source.is_study(sigs):
        tasks = _source.tasks_of(sigs) if tasks is None else tasks
        sigs = _source.part(sigs, "similarity", "separation", np.ndarray)
    given = LabelledSimilarities(sigs, tasks, False, "plot.separation")
    code = np.array(given.codes)
    rows, columns = np.triu_indices(len(code), 1)
    known = (code[rows] >= 0) & (code[columns] >= 0)
    rows, columns = rows[known], columns[known]
    same, values = code[rows] == code[columns], given.matrix[rows, columns]
    if not len(values):
        raise ValueError("plot.separation: expected two prompts with tasks or more, got none")
    ax = _style.axes(ax)
    low, high = float(values.min()), float(values.max())
    bins = np.linspace(low, high if high > low else low + 1e-3, 45).tolist()
    for label, chosen, colour, hatch in (
        ("across tasks", ~same, _style.ORANGE, ""),
        ("within a task", same, _style.BLUE, "////"),
    ):
        if chosen.any():
            text = f"{label}: mean {values[chosen].mean():.3f}, {chosen.sum():,} pairs"
            ax.hist(values[chosen], bins, density=True, alpha=0.6, color=colour, hatch=hatch, ec=colour, label=text)
    _style.legend_above(ax)
    ax.set_yticks([])
    return _style.dress(ax, "Similarity within and across tasks", "similarity of two prompts", "density of pairs")


def length(given: Any, tasks: Sequence[str | None] | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """Draw similarity against text length, with the noise ceiling: how alike two samples of one routing would be.

    Parameters
    ----------
    given : Study, or Reliability
    tasks : sequence of str, optional
        One per prompt, for a Reliability.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        A point is a prompt: its mean similarity to the others of its task, and the mean ceiling of the same pairs. Of a
        Study, the line is what load balancing gives to two prompts of that length.

    Raises
    ------
    ValueError
        Where the study has no reliability, or no prompt with another of its task has one.

    References
    ----------
    Spearman, British Journal of Psychology 3 (1910); see `rs.reliability`.

    Examples
    --------
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> traces = rs.record(rs.load_model(), rs.load_prompts()[:4], max_new_tokens=0, progress=False)
    >>> rs.plot.length(rs.reliability(traces), traces.tasks, ax=Figure().subplots()).get_xlabel()
    'tokens of the prompt'
    """
    found = _source.part(given, "debiased.reliability", "length", Reliability)
    study = given if _source.is_study(given) else None
    own = None if study is None else _source.tasks_of(study)
    labels = own if tasks is None else as_labels(tasks, "plot.length", "tasks")
    if labels is None or len(labels) != len(found.ids):
        number = "none" if labels is None else len(labels)
        raise ValueError(f"plot.length: expected tasks for {len(found.ids)} prompts, got {number}")
    tokens = np.asarray(found.num_tokens, dtype=np.float64).max(axis=1)
    of_task, ceiling = _by_prompt(found, labels)
    if not len(of_task.compressed()):
        raise ValueError("plot.length: expected a task with two prompts whose halves can be compared, got none")
    ax = _style.axes(ax)
    area = _style.marker_size(ax) ** 2
    ax.scatter(tokens, ceiling, s=0.7 * area, marker="^", color=_style.GREY, label="noise ceiling of the same pairs")
    ax.scatter(tokens, of_task, s=0.7 * area, marker="o", color=_style.BLUE, label="similarity to prompts of its task")
    sigs = None if study is None else study.signatures
    if sigs is not None and sigs.info.get("top_k") is not None:
        line = np.linspace(max(1.0, tokens.min()), max(tokens.max(), tokens.min() + 1), 200)
        expected = load_balance_similarity(line, line, sigs.experts, sigs.info["top_k"])
        ax.plot(line, expected, color=_style.ORANGE, linestyle="--", linewidth=1.2, label="load balance, equal length")
    _style.legend_above(ax)
    return _style.dress(ax, "Similarity and length of text", "tokens of the prompt", "mean layer-wise cosine")


def _by_prompt(found: Reliability, labels: Sequence[str | None]) -> tuple[Any, Any]:
    """Masked float64 [prompts] each: means over the other prompts of the task."""
    number = {task: i for i, task in enumerate(sorted({label for label in labels if label is not None}))}
    task = np.array([-1 if label is None else number[label] for label in labels])
    same = (task[:, None] == task[None, :]) & (task[:, None] >= 0) & ~np.eye(len(task), dtype=bool)
    similarities = found.disattenuated * found.ceiling
    hidden = ~same | np.ma.getmaskarray(similarities)
    return (
        np.ma.MaskedArray(similarities, hidden).mean(axis=1),
        np.ma.MaskedArray(found.ceiling, hidden).mean(axis=1),
    )
