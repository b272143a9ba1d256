"""Files to read and to write: what would wait for ever is refused, and a killed writer leaves nothing that stays."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import routesig as rs
from routesig._files import atomic_write
from support import random_traces

PIPE = "expected an ordinary file to read, found a pipe"


@pytest.fixture
def no_waiting():
    """A minute, then an error in place of a test that waits."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waits for a writer"))
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


READERS = {
    "read_traces": (rs.read_traces, "t.jsonl"),
    "read_traces of a format": (lambda path: rs.read_traces(path, format="jsonl"), "t.jsonl"),
    "read_traces of Parquet": (lambda path: rs.read_traces(path, format="parquet"), "t.parquet"),
    "read_signatures": (rs.read_signatures, "s.npz"),
    "read_study": (rs.read_study, "study.json"),
    "compare": (lambda path: rs.compare(path, path), "t.jsonl"),
    **{f"load_prompts, {end}": (rs.load_prompts, f"p.{end}") for end in ("jsonl", "csv", "tsv", "txt")},
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_without_a_writer_is_refused_in_one_sentence(reader, tmp_path, no_waiting):
    read, name = READERS[reader]
    os.mkfifo(tmp_path / name)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / name).symlink_to(tmp_path / name)
    for path in (tmp_path / name, tmp_path / "linked" / name):
        with pytest.raises(OSError, match=PIPE) as caught:
            read(path)
        assert caught.value.filename == str(path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_in_a_model_folder_is_refused(name, model, tmp_path, no_waiting):
    shutil.copytree(model.path, tmp_path / "m")
    (tmp_path / "m" / name).unlink()
    os.mkfifo(tmp_path / "m" / name)
    with pytest.raises(OSError, match=PIPE):
        rs.load_model(tmp_path / "m")


def run(code, *arguments, **options):
    """Python code in a process of its own; "-m" is the command line."""
    command = [sys.executable, "-m", "routesig", *arguments] if code == "-m" else [sys.executable, "-c", code]
    return subprocess.run(list(map(str, command)), capture_output=True, check=False, timeout=300, **options)


@pytest.mark.parametrize("command", [["info"], ["study", "--out", "out"]])
def test_the_command_line_says_it_in_one_line(command, tmp_path):
    os.mkfifo(tmp_path / "t.jsonl")
    done = run("-m", *command, "t.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert PIPE in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_standard_input_is_read_from_a_file_and_once_from_a_pipe(tmp_path):
    traces = random_traces()
    traces.save(tmp_path / "t.jsonl")
    rs.signatures(traces).save(tmp_path / "s.npz")
    for name in ("t.jsonl", "s.npz"):
        with open(tmp_path / name, "rb") as file:
            done = run("-m", "info", "/dev/stdin", stdin=file)
        assert done.returncode == 0, done.stderr
    reads = "import routesig as rs; print(len(rs.read_traces('/dev/stdin', format='jsonl')))"
    assert run(reads, input=(tmp_path / "t.jsonl").read_bytes()).stdout == b"6\n"
    (tmp_path / "p.txt").symlink_to("/dev/stdin")
    reads = f"import routesig as rs; print(rs.load_prompts({str(tmp_path / 'p.txt')!r})[0].text)"
    assert run(reads, input=b"Count to ten.\n").stdout == b"Count to ten.\n"


KILLED = """
import os, signal
from routesig._files import atomic_write
with atomic_write({target!r}) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_writer_left_goes_when_the_name_is_written_again(tmp_path):
    target = tmp_path / "s.npz"
    for _ in range(2):
        assert run(KILLED.format(target=str(target))).returncode == -signal.SIGKILL
    others = ["s.npz.0123abcd.partial.gz", "t.npz.0123abcd.partial", "s.npz.partial"]
    for name in others:
        (tmp_path / name).touch()
    assert len(names(tmp_path)) == 1 + len(others)  # the second has removed what the first left
    rs.SignatureSet.from_counts([[[3, 1]]]).save(target)
    assert names(tmp_path) == sorted([*others, "s.npz"])


def test_a_file_that_is_still_being_written_is_left_alone(tmp_path):
    target = tmp_path / "a.bin"
    with atomic_write(target) as first:
        first.write(b"first")
        with atomic_write(target) as second:
            second.write(b"second")
        assert target.read_bytes() == b"second"
        assert len(names(tmp_path)) == 2
    assert target.read_bytes() == b"first"
    assert names(tmp_path) == ["a.bin"]


FIGURES_KILLED = """
import os, signal, sys
from matplotlib.figure import Figure
import routesig as rs

def half(figure, file, **options):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

Figure.savefig = half
rs.plot.save_figures(rs.read_study(sys.argv[1]), sys.argv[2], ["png"])
"""


def test_figures_are_drawn_again_after_a_kill_and_nothing_else_stays(tmp_path):
    pytest.importorskip("matplotlib", reason="figures need Matplotlib")
    counts = np.random.default_rng(0).multinomial(30, np.ones(8) / 8, (12, 2))
    sigs = rs.SignatureSet.from_counts(counts, tasks=["a", "b"] * 6)
    study = rs.study(sigs, permutations=9, bootstrap=9, null_draws=2, refits=0, folds=3, progress=False)
    file, folder = study.to_json(tmp_path / "study.json"), tmp_path / "figures"
    killed = subprocess.run([sys.executable, "-c", FIGURES_KILLED, str(file), str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [name for name in names(folder) if name.endswith(".partial")] != []
    paths, _ = rs.plot.save_figures(rs.read_study(file), folder, ["png"])
    assert names(folder) == sorted(path.name for path in paths)
