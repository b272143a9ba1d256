"""Every Python block of the documentation runs, every docstring example holds, every link leads somewhere."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import routesig as rs

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs/_extensions"))

from docstrings import plain, with_colons  # noqa: E402

PAGES = sorted((ROOT / "docs").rglob("*.md"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rs.__path__, "routesig.")
    if module.name != "routesig.__main__" and not module.name.endswith("_torch")
)


def public() -> Iterator[tuple[str, Any]]:
    """(name, value) of what the page on Python describes: functions and classes of every `__all__`."""
    modules = [rs, *(module for name in rs.__all__ if inspect.ismodule(module := getattr(rs, name)))]
    for module in modules:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                yield f"{module.__name__}.{name}", value


def public_docstrings() -> Iterator[tuple[str, str, str]]:
    """(name, what Sphinx calls its kind, docstring) of these and of the members of their classes."""
    for name, value in public():
        if not inspect.isclass(value):
            yield name, "function", inspect.getdoc(value) or ""
            continue
        yield name, "class", inspect.getdoc(value) or ""
        for member, inner in vars(value).items():
            if not member.startswith("_") and (text := inspect.getdoc(inner)):
                yield f"{name}.{member}", "method" if callable(inner) else "property", text


def test_there_are_pages():
    assert len(PAGES) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    if any("load_model" in block or "import torch" in block for block in blocks):
        pytest.importorskip("torch", reason="running a model needs PyTorch")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs/concepts").glob("*.md")), ids=lambda page: page.stem)
def test_a_concept_opens_with_the_question_that_it_answers(page):
    title, opening, *_ = page.read_text(encoding="utf-8").split("\n\n")
    assert title.startswith("# ")
    assert re.match(r"\*\*What (it answers|they answer)\*\*: .*\?", opening, re.S)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name):
    if name == "routesig.ops":
        pytest.importorskip("routesig._torch", reason="the operators need PyTorch", exc_type=ImportError)
    module = importlib.import_module(name)
    names = {exported: getattr(rs, exported) for exported in rs.__all__}
    runs_models = importlib.util.find_spec("torch") is not None
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=names):
        if "load_model" in (test.docstring or "") and not runs_models:
            continue
        result = doctest.DocTestRunner().run(test)
        assert result.failed == 0, test.name


def test_every_public_function_has_an_example():
    """And every class that users make themselves; `test_docstring_examples_hold` runs the examples."""
    made = "LogisticRegression NearestCentroid PValue Prompt RoutingInfo SignatureTransformer TraceRecorder TraceSet"
    needed = {f"routesig.{name}" for name in made.split()}
    needed |= {name for name, value in public() if not inspect.isclass(value)}
    values = dict(public())
    if importlib.util.find_spec("torch") is not None:
        ops = importlib.import_module("routesig.ops")
        values |= {f"routesig.ops.{name}": getattr(ops, name) for name in ops.__all__}
        needed |= {f"routesig.ops.{name}" for name in ops.__all__}
    assert len(needed) > 70
    assert [name for name in sorted(needed) if ">>>" not in (values[name].__doc__ or "")] == []


def test_the_package_example_holds(model):
    for test in doctest.DocTestFinder(recurse=False).find(rs):
        assert doctest.DocTestRunner().run(test).failed == 0


def test_only_a_colon_between_spaces_parts_a_name_from_its_type():
    entry = ["fields : dict", "    Note: this.", "None: undefined.", "", ">>> x[1:]", "[2]"]
    hidden = plain(entry)
    assert hidden[0] == entry[0]
    assert ":" not in hidden[1] + hidden[2]
    assert hidden[3:] == entry[3:]
    assert with_colons(hidden) == entry


def test_colons_of_docstrings_survive():
    napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="scripts/check installs Sphinx")
    settings = runpy.run_path(str(ROOT / "docs/conf.py"))
    config = napoleon.Config(**{key: value for key, value in settings.items() if key.startswith("napoleon_")})

    def words(lines: list[str]) -> str:
        return re.sub(r"[\s*\\]+", " ", " ".join(lines))

    colons = 0
    for name, kind, text in public_docstrings():
        read = napoleon.NumpyDocstring(plain(text.split("\n")), config, what=kind, name=name).lines()
        shown = words(with_colons(read))
        for colon in re.findall(r"\w+: \w+", words(text.split("\n"))):
            colons += 1
            assert colon in shown, f"{name}: {colon!r} is lost"
    assert colons > 100


def test_entries_of_returns_are_types():
    """Prose stands below its type: every line at the edge is an entry of its own."""
    for name, _, text in public_docstrings():
        for entries in re.findall(r"^Returns\n-+\n((?:.+\n?)*)", text, re.M):
            for line in re.findall(r"^\S.*", entries, re.M):
                assert not re.search(r"[.,]$|\S[.:] \w", line), f"{name}: {line}"
