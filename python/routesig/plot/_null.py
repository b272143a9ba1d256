"""What chance would give, and what was observed."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig._baseline import Baseline
from routesig._p_value import PValue
from routesig._permutation import PermutationTest
from routesig._plain import NOT_HELD
from routesig._study import Study
from routesig.controls import TokenShuffle
from routesig.plot import _source, _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def null(given: Any, of: str = "permutation_test", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the difference, within minus across, under a null hypothesis and as observed.

    Parameters
    ----------
    given : Study, PermutationTest, Baseline or TokenShuffle
    of : str
        Of a Study: "permutation_test", "token_shuffle", or the name of one of its baselines ("marginal").
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes
        The title gives p with the smallest value it could have had, or says that this null tests nothing.

    Raises
    ------
    ValueError
        Where nothing was drawn, or the difference is undefined.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> sigs = SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> ax = null(statistics.permutation_test(sigs), ax=Figure().subplots())
    >>> ax.get_xlabel()
    'within minus across similarity'
    """
    found = _of_study(given, of) if _source.is_study(given) else given
    draws, observed, p, what, unit = _drawn(found)
    ax = _style.axes(ax)
    if float(np.ptp(draws)) > 1e-12:
        ax.hist(draws, min(60, max(10, len(draws) // 10)), color=_style.GREY)
    else:
        ax.axvline(float(draws[0]), color=_style.GREY, linewidth=3)
    ax.axvline(observed, color=_style.BLUE, linewidth=2)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.margins(y=0.18)  # room for the word
    left = observed > np.mean(ax.get_xlim())
    ax.annotate(
        f"observed {observed:.4f}",
        (observed, 0.95),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if left else 4, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        color=_style.BLUE,
        fontsize=_style.text_size(ax),
    )
    verdict = found.absent.get("p_value", "it is not computed") if p is None else _style.p_text(p)
    title = f"{what}\n{verdict if p is not None else 'no p: ' + verdict}"
    return _style.dress(ax, title, "within minus across similarity", unit)


def _of_study(study: Study, of: str) -> "PermutationTest | Baseline | TokenShuffle":
    if of == "permutation_test":
        return study.permutation_test
    if of == "token_shuffle":
        return _source.part(study, of, "null", TokenShuffle)
    if of in study.baselines:
        return study.baselines[of]
    if f"baselines[{of}]" in study.absent:
        raise ValueError(f"plot.null: the study has no baseline {of}: {study.absent[f'baselines[{of}]']}")
    known = ", ".join(["permutation_test", "token_shuffle", *study.baselines])
    raise ValueError(f"plot.null: expected one of {known}, got {of!r}")


def _drawn(found: Any) -> tuple[NDArray[np.float64], float, PValue | None, str, str]:
    """Draws, observed difference, p-value or None, title, what a draw is."""
    if isinstance(found, PermutationTest):
        observed = _source.needed(found.difference, "null", "difference", found.absent)
        null = _source.needed(found.null, "null", "null", found.absent)
        how = f"All {len(null):,}" if found.exact else f"{len(null):,} random"
        what = f"{how} labellings of {found.units} {found.unit}"
        return null, observed, found.p_value, what, "labellings"
    if isinstance(found, TokenShuffle):
        test = _source.needed(found.difference, "null", "difference", found.absent)
        share = "" if test.share is None else f", lexical share {test.share:.2f}"
        draws = _source.needed(found.draws, "null", "draws", found.absent)
        what = f"{len(draws):,} same-token shuffles{share}"
        return draws, test.observed, test.p_value, what, "shuffles"
    _source.expect(isinstance(found, Baseline), "null", "a Study, PermutationTest, Baseline or TokenShuffle", found)
    drawn = _source.needed(found.difference, "null", "difference", found.absent)
    what = f"{found.repetitions:,} repetitions of the baseline {found.name.replace('_', ' ')}"
    return (
        _source.needed(drawn.values, "null", "values", {"values": NOT_HELD}),
        found.observed.within.mean - found.observed.across.mean,
        found.p_value,
        what,
        "repetitions",
    )
