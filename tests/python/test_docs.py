"""Every Python block of the documentation runs, every docstring example holds, every link leads somewhere."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import routesig as rs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rs.__path__, "routesig.")
    if module.name != "routesig.__main__" and not module.name.endswith("_torch")
)


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


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name):
    if name == "routesig.ops":
        pytest.importorskip("routesig._torch", reason="the operators need PyTorch", exc_type=ImportError)
    module = importlib.import_module(name)
    names = {exported: getattr(rs, exported) for exported in rs.__all__}
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=names):
        result = doctest.DocTestRunner().run(test)
        assert result.failed == 0, test.name


def test_the_package_example_holds(model):
    for test in doctest.DocTestFinder(recurse=False).find(rs):
        assert doctest.DocTestRunner().run(test).failed == 0
