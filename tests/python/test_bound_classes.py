"""Classes that are bound from C++: no use of them ends the interpreter."""

import threading

import numpy as np
import pytest

import routesig as rs
from routesig import _core

torch_core = pytest.importorskip("routesig._torch", reason="built without LibTorch")

CLASSES = [
    value
    for module in (_core, torch_core)
    for value in vars(module).values()
    if isinstance(value, type) and not issubclass(value, BaseException)
]
# What every object has, and what makes one.
PLAIN = set(dir(object)) - {"__eq__", "__repr__", "__hash__", "__str__"} | {"__dict__", "__module__", "__weakref__"}
JUNK = [(), (1,), ((),) * 12, (b"x",) * 12, (None,) * 12, (2**70,) * 12, None, 5]


def test_there_are_classes_to_walk():
    assert {"TraceRecorder", "RoutingTrace", "TraceSet", "OlmoeModel"} <= {one.__name__ for one in CLASSES}


@pytest.mark.parametrize("bound", CLASSES, ids=lambda one: one.__name__)
def test_an_object_made_without_init_is_refused_by_every_method(bound):
    refused = 0
    for name in sorted(set(dir(bound)) - PLAIN - {"__setstate__"}):
        if isinstance(vars(bound).get(name), staticmethod):
            continue
        half = bound.__new__(bound)
        try:
            found = getattr(half, name)
            found(half) if name == "__eq__" else found()
        except TypeError as error:
            refused += "made by __new__ alone" in str(error) or "incompatible function arguments" in str(error)
        # else: what Python itself gives every object, such as an address as its text
    assert refused > 0


@pytest.mark.parametrize(
    "bound", [one for one in CLASSES if hasattr(one, "__setstate__")], ids=lambda one: one.__name__
)
def test_a_state_that_is_none_is_refused_and_leaves_an_object_that_is(bound):
    for junk in JUNK:
        half = bound.__new__(bound)
        with pytest.raises((TypeError, IndexError, RuntimeError, ValueError, AttributeError)):
            half.__setstate__(junk)
        with pytest.raises(TypeError, match="made by __new__ alone"):
            half.__getstate__()


def test_a_recorder_hears_one_thread_at_a_time_and_its_traces_may_be_read_meanwhile():
    model, recorder = rs.load_model(), rs.TraceRecorder()
    recorded, refused = [], []

    def run():
        for _ in range(15):
            try:
                model.forward([1, 2, 3], recorder=recorder)
                recorded.append(1)
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert all(len(trace) == 3 for trace in recorder.traces)
    assert len(recorder.traces) == len(recorded) > 0
    assert len(recorded) + len(refused) == 60
    assert all("in use by another run" in sentence for sentence in refused)
    assert len({trace.experts.tobytes() for trace in recorder.traces}) == 1


@pytest.mark.parametrize(("weights", "found"), [([[["x"]]], "<U1"), ([[[1j]]], "complex128"), ([[[None]]], "object")])
def test_weights_that_are_no_numbers_are_refused(weights, found):
    with pytest.raises(ValueError, match=f"from_arrays: expected weights that are real numbers, got {found}"):
        rs.RoutingTrace.from_arrays(np.zeros((1, 1, 1), int), num_experts=4, weights=weights)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _core.load(np.float64(1)),
        lambda: _core.load_divergence(np.float64(1), np.float64(1)),
        lambda: _core.groups_have_one_label([0, 1, 2], [0]),
        lambda: _core.logistic_probabilities(np.zeros((2, 3)), np.zeros((2, 5)), [0.0, 0.0]),
        lambda: _core.logistic_decision(np.zeros((2, 3)), np.zeros((1, 3)), [0.0, 0.0]),
    ],
)
def test_arrays_whose_shapes_disagree_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
