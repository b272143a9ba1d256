"""The README's Python lines run as they stand; its C++ lines are built in tests/install."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    record, analyse = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(record, "README.md", "exec"), names)

    assert (tmp_path / "traces.jsonl").is_file()
    assert names["sigs"].values.shape == (80, 16, 64)  # type: ignore[attr-defined]
    first, rest = capsys.readouterr().out.split("\n", 1)
    assert 0.0 < float(first) <= 1.0
    assert "within" in rest
    assert "across" in rest

    exec(compile(analyse, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "the paper" in printed
    assert (tmp_path / "report.html").stat().st_size < 12_000_000


def test_demo_prints_what_is_shown(model: object, tmp_path: Path) -> None:
    (section,) = re.findall(r"<!-- demo output -->\n(.*?)<!-- /demo output -->", README, re.S)
    shown = [line[4:] for line in section.strip().splitlines()[2:]]
    command = [sys.executable, "-m", "routesig", "demo"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    numbers = re.compile(r"\d+(?:\.\d+)?(?:e-\d+)|\d+\.\d+")
    assert [numbers.sub("#", line) for line in printed] == [numbers.sub("#", line) for line in shown]
    for ours, theirs in zip(numbers.findall("".join(printed)), numbers.findall("".join(shown)), strict=True):
        assert float(ours) == pytest.approx(float(theirs), abs=0.01)  # near ties fall otherwise on other processors
    made = {str(path.relative_to(tmp_path / "routesig-demo")) for path in (tmp_path / "routesig-demo").iterdir()}
    assert made == {"traces.jsonl", "report.html", "figures", "study.json"}


def test_paths_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:scripts|docs|examples|bench)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_debian_packages_are_those_that_the_scripts_install() -> None:
    (line,) = re.findall(r"^    apt-get install (.+)$", README, re.M)
    assert set(line.split()) <= set((ROOT / "scripts/setup").read_text(encoding="utf-8").split())


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_version_is_the_same_everywhere() -> None:
    header = (ROOT / "include/routesig/version.hpp").read_text(encoding="utf-8")
    (version,) = re.findall(r'define ROUTESIG_VERSION "(.+)"', header)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
