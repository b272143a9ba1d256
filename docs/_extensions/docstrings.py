"""Docstrings as text: in NumPy's sections only backticks mean something, and a colon is a colon.

Sphinx's napoleon parts the first line of an entry at any colon, and the docstring of a property at its first one: what
stands before becomes a name or a type. Here only ` : `, with space on both sides, parts a name from its type. Every
other colon is hidden before napoleon reads the lines, and shown again after.
"""

import re

_HIDDEN = "\ue000"  # of no script; no docstring holds it
_OF_PROSE = re.compile(r"(?<![:\s]):(?!:)|(?<!:):(?![:\s])")


def plain(lines: list[str]) -> list[str]:
    """Lines for napoleon: `|x|`, `a * b` and `coef_` are no markup in them, and colons of prose are hidden."""
    out, example = [], False
    for line in lines:
        example = line.lstrip().startswith(">>>") or (example and line.strip() != "")
        out.append(line if example else _OF_PROSE.sub(_HIDDEN, _without_markup(line)))
    return out


def with_colons(lines: list[str]) -> list[str]:
    """What napoleon made of `plain` lines, their colons shown."""
    return [line.replace(_HIDDEN, ":") for line in lines]


def _without_markup(line: str) -> str:
    pieces = re.split(r"(`[^`]*`)", line)
    return "".join(piece if piece.startswith("`") else _escaped(piece) for piece in pieces)


def _escaped(text: str) -> str:
    return re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", text)
