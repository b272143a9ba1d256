"""Prompts: the shipped 80, or a file or a table of your own."""

import contextlib
import csv
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from routesig._files import path_of, read_whole
from routesig._kinds import refused
from routesig._text import is_missing, json_text, needed_text, text_or_none, whole_text

_LARGEST = 1_000_000_000  # bytes of a file
_MOST = 1_000_000  # prompts
_LISTED = 20  # names in a message
_CELLS = threading.Lock()  # while the csv module takes long cells


@dataclass(frozen=True, init=False, slots=True)
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


def load_prompts(path: Any = None) -> list[Prompt]:
    """Prompts from a file or a table, or the 80 that ship with the package.

    Parameters
    ----------
    path : path or table, optional
        `.jsonl`: one object per line with "text" and, where known, "id", "task" and any further fields; `.csv`, `.tsv`:
        the same as columns, separated by commas, semicolons or tabs; `.txt`: one prompt per line, unlabelled. A table:
        a data frame of pandas or polars, an Arrow table, with the same columns. Names of columns may be capitalised;
        without an id a prompt is called after its line or row. Default: the shipped prompts, 20 each of code, math,
        story and factual.

    Returns
    -------
    list of Prompt

    Raises
    ------
    FormatError
        Where a line is not a prompt or an id comes twice.
    TypeError
        On what is neither a path nor a table.

    Examples
    --------
    >>> import pandas as pd
    >>> load_prompts(pd.DataFrame({"Text": ["Add 1 and 2."], "Task": ["math"]}))
    [Prompt(id='row-1', task='math', text='Add 1 and 2.', template=None, group=None, fields={})]

    References
    ----------
    The shipped set has the categories of arXiv 2603.11114, table 1; its prompts are our own.
    """
    if path is None:
        text = files("routesig").joinpath("data/prompts.jsonl").read_text(encoding="utf-8")
        return _unique(_from_jsonl(text, "prompts.jsonl"), "prompts.jsonl")
    if is_table(path):
        return from_table(path, "load_prompts")
    if not isinstance(path, (str, os.PathLike)):
        raise refused("load_prompts", "a path or a table", path)
    name = str(path_of("load_prompts", path))
    readers = {".jsonl": _from_jsonl, ".csv": _from_csv, ".tsv": _from_csv, ".txt": _from_txt}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise ValueError(f"load_prompts: expected a .jsonl, .csv, .tsv or .txt file, got {name!r}")
    prompts = _unique(reader(_content(name), name), name)
    if not prompts:
        raise _format_error(f"{name}: expected at least one prompt, found none")
    return prompts


def _content(name: str) -> str:
    """The text of a file, line ends as they are: a CSV cell may hold any of them."""
    content = read_whole(name, _LARGEST)
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        found = f"a broken character at byte {error.start}{_other_encoding(content, error.start)}"
        raise _format_error(f"{name}: expected UTF-8 text, found {found}") from None


def _format_error(message: str) -> Exception:
    from routesig import FormatError

    return FormatError(message)


def _other_encoding(content: bytes, at: int) -> str:
    """What the bytes are in the encodings that spreadsheets write, and what to do about it."""
    remedy = 'save the file as "CSV UTF-8", or convert it with'
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"; the file is UTF-16: {remedy} iconv -f utf-16 -t utf-8"
    letter = content[at : at + 1].decode("cp1252", "ignore")
    return f", which is {letter!r} in Windows-1252: {remedy} iconv -f cp1252 -t utf-8" if letter else ""


def is_table(given: Any) -> bool:
    """Whether this is a data frame of pandas or polars, an Arrow table, or a data set with columns."""
    return hasattr(given, "__getitem__") and (hasattr(given, "columns") or hasattr(given, "column_names"))


def from_table(table: Any, who: str) -> list[Prompt]:
    """Prompts from the rows of a table; ValueError where a row is none."""
    given = table.column_names if hasattr(table, "column_names") else table.columns  # an Arrow table's are arrays
    names = [str(name) for name in given]
    _check_columns(names, who)
    columns = [[_plain(value) for value in table[name]] for name in given]
    prompts = []
    for number, cells in enumerate(zip(*columns, strict=True), 1):
        fields = {name: value for name, value in zip(names, cells, strict=True) if value is not None}
        prompts.append(_prompt(fields, f"{who}: row {number}", f"row-{number}"))
    if not prompts:
        raise ValueError(f"{who}: expected at least one prompt, got a table without rows")
    return _unique(prompts, who)


def _plain(value: Any) -> Any:
    """A cell as plain Python, None where it is missing."""
    if is_missing(value):
        return None
    for convert in ("as_py", "tolist"):  # of Arrow; of NumPy
        if hasattr(value, convert):
            return getattr(value, convert)()
    return value


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends. Only LF, CR LF and CR end one: `str.splitlines` also cuts at U+2028 and the like."""
    return (found.group() for found in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text))


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
        yield _prompt(fields, f"{name}, line {number}", f"line-{number}")


def _no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key comes twice")
    return out


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _from_csv(text: str, name: str) -> Iterable[Prompt]:
    rows = _csv_rows(text, name, _separator(text))
    first, columns = next(rows, (1, []))
    _check_columns(columns, f"{name}, line {first}")
    for number, cells in rows:
        if len(cells) != len(columns):
            raise _format_error(f"{name}, line {number}: expected {len(columns)} columns, found {len(cells)}")
        fields = dict(zip(columns, cells, strict=True))
        known = {column: cell for column, cell in fields.items() if cell or _column(column) != "id"}
        yield _prompt(known, f"{name}, line {number}", f"line-{number}")


def _check_columns(names: Sequence[str], where: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise _format_error(f"{where}: expected columns of different names, found {name!r} twice")


def _separator(text: str) -> str:
    """The one that makes a column "text" of the header; else the comma."""
    for separator in ",;\t":
        with contextlib.suppress(csv.Error):  # said where the rows are read
            header: list[str] = next(filter(any, csv.reader(_lines(text), delimiter=separator)), [])
            if "text" in map(_column, header):
                return separator
    return ","


def _csv_rows(text: str, name: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, and the line that each begins on: a quoted cell may hold line ends."""
    reader, number = csv.reader(_lines(text), delimiter=separator, strict=True), 1
    try:
        while (cells := _next_row(reader)) is not None:
            if any(cells):
                yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise _format_error(f"{name}, line {number}: expected CSV, found a broken row ({error})") from None


def _next_row(reader: Any) -> list[str] | None:
    """A row with cells of any length: Python's limit of 131,072 characters is one for the whole process."""
    with _CELLS:
        limit = csv.field_size_limit(_LARGEST)
        try:
            return next(reader, None)
        finally:
            csv.field_size_limit(limit)


def _from_txt(text: str, name: str) -> Iterable[Prompt]:
    for number, line in enumerate(_lines(text), 1):
        if line.strip():
            yield Prompt(f"line-{number}", None, line.rstrip("\r\n"))


def _column(name: str) -> str:
    """The name of a field, whatever case a spreadsheet gave it; others stay as they are."""
    known = name.strip().lower()
    return known if known in ("id", "task", "text", "template", "group", "source") else name


def _prompt(given: dict[str, Any], where: str, default_id: str) -> Prompt:
    fields = {_column(name) if _column(name) not in given else name: value for name, value in given.items()}
    if len(fields) < len(given):
        raise _format_error(f"{where}: expected names that differ in more than their case, found {_listed(given)}")
    if "text" not in fields:
        raise _format_error(f"{where}: expected a field 'text', found {_listed(given)}")
    own = fields.pop("id", None)
    if isinstance(own, float) and own.is_integer():  # a column of numbers with gaps
        own = int(own)
    if isinstance(own, int) and not isinstance(own, bool):
        own = str(own)
    try:
        return Prompt(default_id if own is None else own, task=fields.pop("task", None), **fields)
    except (ValueError, TypeError) as error:
        raise _format_error(f"{where}: {error}") from None


def _listed(names: Collection[str]) -> str:
    """The first few names."""
    more = [f"and {len(names) - _LISTED} more"] * (len(names) > _LISTED)
    return ", ".join([*map(repr, islice(names, _LISTED)), *more]) or "none"


def _unique(prompts: Iterable[Prompt], name: str) -> list[Prompt]:
    out: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.id in out:
            raise _format_error(f"{name}: expected ids that come once, found {prompt.id!r} twice")
        if len(out) == _MOST:
            raise _format_error(f"{name}: expected at most {_MOST} prompts, found more")
        out[prompt.id] = prompt
    return list(out.values())
