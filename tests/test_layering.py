"""Includes point one way: what each part of the sources may know, kept by reading its #include lines.

The rule is docs/architecture.md's; that a header compiles alone, with its own target's include paths, is shown by
tests/CMakeLists.txt.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INCLUDE = ROOT / "include" / "routesig"

JSON = ("nlohmann/", "simdjson")
TORCH = ("torch/", "ATen/", "c10/", "caffe2/")
PYTHON = ("pybind11/", "Python.h", "numpy/")
CUDA = ("cuda", "cublas", "thrust/", "cub/")
IO = ("routesig/io/",)
MODEL = ("routesig/model/",)

# Folder -> beginnings of what nothing in it may include.
FORBIDDEN = {
    "include/routesig/*": (*JSON, *TORCH, *PYTHON, *CUDA, *IO, *MODEL),
    "include/routesig/io/**/*": (*JSON, *TORCH, *PYTHON, *CUDA, *MODEL),
    "include/routesig/model/**/*": (*JSON, *TORCH, *PYTHON, *CUDA),
    "src/io/**/*": ("simdjson", *TORCH, *PYTHON, *CUDA, *MODEL),
    "src/model/**/*": PYTHON,
    "src/c/**/*": ("simdjson", *TORCH, *PYTHON, *CUDA, *MODEL),
    "src/cpu/**/*": (*JSON, *TORCH, *PYTHON, *CUDA, *IO, *MODEL),
    "src/cuda/**/*": (*JSON, *TORCH, *PYTHON, *IO, *MODEL),
}

# The core in the order in which the data travels. A header includes headers of earlier ranks only, or the exceptions.
RANKS = (
    ("version", "error", "random", "interrupt", "parallel"),
    ("routing", "inner_products"),
    ("topk",),
    ("recorder", "trace_columns"),
    ("recorder_state",),
    ("trace",),
    ("identity_rows",),
    ("signature",),
    ("metric", "known_tokens"),
    ("similarity",),
    ("routesig",),
)
WITHIN_A_RANK = {("parallel", "error"), ("parallel", "interrupt"), ("random", "error")}  # (who, whom)

# The groups of routesig::analysis: each knows the core, itself and groups of earlier ranks.
GROUPS = (("statistics",), ("usage", "classify"), ("baselines", "comparison", "information"), ("controls",))


def includes(file: Path) -> list[str]:
    """Return the paths that a file includes, as written."""
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', file.read_text(encoding="utf-8"), re.M)


def sources(pattern: str) -> list[Path]:
    """Return the C++ files of a pattern below the root."""
    return [file for file in ROOT.glob(pattern) if file.suffix in {".hpp", ".h", ".cpp", ".c", ".cu", ".cuh"}]


def core_headers() -> list[Path]:
    """Return the headers of routesig::core."""
    return sorted(header for header in INCLUDE.glob("*.hpp") if header.name != "analysis.hpp")


def rank(noun: str) -> int:
    """Return the place of a core header in the order of the data."""
    ranks = [index for index, nouns in enumerate(RANKS) if noun in nouns]
    assert ranks, f"{noun}.hpp is new: give it a rank in {Path(__file__).name}"
    return ranks[0]


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_part_includes_what_it_must_not_know(pattern: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}: {include}"
        for file in sources(pattern)
        for include in includes(file)
        if include.startswith(FORBIDDEN[pattern])
    ]
    assert wrong == []


def test_the_patterns_meet_files() -> None:
    for pattern in ("include/routesig/*", "include/routesig/io/**/*", "src/io/**/*"):
        assert sources(pattern), pattern
    assert "routesig/routing.hpp" in includes(INCLUDE / "recorder.hpp")


@pytest.mark.parametrize("header", core_headers(), ids=lambda header: header.stem)
def test_core_headers_include_earlier_ones_only(header: Path) -> None:
    for include in includes(header):
        if not include.startswith("routesig/"):
            continue
        other = Path(include).stem
        allowed = rank(other) < rank(header.stem) or (header.stem, other) in WITHIN_A_RANK
        assert allowed, f"{header.name} includes {include}"


def test_the_core_knows_the_standard_library_only() -> None:
    foreign = [
        f"{header.name}: {include}"
        for header in core_headers()
        for include in includes(header)
        if "/" in include and Path(include).parent != Path("routesig")
    ]
    assert foreign == []


@pytest.mark.parametrize("group", [group for rank in GROUPS for group in rank])
def test_groups_include_earlier_ones_only(group: str) -> None:
    files = sources(f"include/routesig/{group}/*") + sources(f"src/{group}/*")
    assert files
    earlier = next(index for index, rank in enumerate(GROUPS) if group in rank)
    known = {group, "routesig", *(name for rank in GROUPS[:earlier] for name in rank)}
    wrong = [
        f"{file.relative_to(ROOT)}: {include}"
        for file in files
        for include in includes(file)
        if "/" in include and not include.startswith("Eigen/") and Path(include).parent.name not in known
    ]
    assert wrong == []


def test_what_a_group_keeps_to_itself_is_included_by_sources_and_tests_alone() -> None:
    """Headers below src/: consumers have them not, and need no Eigen."""
    wrong = [
        f"{file.relative_to(ROOT)}: {include}"
        for file in sources("include/**/*")
        for include in includes(file)
        if "/" in include and not include.startswith("routesig/")
    ]
    assert wrong == []


def test_no_headers_include_each_other_in_a_circle() -> None:
    graph = {f"routesig/{file.relative_to(INCLUDE)}": includes(file) for file in sources("include/**/*")}
    done: set[str] = set()

    def visit(header: str, path: tuple[str, ...]) -> None:
        assert header not in path, " -> ".join((*path, header))
        if header not in done:
            for include in graph.get(header, []):
                visit(include, (*path, header))
            done.add(header)

    for header in graph:
        visit(header, ())


@pytest.mark.parametrize("header", sources("include/**/*.hpp"), ids=lambda header: header.stem)
def test_headers_are_guarded_and_say_what_they_are_for(header: Path) -> None:
    text = header.read_text(encoding="utf-8")
    assert text.startswith(f"/// \\file {header.name}\n")
    assert text.count("#pragma once") == 1


def test_bindings_include_torch_in_the_torch_module_only() -> None:
    torch_module = {"torch_module.cpp", "model.cpp", "model.hpp"}
    for file in sources("bindings/**/*"):
        if file.name not in torch_module:
            assert not [i for i in includes(file) if i.startswith((*TORCH, *MODEL))], file


def test_the_library_neither_prints_nor_exits() -> None:
    forbidden = re.compile(r"\bstd::(cout|cerr|clog|exit|abort|terminate)\b|(?<![\w:.>])(printf|abort|exit)\s*\(")
    for pattern in ("include/routesig/**/*", "src/**/*"):
        for file in sources(pattern):
            code = re.sub(r"//[^\n]*", "", file.read_text(encoding="utf-8"))
            found = forbidden.search(code)
            assert found is None, f"{file.relative_to(ROOT)}: {found[0] if found else ''}"
