"""The shell commands that make a study again: what the report's section Reproduce prints."""

import shlex
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import routesig as rs
from routesig._recording import rotated_files

_NOT_OF_THE_RESULT = ("as_json", "resume", "overwrite")  # how it was said, or how far it had come before


def command_line(command: Any, given: dict[str, Any]) -> str:
    """A command with the options that differ from their defaults, as a shell takes it.

    `command` is Typer's, `given` the values of its parameters by name.
    """
    words = ["routesig", str(command.name)]
    for parameter in command.params:
        value = given.get(parameter.name, parameter.default)
        if parameter.param_type_name == "argument":
            words.append(str(value))
        elif parameter.name not in _NOT_OF_THE_RESULT and value not in (None, [], (), parameter.default):
            words += _option(parameter, value)
    return shlex.join(words)


def reproducing(study_command: str, files: Sequence[tuple[Path, Any]]) -> list[str]:
    """The lines to type: first, as a comment, what has to be there; then what recorded the files; then the study.

    `files` are those that the study read, and their content. A trace file says which command recorded it.
    """
    lines: list[str] = []
    made: set[Path] = set()
    needed: list[str] = []
    for path, content in files:
        if path in made:
            continue
        words = _recording(content.command) if isinstance(content, rs.TraceSet) else []
        outputs = _outputs(words)
        if path not in outputs:
            needed.append(str(path))
            continue
        needed += [one for one in _inputs(words) if Path(one) not in made]
        lines.append(shlex.join(words))
        made |= outputs
    there = " ".join(map(_in_a_comment, dict.fromkeys(needed)))
    return [*([f"# in a folder with {there}"] if there else []), *lines, study_command]


def _option(parameter: Any, value: Any) -> list[str]:
    name = parameter.opts[0]
    if isinstance(value, bool):
        return [name if value else parameter.secondary_opts[0]]
    several = value if isinstance(value, (list, tuple)) else [value]
    return [word for one in several for word in (name, str(one))]


def _in_a_comment(name: str) -> str:
    return shlex.quote(name) if name.isprintable() else repr(name)  # a line end would end the comment


def _recording(command: str | None) -> list[str]:
    """The words of a command of `routesig record`; none of anything else, which a file may hold too."""
    try:
        words = shlex.split(command or "")
    except ValueError:
        return []
    plain = words[:2] == ["routesig", "record"] and all(word.isprintable() for word in words)
    return words if plain else []


def _outputs(words: Sequence[str]) -> set[Path]:
    found = set()
    for out in _values(words, "--out"):
        count = next(_values(words, "--rotated-routers"), "0")
        found |= {Path(out), *rotated_files(out, int(count) if count.isdecimal() else 0)}
    return found


def _inputs(words: Sequence[str]) -> Iterable[str]:
    for option in ("--model", "--prompts", "--force"):
        yield from (value for value in _values(words, option) if (option, value) != ("--model", "tiny"))


def _values(words: Sequence[str], option: str) -> Any:
    return (value for name, value in pairwise(words) if name == option)
