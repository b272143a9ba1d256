"""Whether the separation of tasks is more than chance, how sure its size is, and where it lies.

>>> import routesig as rs
>>> counts = [[[9, 1, 0]], [[8, 2, 0]], [[9, 0, 1]], [[1, 9, 0]], [[0, 8, 2]], [[1, 8, 1]]]
>>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code", "code", "code", "math", "math", "math"])
>>> test = rs.statistics.permutation_test(sigs)
>>> test.p_value, test.labellings, test.exact
(PValue(0.1, floor=0.1), 20, True)

Undefined results are None, with the reason in `absent`; p-values carry the smallest value that they could have taken.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._absent import Masked
from routesig._bootstrap import Bootstrap, Estimate, Interval, bootstrap, depth_slope
from routesig._dispersion import DispersionTest, dispersion_test
from routesig._equality import ByValue
from routesig._labelled import LabelledSimilarities, Similarities, masked
from routesig._multiplicity import benjamini_hochberg, holm
from routesig._permutation import LayerTest, PairTest, PermutationTest, permutation_test
from routesig._similarity import separation
from routesig._tasks import Groups, Tasks

__all__ = [
    "Bootstrap",
    "CategoryMatrix",
    "DispersionTest",
    "Estimate",
    "Interval",
    "LayerTest",
    "PairTest",
    "PermutationTest",
    "benjamini_hochberg",
    "bootstrap",
    "category_matrix",
    "depth_slope",
    "dispersion_test",
    "holm",
    "layer_separation",
    "permutation_test",
    "separation",
]


@dataclass(frozen=True, eq=False)
class CategoryMatrix(ByValue):
    """Mean similarity of every pair of tasks: `mean` masked float64 [tasks, tasks], `pairs` int64 of the same shape."""

    tasks: list[str]
    mean: Masked
    pairs: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"CategoryMatrix({', '.join(self.tasks)})"


_separations = {False: _core.separation, True: _core.balanced_separation}


def layer_separation(
    sigs: Similarities, tasks: Tasks = None, *, balanced: bool = False, groups: Groups = None
) -> list[_core.Separation]:
    """Within-task against across-task similarity, layer by layer.

    Parameters
    ----------
    sigs : SignatureSet, or similarity matrices [layers, prompts, prompts]
    tasks : sequence of str, optional
        One per prompt, needed for matrices; None where unlabelled (left out).
    balanced : bool
        Means in which every task weighs the same, as in `separation`.
    groups : sequence of str, False, or None
        As in `separation`.

    Returns
    -------
    list of Separation
        One per layer; `.cohens_d` is the layer-wise d.

    Raises
    ------
    ValueError
        Where shapes do not fit.

    References
    ----------
    arXiv 2603.11114, section 5.

    Examples
    --------
    >>> sigs = SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> [round(layer.within.mean, 3) for layer in layer_separation(sigs)]
    [0.949]
    """
    given = LabelledSimilarities.of(sigs, tasks, groups, "layer_separation")
    found: list[_core.Separation] | None = given.by_layer(
        lambda layers, codes, groups: [_separations[balanced](layer, codes, groups) for layer in layers],
        lambda values, codes, groups: _core.layer_separation(values, codes, balanced, groups),
    )
    if found is None:
        raise ValueError("layer_separation: expected [layers, prompts, prompts], got one matrix")
    return found


def category_matrix(sigs: Similarities, tasks: Tasks = None, *, groups: Groups = None) -> CategoryMatrix:
    """Mean similarity for every pair of tasks; the diagonal holds pairs of prompts of one task and of different groups.

    Parameters
    ----------
    sigs : SignatureSet, or a similarity matrix [prompts, prompts]
    tasks : sequence of str, optional
        One per prompt, needed for a matrix; None where unlabelled (left out).
    groups : sequence of str, False, or None
        As in `separation`.

    Returns
    -------
    CategoryMatrix
        Tasks in alphabetical order; a mean without a pair is masked.

    Raises
    ------
    ValueError
        Where shapes do not fit.

    References
    ----------
    arXiv 2603.11114, section 5.

    Examples
    --------
    >>> sigs = SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]]], tasks=["a", "a", "b"])
    >>> category_matrix(sigs).mean.round(3).tolist()
    [[0.949, 0.158], [0.158, None]]
    """
    given = LabelledSimilarities.of(sigs, tasks, groups, "category_matrix")
    size = len(given.names)
    means, pairs = _core.category_matrix(given.matrix, given.codes, size, given.groups)
    return CategoryMatrix(
        given.names, masked(means).reshape(size, size), np.array(pairs, dtype=np.int64).reshape(size, size)
    )
