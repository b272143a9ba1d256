"""Classifiers in scikit-learn's manner, computed in C++."""

import numbers
import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routesig import _core
from routesig._kinds import refused
from routesig._options import whole_number

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "routesig's estimators need scikit-learn 1.6 or newer: pip install 'routesig[sklearn]' "
        "(routesig.classify works without it)"
    ) from error


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """Multinomial logistic regression with an L2 penalty.

    Minimises the sum of -log p(label) + |w|^2 / (2 C) by L-BFGS; the intercept is not penalised. Two classes share one
    score. Probabilities are those of scikit-learn's LogisticRegression.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty.
    fit_intercept : bool
    tol : float
        Converged where no entry of the gradient, divided by the number of rows, is larger.
    max_iter : int

    Attributes
    ----------
    classes_ : array [classes]
    coef_ : float64 [classes, features], or [1, features] for two classes
    intercept_ : float64 [classes], or [1]
    n_iter_ : int32 [1]
    n_features_in_ : int

    References
    ----------
    Liu and Nocedal, Mathematical Programming 45 (1989).

    Examples
    --------
    >>> model = LogisticRegression().fit([[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"])
    >>> model.predict([[0.5], [4.5]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self, C: float = 1.0, *, fit_intercept: bool = True, tol: float = 1e-10, max_iter: int = 10_000
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LogisticRegression":
        """Learn from rows X [rows, features] and their labels y [rows]."""
        values, labels = _training_data(self, X, y)
        self.coef_, self.intercept_, iterations, converged = _core.fit_logistic(
            values,
            labels,
            c=float(self.C),
            intercept=bool(self.fit_intercept),
            tolerance=float(self.tol),
            max_iterations=whole_number("LogisticRegression", "max_iter", self.max_iter, most=2**31 - 1),
        )
        self.n_iter_ = np.array([iterations], dtype=np.int32)
        self.converged_ = converged
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores [rows, classes], or [rows] of the second of two classes."""
        values = _new_data(self, X)
        scores = _core.logistic_decision(values, self.coef_, self.intercept_.tolist())
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities [rows, classes]."""
        values = _new_data(self, X)
        return _core.logistic_probabilities(values, self.coef_, self.intercept_.tolist())

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class of every row."""
        scores = self.decision_function(X)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels


class NearestCentroid(ClassifierMixin, BaseEstimator):
    """The class whose mean row is nearest.

    Parameters
    ----------
    metric : {"euclidean", "cosine"}
        Cosine: the largest mean over `layers` of the cosine between blocks of features, as `routesig.similarity` has
        it.
    layers : int
        Equal blocks of features; read by the cosine alone.

    Attributes
    ----------
    classes_ : array [classes]
    centroids_ : float64 [classes, features]
    n_features_in_ : int

    Examples
    --------
    >>> model = NearestCentroid().fit([[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"])
    >>> model.predict([[0.5], [4.5]]).tolist()
    ['a', 'b']
    """

    def __init__(self, metric: str = "euclidean", *, layers: int = 1) -> None:
        self.metric = metric
        self.layers = layers

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NearestCentroid":
        """Average the rows X [rows, features] of each label in y [rows]."""
        if self.metric not in ("euclidean", "cosine"):
            raise ValueError(f"NearestCentroid: expected metric to be 'euclidean' or 'cosine', got {self.metric!r}")
        values, labels = _training_data(self, X, y)
        layers = whole_number("NearestCentroid", "layers", self.layers)
        if self.metric == "cosine" and (layers < 1 or values.shape[1] % layers):
            raise ValueError(
                f"NearestCentroid: expected a number of layers that divides {values.shape[1]} features, "
                f"got {self.layers}"
            )
        self.centroids_ = _core.centroids(values, labels)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of the nearest centroid for every row."""
        values = _new_data(self, X)
        nearest = _core.nearest_centroid(values, self.centroids_, self.layers if self.metric == "cosine" else None)
        labels: NDArray[Any] = self.classes_[np.asarray(nearest, dtype=np.intp)]
        return labels


def _training_data(estimator: Any, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], list[int]]:
    """Validate, set `classes_`, and number the labels."""
    _refuse_what_is_no_matrix(estimator, X)
    values, targets = validate_data(estimator, X, y, dtype=np.float64, order="C")
    check_classification_targets(targets)
    estimator.classes_, labels = np.unique(targets, return_inverse=True)
    if len(estimator.classes_) < 2:
        raise ValueError(f"{type(estimator).__name__}: expected two classes or more, got 1 class")
    return values, labels.tolist()


def _new_data(estimator: Any, X: ArrayLike) -> NDArray[np.float64]:
    check_is_fitted(estimator)
    _refuse_what_is_no_matrix(estimator, X)
    values: NDArray[np.float64] = validate_data(estimator, X, dtype=np.float64, order="C", reset=False)
    return values


def _refuse_what_is_no_matrix(estimator: Any, X: Any) -> None:
    """What scikit-learn would refuse in several lines, or take for an array of objects."""
    ours = type(X[0] if isinstance(X, list) and X else X).__module__.partition(".")[0] == "routesig"
    if ours or X is None or isinstance(X, (str, os.PathLike, numbers.Number)):
        raise refused(type(estimator).__name__, "a matrix [rows, features]", X)
