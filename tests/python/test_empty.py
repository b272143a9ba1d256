"""No prompts at all: files, signatures, similarities and the command line give an empty result or one sentence."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

import routesig as rs
from support import random_traces


@pytest.fixture
def none():
    return random_traces(3)[:0]


def test_a_set_without_traces_still_knows_its_routing(none):
    for traces in (none, none[:], none.take([]), copy.deepcopy(none), pickle.loads(pickle.dumps(none))):
        assert (len(traces), traces.ids, traces.tasks, list(traces)) == (0, [], [], [])
        assert (traces.info.layers, traces.info.experts, traces.info.top_k) == (3, 16, 4)
    assert rs.TraceSet().info is None
    assert pickle.loads(pickle.dumps(rs.TraceSet())).info is None


def test_a_file_without_prompts_is_written_read_back_and_described(none, tmp_path):
    path = tmp_path / "none.jsonl"
    none.save(path)
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == ["header", "end"]
    read = rs.read_traces(path)
    assert (read.complete, len(read), read.info) == (True, 0, none.info)
    command = [sys.executable, "-m", "routesig", "info", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[2:] == ["routing   3 layers x 16 experts x top-4", "prompts   0 (none)", "tokens    0"]
    with pytest.raises(ValueError, match="expected traces, got none"):
        rs.TraceSet().save(tmp_path / "nothing.jsonl")
    assert not (tmp_path / "nothing.jsonl").exists()


def test_recording_a_set_without_traces_gives_one(model, tmp_path):
    for out in (None, tmp_path / "none.jsonl"):
        traces = rs.record(model, rs.TraceSet(), out=out, progress=False)
        assert (len(traces), traces.complete, traces.info) == (0, True, model.info)


@pytest.mark.parametrize("weighting", ["count", "gate", "top1"])
def test_signatures_of_no_traces_keep_their_shape(none, weighting, tmp_path):
    sigs = rs.signatures(none, weighting=weighting)
    assert (sigs.values.shape, len(sigs), list(sigs)) == ((0, 3, 16), 0, [])
    sigs.save(tmp_path / "none.npz")
    assert rs.read_signatures(tmp_path / "none.npz").values.shape == (0, 3, 16)
    assert rs.signatures(rs.TraceSet(), weighting=weighting).values.shape == (0, 0, 0)
    assert rs.signatures([], weighting=weighting).values.shape == (0, 0, 0)


def test_selections_and_counts_may_be_empty():
    sigs = rs.signatures(random_traces(4))
    for chosen in (sigs[:0], sigs[[]], sigs[np.zeros(4, bool)], sigs.select(tasks=[]), sigs.select(ids=[])):
        assert chosen.values.shape == (0, 3, 16)
    counts = rs.SignatureSet.from_counts(np.zeros((0, 3, 16), int), top_k=4)
    assert (counts.values.shape, counts.num_tokens.tolist()) == ((0, 3, 16), [])
    with pytest.raises(ValueError, match=r"expected counts \[prompts, layers, experts\], got 1 axes"):
        rs.SignatureSet.from_counts([])


def test_similarity_with_no_prompts_is_an_empty_array(none):
    sigs, empty = rs.signatures(random_traces(4)), rs.signatures(none)
    assert rs.similarity(empty).shape == (0, 0)
    assert rs.similarity(empty, per_layer=True).shape == (3, 0, 0)
    assert rs.similarity(empty, sigs).shape == (0, 4)
    assert rs.similarity(sigs, empty).shape == (4, 0)
    assert rs.similarity(sigs, empty, per_layer=True).shape == (3, 4, 0)


def test_separation_of_no_prompts_is_absent(none):
    for found in (rs.separation(rs.signatures(none)), rs.separation(np.zeros((0, 0)), [])):
        assert (found.within.mean, found.within.pairs, found.across.mean, found.cohens_d) == (None, 0, None, None)
    with pytest.raises(ValueError, match=r"expected tasks beside similarities"):
        rs.separation(np.zeros((0, 0)))


def test_a_picture_of_no_prompts_is_refused(none):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"expected a matrix \[prompts, prompts\], got shape \[0, 0\]"):
        rs.plot.similarity(rs.signatures(none))


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "txt"])
def test_an_empty_prompt_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"prompts.{suffix}"
    path.write_text("")
    with pytest.raises(rs.FormatError, match="expected at least one prompt, found none"):
        rs.load_prompts(path)
