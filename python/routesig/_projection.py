"""Signatures on a plane."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._equality import ByValue
from routesig._kinds import signatures_of
from routesig._options import whole_number
from routesig._signatures import SignatureSet

Floats = NDArray[np.float64]
_FLOAT32 = (
    1e-18,
    1e18,
)  # differences whose squares are float32, in which scikit-learn computes t-SNE; NaN ends the process


@dataclass(frozen=True, eq=False)
class Pca(ByValue):
    """Principal components of signatures. What is undefined is None, its reason in `absent`.

    Attributes
    ----------
    points : float64 [prompts, components] or None
        Fewer components than asked for where the prompts span fewer directions.
    components : float64 [components, layers, experts] or None
        Orthonormal; the loading of largest size is positive.
    explained_variance, explained_variance_ratio : float64 [components] or None
        With ddof 1; the ratio is to the variance of all features.
    mean : float64 [layers, experts]
    absent : dict
        Field -> why it is None or shorter than asked for.
    """

    points: Floats | None
    components: Floats | None
    explained_variance: Floats | None
    explained_variance_ratio: Floats | None
    mean: Floats
    absent: dict[str, str] = field(default_factory=dict)

    def transform(self, sigs: SignatureSet) -> Floats:
        """Coordinates of other signatures: [prompts, components].

        Raises
        ------
        ValueError
            Where the shapes differ, or no component is defined.

        Examples
        --------
        >>> sigs = SignatureSet.from_counts([[[4, 0]], [[2, 2]], [[0, 4]]])
        >>> pca(sigs, components=1).transform(sigs[1:]).round(4).ravel().tolist()
        [0.0, -0.7071]
        """
        sigs = signatures_of("Pca.transform", sigs)
        if self.components is None:
            raise ValueError(f"pca: expected components to project on, {self.absent['components']}")
        if sigs.values.shape[1:] != self.mean.shape:
            layers, experts = self.mean.shape
            raise ValueError(f"pca: expected {layers} layers x {experts} experts, got {sigs.layers} x {sigs.experts}")
        centred: Floats = (sigs.values - self.mean).reshape(len(sigs), -1)
        points: Floats = centred @ self.components.reshape(len(self.components), -1).T
        return points

    def __repr__(self) -> str:
        if self.explained_variance_ratio is None:
            return f"Pca(absent: {self.absent['points']})"
        shares = ", ".join(f"{share:.1%}" for share in self.explained_variance_ratio)
        return f"Pca({len(self.points if self.points is not None else ())} prompts, variance explained: {shares})"


@dataclass(frozen=True, eq=False)
class Tsne(ByValue):
    """A t-SNE map. `points` is float64 [prompts, 2], or None with the reason in `absent`."""

    points: Floats | None
    perplexity: float | None
    seed: int
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        if self.points is None:
            return f"Tsne(absent: {self.absent['points']})"
        return f"Tsne({len(self.points)} prompts, perplexity={self.perplexity:g}, seed={self.seed})"


def pca(sigs: SignatureSet, *, components: int = 2) -> Pca:
    """Principal component analysis of signatures, centred and not scaled.

    Parameters
    ----------
    sigs : SignatureSet
    components : int

    Returns
    -------
    Pca

    Raises
    ------
    ValueError
        Where `components` is less than 1, or a value is not finite.

    References
    ----------
    arXiv 2603.11114, figure 4.

    Examples
    --------
    >>> sigs = SignatureSet.from_counts([[[4, 0]], [[2, 2]], [[0, 4]]])
    >>> pca(sigs, components=1).points.round(4).ravel().tolist()
    [0.7071, 0.0, -0.7071]
    """
    sigs = signatures_of("pca", sigs)
    components = whole_number("pca", "components", components, least=1, most=2**31 - 1)
    x = np.ascontiguousarray(sigs.values.reshape(len(sigs), sigs.layers * sigs.experts))
    points, loadings, variance, total, mean = _core.pca(x, components)
    shape = sigs.values.shape[1:]
    found = len(variance)
    absent: dict[str, str] = {}
    if found == 0:
        why = "the signatures do not differ" if len(sigs) > 1 else f"PCA needs 2 prompts or more, got {len(sigs)}"
        for name in ("points", "components", "explained_variance", "explained_variance_ratio"):
            absent[name] = why
        return Pca(None, None, None, None, mean.reshape(shape), absent)
    if found < components:
        why = f"the prompts span {found} direction{'s' if found > 1 else ''}, {components} were asked for"
        for name in ("points", "components", "explained_variance", "explained_variance_ratio"):
            absent[name] = why
    return Pca(points, loadings.reshape(found, *shape), variance, variance / total, mean.reshape(shape), absent)


def tsne(sigs: SignatureSet, *, perplexity: float | None = None, seed: int = 0) -> Tsne:
    """A t-SNE map of signatures, by scikit-learn. Distances between clusters in it mean nothing.

    Parameters
    ----------
    sigs : SignatureSet
    perplexity : float, optional
        Default: min(30, (prompts - 1) / 3).
    seed : int
        Of scikit-learn's `random_state`.

    Returns
    -------
    Tsne

    Raises
    ------
    ImportError
        Without scikit-learn.
    ValueError
        Where the perplexity is not between 1 and the number of prompts, or a value is not finite.

    References
    ----------
    van der Maaten and Hinton, JMLR 9 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> import routesig as rs
    >>> counts = np.random.default_rng(0).poisson([[[9, 3, 3]]] * 6 + [[[3, 9, 3]]] * 6)
    >>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code"] * 6 + ["math"] * 6)
    >>> rs.tsne(sigs).points.shape
    (12, 2)
    """
    sigs = signatures_of("tsne", sigs)
    prompts = len(sigs)
    seed = whole_number("tsne", "seed", seed, most=2**32 - 1)
    if not np.isfinite(sigs.values).all():
        raise ValueError("tsne: expected finite values, got NaN or infinity")
    if prompts < 4:
        return Tsne(None, None, seed, {"points": f"t-SNE needs 4 prompts or more, got {prompts}"})
    value = min(30.0, (prompts - 1) / 3) if perplexity is None else float(perplexity)
    if not 1 <= value < prompts:
        raise ValueError(f"tsne: expected a perplexity from 1 to below {prompts} (the prompts), got {value:g}")
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits  # scikit-learn brings it
    except ImportError as error:
        raise ImportError("tsne needs scikit-learn: pip install 'routesig[sklearn]'") from error
    x = sigs.values.reshape(prompts, -1)
    spread = np.ptp(x, axis=0).max(initial=0)
    if spread > _FLOAT32[1]:
        raise ValueError(f"tsne: expected shares, got values that differ by {spread:g}")
    if spread < _FLOAT32[0]:
        return Tsne(None, None, seed, {"points": "the signatures do not differ"})
    with threadpool_limits(1):  # more would wait busily for each other wherever other work runs
        embedded = TSNE(perplexity=value, random_state=seed, init="pca").fit_transform(x)
    return Tsne(np.asarray(embedded, dtype=np.float64), value, seed)
