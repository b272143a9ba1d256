"""Whatever name the README and the documentation mention, in prose too, exists: of Python, C++, headers, options."""

import re
from pathlib import Path

import pytest

import routesig as rs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HEADERS = sorted((ROOT / "include").rglob("*.hpp"))
USUAL = {  # what the pages call a value of a class
    "model": rs.Model,
    "recorder": rs.TraceRecorder,
    "sigs": rs.SignatureSet,
    "study": rs.Study,
    "trace": rs.RoutingTrace,
    "traces": rs.TraceSet,
}
FILE_ENDS = {"hpp", "json", "jsonl", "md", "npz", "parquet", "png", "py", "safetensors"}
FOREIGN = {  # options of pip, CMake and pybind11-stubgen
    "--build",
    "--config-settings",
    "--index-url",
    "--install",
    "--no-build-isolation",
    "--numpy-array-use-type-var",
    "--output-dir",
    "--prefix",
    "--preset",
    "--target",
}


def mentioned(pattern: str, *, code: bool = False) -> set[tuple[str, str]]:
    """(page, match) of all pages; `code`: between backticks alone."""
    found = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for part in re.findall(r"`[^`\n]+`", text) if code else [text]:
            found |= {(page.name, match) for match in re.findall(pattern, part)}
    return found


def has(owner: object, name: str) -> bool:
    """Fields of a dataclass without a default are no attributes of the class."""
    return hasattr(owner, name) or name in getattr(owner, "__dataclass_fields__", {})


def test_names_of_python_exist():
    names = mentioned(r"\brs\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
    assert len(names) > 100
    for page, name in names:
        if name.endswith("NAME"):  # stands for any
            continue
        owner = rs
        for part in name.split("."):
            assert has(owner, part), f"{page}: rs.{name}"
            owner = getattr(owner, part, None)


def test_members_of_classes_exist():
    owners = {name: getattr(rs, name) for name in rs.__all__ if name[0].isupper()} | USUAL
    either = "|".join(owners)
    members = mentioned(rf'(?<![\w."])((?:{either})\.[A-Za-z_]\w*)', code=True)  # a quote opens a tensor's name
    assert len(members) > 40
    for page, member in members:
        owner, name = member.split(".")
        assert name in FILE_ENDS or has(owners[owner], name), f"{page}: {member}"


def test_options_exist():
    typer = pytest.importorskip("typer")
    from routesig.cli import app

    known = set(FOREIGN)
    program = typer.main.get_command(app)
    for command in (program, *program.commands.values()):
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    known.add("--help")
    sources = [*(ROOT / "scripts").iterdir(), *(ROOT / "bench").iterdir(), ROOT / "python/routesig/__main__.py"]
    for file in (file for file in sources if file.is_file()):
        known |= set(re.findall(r"(?<![\w-])--[a-z][\w-]*", file.read_text(encoding="utf-8")))
    for page, option in mentioned(r"(?<![\w-])--[a-z][\w-]*"):
        assert option in known, f"{page}: {option}"


def test_headers_exist():
    for page, header in mentioned(r"(?<![\w/])(?:include/)?(routesig/[\w/]+\.hpp)"):
        assert (ROOT / "include" / header).is_file(), f"{page}: {header}"


def test_names_of_cpp_exist():
    code = "".join(re.sub(r"//[^\n]*", "", header.read_text(encoding="utf-8")) for header in HEADERS)
    words = set(re.findall(r"\w+", code)) | {"core", "analysis", "io", "model"}  # and the targets of CMake
    names = mentioned(r"(?<![\w:])([A-Za-z_]\w*(?:::\w+)+)")
    assert len(names) > 20
    for page, name in names:
        parts = name.split("::")
        if parts[0] != "std":
            assert set(parts) <= words, f"{page}: {name}"
