"""Every figure of a study, as files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from routesig import _files
from routesig._kinds import named
from routesig.plot import _source
from routesig.plot._baselines import baselines, load_balance
from routesig.plot._classification import confusion
from routesig.plot._comparison import comparison
from routesig.plot._controls import controls
from routesig.plot._information import evidence, information
from routesig.plot._ladder import overlap_ladder
from routesig.plot._layers import decomposition, layers
from routesig.plot._load import load
from routesig.plot._null import null
from routesig.plot._pairs import length, separation
from routesig.plot._projection import pca, tsne
from routesig.plot._similarity import category_matrix, similarity
from routesig.plot._style import SQUARE, WIDE

_Draw = Callable[..., Any]

# Name of the file -> how to draw it, and its size in inches. The paper's five come first.
FIGURES: dict[str, tuple[_Draw, tuple[float, float]]] = {
    "similarity": (similarity, SQUARE),
    "baselines": (baselines, WIDE),
    "layers": (layers, WIDE),
    "pca": (pca, (6.4, 4.4)),
    "tsne": (tsne, (6.4, 4.4)),
    "category_matrix": (category_matrix, SQUARE),
    "separation": (separation, WIDE),
    "null": (null, WIDE),
    "token_shuffle": (lambda study, ax: null(study, "token_shuffle", ax=ax), WIDE),
    "decomposition": (decomposition, WIDE),
    "overlap_ladder": (overlap_ladder, WIDE),
    "controls": (controls, (6.4, 4.4)),
    "controls_accuracy": (lambda study, ax: controls(study, "accuracy", ax=ax), (6.4, 4.4)),
    "confusion": (confusion, SQUARE),
    "evidence": (evidence, WIDE),
    "information": (information, WIDE),
    "load_balance": (load_balance, WIDE),
    "length": (length, WIDE),
    "load": (load, WIDE),
}

# A name a task: these grow with their number.
_BY_TASK = {"similarity", "category_matrix", "confusion", "pca", "tsne"}

# Dates and versions change from run to run; without them the same study gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def save_figures(
    study: Any, folder: str | os.PathLike[str], formats: Sequence[str] = ("png", "svg")
) -> tuple[list[Path], dict[str, str]]:
    """Write every figure that a study has the results for.

    Parameters
    ----------
    study : Study
    folder : path
        Made where it does not exist. A file is `folder/<figure>.<format>`, written whole or not at all.
    formats : sequence of {"png", "svg", "pdf"}

    Returns
    -------
    paths : list of Path
    absent : dict
        Figure -> why it was not drawn.

    Raises
    ------
    ValueError
        On another format.
    OSError
        Where the folder cannot be written to.

    Notes
    -----
    The same study gives the same bytes, whatever style the caller has set. No window, no pyplot figure and no backend
    is involved.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import routesig as rs
    >>> counts = np.random.default_rng(0).poisson([[[9, 3, 3]]] * 6 + [[[3, 9, 3]]] * 6)
    >>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code"] * 6 + ["math"] * 6)
    >>> study = rs.study(sigs, permutations=99, bootstrap=100, null_draws=20, refits=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths, absent = rs.plot.save_figures(study, folder, ["png"])
    >>> "similarity.png" in [path.name for path in paths], sorted(absent)[:1]
    (True, ['controls'])
    """
    formats = [formats] if isinstance(formats, str) else list(dict.fromkeys(formats))
    unknown = [name for name in formats if name not in _METADATA]
    if unknown or not formats:
        raise ValueError(f"save_figures: expected formats among {', '.join(_METADATA)}, got {unknown or 'none'}")
    if not _source.is_study(study):
        raise TypeError(f"save_figures: expected a Study, got {named(study)}")
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("save_figures needs matplotlib: pip install matplotlib") from None
    folder = Path(folder)
    paths, absent = [], {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with matplotlib.style.context(["default", {"svg.hashsalt": "routesig"}]):
            compared = {} if study.comparison is None else {"comparison": (comparison, WIDE)}
            for name, (draw, size) in (FIGURES | compared).items():
                scale = _growth(len(study.category_matrix.tasks)) if name in _BY_TASK else 1.0
                figure = Figure(figsize=(scale * size[0], scale * size[1]), layout="constrained")
                try:
                    draw(study, ax=figure.subplots())
                except ValueError as error:
                    absent[name] = str(error)
                    continue
                for suffix in formats:
                    paths.append(_save(figure, folder / f"{name}.{suffix}", suffix))
                    figure.set_layout_engine("none")  # laid out once, for every format alike
    except OSError as error:
        reason = error.strerror or str(error)
        raise type(error)(error.errno, f"save_figures: cannot write to the folder: {reason}", str(folder)) from None
    return paths, absent


def _growth(tasks: int) -> float:
    """1 up to 20 tasks, 1.6 from 60 on."""
    return 1 + 0.6 * min(1.0, max(0, tasks - 20) / 40)


def _save(figure: Any, path: Path, suffix: str) -> Path:
    with _files.atomic_write(path) as file:
        figure.savefig(file, format=suffix, dpi=150, metadata=_METADATA[suffix])
    return path
