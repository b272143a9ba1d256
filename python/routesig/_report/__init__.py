"""One self-contained page of a study: text and tables from a template, figures drawn by the page itself.

Nothing is fetched: Plotly, styles, scripts and data stand in the file, and its content security policy forbids more.
What is large, and Plotly itself, is deflated and unpacked when it is needed.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routesig._files import atomic_write
from routesig._plain import NOT_HELD
from routesig._report._comparison import comparison_tables
from routesig._report._confusion import confusion_rows
from routesig._report._figures import figure_data
from routesig._report._image import CIVIDIS
from routesig._report._packing import packed_script, straight
from routesig._report._prompts import COMPARED, Prompts, prompt_data, similarity_data
from routesig._report._sections import sections
from routesig._report._summary import readout, summary, why
from routesig._report._terms import TERMS
from routesig._report._tokens import token_data

__all__ = ["render", "write"]

_PAGE = Path(__file__).resolve().parent / "page"
_SCRIPTS = (
    *("data", "later", "theme", "tips", "labels", "charts", "cosines", "matrix", "edges", "compare", "finder", "pair"),
    *("grid", "maps", "baselines", "layers", "sources", "reading", "load", "tokens", "agreement", "start"),
)


def write(
    study: Any, path: str | os.PathLike[str], title: str | None = None, commands: Sequence[str] | None = None
) -> Path:
    """Write the page of a study; it appears whole or not at all, and the same study gives the same bytes.

    Raises
    ------
    ImportError
        Without Jinja2 or Plotly.
    OSError
        Where the file cannot be written.
    """
    page = render(study, title, commands).encode("utf-8")
    try:
        with atomic_write(path) as file:
            file.write(page)
    except OSError as error:
        reason = error.strerror or str(error)
        raise type(error)(
            error.errno, f"report: expected a path that can be written, got {reason}", os.fspath(path)
        ) from None
    return Path(path)


def render(study: Any, title: str | None = None, commands: Sequence[str] | None = None) -> str:
    """The page as text; `commands` make the study again."""
    if study.signatures is None:
        raise ValueError(f"report: expected a study with signatures, got one read from a file: {NOT_HELD}")
    jinja2, plotly = _need("jinja2"), _need("plotly.offline")
    environment = jinja2.Environment(
        finalize=_straight,
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    prompts = Prompts.of(study)
    data = {
        "prompts": prompt_data(study, prompts),
        "similarity": similarity_data(study, prompts),
        "figures": figure_data(study, prompts),
        "cividis": CIVIDIS,
    }
    tokens = token_data(study, prompts)
    drawing = plotly.get_plotlyjs()
    scripts = {"head": (_PAGE / "head.js").read_text(encoding="utf-8"), "page": _page_script()}
    markup = jinja2.utils.markupsafe.Markup
    return str(
        environment.get_template("report.html.j2").render(
            study=study,
            title=title,
            summary=summary(study),
            sections=sections(study),
            commands="\n".join(commands or ()),
            comparison=comparison_tables(study.comparison),
            prompts=data["prompts"],
            similarity=data["similarity"],
            figures=data["figures"],
            tokens=tokens,
            confusions=confusion_rows(study),
            readout=readout(study),
            terms=TERMS,
            used=set(),
            compared=COMPARED,
            why=lambda field: why(study, field),
            style=markup((_PAGE / "report.css").read_text(encoding="utf-8")),
            scripts={name: markup(text) for name, text in scripts.items()},
            hashes=" ".join(map(_hash, (*scripts.values(), drawing))),
            data=markup(inline_json(data)),
            token_data=markup(inline_json(tokens)),
            plotly=packed_script(drawing),
            licence=_licence(drawing),
        )
    )


def inline_script(text: str) -> str:
    """A script that can stand inside a page: neither its end tag nor a comment's beginning occurs in it."""
    return re.sub(r"<(?=/script|script|!--)", r"\\x3C", text, flags=re.IGNORECASE)


def inline_json(value: Any) -> str:
    """JSON that can stand inside a page: what HTML could read is escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return straight(text)


def _straight(value: Any) -> Any:
    """Every text that the template writes turns nothing; the page's own markup has no such characters."""
    return straight(value) if type(value) is str else value


def _page_script() -> str:
    parts = [(_PAGE / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return inline_script('(() => {\n"use strict";\n\n' + "\n".join(parts) + "})();\n")


def _licence(script: str) -> str:
    """The comment that a script begins with: it stays readable where the script is deflated."""
    found = re.match(r"\s*/\*+(.*?)\*/", script, re.DOTALL)
    return "" if found is None else " ".join(found[1].replace("*", " ").replace("--", "- ").split())


def _hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii") + "'"


def _need(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise ImportError(f"reports need {module.partition('.')[0]}: pip install 'routesig[report]'") from None
