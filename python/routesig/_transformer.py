"""Signatures inside a scikit-learn Pipeline."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig._kinds import either_of
from routesig._signatures import Signature, SignatureSet, signatures

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError(
        "routesig's estimators need scikit-learn 1.6 or newer: pip install 'routesig[sklearn]' "
        "(routesig.signatures works without it)"
    ) from error


class SignatureTransformer(TransformerMixin, BaseEstimator):
    """Traces in, a matrix of signatures out: [prompts, layers * experts].

    `n_features_in_` is not set: the input is no matrix.

    Parameters
    ----------
    tokens : {"all", "prompt", "generation"}
        Which tokens count.
    weighting : {"count", "gate", "top1"}
        What a selected expert receives.
    drop_invalid : bool
        Leave impossible rows out instead of refusing them.

    Attributes
    ----------
    layers_, experts_ : int
        Of the traces that `fit` saw; others are refused.

    Examples
    --------
    >>> ids = [[[0, 1], [0, 2]]]  # 1 layer, 2 tokens, top-2
    >>> trace = RoutingTrace.from_arrays(ids, num_experts=4, id="hand", task="code")
    >>> SignatureTransformer().fit_transform([trace]).tolist()
    [[0.5, 0.25, 0.25, 0.0]]
    """

    def __init__(self, *, tokens: str = "all", weighting: str = "count", drop_invalid: bool = False) -> None:
        self.tokens = tokens
        self.weighting = weighting
        self.drop_invalid = drop_invalid

    def fit(self, X: Any, y: Any = None) -> "SignatureTransformer":
        """Remember the shape of the signatures of X: a TraceSet, a SignatureSet, or a list of traces or signatures."""
        values = self._signatures(X)
        self.layers_, self.experts_ = values.shape[1:]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Signatures, one row per prompt: float64 [prompts, layers * experts]."""
        check_is_fitted(self)
        values = self._signatures(X)
        if values.shape[1:] != (self.layers_, self.experts_):
            raise ValueError(
                f"SignatureTransformer: expected {self.layers_} layers x {self.experts_} experts, "
                f"got {values.shape[1]} x {values.shape[2]}"
            )
        return values.reshape(len(values), self.layers_ * self.experts_)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns: layer0_expert0, layer0_expert1, ..."""
        check_is_fitted(self)
        return np.array(
            [f"layer{layer}_expert{expert}" for layer in range(self.layers_) for expert in range(self.experts_)],
            dtype=object,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "layers_")

    def _signatures(self, X: Any) -> NDArray[np.float64]:
        if isinstance(X, (list, tuple)) and X and all(isinstance(item, Signature) for item in X):
            return np.stack([item.values for item in X])
        given = either_of("SignatureTransformer", X)
        if isinstance(given, SignatureSet):
            return given.values
        if not len(given):
            raise ValueError("SignatureTransformer: expected one trace or more, got none")
        return signatures(given, tokens=self.tokens, weighting=self.weighting, drop_invalid=self.drop_invalid).values
