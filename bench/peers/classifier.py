"""Cross-validated logistic regression and PCA, ours against scikit-learn, in turns; prints JSON lines of seconds."""

import sys
from typing import Any

import numpy as np
from analysis import random_set, turns  # the script beside this one

import routesig as rs


def scikit_learn_folds(x: Any, y: Any, fold: Any) -> Any:
    """What its user would write, at the tolerance that ours has."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10, max_iter=10_000))
    return cross_val_predict(model, x, y, cv=PredefinedSplit(fold), method="predict_proba")


def main() -> None:
    from sklearn.decomposition import PCA

    for prompts, folds_target, pca_target in ((80, 15.0, 10.0), (2000, 7.0, 4.0)):
        sigs = random_set(prompts)
        x, y = sigs.values.reshape(prompts, -1), np.array(sigs.tasks)
        fold = rs.classify(sigs).folds
        difference = np.abs(rs.classify(sigs).probabilities - scikit_learn_folds(x, y, fold)).max()
        assert difference < 1e-5, difference
        print(f"largest difference of probabilities, {prompts} prompts: {difference:.1e}", file=sys.stderr)
        labels = np.unique(y, return_inverse=True)[1].tolist()
        folds = fold.tolist()
        turns(
            f"logistic regression, 5 folds, {prompts} prompts",
            "scikit-learn, tol 1e-10",
            lambda x=x, labels=labels, folds=folds: rs._core.cross_validate(x, labels, folds),  # type: ignore[misc]
            lambda x=x, y=y, fold=fold: scikit_learn_folds(x, y, fold),  # type: ignore[misc]
            folds_target,
        )
        turns(
            f"PCA, {prompts} prompts",
            "scikit-learn, full solver",
            lambda sigs=sigs: rs.pca(sigs),  # type: ignore[misc]
            lambda x=x: PCA(2, svd_solver="full").fit_transform(x),  # type: ignore[misc]
            pca_target,
        )


if __name__ == "__main__":
    sys.exit(main())
