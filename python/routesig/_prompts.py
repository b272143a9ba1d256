"""Prompts: the shipped 80, or a file of your own."""

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from routesig._text import json_text, needed_text, text_or_none, whole_text


@dataclass(frozen=True, init=False)
class Prompt:
    """One prompt.

    Parameters
    ----------
    id : str
        Unique in a set of prompts.
    task : str or None
        What it asks for; None where unlabelled. NaN and pandas' NA are None, here and below.
    text : str
        The prompt itself.
    template : str, optional
        The wording family it was made from (not a chat template).
    group : str, optional
        Prompts that are not independent of each other share a group; default: the template.
    **fields
        Anything else worth keeping; must be JSON.

    Raises
    ------
    ValueError
        Where a value is not text, is no JSON, or holds a lone surrogate (half of a character).

    Examples
    --------
    >>> Prompt("code-01", "code", "Write a function that adds two numbers.", template="write-a-function").group
    'write-a-function'
    """

    id: str
    task: str | None
    text: str
    template: str | None
    group: str | None
    fields: dict[str, Any] = field(hash=False)

    def __init__(
        self,
        id: str,
        task: str | None,
        text: str,
        template: str | None = None,
        group: str | None = None,
        **fields: Any,
    ) -> None:
        who = f"prompt {str(id)!r}" if isinstance(id, str) else f"prompt {id!r}"
        values: dict[str, Any] = {
            "id": needed_text(id, who, "id"),
            "task": text_or_none(task, who, "task"),
            "text": needed_text(text, who, "text"),
            "template": text_or_none(template, who, "template"),
        }
        if not id:
            raise ValueError("prompt: expected an id, got an empty one")
        values |= {"group": text_or_none(group, who, "group") or values["template"], "fields": fields}
        for name, value in fields.items():
            json_text(value, who, f"field {whole_text(name, who, 'names of fields')!r}")
        for name in values:
            object.__setattr__(self, name, values[name])


def load_prompts(path: str | os.PathLike[str] | None = None) -> list[Prompt]:
    """Prompts from a file, or the 80 that ship with the package.

    Parameters
    ----------
    path : path, optional
        `.jsonl`: one object a line with "id", "task", "text" and any further fields; `.csv`: the same as columns;
        `.txt`: one prompt a line, unlabelled. Default: the shipped prompts, 20 each of code, math, story and factual.

    Returns
    -------
    list of Prompt

    Raises
    ------
    FormatError
        Where a line is not a prompt or an id comes twice.

    References
    ----------
    The shipped set has the categories of arXiv 2603.11114, table 1; its prompts are our own.
    """
    if path is None:
        text = files("routesig").joinpath("data/prompts.jsonl").read_text(encoding="utf-8")
        return _unique(_from_jsonl(text, "prompts.jsonl"), "prompts.jsonl")
    name = os.fspath(path)
    reader = {".jsonl": _from_jsonl, ".csv": _from_csv, ".txt": _from_txt}.get(Path(path).suffix.lower())
    if reader is None:
        raise ValueError(f"load_prompts: expected a .jsonl, .csv or .txt file, got {name!r}")
    try:
        text = Path(path).read_bytes().decode()  # line ends as they are: a CSV cell may hold any of them
    except UnicodeDecodeError as error:
        raise _format_error(f"{name}: expected UTF-8 text, found a broken character at byte {error.start}") from None
    prompts = _unique(reader(text.removeprefix("\ufeff"), name), name)
    if not prompts:
        raise _format_error(f"{name}: expected at least one prompt, found none")
    return prompts


def _format_error(message: str) -> Exception:
    from routesig import FormatError

    return FormatError(message)


def _lines(text: str) -> list[str]:
    """Lines with their ends. Only LF, CR LF and CR end one: `str.splitlines` also cuts at U+2028 and the like."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def _from_jsonl(text: str, name: str) -> Iterable[Prompt]:
    for number, line in enumerate(_lines(text), 1):
        if not line.strip(" \t\r\n"):
            continue
        try:
            fields = json.loads(line, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise _format_error(f"{name}, line {number}: expected a JSON object, found broken JSON ({error})") from None
        if not isinstance(fields, dict):
            raise _format_error(f"{name}, line {number}: expected a JSON object, found {type(fields).__name__}")
        yield _prompt(fields, f"{name}, line {number}")


def _no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key comes twice")
    return out


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _from_csv(text: str, name: str) -> Iterable[Prompt]:
    rows = _csv_rows(text, name)
    first, columns = next(rows, (1, []))
    for column in columns:
        if columns.count(column) > 1:
            raise _format_error(f"{name}, line {first}: expected columns of different names, found {column!r} twice")
    for number, cells in rows:
        if len(cells) != len(columns):
            raise _format_error(f"{name}, line {number}: expected {len(columns)} columns, found {len(cells)}")
        yield _prompt(dict(zip(columns, cells, strict=True)), f"{name}, line {number}")


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, and the line that each begins on: a quoted cell may hold line ends."""
    reader, number = csv.reader(_lines(text), strict=True), 1
    try:
        for cells in reader:
            if cells:
                yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise _format_error(f"{name}, line {number}: expected CSV, found a broken row ({error})") from None


def _from_txt(text: str, name: str) -> Iterable[Prompt]:
    for number, line in enumerate(_lines(text), 1):
        if line.strip():
            yield Prompt(f"line-{number}", None, line.rstrip("\r\n"))


def _prompt(fields: dict[str, Any], where: str) -> Prompt:
    for key in ("id", "text"):
        if key not in fields:
            raise _format_error(f"{where}: expected a field {key!r}, found {', '.join(map(repr, fields)) or 'none'}")
    try:
        return Prompt(task=fields.pop("task", None), **fields)
    except (ValueError, TypeError) as error:
        raise _format_error(f"{where}: {error}") from None


def _unique(prompts: Iterable[Prompt], name: str) -> list[Prompt]:
    out: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.id in out:
            raise _format_error(f"{name}: expected ids that come once, found {prompt.id!r} twice")
        out[prompt.id] = prompt
    return list(out.values())
