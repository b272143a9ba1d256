"""A study as a file. docs/formats.md describes the schema; a change of meaning raises its version."""

import json
import os
from pathlib import Path
from typing import Any

from routesig import _core
from routesig._files import atomic_write, open_file, path_of
from routesig._plain import Unfit, made, plain, plain_fields, record
from routesig._study._result import FromFile, Study
from routesig._text import json_value, said

VERSION = 2
_BEGINNING = b'"format": "routesig-study"'


def study_to_dict(study: Study) -> dict[str, Any]:
    """See Study.to_dict."""
    return {
        "format": "routesig-study",
        "version": VERSION,
        "headline": study.headline,
        "not_claimed": list(study.not_claimed),
        "prompts": plain(study.prompts),
        **plain_fields(study),
    }


def write_json(study: Study, path: str | os.PathLike[str]) -> Path:
    """See Study.to_json."""
    text = json.dumps(study_to_dict(study), ensure_ascii=False, allow_nan=False, indent=1)
    with atomic_write(path) as file:
        file.write(text.encode() + b"\n")
    return Path(path)


def is_study(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as `Study.to_json` writes it."""
    with open_file(path) as file:
        return _BEGINNING in file.read(64)


def read_study(path: str | os.PathLike[str]) -> Study:
    """Read a study that `Study.to_json` or `routesig study` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Study
        Equal to the one that was written: every number is the same double, and what print, `headline`, `findings`,
        `layers`, `controls` and `tables()` say is the same. What the file does not hold is None: traces, signatures,
        similarities of pairs, single draws. `absent` says so, and what needs them (the report, some figures) raises
        ValueError.

    Raises
    ------
    FormatError
        Where the file is no study, is damaged, lacks a field or holds another type there, or is of another version.
    OSError
        Where it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> import routesig as rs
    >>> counts = [[[9, 1, 0]], [[8, 2, 0]], [[9, 0, 1]], [[1, 9, 0]], [[0, 8, 2]], [[1, 8, 1]]]
    >>> sigs = rs.SignatureSet.from_counts(counts, tasks=["code"] * 3 + ["math"] * 3, top_k=1)
    >>> study = rs.study(sigs, folds=3, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = read_study(study.to_json(f"{folder}/study.json"))
    >>> again == study, again.signatures, again.absent["signatures"]
    (True, None, 'a file holds results alone; the same call on the same data makes it again')
    """
    path = path_of("read_study", path)
    if not is_study(path):
        raise _core.FormatError(f"{path}: expected a study, as Study.to_json writes it, found something else")
    found = _parsed(path)
    try:
        return _made(found)
    except Unfit as error:
        raise _core.FormatError(f"{path}: {error}") from None


def _made(found: dict[str, Any]) -> Study:
    version = made(int, found.get("version"), "version")
    if version != VERSION:
        raise Unfit(f"version: expected {VERSION}, found {version}, which another version of routesig reads")
    file = record(FromFile, found, "")
    study = record(Study, found, "", _file=file)
    tasks = len(study.category_matrix.tasks)
    for name in ("mean", "pairs") if tasks else ():
        shape = getattr(study.category_matrix, name).shape
        if shape != (tasks, tasks):
            there = " x ".join(map(str, shape))
            raise Unfit(f"category_matrix.{name}: expected {tasks} x {tasks} numbers, found {there}")
    return study


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = json_value(path.read_bytes(), strict=True)
        if not isinstance(found, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise _core.FormatError(f"{path}: expected the whole JSON of a study, found damage ({said(error)})") from None
    return found
