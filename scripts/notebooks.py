"""Executes the notebooks of examples/notebooks.

.venv/bin/python scripts/notebooks.py            # writes their outputs
.venv/bin/python scripts/notebooks.py --check    # executes them, writes nothing; fails where a cell does, or says something else
"""

import math
import os
import re
import sys
from itertools import zip_longest
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parents[1] / "examples/notebooks"
KEPT = {"text/plain", "text/html", "image/png"}
LONGEST = 400_000  # bytes of a committed notebook
NUMBER = re.compile(r"\d+(?:\.\d+)?e-?\d+|\d+\.\d+")


def executed(path: Path) -> nbformat.NotebookNode:
    """Run every cell in a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": FOLDER}}).execute()
    return notebook


def trimmed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep what a reader sees: no times, no versions of the machine, a picture without the text that stands for it."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
            data = output.get("data", {})
            for kind in set(data) - KEPT | ({"text/plain"} if "image/png" in data else set()):
                del data[kind]
    return notebook


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """What every cell prints and shows as text."""
    shown = []
    for cell in notebook.cells:
        outputs = [one.get("text", one.get("data", {}).get("text/plain", "")) for one in cell.get("outputs", [])]
        shown.append("".join(outputs))
    return shown


def difference(kept: str, fresh: str) -> str | None:
    """The first line in which two outputs differ, if any: in a word, a whole number, or in a number by more than 5 %.

    Near ties fall otherwise on other processors; a p-value is of another size only where something has changed.
    """
    for number, (one, other) in enumerate(zip_longest(kept.splitlines(), fresh.splitlines()), 1):
        if one is None or other is None:
            return f"line {number}: expected {one!r}, got {other!r}"
        pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=False)
        near = all(math.isclose(float(a), float(b), rel_tol=0.05, abs_tol=5e-5) for a, b in pairs)
        if not near or NUMBER.sub("#", one).split() != NUMBER.sub("#", other).split():  # columns may be wider
            return f"line {number}: expected {one!r}, got {other!r}"
    return None


def changed(path: Path, notebook: nbformat.NotebookNode) -> str | None:
    """Where the outputs of a notebook are not those that are kept, if so."""
    kept, fresh = texts(nbformat.read(path, as_version=4)), texts(notebook)
    found = ((cell, difference(*pair)) for cell, pair in enumerate(zip(kept, fresh, strict=True)))
    return next((f"{path.name}: cell {cell}, {text}" for cell, text in found if text is not None), None)


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    # Figures of notebooks: small files, no backend of the user's.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for path in sorted(FOLDER.glob("*.ipynb")):
        try:
            notebook = trimmed(executed(path))
        except CellExecutionError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return 1
        text = nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"
        if len(text.encode()) > LONGEST:
            print(f"{path.name}: expected at most {LONGEST} bytes, got {len(text.encode())}", file=sys.stderr)
            return 1
        if check and (said := changed(path, notebook)) is not None:
            print(said, file=sys.stderr)
            return 1
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {len(notebook.cells)} cells, {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
