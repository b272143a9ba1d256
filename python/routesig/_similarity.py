"""How alike the routing of two prompts is, and whether prompts of one task are more alike than others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._debiased import debiased_similarity
from routesig._kinds import either_of
from routesig._signatures import Signature, SignatureSet, signatures
from routesig._tasks import Groups

if TYPE_CHECKING:
    from routesig._labelled import Similarities

Floats = NDArray[np.float64]


def similarity(
    a: Signature | SignatureSet | _core.TraceSet,
    b: Signature | SignatureSet | _core.TraceSet | None = None,
    *,
    per_layer: bool = False,
    metric: str = "cosine",
    debias: bool = False,
    dtype: str = "float64",
) -> Any:
    """How alike signatures are: the mean over layers of a metric between their rows.

    Parameters
    ----------
    a, b : Signature, SignatureSet or TraceSet
        One set: every pair of its prompts. Two sets: every prompt of one with every prompt of the other. Two
        signatures: one number. Traces stand for their signatures (all tokens, by count).
    per_layer : bool
        One value a layer instead of their mean.
    metric : {"cosine", "jensen-shannon", "hellinger", "overlap"}
        Between rows p and q: p.q / (|p| |q|); 1 minus the Jensen-Shannon divergence in bits; sum sqrt(p q), which is
        1 minus the squared Hellinger distance; sum min(p, q), which is 1 minus the total variation. All are 1 for
        equal rows and 0 for rows without an expert in common.
    debias : bool
        Cosines without the bias of finite texts, from counts or, better, from traces: see `debiased_similarity`, which
        has more options. The result is a masked array; absent entries, the diagonal among them, are masked.
    dtype : {"float64", "float32"}
        "float32" computes cosine and hellinger in single precision (errors below 1e-6) and returns float32.

    Returns
    -------
    float64 [prompts of a, prompts of b], or float
        With a leading axis of layers if `per_layer`; for two signatures a float, or float64 [layers]. A layer in which
        either prompt has no token with known routing is left out of their mean. A pair without a common layer has no
        similarity: the array is a masked array then, and None stands for a single number.

    Raises
    ------
    ValueError
        Where shapes differ, a value is not finite, or an option does not exist.

    References
    ----------
    arXiv 2603.11114, equation 5. Lin, IEEE Transactions on Information Theory 37 (1991) (Jensen-Shannon).

    Examples
    --------
    >>> sigs = SignatureSet.from_counts([[[1, 0]], [[1, 1]]])
    >>> round(similarity(sigs[0], sigs[1]), 4)
    0.7071
    >>> round(similarity(sigs[0], sigs[1], metric="overlap"), 4)
    0.5
    """
    if debias:
        if metric != "cosine" or np.dtype(dtype) != np.float64:
            raise ValueError(f"similarity: expected metric cosine and dtype float64 with debias, got {metric}, {dtype}")
        found = debiased_similarity(a, b)  # type: ignore[arg-type]  # refuses single signatures
        return found.layers if per_layer else found.values
    precision = np.dtype(dtype)
    if precision not in (np.float64, np.float32):
        raise ValueError(f"similarity: expected dtype to be float64 or float32, got {dtype!r}")
    both_single = isinstance(a, Signature) and (b is None or isinstance(b, Signature))
    other = None if b is None else _stacked(b)
    out = _core.similarity(_stacked(a), other, per_layer=per_layer, metric=metric, single=precision == np.float32)
    if np.isnan(out).any():
        out = np.ma.masked_invalid(out, copy=False)
    if not both_single:
        return out
    if per_layer:
        return out[:, 0, 0]
    return None if out[0, 0] is np.ma.masked else float(out[0, 0])


def separation(
    sigs: "Similarities",
    tasks: Sequence[str | None] | None = None,
    *,
    balanced: bool = False,
    groups: Groups = None,
) -> _core.Separation:
    """Within-task against across-task similarity, and Cohen's d.

    Two prompts of one group (template, near-duplicates) are no pair: that they route alike is no evidence
    about their task.

    Parameters
    ----------
    sigs : SignatureSet, or a similarity matrix [prompts, prompts]
    tasks : sequence of str, optional
        One per prompt, needed for a matrix; None where unlabelled (left out).
    balanced : bool
        The means are those over tasks and over pairs of tasks, each weighing the same however many prompts it has; d is
        their difference over the same pooled sd. Default: every pair of prompts weighs the same.
    groups : sequence of str, False, or None
        One per prompt, None: a prompt alone. Default: the groups of the SignatureSet where any holds two prompts.
        False: every pair of different prompts counts.

    Returns
    -------
    Separation
        `.within` and `.across` with `.mean`, `.sd` (ddof 1) and `.pairs`; `.difference` of the means; `.cohens_d` with
        the sd pooled by pair counts. What is undefined is None; so is everything within tasks where groups leave a task
        fewer than 5 pairs.

    References
    ----------
    arXiv 2603.11114, section 5.

    Examples
    --------
    >>> import routesig as rs
    >>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
    >>> found = rs.separation(sigs)
    >>> round(found.within.mean, 4), round(found.across.mean, 4), found.within.pairs, found.across.pairs
    (0.9487, 0.3081, 2, 4)
    """
    from routesig._labelled import LabelledSimilarities

    given = LabelledSimilarities.of(sigs, tasks, groups, "separation")
    core = _core.balanced_separation if balanced else _core.separation
    return core(given.matrix, given.codes, given.groups)


def _stacked(one: Signature | SignatureSet | _core.TraceSet) -> Floats:
    if isinstance(one, Signature):
        values = np.ascontiguousarray(one.values[np.newaxis])
    else:
        given = either_of("similarity", one)
        values = np.ascontiguousarray((given if isinstance(given, SignatureSet) else signatures(given)).values)
    if not np.isfinite(values).all():
        raise ValueError("similarity: expected finite signatures, got NaN or infinity")
    return values
