"""The similarity of every pair of prompts as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _signatures, _similarity

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def similarity(
    sigs: "_signatures.SignatureSet | NDArray[Any]",
    tasks: Sequence[str | None] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the similarity of every pair of prompts, prompts of one task side by side.

    Parameters
    ----------
    sigs : SignatureSet, or a similarity matrix [prompts, prompts]
    tasks : sequence of str, optional
        One a prompt, for a matrix; a SignatureSet brings its own.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    References
    ----------
    arXiv 2603.11114, equation 5 and figure 1.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("rs.plot needs matplotlib: pip install matplotlib") from None
    if isinstance(sigs, _signatures.SignatureSet):
        matrix = _similarity.similarity(sigs)
        tasks = sigs.tasks if tasks is None else tasks
    else:
        matrix = np.asarray(sigs, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"plot.similarity: expected a matrix [prompts, prompts], got shape {list(matrix.shape)}")
    labels = ["" if task is None else task for task in tasks or [None] * len(matrix)]
    if len(labels) != len(matrix):
        raise ValueError(f"plot.similarity: expected tasks for {len(matrix)} prompts, got {len(labels)}")
    names = list(dict.fromkeys(labels))
    order = np.array(sorted(range(len(labels)), key=lambda i: names.index(labels[i])))
    matrix = matrix[np.ix_(order, order)]
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 5.4), layout="constrained")

    off_diagonal = matrix[~np.eye(len(matrix), dtype=bool)]
    low = float(off_diagonal.min()) if off_diagonal.size else 0.0
    image = ax.imshow(matrix, cmap="cividis", vmin=low, vmax=1.0, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="mean layer-wise cosine")
    ends = np.cumsum([labels.count(name) for name in names])
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color="white", linewidth=1)
        ax.axvline(end - 0.5, color="white", linewidth=1)
    middles = ends - 0.5 - np.array([labels.count(name) for name in names]) / 2
    ax.set_xticks(middles, names)
    ax.set_yticks(middles, names, rotation=90, va="center")
    ax.tick_params(length=0)
    ax.set_title(f"Similarity of routing signatures, {len(matrix)} prompts")
    return ax
