"""What `routesig study` and `routesig demo` do after the traces are there."""

import glob
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import routesig as rs
from routesig._text import one_line


def control_files(given: Sequence[str]) -> dict[str, list[Path]]:
    """`NAME=FILE` texts; a repeated name is another seed. FILE may be a pattern of several, taken by their names."""
    files: dict[str, list[Path]] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ValueError(f"study: expected --control NAME=FILE, got {text!r}")
        several = [] if os.path.exists(path) else sorted(glob.glob(path))
        files.setdefault(name, []).extend(map(Path, several or [path]))
    return files


def make_folder(folder: Path) -> None:
    """The folder of the results, before anything is computed for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"{folder}: expected a folder for the results, found a file") from None


def show(
    study: "rs.Study",
    out: Path,
    as_json: bool,
    commands: Sequence[str],
    title: str | None = None,
    report: str = "report.html",
    **paths: str,
) -> None:
    """Write report, figures and numbers into a folder; print the study and where they are.

    `commands` make the study again; `title` and `report` are the report's title and file. Signatures too, where the
    folder has no traces: `routesig compare` takes two such folders.
    """
    assert study.signatures is not None  # it was not read from a file
    signatures = () if "traces" in paths else (("signatures", "signatures.npz", study.signatures.save),)
    for name, file, write in (
        *signatures,
        ("report", report, partial(study.report, title=title, commands=commands)),
        ("figures", "figures", study.save_figures),
        ("study", "study.json", study.to_json),
    ):
        try:
            write(out / file)
            paths[name] = str(out / file)
        except ImportError as error:  # an optional package: the rest is written all the same
            print(f"routesig: without {name}: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps(study.to_dict() | {"paths": paths}, ensure_ascii=False, allow_nan=False))
        return
    print(study)
    print()
    width = max(map(len, paths)) + 1
    for name, path in paths.items():
        print(f"{name:<{width}}{one_line(path)}")
