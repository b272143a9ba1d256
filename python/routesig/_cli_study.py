"""What `routesig study` and `routesig demo` do after the traces are there."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import routesig as rs


def read_study_input(path: Path) -> "rs.TraceSet | rs.SignatureSet":
    """Traces or signatures, whatever the file holds."""
    from routesig.cli import _is_signatures

    if _is_signatures(path):
        return rs.read_signatures(path)
    return rs.read_traces(path, recover=path.suffix == ".partial")


def read_controls(given: Sequence[str]) -> dict[str, list[Any]]:
    """`NAME=FILE` texts; a repeated name is another seed."""
    controls: dict[str, list[Any]] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ValueError(f"study: expected --control NAME=FILE, got {text!r}")
        controls.setdefault(name, []).append(read_study_input(Path(path)))
    return controls


def show_study(study: "rs.Study", out: Path, as_json: bool, **more: str) -> None:
    """Write report, figures and numbers into a folder; print the study and where they are."""
    _make(out)
    paths: dict[str, Any] = dict(more)
    for name, write in (("study", study.to_json), ("report", study.report), ("figures", study.save_figures)):
        target = out / {"study": "study.json", "report": "report.html", "figures": "figures"}[name]
        try:
            write(target)
            paths[name] = str(target)
        except ImportError as error:  # an optional package: the rest is written all the same
            print(f"routesig: no {name}: {error}", file=sys.stderr)
            paths[name] = None
    if as_json:
        print(json.dumps(study.to_dict() | {"paths": paths}, ensure_ascii=False, allow_nan=False))
        return
    print(study)
    print()
    for name, path in paths.items():
        if path is not None:
            print(f"{name:<10}{path}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"{folder}: expected a folder for the results, found a file") from None
