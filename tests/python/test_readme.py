"""The README's Python lines run as they stand; its C++ lines are built in tests/install."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_python_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)

    assert (tmp_path / "traces.jsonl").is_file()
    assert names["sigs"].values.shape == (80, 16, 64)  # type: ignore[attr-defined]
    first, rest = capsys.readouterr().out.split("\n", 1)
    assert 0.0 < float(first) <= 1.0
    assert "within" in rest
    assert "across" in rest


def test_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_version_is_the_same_everywhere() -> None:
    header = (ROOT / "include/routesig/version.hpp").read_text(encoding="utf-8")
    (version,) = re.findall(r'define ROUTESIG_VERSION "(.+)"', header)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
