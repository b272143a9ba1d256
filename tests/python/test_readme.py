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


NUMBER = r"\d+(?:\.\d+)?(?:e-\d+)|\d+\.\d+"
OF_LENGTH = re.compile(rf"^length \(.*? ({NUMBER}) \(floor ({NUMBER})\)$", re.M)


def p_values(text: str) -> list[str]:
    """Those that permutations gave, and their floors: draws and labellings, not the last digit of a similarity."""
    rest = " ".join(OF_LENGTH.sub("", text).split())
    found = re.findall(rf"(?:p = |floor |p \(label permutation\) )({NUMBER})|({NUMBER})(?= \(floor)", rest)
    return [first or second for first, second in found]


def test_a_p_value_of_another_size_is_another() -> None:
    shown = (
        "p = 0.0001, of\np (label permutation)  0.0001 (floor 0.0001)\nshuffle 0.186 (0.1 to 0.2)  0.005 (floor 0.005)"
    )
    assert p_values(shown) == ["0.0001", "0.0001", "0.0001", "0.005", "0.005"]
    assert p_values(shown.replace("= 0.0001", "=\n    0.005"))[0] == "0.005"
    assert OF_LENGTH.findall(f"{shown}\nlength (all) - - 0.365 1.9e-06 (floor 1.9e-06)") == [("1.9e-06", "1.9e-06")]


def test_demo_prints_what_is_shown(model: object, tmp_path: Path) -> None:
    (section,) = re.findall(r"<!-- demo output -->\n(.*?)<!-- /demo output -->", README, re.S)
    shown = [line[4:] for line in section.strip().splitlines()[2:]]
    command = [sys.executable, "-m", "routesig", "demo"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    numbers = re.compile(NUMBER)
    assert [numbers.sub("#", line) for line in printed] == [numbers.sub("#", line) for line in shown]
    for ours, theirs in zip(numbers.findall("".join(printed)), numbers.findall("".join(shown)), strict=True):
        assert float(ours) == pytest.approx(float(theirs), abs=0.01)  # near ties fall otherwise on other processors
    printed_text, shown_text = "\n".join(printed), "\n".join(shown)
    assert p_values(printed_text) == p_values(shown_text)
    assert len(p_values(shown_text)) >= 10
    of_length = [[float(p) for row in OF_LENGTH.findall(text) for p in row] for text in (printed_text, shown_text)]
    assert len(of_length[1]) == 4
    assert all(0.25 <= ours / theirs <= 4 for ours, theirs in zip(*of_length, strict=True))  # a near tie doubles one
    made = {str(path.relative_to(tmp_path / "routesig-demo")) for path in (tmp_path / "routesig-demo").iterdir()}
    rotated = {f"traces.rotated-{i:03d}.jsonl" for i in range(20)}
    assert made == {"traces.jsonl", "report.html", "figures", "study.json"} | rotated


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
