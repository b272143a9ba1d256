"""The section Reproduce of a report: what it prints, typed word for word, gives the same bytes."""

import html
import json
import os
import re
import shlex
from pathlib import Path

import pytest
from report_studies import QUICK, worded_traces

import routesig as rs
from routesig import cli
from routesig._cli_commands import reproducing
from support import random_traces

pytest.importorskip("plotly", reason="the report needs Plotly")

FEW = ("--permutations", 99, "--bootstrap", 20, "--null-draws", 5, "--shuffles", 5, "--refits", 2, "--folds", 3)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """They take most of the time, and are no part of what is printed here."""
    monkeypatch.setattr(rs.Study, "save_figures", lambda study, folder: None)


def routesig(folder, *arguments):
    """A command, typed in a folder."""
    with pytest.MonkeyPatch.context() as there:
        there.chdir(folder)
        cli.app(args=[str(one) for one in arguments], prog_name="routesig", standalone_mode=False)


def printed(report: Path) -> list[str]:
    """The lines of the section."""
    page = report.read_text(encoding="utf-8")
    section = page[page.index("<h3>Reproduce</h3>") :]
    return html.unescape(re.search(r"<code>(.*?)</code>", section, re.DOTALL)[1]).splitlines()


def type_in(folder, lines):
    """Type lines as they are; comments do nothing."""
    for line in lines:
        if words := shlex.split(line, comments=True):
            assert words[0] == "routesig"
            routesig(folder, *words[1:])


@pytest.fixture
def prompts(tmp_path):
    folder = tmp_path / "first"
    folder.mkdir()
    tasks = {"add": ("Add 1 to {}.", "Count to {}.", "What is {} plus 2?"), "tell": ("Tell me of {} dogs.", "Say {}.")}
    rows = [(task, text.format(n)) for task, texts in tasks.items() for text in texts for n in (3, 7, 9)]
    lines = [json.dumps({"id": f"p{i}", "task": task, "text": text}) for i, (task, text) in enumerate(rows)]
    (folder / "my prompts.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def same(first, second, names):
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_commands_of_a_report_give_its_bytes_with_controls_rotated_routers_and_a_token_set(model, prompts, tmp_path):
    mine = ("--prompts", "my prompts.jsonl", "--max-new-tokens", 3, "--temperature", 0.7, "--seed", 4)
    routesig(prompts, "record", "--out", "t.jsonl", *mine, "--rotated-routers", 2)
    for seed in (1, 2):
        routesig(prompts, "record", "--force", "t.jsonl", "--random-weights", seed, "--out", f"w{seed}.jsonl")
    controls = [f"--control=random weights=w{seed}.jsonl" for seed in (1, 2)]
    controls.append("--control=rotated router=t.rotated-*.jsonl")
    routesig(prompts, "study", "t.jsonl", "--out", "o", *FEW, *controls, "--tokens", "prompt", "--no-groups")
    lines = printed(prompts / "o/report.html")
    assert lines[0] == "# in a folder with 'my prompts.jsonl'"
    assert lines[1] == (
        "routesig record --out t.jsonl --prompts 'my prompts.jsonl' --rotated-routers 2 --max-new-tokens 3 "
        "--temperature 0.7 --seed 4"
    )
    assert len(lines) == 5
    again = tmp_path / "again"
    again.mkdir()
    (again / "my prompts.jsonl").write_bytes((prompts / "my prompts.jsonl").read_bytes())
    type_in(again, lines)
    rotated = [f"t.rotated-{i:03d}.jsonl" for i in range(2)]
    same(prompts, again, ["t.jsonl", *rotated, "w1.jsonl", "w2.jsonl", "o/study.json", "o/report.html"])


def test_rotated_routers_from_files_give_the_numbers_of_those_in_memory(model, tmp_path):
    prompts = [prompt for prompt in rs.load_prompts() if prompt.task in ("code", "math")][10:30]
    options = QUICK | {"folds": 3}
    traces = rs.record(model, prompts, max_new_tokens=3, rotated_routers=19, progress=False, out=tmp_path / "t.jsonl")
    in_memory = rs.study(traces, **options)
    files = sorted(tmp_path.glob("t.rotated-*.jsonl"))
    assert len(files) == 19
    read = rs.read_traces(tmp_path / "t.jsonl")
    assert read.rotated == []
    for name in ("rotated router", "rotated routers"):
        found = rs.study(read, controls={name: [rs.read_traces(file) for file in files]}, **options)
        assert found == in_memory
    assert found.controls["rotated router"].p_value is not None
    assert found.options.controls == in_memory.options.controls == ("rotated router",)
    ranks = rs.controls.rotated_router(read, [rs.read_traces(file) for file in files])
    assert found.controls["rotated router"].p_value == ranks.difference.p_value


def test_the_demo_can_be_typed(model, tmp_path, monkeypatch):
    """In its form, with fewer prompts, routers and seeds."""
    few = rs.load_prompts()[::8]
    monkeypatch.setattr(rs, "load_prompts", lambda path=None: few)
    monkeypatch.setattr(cli, "_ROTATED", 2)
    monkeypatch.setattr(cli, "LEAST_SEEDS", 2)
    routesig(tmp_path, "demo", "--out", "demo", "--max-new-tokens", 3, "--seed", 5)
    lines = printed(tmp_path / "demo/report.html")
    assert lines == [
        "routesig record --out traces.jsonl --rotated-routers 2 --max-new-tokens 3",
        "routesig record --out random-weights-00.jsonl --force traces.jsonl --random-weights 0",
        "routesig record --out random-weights-01.jsonl --force traces.jsonl --random-weights 1",
        "routesig study traces.jsonl --out . --seed 5 --control 'rotated router=traces.rotated-*.jsonl' "
        "--control 'random weights=random-weights-*.jsonl'",
    ]
    again = tmp_path / "again"
    again.mkdir()
    type_in(again, lines)
    rotated = [f"traces.rotated-{i:03d}.jsonl" for i in range(2)]
    same(tmp_path / "demo", again, ["traces.jsonl", *rotated, "study.json", "report.html"])


def test_a_study_of_data_in_memory_says_that_no_command_makes_it(tmp_path):
    rs.study(worded_traces(), **QUICK).report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "of data in memory: no shell command makes it again" in page
    assert printed(tmp_path / "report.html")[0].startswith("study = rs.study(traces, tokens='all', ")


def traced(command):
    """Traces that say they were recorded by a command."""
    infos, traces, run, complete, rotated = random_traces(2).__getstate__()
    made = rs.TraceSet.__new__(rs.TraceSet)
    made.__setstate__((infos, traces, (*run[:3], command), complete, rotated))
    return made


@pytest.mark.parametrize(
    "command",
    [
        None,
        "",
        "routesig record --out other.jsonl",  # of another file: this one was renamed
        "routesig study a.jsonl --out a.jsonl",
        "rm -rf . --out a.jsonl",
        "routesig record --out a.jsonl 'unfinished",
    ],
)
def test_a_file_that_no_command_made_has_to_be_there(command):
    traces = traced(command) if command is not None else random_traces(2)
    assert reproducing("routesig study a.jsonl", [(Path("a.jsonl"), traces)]) == [
        "# in a folder with a.jsonl",
        "routesig study a.jsonl",
    ]


def test_what_a_file_says_is_typed_as_words_and_never_as_more():
    command = "routesig record --out a.jsonl --prompts $(whoami) ; rm -rf . # `x`"
    lines = reproducing("routesig study a.jsonl", [(Path("a.jsonl"), traced(command))])
    assert lines[0] == "# in a folder with '$(whoami)'"
    assert shlex.split(lines[1]) == shlex.split(command)
    assert lines[1] == "routesig record --out a.jsonl --prompts '$(whoami)' ';' rm -rf . '#' '`x`'"
    two_lines = [(Path("a.jsonl"), traced("routesig record --out a.jsonl --prompts 'a\nrm -rf .'"))]
    assert reproducing("study", two_lines) == ["# in a folder with a.jsonl", "study"]
    assert reproducing("study", [(Path("a\nb"), random_traces(2))])[0] == r"# in a folder with 'a\nb'"


def test_signatures_have_to_be_there_and_a_forced_file_that_was_recorded_before_has_not():
    sigs = rs.signatures(random_traces(2))
    files = [
        (Path("a.jsonl"), traced("routesig record --out a.jsonl --model ../olmoe --prompts p.csv")),
        (Path("b.jsonl"), traced("routesig record --out b.jsonl --model ../olmoe --force a.jsonl")),
        (Path("c.jsonl"), traced("routesig record --out c.jsonl --model tiny --force z.jsonl")),
        (Path("s.npz"), sigs),
    ]
    assert reproducing("study", files)[0] == "# in a folder with ../olmoe p.csv z.jsonl s.npz"


@pytest.mark.parametrize("name", ["c*.jsonl", "c[1].jsonl"])
def test_a_pattern_takes_files_in_the_order_of_their_names_and_a_file_of_that_name_first(tmp_path, name):
    traces = worded_traces()
    traces.save(tmp_path / "t.jsonl")
    for which in ("c2", "c1", "c3"):
        worded_traces(seed=int(which[1])).save(tmp_path / f"{which}.jsonl")
    if name == "c[1].jsonl":
        os.rename(tmp_path / "c1.jsonl", tmp_path / name)
    expected = [worded_traces(seed=i) for i in ((1, 2, 3) if name == "c*.jsonl" else (1,))]
    routesig(tmp_path, "study", "t.jsonl", "--out", "o", *FEW, "--control", f"mine={name}")
    few = {"permutations": 99, "bootstrap": 20, "null_draws": 5, "shuffles": 5, "refits": 2, "folds": 3}
    found = rs.study(traces, controls={"mine": expected}, progress=False, **few)
    assert rs.read_study(tmp_path / "o/study.json") == found
