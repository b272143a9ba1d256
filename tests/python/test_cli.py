"""The command line, as a user types it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import routesig as rs
from support import random_experts, random_traces


def routesig(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "routesig", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    if code == 2:
        assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        "".join(json.dumps({"id": f"p{i}", "task": "ab"[i % 2], "text": f"Count to {i}."}) + "\n" for i in range(6))
    )
    return path


def test_help_and_version():
    assert "record" in routesig("--help").stdout
    assert routesig("--version").stdout == f"routesig {rs.__version__}\n"


def test_usage_errors_are_one_line_that_names_the_help(tmp_path, traces):
    for arguments, message in (
        (["study"], "routesig: Missing argument 'path'; routesig study --help lists what there is"),
        (["study", traces, "--out", "x", "--tokens", "some"], "'some' is not one of 'all', 'prompt', 'generation'; "),
        (["study", traces, "--out", "x", "--folds", "1"], "greater than or equal to 2; routesig study --help"),
        (["study", traces, "--out", "x", "--colour", "red"], "No such option: --colour"),
        (["paint"], "routesig: No such command 'paint'; routesig --help lists what there is"),
        (["record", "--out", "x", "--prompts", "a", "--force", "b"], "expected one of --prompts and --force, got both"),
    ):
        error = routesig(*arguments, code=2).stderr
        assert message in error
        assert error.count("\n") == 1


def test_an_empty_argument_is_no_folder(tmp_path, traces):
    done = routesig("study", traces, "--out", "", code=2)
    assert done.stderr == "routesig: expected arguments of one character or more, got an empty one\n"


def test_ctrl_c_while_the_command_line_is_imported_leaves_no_traceback():
    program = """
import sys
from routesig.__main__ import main

class Pressed:
    def find_spec(self, name, *_):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Pressed())
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_help_is_short_and_lists_choices():
    assert routesig("-h").stdout == routesig().stdout == routesig("--help").stdout
    shown = routesig("study", "-h").stdout
    assert "<all|prompt|generation>" in shown
    assert "<count|gate|top1>" in shown
    for command in ("demo", "study", "record", "convert", "info", "compare"):
        shown = routesig(command, "-h").stdout
        assert re.search(rf"^  Example: routesig {command} ", shown, re.M)
        assert max(map(len, shown.splitlines())) <= 80


def test_record_of_random_weights_and_forced_tokens(model, tmp_path, prompts):
    out, control = tmp_path / "t.jsonl", tmp_path / "control.jsonl"
    routesig("record", "--prompts", prompts, "--out", out, "--max-new-tokens", 3)
    routesig("record", "--force", out, "--random-weights", 7, "--out", control)
    real, found = rs.read_traces(out), rs.read_traces(control)
    assert found.info.model_name == f"{real.info.model_name}, random weights 7"
    assert [trace.token_ids.tolist() for trace in found] == [trace.token_ids.tolist() for trace in real]
    expected = rs.record(rs.load_model(random_weights=7), real, progress=False)
    assert all((a.experts == b.experts).all() for a, b in zip(found, expected, strict=True))


def test_record_and_info(model, tmp_path, prompts):
    out = tmp_path / "t.jsonl"
    done = routesig("record", "--prompts", prompts, "--out", out, "--max-new-tokens", 3, "--json")
    assert json.loads(done.stdout)["tasks"] == {"a": 3, "b": 3}
    text = routesig("info", out).stdout
    assert "16 layers x 64 experts x top-8" in text
    assert "6 (3 a, 3 b)" in text
    assert json.loads(routesig("info", out, "--json").stdout)["complete"] is True
    assert json.loads(routesig("info", prompts, "--json").stdout) == {
        "kind": "prompts",
        "prompts": 6,
        "tasks": {"a": 3, "b": 3},
    }
    assert json.loads(routesig("info", model.path, "--json").stdout)["experts"] == 64


@pytest.mark.parametrize("name", ["s.npz", "s.parquet"])
def test_info_on_signatures(tmp_path, name):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    rs.signatures(random_traces()).save(tmp_path / name)
    summary = json.loads(routesig("info", tmp_path / name, "--json").stdout)
    assert summary["kind"] == "signatures"
    assert (summary["prompts"], summary["layers"], summary["experts"]) == (6, 3, 16)
    assert summary["tasks"] == {"code": 3, "math": 3}


def test_convert_to_parquet_and_back_and_info_on_it(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    before, between, after = (tmp_path / name for name in ("a.jsonl", "a.parquet", "b.jsonl"))
    random_traces().save(before)
    text = routesig("convert", before, between).stdout
    assert "3 layers x 16 experts x top-4" in text
    assert f"{between}, {between.stat().st_size} bytes" in text
    summary = json.loads(routesig("info", between, "--json").stdout)
    assert (summary["kind"], summary["prompts"], summary["tokens"]) == ("traces", 6, 75)
    assert json.loads(routesig("convert", between, after, "--json").stdout) == summary | {"traces": str(after)}
    assert after.read_bytes() == before.read_bytes()


@pytest.fixture
def damaged(tmp_path):
    """A file with rows that were not finite, one not known, and a draft that was rejected."""
    routing = '"routing":{"layers":2,"experts":9,"top_k":1}'
    lines = [f'{{"kind":"header","format":"routesig-trace","version":1,{routing}}}']
    lines.append('{"kind":"prompt","id":"a","task":"code","prompt_tokens":1}')
    rows = [(0, "[[1],[2]]", "[[1],[1]]"), (1, "[[1],[2]]", "[[null],[1]]"), (2, "[[1],[2]]", "[[1],[1]]")]
    rows += [(2, "[[3],null]", "[[1],[1]]"), (3, "[[5],[6]]", "[[null],[1]]")]
    for position, experts, weights in rows:
        start = f'{{"kind":"token","prompt":"a","position":{position},"type":"prompt"'
        lines.append(f'{start},"experts":{experts},"weights":{weights}}}')
    lines.append('{"kind":"prompt_end","id":"a","tokens":5}')
    path = tmp_path / "damaged.jsonl.partial"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_info_says_what_is_not_known_not_finite_and_dropped(damaged):
    text = routesig("info", damaged).stdout
    assert "tokens    4\n" in text
    assert "unknown   3 of 8 rows\n" in text
    assert "dropped   1 token whose position repeated or decreased\n" in text
    assert 'warning   2 rows had router logits that were not finite (prompt "a", 2 rows): ' in text
    summary = json.loads(routesig("info", damaged, "--json").stdout)
    assert (summary["unknown_rows"], summary["nonfinite_rows"], summary["dropped_tokens"]) == (3, 2, 1)
    assert [finding["rule"] for finding in summary["findings"]] == ["not-finite", "unknown-rows"]


def test_info_of_a_good_file_says_nothing_of_these(tmp_path):
    random_traces().save(tmp_path / "t.jsonl")
    text = routesig("info", tmp_path / "t.jsonl").stdout
    assert len(text.splitlines()) == 5
    assert json.loads(routesig("info", tmp_path / "t.jsonl", "--json").stdout)["findings"] == []


def test_tokens_that_come_twice_are_refused_unless_they_are_to_be_dropped(damaged, tmp_path):
    out = tmp_path / "clean.jsonl"
    error = routesig("convert", damaged, out, code=2).stderr
    assert 'line 6: expected positions that ascend, got 2 after 2 at token 3 (prompt "a"; drop_invalid' in error
    routesig("convert", damaged, out, "--drop-invalid")
    assert rs.read_traces(out)[0].positions.tolist() == [0, 1, 2, 3]


def test_convert_reads_a_recording_that_was_cut_off(tmp_path):
    random_traces().save(tmp_path / "a.jsonl")
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "a.jsonl.partial").write_bytes(b"".join(lines[:-2]))
    routesig("convert", tmp_path / "a.jsonl.partial", tmp_path / "b.jsonl")
    assert rs.read_traces(tmp_path / "b.jsonl") == random_traces()


def test_convert_refuses_in_one_line_what_it_cannot_read_or_write(tmp_path):
    random_traces().save(tmp_path / "a.jsonl")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    for source, out in (("a.jsonl", "a.csv"), ("bad.parquet", "b.jsonl"), ("absent.parquet", "b.jsonl")):
        done = routesig("convert", tmp_path / source, tmp_path / out, code=2)
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert len(routesig("info", tmp_path / "bad.parquet", code=2).stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "bad.parquet"]


QUICK = ["--permutations", 50, "--bootstrap", 50, "--null-draws", 5, "--shuffles", 5, "--refits", 2, "--no-groups"]


@pytest.fixture
def traces(tmp_path):
    path = tmp_path / "traces.jsonl"
    random_traces(12).save(path)
    return path


def test_study_writes_report_figures_and_numbers(tmp_path, traces):
    for package in ("jinja2", "plotly", "matplotlib"):
        pytest.importorskip(package, reason="a report needs Jinja2 and Plotly, figures matplotlib")
    random_traces(12, seed=99).save(tmp_path / "control.jsonl")
    given = ["--control", f"other={tmp_path}/control.jsonl", "--control", f"other={tmp_path}/control.jsonl"]
    done = routesig("study", traces, "--out", tmp_path / "out", *QUICK, *given, "--seed", 3)
    assert done.stdout.startswith("Routing is not shown to follow the task")
    read = json.loads((tmp_path / "out/study.json").read_text())
    assert read["options"]["seed"] == 3
    assert read["controls"]["other"]["difference"]["repetitions"] == 2
    assert (tmp_path / "out/report.html").read_text(encoding="utf-8").startswith("<!")
    assert {path.suffix for path in (tmp_path / "out/figures").iterdir()} == {".png", ".svg"}
    for name in ("report.html", "figures", "study.json"):
        assert str(tmp_path / "out" / name) in done.stdout


def test_study_of_signatures_and_as_json(tmp_path):
    rs.signatures(random_traces(12)).save(tmp_path / "s.npz")
    done = json.loads(routesig("study", tmp_path / "s.npz", "--out", tmp_path / "out", *QUICK, "--json").stdout)
    assert done["format"] == "routesig-study"
    assert done["absent"]["decomposition"] == "it needs traces; signatures were given"
    assert done["paths"]["study"] == str(tmp_path / "out/study.json")


def test_studies_can_be_compared(tmp_path, traces):
    routesig("study", traces, "--out", tmp_path / "one", *QUICK, "--tokens", "prompt")
    rs.read_traces(traces)[:10].save(tmp_path / "fewer.jsonl")
    routesig("study", tmp_path / "fewer.jsonl", "--out", tmp_path / "two", *QUICK, "--tokens", "prompt")
    for a, b in ((tmp_path / "one", tmp_path / "two"), (tmp_path / "one/study.json", tmp_path / "two/study.json")):
        found = json.loads(routesig("compare", a, b, "--json").stdout)
        assert found["tokens"] == "prompt"  # as they were analysed
        assert len(found["ids"]) == 10
        assert found["mean_similarity"] == pytest.approx(1.0)
    assert json.loads(routesig("info", tmp_path / "one/study.json", "--json").stdout)["kind"] == "study"
    (tmp_path / "two/signatures.npz").replace(tmp_path / "one/signatures.npz")
    error = routesig("compare", tmp_path / "one/study.json", traces, code=2).stderr
    assert "beside it, found signatures.npz of another recording" in error
    (tmp_path / "one/signatures.npz").unlink()
    error = routesig("compare", tmp_path / "one/study.json", traces, code=2).stderr
    assert "study.json, which holds results alone, found none" in error
    assert error.count("\n") == 1


def test_a_study_beside_its_traces_is_compared_as_it_was_analysed(tmp_path, traces):
    given = rs.read_traces(traces)
    quick = {"permutations": 50, "bootstrap": 50, "null_draws": 5, "shuffles": 5, "refits": 2, "groups": False}
    rs.study(given, tokens="prompt", **quick).to_json(tmp_path / "study.json")
    found = rs.compare(tmp_path / "study.json", given, tokens="prompt", bootstrap=50, permutations=50)
    assert found.tokens == "prompt"
    assert found.mean_similarity == pytest.approx(1.0)
    rs.study(given, **quick).to_json(tmp_path / "study.json")
    assert rs.compare(tmp_path / "study.json", given, bootstrap=50, permutations=50).agreement.exact == 1.0


def test_study_leaves_impossible_rows_out_only_when_told(tmp_path):
    rows = random_experts(3, 10, 16, 4, 0)
    rows[1, 2] = 7
    bad = rs.RoutingTrace.from_arrays(rows, num_experts=16, token_ids=list(range(10)), id="bad", task="code")
    rs.TraceSet([*random_traces(12), bad]).save(tmp_path / "t.jsonl")
    refused = routesig("study", tmp_path / "t.jsonl", "--out", tmp_path / "out", *QUICK, code=2)
    assert "bad" in refused.stderr
    done = routesig("study", tmp_path / "t.jsonl", "--out", tmp_path / "out", *QUICK, "--drop-invalid")
    assert "1 impossible row was left out" in done.stderr


def test_study_refuses_in_one_line(tmp_path, traces):
    (tmp_path / "file").write_text("")
    rows = random_experts(3, 10, 16, 4, 0)
    both = [rs.RoutingTrace.from_arrays(rows, num_experts=16, id=task, task=task, group="both") for task in "ab"]
    rs.TraceSet(both).save(tmp_path / "spanning.jsonl")
    for arguments in (
        [tmp_path / "absent.jsonl", "--out", tmp_path / "out"],
        [traces, "--out", tmp_path / "file"],
        [traces, "--out", tmp_path / "file/below"],
        [traces, "--out", tmp_path / "out", "--control", "nameless"],
        [traces, "--out", tmp_path / "out", "--control", f"x={tmp_path}/absent.jsonl"],
        [traces, "--out", tmp_path / "out", "--tokens", "some"],
        [tmp_path / "spanning.jsonl", "--out", tmp_path / "out"],
    ):
        done = routesig("study", *arguments, code=2)
        said = [line for line in done.stderr.splitlines() if line.startswith("routesig: ")]
        assert len(said) == 1, done.stderr
        assert not (tmp_path / "out/study.json").exists()


def test_bad_input_is_one_line_and_exit_code_2(model, tmp_path, prompts):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    for arguments in (
        ["info", tmp_path / "absent.jsonl"],
        ["info", broken],
        ["info", tmp_path],
        ["record", "--prompts", tmp_path / "absent.txt", "--out", tmp_path / "o.jsonl"],
        ["record", "--prompts", prompts, "--out", tmp_path / "no/such/folder/o.jsonl"],
        ["record", "--prompts", prompts, "--out", tmp_path / "o.jsonl", "--model", tmp_path],
        ["record", "--prompts", prompts, "--out", tmp_path / "o.jsonl", "--device", "tpu"],
        ["record", "--prompts", prompts, "--out", tmp_path / "o.jsonl", "--max-new-tokens", "100000"],
    ):
        done = routesig(*arguments, code=2)
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert done.stderr.startswith("routesig: ")
    assert not list(tmp_path.glob("o.jsonl*"))
    routesig("record", code=2)
    debug = subprocess.run(
        [sys.executable, "-m", "routesig", "--debug", "info", str(broken)], capture_output=True, text=True, check=False
    )
    assert "Traceback" in debug.stderr


def test_what_an_interrupted_recording_left_is_not_replaced_unasked(tmp_path, prompts):
    out, partial = tmp_path / "t.jsonl", tmp_path / "t.jsonl.partial"
    recorded = ["record", "--prompts", prompts, "--out", out, "--max-new-tokens", 1]
    routesig(*recorded)
    *lines, _ = out.read_bytes().splitlines(keepends=True)
    out.unlink()
    partial.write_bytes(b"".join(lines))
    refused = routesig(*recorded, code=2).stderr
    size = partial.stat().st_size
    assert f"t.jsonl.partial: holds {size} bytes that an interrupted writer left" in refused
    assert refused.rstrip().endswith("(--resume or --overwrite)")
    with pytest.raises(OSError, match="interrupted writer left"):
        random_traces(2).save(out)
    assert partial.read_bytes() == b"".join(lines)
    assert "got both" in routesig(*recorded, "--resume", "--overwrite", code=2).stderr
    routesig(*recorded, "--overwrite")
    assert not partial.exists()
    assert rs.read_traces(out).complete


def test_links_are_written_through_and_what_is_no_file_is_refused(tmp_path, prompts, traces):
    link, target = tmp_path / "link.jsonl", tmp_path / "target.jsonl"
    link.symlink_to(target.name)
    routesig("record", "--prompts", prompts, "--out", link, "--max-new-tokens", 1)
    assert link.is_symlink()
    assert target.is_file()
    os.mkfifo(tmp_path / "pipe.jsonl")
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "null.jsonl").symlink_to("/dev/null")
    for name in ("pipe.jsonl", "pipe.parquet", "null.jsonl"):
        error = routesig("convert", traces, tmp_path / name, code=2).stderr
        assert ": expected an ordinary file to write, found a pipe, a socket or a device" in error
    sigs = rs.signatures(random_traces())
    link, target = tmp_path / "link.npz", tmp_path / "target.npz"
    link.symlink_to(target)
    sigs.save(link)
    assert link.is_symlink()
    assert len(rs.read_signatures(target)) == len(sigs)
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(OSError, match=r"[Tt]oo many levels of symbolic links"):
        sigs.save(link)


def test_ctrl_c_leaves_a_readable_partial_file(model, tmp_path):
    prompts = tmp_path / "p.txt"
    prompts.write_text("Tell a story about a dog.\n" * 400)
    out = tmp_path / "t.jsonl"
    command = [sys.executable, "-m", "routesig", "record", "--prompts", prompts, "--out", out, "--batch-size", "2"]
    process = subprocess.Popen(
        [str(c) for c in command],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A shell's background job ignores Ctrl-C, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    partial = tmp_path / "t.jsonl.partial"
    while process.poll() is None and not (partial.exists() and b"prompt_end" in partial.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "--resume" in errors
    assert "Traceback" not in errors
    summary = json.loads(routesig("info", partial, "--json").stdout)
    assert summary["complete"] is False
    assert summary["prompts"] >= 1


def test_compare_prints_writes_and_refuses(tmp_path):
    traces = random_traces(8)
    traces.save(tmp_path / "a.jsonl")
    traces[:6].save(tmp_path / "b.jsonl")
    text = routesig("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl").stdout
    assert "6 prompts in both" in text
    assert "same set of experts" in text
    assert "left out: p6 (only in A)" in text
    done = routesig("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--json", "--out", tmp_path / "c.json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "c.json").read_text())
    assert json.loads(done.stdout)["agreement"]["exact"] == 1.0
    prompt = routesig("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--tokens", "prompt", "--json").stdout
    assert json.loads(prompt)["tokens"] == "prompt"
    other = rs.RoutingTrace.from_arrays(np.zeros((1, 2, 1), int), num_experts=2, id="other")
    rs.TraceSet([other]).save(tmp_path / "other.jsonl")
    for b, sentence in (
        ("other.jsonl", "no id in common (A begins with 'p0', B with 'other')"),
        ("nothing.jsonl", "nothing.jsonl: No such file or directory"),
        ("c.json", "expected a routesig trace file or routing events"),
    ):
        error = routesig("compare", tmp_path / "a.jsonl", tmp_path / b, code=2).stderr
        assert sentence in error
        assert error.count("\n") == 1


def test_compare_refuses_invalid_rows_unless_they_are_dropped(tmp_path):
    ids = np.array([[[0, 1], [2, 2]]])
    wrong = rs.TraceSet(
        [rs.RoutingTrace.from_arrays(ids, num_experts=4, token_ids=[5, 6], prompt_tokens=2, id="x", task="a")]
    )
    wrong.save(tmp_path / "w.jsonl")
    assert "drop_invalid" in routesig("compare", tmp_path / "w.jsonl", tmp_path / "w.jsonl", code=2).stderr
    done = routesig("compare", tmp_path / "w.jsonl", tmp_path / "w.jsonl", "--drop-invalid", "--json")
    assert json.loads(done.stdout)["agreement"]["dropped_rows"] == 1


# ESC and BEL, C1 controls, marks that turn text round, and what ends a line.
HOSTILE = "a\x1b[31m\x07\x9b2J\x85\u202eb\u2066\u200f\r\n\tc\u2028"
ESCAPED = r"a\u001b[31m\u0007\u009b2J\u0085\u202eb\u2066\u200f\u000d\u000a\u0009c\u2028"


@pytest.fixture
def hostile(tmp_path):
    """Traces whose ids and tasks hold what terminals obey, in a folder of such a name."""
    rows = random_experts(2, 12, 8, 2, seed=0)
    traces = rs.TraceSet(
        [
            rs.RoutingTrace.from_arrays(rows[:, i % 3 :], num_experts=8, id=f"{HOSTILE}{i}", task=f"{HOSTILE}{i % 2}")
            for i in range(12)
        ]
    )
    folder = tmp_path / HOSTILE
    folder.mkdir()
    traces.save(folder / "t.jsonl")
    return folder / "t.jsonl"


def run_harmlessly(*arguments, code=0):
    done = routesig(*arguments, code=code)
    obeyed = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
    assert re.findall(obeyed, done.stdout + done.stderr) == []
    return done


def test_names_of_strangers_reach_no_terminal_as_they_are(hostile, tmp_path):
    few = ["--permutations", 20, "--bootstrap", 20, "--null-draws", 20, "--shuffles", 20, "--refits", 2, "--folds", 2]
    prompts, copy, results = tmp_path / "p.jsonl", hostile.with_name("copy.jsonl"), hostile.parent / "results"
    prompts.write_text("".join(json.dumps({"text": "t", "task": HOSTILE + str(i)}) + "\n" for i in range(2)))
    told = run_harmlessly("info", hostile).stdout
    assert f"prompts   12 (6 {ESCAPED}0, 6 {ESCAPED}1)\n" in told
    assert told.count("\n") == 5
    assert run_harmlessly("convert", hostile, copy).stdout.startswith(told)
    assert ESCAPED in run_harmlessly("info", prompts).stdout
    assert json.loads(run_harmlessly("info", hostile, "--json").stdout)["tasks"] == {f"{HOSTILE}{i}": 6 for i in (0, 1)}
    assert f"/{ESCAPED}/results/report.html\n" in run_harmlessly("study", hostile, "--out", results, *few).stdout
    run_harmlessly("info", results / "study.json")
    run_harmlessly("compare", hostile, copy)
    for arguments in (["info", hostile.with_name("absent")], ["study", hostile.parent, "--out", results]):
        error = run_harmlessly(*arguments, code=2).stderr
        assert f"/{ESCAPED}" in error
        assert error.count("\n") == 1
