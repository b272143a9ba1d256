"""SignatureTransformer among scikit-learn's tools."""

import pickle

import numpy as np
import pytest

import routesig as rs
from support import random_traces

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator


def pipeline():
    return make_pipeline(rs.SignatureTransformer(), StandardScaler(), rs.LogisticRegression())


@pytest.fixture(scope="module")
def traces():
    return random_traces(n=24)


def test_rows_are_signatures_from_traces_lists_and_signatures(traces):
    sigs = rs.signatures(traces, tokens="prompt")
    flat = sigs.values.reshape(24, -1)
    transformer = rs.SignatureTransformer(tokens="prompt")
    for x in (traces, list(traces), sigs, list(sigs), tuple(traces), np.array(list(traces), dtype=object)):
        assert (transformer.fit_transform(x) == flat).all()
    names = transformer.get_feature_names_out()
    assert len(names) == flat.shape[1]
    assert (names[0], names[17]) == ("layer0_expert0", "layer1_expert1")


def test_it_works_in_a_pipeline_cross_validation_and_a_grid_search(traces):
    model = pipeline().fit(traces, traces.tasks)
    assert model.score(traces, traces.tasks) == 1.0
    assert model.predict_proba(traces[:3]).shape == (3, 2)
    assert cross_val_score(pipeline(), traces, traces.tasks, cv=3, error_score="raise").shape == (3,)
    grid = GridSearchCV(
        pipeline(),
        {"signaturetransformer__tokens": ["all", "generation"], "logisticregression__C": [0.1, 1.0]},
        cv=3,
        error_score="raise",
    ).fit(list(traces), traces.tasks)
    assert grid.best_params_["signaturetransformer__tokens"] in ("all", "generation")
    assert len(grid.cv_results_["params"]) == 4


def test_grid_searches_may_use_processes(traces):
    grid = GridSearchCV(pipeline(), {"logisticregression__C": [0.1, 1.0]}, cv=2, n_jobs=2, error_score="raise")
    assert grid.fit(traces, traces.tasks).best_score_ >= 0.0


def test_clone_and_pickle(traces):
    transformer = rs.SignatureTransformer(tokens="generation", weighting="gate")
    assert clone(transformer).get_params() == {"tokens": "generation", "weighting": "gate", "drop_invalid": False}
    model = pipeline().fit(traces, traces.tasks)
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(traces) == model.predict_proba(traces)).all()


def test_other_shapes_and_other_things_are_refused(traces):
    transformer = rs.SignatureTransformer().fit(traces)
    with pytest.raises(ValueError, match="expected 3 layers x 16 experts, got 2 x 16"):
        transformer.transform(random_traces(layers=2))
    for nothing in ([], rs.TraceSet([])):
        with pytest.raises(ValueError, match="expected one trace or more, got none"):
            transformer.transform(nothing)
    with pytest.raises(TypeError, match="expected traces or signatures, got a list of str"):
        transformer.transform(["text"])
    with pytest.raises(TypeError, match="expected traces or signatures, got an int"):
        transformer.transform(3)
    with pytest.raises(ValueError, match="not fitted"):
        rs.SignatureTransformer().transform(traces)
    with pytest.raises(ValueError, match="expected tokens to be one of"):
        rs.SignatureTransformer(tokens="some").fit(traces)


def test_estimator_checks_fail_for_want_of_traces_alone():
    """Most of scikit-learn's checks feed arrays, which a transformer of traces refuses; the others must pass."""
    results = check_estimator(rs.SignatureTransformer(), on_fail=None, on_skip=None)
    passed = {r["check_name"] for r in results if r["status"] == "passed"}
    assert passed >= {
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_get_params_invariance",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
    }
    refused = "SignatureTransformer: expected traces or signatures, got "
    failed = [r for r in results if r["status"] == "failed"]
    assert {r["check_name"] for r in failed if refused not in str(r["exception"])} <= {
        "check_estimators_empty_data_messages",  # each of these looks for words about matrices
        "check_estimators_nan_inf",
        "check_estimator_sparse_array",
        "check_estimator_sparse_matrix",
        "check_estimator_sparse_tag",
        "check_positive_only_tag_during_fit",
    }


def test_no_signatures_are_no_rows(traces):
    sigs = rs.signatures(traces)
    assert rs.SignatureTransformer().fit(sigs).transform(sigs[:0]).shape == (0, 3 * 16)
