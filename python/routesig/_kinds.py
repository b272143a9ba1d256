"""What a function was given: traces, signatures, numbers, or something else, which one sentence refuses."""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core

if TYPE_CHECKING:
    from routesig._signatures import SignatureSet

_NO_TOKENS = " (signatures have no tokens)"
_TO_TRACES = {
    "RoutingTrace": "; [trace] is a set of one",
    "Signature": _NO_TOKENS,
    "SignatureSet": _NO_TOKENS,
    "Study": "; study.traces are those that it was made from",
    "path": "; rs.read_traces(path) reads a file",
    "array": "; rs.RoutingTrace.from_arrays(experts, num_experts=...) makes a trace",
}
_TO_SIGNATURES = {
    "RoutingTrace": "; rs.signatures([trace]) makes them",
    "TraceSet": "; rs.signatures(traces) makes them",
    "Signature": "; sigs[[0]] is a set of one",
    "Study": "; study.signatures are those that it was made from",
    "path": "; rs.read_signatures(path) reads a file",
    "array": "; rs.SignatureSet.from_counts(counts) makes them",
}
_REMEDIES = {
    "traces": _TO_TRACES,
    "signatures": _TO_SIGNATURES,
    "traces or signatures": _TO_TRACES | {name: _TO_SIGNATURES[name] for name in ("Signature", "Study", "array")},
    "a list of trace sets": {"TraceSet": "; [traces] is a list of one"},
    "a matrix [rows, features]": dict.fromkeys(("TraceSet", "SignatureSet"), "; rs.SignatureTransformer() makes one"),
    "signatures or similarities": {name: text for name, text in _TO_SIGNATURES.items() if name != "array"},
}


def traces_of(who: str, given: Any) -> _core.TraceSet:
    """Traces as a set, also from a list, or from whatever else yields them; TypeError on anything else."""
    if isinstance(given, _core.TraceSet):
        return given
    items = list(given) if isinstance(given, Iterable) else []
    may_be_empty = isinstance(given, (list, tuple, Iterator))
    if (items or may_be_empty) and all(isinstance(one, _core.RoutingTrace) for one in items):
        return _core.TraceSet(items)
    raise refused(who, "traces", given)


def signatures_of(who: str, given: Any) -> "SignatureSet":
    """A set of signatures; TypeError on anything else."""
    from routesig._signatures import SignatureSet

    if not isinstance(given, SignatureSet):
        raise refused(who, "signatures", given)
    return given


def either_of(who: str, given: Any) -> "_core.TraceSet | SignatureSet":
    """A set of signatures, or what `traces_of` takes; TypeError on anything else."""
    from routesig._signatures import SignatureSet

    if isinstance(given, SignatureSet):
        return given
    try:
        return traces_of(who, given)
    except TypeError:
        raise refused(who, "traces or signatures", given) from None


def numbers_of(who: str, what: str, given: Any, *, axes: int = 1) -> NDArray[np.float64]:
    """Numbers as an array of so many axes or more, a masked one where it is given; TypeError on anything else."""
    try:
        array: NDArray[np.float64] = np.asanyarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise refused(who, what, given) from None
    if array.ndim < axes or given is None or isinstance(given, str):
        raise refused(who, what, given)
    return array


def refused(who: str, what: str, given: Any) -> TypeError:
    """The sentence: what was expected, what was given, and what turns one into the other where anything does."""
    return TypeError(f"{who}: expected {what}, got {named(given)}{_REMEDIES.get(what, {}).get(_kind(given), '')}")


def named(given: Any) -> str:
    """What a value is.

    >>> named(None), named(7), named(["a", 3])
    ('None', 'an int', 'a list of str and int')
    """
    if given is None:
        return "None"
    name = type(given).__name__
    if isinstance(given, (list, tuple)):
        inside = " and ".join(dict.fromkeys(type(one).__name__ for one in given))
        return f"a {name} of {inside}" if inside else f"an empty {name}"
    return f"{'an' if name[0] in 'AEIOUaeio' or name == 'ndarray' else 'a'} {name}"


def _kind(given: Any) -> str:
    """The row of a table of remedies."""
    if isinstance(given, (str, os.PathLike)):
        return "path"
    if isinstance(given, (list, tuple)) and len(inside := {_kind(one) for one in given}) == 1:
        return {"RoutingTrace": "TraceSet", "int": "array", "float": "array"}.get(one := inside.pop(), one)
    if isinstance(given, np.ndarray) or type(given).__name__ == "DataFrame":
        return "array"
    return type(given).__name__
