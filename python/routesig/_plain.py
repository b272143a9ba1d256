"""Results as plain data, and back. The annotations of the dataclasses are the schema, for writing and for reading."""

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Hashable
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._absent import Masked
from routesig._p_value import PValue

T = TypeVar("T")

# Single draws and what grows with the square of the prompts: the seed makes them again.
LEFT_OUT = {
    *("Study.traces", "Study.signatures", "Study.similarity", "Debiased.similarity"),
    *("PermutationTest.null", "TokenShuffle.draws", "TokenShuffle.layer_draws", "Distribution.values"),
    *("Classification.probabilities", "ContextTest.test", "Control.detail"),
}
NOT_HELD = "a file holds results alone; the same call on the same data makes it again"

_MOST = 2**64  # no count, seed or id is larger


class Unfit(ValueError):
    """Plain data that is not what a dataclass holds; the message begins with the place."""


class _Moments(NamedTuple):
    mean: float | None
    sd: float | None
    pairs: int


class _Separation(NamedTuple):
    within: _Moments
    across: _Moments
    cohens_d: float | None


def plain(value: Any) -> Any:
    """Numbers, text, lists and dicts; null where absent."""
    if isinstance(value, PValue):
        return {"value": float(value), "floor": value.floor}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_fields(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, _core.Separation):
        return plain(_Separation(_moments(value.within), _moments(value.across), value.cohens_d))
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items() if not _not_held(entry)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"study: expected finite numbers, got {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.to_dict() if hasattr(value, "to_dict") else str(value)


def plain_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that a file holds, as plain data."""
    kind = type(value)
    return {name: plain(getattr(value, name)) for name in _public(kind) if not _left_out(kind, name)}


def made(hint: Any, value: Any, place: str) -> Any:
    """What is annotated as `hint`, of what `plain` made of it; fields that a file does not hold are None.

    Raises
    ------
    Unfit
        Where the data are not of that shape and type. Fields that `hint` does not have are passed over.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if hint == Masked:
        return _masked(value, place)
    if origin in (typing.Union, types.UnionType):
        (wanted,) = (one for one in arguments if one is not types.NoneType)
        return None if value is None else made(wanted, value, place)
    if origin is np.ndarray:
        return _array(value, np.dtype(typing.get_args(arguments[1])[0]), place)
    if origin is Literal:
        return value if value in arguments else _unfit(place, f"one of {', '.join(map(str, arguments))}", value)
    if origin in (list, tuple, dict):
        return _container(origin, arguments, value, place)
    if hint in _SCALARS:
        return _SCALARS[hint](value, place)
    if hint is _core.Separation:
        found = record(_Separation, value, place)
        moments = (_restored(_core.PairMoments, (one.pairs, one.mean, one.sd)) for one in (found.within, found.across))
        return _restored(_core.Separation, (*moments, found.cohens_d))
    return record(hint, value, place)


def record(kind: type[T], value: Any, place: str, **given: Any) -> T:
    """A dataclass, or named tuple, of the object that `plain` made of it; `given` are fields that no file holds."""
    if not isinstance(value, dict):
        _unfit(place, "an object", value)
    hints = _hints(cast(Hashable, kind))
    found: dict[str, Any] = {}
    for name in _public(kind):
        there = f"{place}.{name}" if place else name
        if _left_out(kind, name):
            found[name] = None
        elif name in value:
            found[name] = made(hints[name], value[name], there)
        else:
            raise Unfit(f"{there}: expected a value, found none")
    if isinstance(absent := found.get("absent"), dict):
        for name in filter(functools.partial(_left_out, kind), _public(kind)):
            absent.setdefault(name, NOT_HELD)
    private = [name for name in _names(kind) if name.startswith("_") and name not in given]
    return kind(**found, **given, **dict.fromkeys(private))


def _not_held(entry: Any) -> bool:
    return isinstance(entry, str) and entry == NOT_HELD


def _moments(moments: _core.PairMoments) -> _Moments:
    return _Moments(moments.mean, moments.sd, moments.pairs)


def _restored(kind: type[T], state: tuple[Any, ...]) -> T:
    """An object of the core, as pickle makes it."""
    empty: Any = kind.__new__(kind)
    empty.__setstate__(state)
    return empty  # type: ignore[no-any-return]


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    from routesig._comparison import Comparison

    return typing.get_type_hints(kind, localns={"Comparison": Comparison}, include_extras=True)


def _names(kind: type) -> list[str]:
    return [one.name for one in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else list(_hints(kind))


def _public(kind: type) -> list[str]:
    return [name for name in _names(kind) if not name.startswith("_")]


def _left_out(kind: type, name: str) -> bool:
    return f"{kind.__name__}.{name}" in LEFT_OUT


def _unfit(place: str, expected: str, found: Any) -> NoReturn:
    raise Unfit(f"{place}: expected {expected}, found {_shown(found)}")


def _shown(found: Any) -> str:
    if isinstance(found, (dict, list)):
        return f"{'an object' if isinstance(found, dict) else 'a list'} of {len(found)}"
    text = json.dumps(found, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _container(origin: Any, arguments: Any, value: Any, place: str) -> Any:
    if origin is dict:
        if not isinstance(value, dict):
            _unfit(place, "an object", value)
        return {name: made(arguments[1], entry, f"{place}[{_shown(name)}]") for name, entry in value.items()}
    if not isinstance(value, list):
        _unfit(place, "a list", value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            _unfit(place, f"a list of {len(arguments)}", value)
        return tuple(made(*pair, f"{place}[{i}]") for i, pair in enumerate(zip(arguments, value, strict=True)))
    return origin(made(arguments[0], entry, f"{place}[{i}]") for i, entry in enumerate(value))


def _whole(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST:
        _unfit(place, "a whole number", value)
    return value


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
        _unfit(place, "a number", value)
    return value if isinstance(value, float) else _whole(value, place)


def _truth(value: Any, place: str) -> bool:
    return value if isinstance(value, bool) else _unfit(place, "true or false", value)


def _text(value: Any, place: str) -> str:
    return value if isinstance(value, str) else _unfit(place, "text", value)


def _p_value(value: Any, place: str) -> PValue:
    found = record(_PValue, value, place)
    for name, number in found._asdict().items():
        if not 0 <= number <= 1:
            _unfit(f"{place}.{name}", "a number from 0 to 1", number)
    return PValue(*found)


class _PValue(NamedTuple):
    value: float
    floor: float


_SCALARS: dict[Any, Any] = {bool: _truth, int: _whole, float: _number, str: _text, PValue: _p_value}


def _array(value: Any, dtype: np.dtype[Any], place: str) -> NDArray[Any]:
    check = _number if dtype.kind == "f" else _whole
    shape, entries = _regular(value, place, check)
    try:
        return np.array(entries, dtype).reshape(shape)
    except OverflowError:
        return _unfit(place, f"numbers that {dtype} can hold", value)


def _masked(value: Any, place: str) -> Any:
    """Of float64, or of whole numbers where there are no others; null is masked."""
    shape, entries = _regular(value, place, lambda one, there: None if one is None else _number(one, there))
    values = np.array([0.0 if one is None else one for one in entries], np.float64)
    return np.ma.MaskedArray(values, [one is None for one in entries]).reshape(shape)


def _regular(value: Any, place: str, check: Any) -> tuple[list[int], list[Any]]:
    """The shape of lists of lists, and their entries in a row."""
    shape: list[int] = []
    entries = [value]
    while not entries or isinstance(entries[0], list):
        if not entries:
            return shape, []
        length = len(entries[0])
        for entry in entries:
            if not isinstance(entry, list) or len(entry) != length:
                _unfit(place, "lists of one length", entry)
        shape.append(length)
        entries = [inner for entry in entries for inner in entry]
    if not shape:
        _unfit(place, "a list", value)
    return shape, [check(entry, place) for entry in entries]
