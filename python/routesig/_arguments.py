"""Arguments that a compiled class does not take, refused in one sentence. pybind11 would list its signatures."""

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from routesig._kinds import named, refused
from routesig._options import real_number, whole_number
from routesig._text import needed_text

_DUMP = re.compile(r"(\w+)\(\): incompatible (?:constructor|function) arguments\..*\n +1\. ([\w.]*)(\(.*)")
_LARGEST = 2**31 - 1  # that every whole number may be; some have 64 bits
_KINDS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("bool", lambda value: value is None or hasattr(type(value), "__bool__"), "True or False"),
    ("dict", lambda value: isinstance(value, dict), "a dict"),
)
_LISTS = ("collections.abc.Sequence", "collections.abc.Iterable")

Parameter = tuple[str, ast.expr | None]


def refusal(error: TypeError, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Exception | None:
    """What to raise in place of an error of a call with these arguments; None where pybind11 did not make it."""
    found = _DUMP.match(str(error))
    if found is None:
        return None
    name, owner, signature = found.groups()
    who = owner.rpartition(".")[2] or name
    said = ast.parse(f"def f{signature}: 0").body[0]
    assert isinstance(said, ast.FunctionDef)
    is_method = [one.arg for one in said.args.args[:1]] == ["self"]  # which a constructor's signature leaves out
    try:
        if is_method:
            _check_kind(who, "self", said.args.args.pop(0).annotation, *args[:1])
        values = list(_named(who, said.args, args[1:] if is_method or owner else args, kwargs))
        for check in (_check_kind, _check_range):
            for parameter, value in values:
                check(who, *parameter, value)
    except (TypeError, ValueError) as one:
        return one.with_traceback(None)
    return TypeError(f"{who}: expected arguments of other kinds, got {_listed(named(value) for _, value in values)}")


def _named(
    who: str, said: ast.arguments, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[Parameter, Any]]:
    """The value of every parameter that has one; TypeError where names or numbers of arguments do not fit."""
    known = {one.arg: one.annotation for one in (*said.args, *said.kwonlyargs)}
    places = [one.arg for one in said.args]
    if len(args) > len(places):
        expected = f"at most {len(places)} without a name" if places else "arguments by name alone"
        raise TypeError(f"{who}: expected {expected} ({_listed(known)}), got {len(args)} without")
    for name in kwargs:
        if name not in known:
            raise TypeError(f"{who}: expected arguments among {_listed(known)}, got {name!r}")
        if name in places[: len(args)]:
            raise TypeError(f"{who}: expected {name} once, got it twice")
    values = {**dict(zip(places, args, strict=False)), **kwargs}
    needed = places[: len(places) - len(said.defaults)]
    needed += [one.arg for one, value in zip(said.kwonlyargs, said.kw_defaults, strict=True) if value is None]
    if missing := [name for name in needed if name not in values]:
        raise TypeError(f"{who}: expected {_listed(needed)}, got no {missing[0]}")
    yield from (((name, known[name]), value) for name, value in values.items())


def _check_kind(who: str, name: str, kind: ast.expr | None, value: Any = None) -> None:
    kinds = dict(_alternatives(kind))
    if not kinds.keys().isdisjoint({"object", "typing.Any"}) or ("None" in kinds and value is None):
        return
    for one, fits, what in _KINDS:
        if one in kinds:
            if not fits(value):
                raise TypeError(f"{who}: expected {name} to be {what}, got {named(value)}")
            return
    ours = [one.rpartition(".")[2] for one in kinds if one.startswith("routesig.")]
    if "os.PathLike" in kinds:
        if not isinstance(value, (str, os.PathLike)):
            raise refused(who, "a path", value)
    elif lists := [one for one in kinds if one in _LISTS]:
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
            raise TypeError(f"{who}: expected {name} to be a list, got {named(value)}")
        for i, item in enumerate(value if kinds[lists[0]] else ()):
            _check_kind(who, f"{name}[{i}]", kinds[lists[0]], item)
    elif "str" in kinds:
        needed_text(value, who, name)
    elif "typing.SupportsInt" in kinds:
        if not hasattr(type(value), "__index__"):
            whole_number(who, name, value)
    elif "typing.SupportsFloat" in kinds:
        real_number(who, name, value)
    elif ours and not any(of.__name__ in ours for of in type(value).__mro__):
        what = f"a {ours[0]}" if name == "self" else f"a {ours[0]} as {name}"
        raise refused(who, "traces" if ours == ["TraceSet"] else what, value)


def _check_range(who: str, name: str, kind: ast.expr | None, value: Any) -> None:
    """Of numbers whose kind is right: what C++ has no room for."""
    kinds = dict(_alternatives(kind))
    if value is None:
        return
    for i, item in enumerate(value if "collections.abc.Sequence" in kinds else ()):
        _check_range(who, f"{name}[{i}]", kinds["collections.abc.Sequence"], item)
    if "typing.SupportsInt" in kinds and not 0 <= value <= _LARGEST:
        raise ValueError(f"{who}: expected {name} to be a {'larger' if value < 0 else 'smaller'} number, got {value}")


def _alternatives(kind: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    """The kinds that an annotation names, and what each holds."""
    if isinstance(kind, ast.BinOp):
        yield from _alternatives(kind.left)
        yield from _alternatives(kind.right)
    elif isinstance(kind, ast.Subscript):
        yield ast.unparse(kind.value), kind.slice
    elif kind is not None:
        yield ast.unparse(kind), None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
