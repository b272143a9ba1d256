"""Text that a UTF-8 file, a terminal and a tokenizer can take, and what stands for no text at all."""

import json
import math
import os
import re
from collections.abc import Iterable
from typing import Any

_LONGEST = 400  # characters of what another library says
# Control characters, separators of lines, and marks that turn the direction of text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_DEEPEST = 62  # levels of a field: a file may have 64, and two are around it


def whole_text(text: str, who: str, what: str) -> str:
    """`text`; ValueError where it holds half of a pair of UTF-16 surrogates, which is no character.

    JSON can write one as an escape, and Python keeps one for each byte of a file name that is not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{who}: expected {what} of whole characters, found the lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start}"
        ) from None
    return text


def path_text(path: str | bytes | os.PathLike[str]) -> str:
    """A file name as text: what is not UTF-8 in it becomes U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def needed_text(value: Any, who: str, what: str) -> str:
    """`value`, which has to be text."""
    if not isinstance(value, str):
        raise ValueError(f"{who}: expected {what} to be text, got {shortened(repr(value))}")
    return whole_text(str(value), who, what)  # NumPy's text is text


def text_or_none(value: Any, who: str, what: str) -> str | None:
    """`value`, which has to be text; None where it is missing or empty."""
    return None if is_missing(value) else needed_text(value, who, what) or None


def json_text(value: Any, who: str, what: str) -> str:
    """`value` as JSON; ValueError where it has none, is nested too deep for a trace file, or holds a lone surrogate."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{who}: expected {what} that JSON can write, got another ({error})") from None
    if (levels := _levels(value)) > _DEEPEST:
        raise ValueError(f"{who}: expected {what} of at most {_DEEPEST} levels, got {levels}")
    whole_text(value if isinstance(value, str) else text, who, what)
    return text


def _levels(value: Any) -> int:
    """How deep lists and objects are nested."""
    if not isinstance(value, (dict, list, tuple)):
        return 0
    return 1 + max(map(_levels, value.values() if isinstance(value, dict) else value), default=0)


def json_value(text: str | bytes, *, strict: bool = False) -> Any:
    """What a JSON text says; ValueError where it is none, is not UTF-8 or holds a lone surrogate.

    `strict`: also where a number is not finite, or an object has a name twice.
    """
    hooks: dict[str, Any] = {"parse_float": _finite, "parse_constant": _finite, "object_pairs_hook": _named_once}
    try:
        value = json.loads(text if isinstance(text, str) else text.decode(), **(hooks if strict else {}))
        whole_text(json.dumps(value, ensure_ascii=False), "JSON", "text")
    except RecursionError as error:
        raise ValueError(str(error)) from None
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number that is not finite, {text}")
    return value


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that comes twice in an object")
    return found


def as_labels(values: Iterable[Any], who: str, what: str) -> list[str | None]:
    """Tasks, groups or ids as text, by position whatever holds them; None where one is missing or empty."""
    return [
        None if is_missing(value) else whole_text(str(value), who, f"{what}[{i}]") or None
        for i, value in enumerate(values)
    ]


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN of any kind, pandas' NA and NaT, a masked entry, Arrow's null."""
    if isinstance(value, str):
        return False
    if hasattr(value, "as_py"):
        value = value.as_py()
    if value is None:
        return True
    unequal = value != value
    if unequal is (value == value):  # NA and masked entries: comparing one gives one
        return True
    try:
        return bool(unequal)
    except (TypeError, ValueError):  # an array of several
        return False


def said(error: BaseException) -> str:
    """What an error of another library says, on one line."""
    return shortened(str(error)) or type(error).__name__


def shortened(text: str) -> str:
    """A text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."


def harmless(text: str, kept: str = "") -> str:
    r"""A text without control characters but tab and line feed: they become \u001b and the like, which JSON reads."""
    return _CONTROLS.sub(lambda found: found[0] if found[0] in kept else _escaped(found[0]), text)


def one_line(text: str) -> str:
    """A name as a terminal may show it in the middle of a line."""
    return harmless(text).replace("\n", _escaped("\n")).replace("\t", _escaped("\t"))


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"
