"""A full disk: one sentence that names the file, and nothing that looks finished."""

import errno
import subprocess
import sys

import numpy as np
import pytest

import routesig as rs
from support import random_traces


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True, check=False
        )
    except OSError as error:
        pytest.skip(f"a disk of 64 KiB cannot be mounted here: {error}")
    if done.returncode != 0:
        pytest.skip(f"a disk of 64 KiB cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_saving_is_an_error_that_names_the_file_and_leaves_nothing(small_disk):
    for what, name in (
        (random_traces(20, tokens=40), "t.jsonl"),
        (rs.SignatureSet.from_counts(np.ones((40, 16, 64), int)), "s.npz"),
    ):
        with pytest.raises(OSError, match="No space left on device") as full:
            what.save(small_disk / name)
        assert full.value.errno == errno.ENOSPC
        assert full.value.filename.startswith(str(small_disk / name))
        assert list(small_disk.iterdir()) == []


def test_recording_says_that_the_disk_is_full_and_goes_on_elsewhere(model, small_disk, tmp_path):
    prompts, options = rs.load_prompts()[:8], {"max_new_tokens": 4, "batch_size": 1, "progress": False}
    with pytest.raises(OSError, match="No space left on device") as full:
        rs.record(model, prompts, out=small_disk / "t.jsonl", **options)
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(small_disk / "t.jsonl.partial"))
    assert [file.name for file in small_disk.iterdir()] == ["t.jsonl.partial"]
    (tmp_path / "t.jsonl.partial").write_bytes((small_disk / "t.jsonl.partial").read_bytes())
    resumed = rs.record(model, prompts, out=tmp_path / "t.jsonl", resume=True, **options)
    assert resumed == rs.record(model, prompts, out=tmp_path / "u.jsonl", **options)


def test_the_command_line_says_it_in_one_line(model, small_disk, tmp_path):
    out = small_disk / "t.jsonl"
    prompts = tmp_path / "p.txt"
    prompts.write_text("Count to ten.\n" * 40)
    command = [sys.executable, "-m", "routesig", "record", "--prompts", prompts, "--out", out, "--max-new-tokens", "2"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if line.startswith("routesig: ")]
    assert said == [f"routesig: {out}.partial: cannot be written: No space left on device"]
    assert "Traceback" not in done.stderr
    assert not out.exists()
