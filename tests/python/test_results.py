"""What every result has in common: it is kept by pickle, copied, and compared with ==."""

import copy
import dataclasses
import importlib
import inspect
import math
import pickle
import pkgutil

import numpy as np
import pytest
from report_studies import QUICK, worded_traces

import routesig as rs
from routesig._equality import ByValue, alike
from routesig._study._costs import Size
from support import random_traces

NAMESPACES = (rs.baselines, rs.controls, rs.information, rs.metrics, rs.statistics)
# Public, but no results: what computes or records, an error, and what is asked of a core function.
NO_RESULTS = {rs.Model, rs.TraceRecorder, rs.FormatError}
ESTIMATORS = {"LogisticRegression", "NearestCentroid", "SignatureTransformer"}
OPTIONS = {"repetitions": 19}


def results():
    """One or more of everything that the package returns."""
    traces, sigs = worded_traces(), rs.signatures(worded_traces())
    yield rs.Prompt("a", "code", "Write.", template="t", level=3)
    yield rs.load_prompts()[0]
    yield traces
    yield from (traces[0], traces.info, sigs, sigs[0])
    study = rs.study(traces, controls={"other": [worded_traces(seed=4)]}, **QUICK | {"groups": False})
    yield study
    yield study.with_comparison(rs.compare(traces, traces, bootstrap=20, permutations=20))
    yield from study.prompts
    yield rs.debiased_similarity(traces)
    yield rs.debiased_similarity(sigs, sigs[:4])
    yield rs.statistics.bootstrap(sigs, draws=20)
    yield rs.baselines.load_balance(sigs, **OPTIONS)
    yield rs.baselines.BreakEven(tokens=12.5, within=0.9, model_ratio=0.3)
    yield rs.controls.random_weights(traces, [traces])
    yield rs.metrics.coactivation(traces)
    yield rs.metrics.domain_specialization(sigs)
    yield rs.metrics.uncertainty(np.random.default_rng(0).normal(size=(3, 8)), top_k=2)
    yield rs.tsne(sigs)
    yield aligned()


def aligned():
    """A comparison with an alignment: the same experts under other numbers."""
    a = random_traces(12, tokens=40)
    renumbered = [
        rs.RoutingTrace.from_arrays(
            (one.experts + 5) % 16,
            num_experts=16,
            token_ids=one.token_ids,
            prompt_tokens=one.prompt_tokens,
            id=one.id,
            task=one.task,
        )
        for one in a
    ]
    return rs.compare(a, rs.TraceSet(renumbered), bootstrap=20, permutations=20).alignment


def inside(value, found):
    """Every result in a result, by its type."""
    if dataclasses.is_dataclass(value):
        children = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, (list, tuple, rs.TraceSet)):
        children = list(value)
    else:
        children = [value.within, value.across] if isinstance(value, rs.Separation) else []
    if type(value).__module__.startswith("routesig"):
        found.setdefault(type(value), value)
    for child in children:
        inside(child, found)


@pytest.fixture(scope="module")
def found():
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    pytest.importorskip("scipy", reason="alignments are SciPy's")
    every = {}
    for result in results():
        inside(result, every)
    return every


def classes():
    """The public classes of the package, and the dataclasses and named tuples of its modules that users meet."""
    for space in (rs, *NAMESPACES):
        yield from (one for one in (getattr(space, name) for name in space.__all__) if inspect.isclass(one))
    for module in pkgutil.walk_packages(rs.__path__, "routesig."):
        if module.name.rpartition(".")[2].startswith(("_torch", "_core", "__main__")):
            continue
        if not module.name.startswith(("routesig._report", "routesig.plot", "routesig._cli")):
            here = vars(importlib.import_module(module.name)).values()
            yield from (one for one in here if inspect.isclass(one) and is_record(one, module.name))


def is_record(one, module):
    named = dataclasses.is_dataclass(one) or (issubclass(one, tuple) and hasattr(one, "_fields"))
    return named and one.__module__ == module and not one.__name__.startswith("_")


def test_every_public_class_has_an_example_here(found):
    internal = {"Question", "Size", "PairedBootstrap", "FromFile", "LoadMeasures", "RowGroup", "Chunk"}
    wanted = {one for one in classes() if one.__name__ not in internal | ESTIMATORS} - NO_RESULTS
    assert {one.__name__ for one in wanted - set(found)} == set()
    assert len(wanted) > 50


def test_each_is_the_same_after_pickle_and_deepcopy(found):
    for kind, value in found.items():
        for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
            assert type(again) is kind
            assert again == value, kind
            assert alike(again, value), kind


def test_each_differs_from_one_with_another_value_in_any_field(found):
    for kind, value in found.items():
        if not dataclasses.is_dataclass(value) or isinstance(value, rs.Study):
            continue
        for field in dataclasses.fields(value):
            other = copy.copy(value)
            object.__setattr__(other, field.name, "another")
            assert (other != value) == field.compare, (kind, field.name)
        assert value != "another"
        assert value != Size(1, 1, 1, 1, 1)


def test_arrays_are_compared_entry_by_entry():
    nan, masked = np.array([1.0, math.nan]), np.ma.MaskedArray([1.0, 2.0], [False, True])
    assert alike(nan, nan.copy())
    assert not alike(nan, np.array([1.0, 2.0]))
    assert alike(masked, np.ma.MaskedArray([1.0, 3.0], [False, True]))
    assert not alike(masked, np.ma.MaskedArray([1.0, 2.0], [False, False]))
    assert not alike(masked, np.ma.MaskedArray([4.0, 2.0], [False, True]))
    assert not alike(np.zeros(2), np.zeros(3))
    assert not alike(np.zeros(2), np.zeros(2, np.float32))
    assert alike({"a": [nan, (math.nan, "x")]}, {"a": [nan.copy(), (math.nan, "x")]})
    assert not alike({"a": 1}, {"a": 1.0})
    assert alike(rs.PValue(0.1, 0.1), rs.PValue(0.1, 0.1))
    assert not alike(rs.PValue(0.1, 0.1), rs.PValue(0.1, 0.01))


def test_results_with_arrays_have_no_hash():
    sigs = rs.signatures(worded_traces(4))
    assert isinstance(sigs, ByValue)
    with pytest.raises(TypeError, match="unhashable"):
        hash(sigs)


def test_a_copy_of_signatures_is_as_read_only_as_they_are():
    sigs = rs.signatures(worded_traces(4))
    for again in (pickle.loads(pickle.dumps(sigs)), copy.deepcopy(sigs)):
        with pytest.raises(ValueError, match="read-only"):
            again.values[0] = 0


def test_estimators_predict_the_same_after_pickle_and_deepcopy():
    pytest.importorskip("sklearn", reason="they are scikit-learn's kind of estimator")
    traces = worded_traces()
    sigs = rs.signatures(traces)
    x = sigs.values.reshape(len(sigs), -1)
    for model in (rs.LogisticRegression(), rs.NearestCentroid()):
        fitted = model.fit(x, sigs.tasks)
        for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
            np.testing.assert_array_equal(again.predict(x), fitted.predict(x))
            assert again.get_params() == fitted.get_params()
    seen = rs.SignatureTransformer().fit(traces)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(seen)).transform(traces), seen.transform(traces))


def test_an_error_about_a_file_is_kept_by_pickle():
    error = pickle.loads(pickle.dumps(rs.FormatError("a.jsonl:1: expected a header")))
    assert (type(error), str(error)) == (rs.FormatError, "a.jsonl:1: expected a header")
