"""The agreement of two recordings, layer by layer."""

from typing import TYPE_CHECKING, Any

import numpy as np

from routesig._comparison import Comparison
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def comparison(found: Any, *, ax: "Axes | None" = None) -> "Axes":
    """Draw how far two recordings agree in every layer, beside chance.

    Parameters
    ----------
    found : Comparison, or a Study that has one
        Of two recordings of one shape. Drawn are the share of tokens with the same set of experts and the mean share of
        experts in common; where no tokens were compared, the mean cosine of a prompt's two signatures.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        Where the two have other layers or experts: there is nothing to agree on.

    Examples
    --------
    >>> import numpy as np
    >>> import routesig as rs
    >>> from matplotlib.figure import Figure
    >>> counts = np.random.default_rng(0).poisson([[[9, 3, 3]]] * 6 + [[[3, 9, 3]]] * 6)
    >>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code"] * 6 + ["math"] * 6)
    >>> rs.plot.comparison(rs.compare(sigs, sigs), ax=Figure().subplots()).get_xlabel()
    'layer'
    """
    result = _source.part(found, "comparison", "comparison", Comparison)
    if result.prompt_similarity is None:
        raise ValueError(f"plot.comparison: expected one routing shape ({result.absent['prompt_similarity']})")
    ax = _style.axes(ax)
    if result.agreement is not None:
        layers = result.agreement.layers
        _line(ax, [one.exact for one in layers], _style.ORANGE, "same set", marker="s")
        _line(ax, [one.overlap for one in layers], _style.BLUE, "experts in common", marker="o")
        _line(ax, [one.marginal_chance for one in layers], _style.BLACK, "in common by chance", linestyle="--")
        what, title = "share", f"Agreement of {result.agreement.tokens:,} tokens"
    else:
        _line(ax, result.prompt_similarity.mean(axis=0), _style.BLUE, "same prompt", marker="o")
        _line(ax, result.similarity_chance, _style.BLACK, "another prompt", linestyle="--")
        what, title = "cosine of signatures", f"Similarity of {len(result.ids)} prompts to themselves"
    ax.set_ylim(0, 1.03)
    _style.legend(ax)
    return _style.dress(ax, title, "layer", what)


def _line(ax: "Axes", values: object, colour: str, label: str, **style: str) -> None:
    """Layers without a value are gaps."""
    known = np.ma.filled(np.ma.array(values, dtype=np.float64), np.nan)
    ax.plot(known, color=colour, label=label, markersize=_style.marker_size(ax, len(known)), **style)  # type: ignore[arg-type]
