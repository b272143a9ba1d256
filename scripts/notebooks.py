"""Executes the notebooks of examples/notebooks.

.venv/bin/python scripts/notebooks.py            # writes their outputs
.venv/bin/python scripts/notebooks.py --check    # executes them, writes nothing; fails where a cell does
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parents[1] / "examples/notebooks"
KEPT = {"text/plain", "text/html", "image/png"}
LONGEST = 400_000  # bytes of a committed notebook


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
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {len(notebook.cells)} cells, {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
