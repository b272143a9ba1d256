"""Classes that are bound from C++: no use of them ends the interpreter."""

import ast
import re
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
            refused += bool(re.search(r"made by __new__ alone|^\w+: expected .*, got no \w+$", str(error)))
        # else: what Python itself gives every object, such as an address as its text
    assert refused > 0


def called_by_arguments():
    """Every constructor and public method of a bound class that takes arguments: its name, itself, and their kinds."""
    for bound in CLASSES:
        for name in vars(bound):
            said = re.match(rf"{name}(\(.*)", getattr(bound, name).__doc__ or "")
            if said is None or (name.startswith("_") and name != "__init__"):
                continue
            call = bound if name == "__init__" else getattr(bound, name)
            arguments = ast.parse(f"def f{said[1]}: 0").body[0].args
            every = [one for one in (*arguments.args, *arguments.kwonlyargs) if one.arg != "self"]
            who = bound.__name__ if name == "__init__" else name
            yield pytest.param(who, call, bound, {one.arg: ast.unparse(one.annotation) for one in every}, id=who)


CALLS = list(called_by_arguments())
# What an argument of a kind may be, and what it may not.
RIGHT = {
    "bool": True,
    "str": "ltk",
    "os.PathLike": "nowhere/t.jsonl",
    "typing.SupportsInt": 1,
    "typing.SupportsFloat": 1.0,
    "collections.abc.Sequence": [],
    "collections.abc.Iterable": [[1]],
    "dict": {},
    "object": None,
    "routesig._core.RoutingInfo": rs.RoutingInfo(layers=1, experts=2, top_k=1),
    "routesig._core.RoutingRecorder": rs.TraceRecorder(),
    "routesig._core.TraceSet": rs.TraceSet(),
    "routesig._torch.RotatedRouters | None": None,
}
ANYTHING = {"object", "str | None"}  # what is called takes any, and refuses it by itself
ONE_SENTENCE = r"{}: expected .*, got .*"


def right(kind):
    return next(value for name, value in RIGHT.items() if kind.startswith(name))


def own(bound):
    """The object whose method it is; the model's is loaded."""
    made = {"TraceSet": rs.TraceSet, "TraceRecorder": rs.TraceRecorder, "RoutingRecorder": rs.TraceRecorder}
    if bound.__name__ == "OlmoeModel":
        return rs.load_model()._native
    return made[bound.__name__]() if bound.__name__ in made else None


def refusal(who, call, *given, **named):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(*given, **named)
    assert re.fullmatch(ONE_SENTENCE.format(who), str(caught.value)), str(caught.value)
    return str(caught.value)


def test_there_are_calls_to_walk():
    names = {one.id for one in CALLS}
    assert {"TraceRecorder", "RoutingInfo", "JsonlRecorder", "TokenTable", "FoldPlan", "take", "from_arrays"} <= names


@pytest.mark.parametrize(("who", "call", "bound", "kinds"), CALLS)
def test_arguments_of_another_kind_are_one_sentence_that_names_the_class(who, call, bound, kinds):
    is_method = call is not bound and not isinstance(vars(bound)[call.__name__], staticmethod)
    first = [own(bound)] if is_method else []
    if is_method:
        assert "got an int" in refusal(who, call, 5)
    if first == [None]:  # is made inside
        return
    refusal(who, call, *first, *range(len(kinds) + 1))
    assert refusal(who, call, *first, colour="red").endswith(("got 'colour'", "got no " + next(iter(kinds), "")))
    for name, kind in kinds.items():
        if kind in ANYTHING:
            continue
        others = {one: right(of) for one, of in kinds.items() if one != name}
        for wrong in (object(), *[-(2**70), 2**70] * kind.startswith("typing.SupportsInt")):
            said = refusal(who, call, *first, **others, **{name: wrong})
            assert re.search(rf"\b({name}|a path|traces)\b", said), said


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
