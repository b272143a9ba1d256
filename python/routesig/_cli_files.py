"""What a file that a command is given holds."""

import json
from pathlib import Path

import routesig as rs
from routesig._files import open_file


def read_traces(path: Path, *, drop_invalid: bool = False) -> rs.TraceSet:
    """Read traces; a `.partial` file as far as it goes."""
    return rs.read_traces(path, recover=path.suffix == ".partial", drop_invalid=drop_invalid)


def is_prompts(path: Path) -> bool:
    """Whether a file holds prompts."""
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return True
    if path.suffix.lower() != ".jsonl":
        return False
    with open_file(path) as file:
        first = file.readline(1 << 20)
    try:
        fields = json.loads(first)
    except ValueError:
        return False
    return isinstance(fields, dict) and "text" in fields and "kind" not in fields
