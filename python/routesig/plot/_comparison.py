"""The agreement of two recordings, layer by layer."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from routesig._comparison import Comparison

_BLUE, _ORANGE = "#0072B2", "#D55E00"  # Okabe and Ito


def comparison(comparison: "Comparison", *, ax: "Axes | None" = None) -> "Axes":
    """Draw how far two recordings agree in every layer, beside chance.

    Parameters
    ----------
    comparison : Comparison
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
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("rs.plot needs matplotlib: pip install matplotlib") from None
    if comparison.prompt_similarity is None:
        raise ValueError(f"plot.comparison: expected one routing shape ({comparison.absent['prompt_similarity']})")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    if comparison.agreement is not None:
        layers = comparison.agreement.layers
        _line(ax, [one.exact for one in layers], _ORANGE, "same set", marker="s")
        _line(ax, [one.overlap for one in layers], _BLUE, "experts in common", marker="o")
        _line(ax, [one.marginal_chance for one in layers], "black", "in common by chance", linestyle="--")
        ax.set(ylabel="share", title=f"Agreement of {comparison.agreement.tokens:,} tokens")
    else:
        _line(ax, comparison.prompt_similarity.mean(axis=0), _BLUE, "same prompt", marker="o")
        _line(ax, comparison.similarity_chance, "black", "another prompt", linestyle="--")
        ax.set(ylabel="cosine of signatures", title=f"Similarity of {len(comparison.ids)} prompts to themselves")
    ax.set(xlabel="layer", ylim=(0, 1.03))
    ax.legend(frameon=False)
    return ax


def _line(ax: "Axes", values: object, colour: str, label: str, **style: str) -> None:
    """Layers without a value are gaps."""
    known = np.ma.filled(np.ma.array(values, dtype=np.float64), np.nan)
    ax.plot(known, color=colour, label=label, markersize=4, **style)  # type: ignore[arg-type]
