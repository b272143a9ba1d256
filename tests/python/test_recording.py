"""record(): what is recorded, streamed, resumed, forced."""

import pickle
import random
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest

import routesig as rs

PROMPTS = [
    rs.Prompt("a", "code", "Write a function that adds two numbers.", template="t", level=3),
    rs.Prompt("b", "math", "What is 12 plus 30?"),
    rs.Prompt("c", None, "Tell a story about a \u00e9lan <b>dog</b>\n\u4e2d\u6587."),
]


def record(model, prompts=PROMPTS, **options):
    return rs.record(model, prompts, **{"max_new_tokens": 5, "ignore_eos": True, "progress": False, **options})


def test_rows_are_the_tokens_that_were_fed(model):
    traces = record(model)
    assert traces.ids == ["a", "b", "c"]
    for trace, prompt in zip(traces, PROMPTS, strict=True):
        ids = model.tokenizer.encode(prompt.text).ids
        assert trace.prompt_tokens == len(ids)
        assert len(trace) == len(ids) + 5 - 1
        assert trace.token_ids.tolist()[: len(ids)] == ids
        assert trace.token_types.tolist() == [0] * len(ids) + [1] * 4
        assert trace.positions.tolist() == list(range(len(trace)))
        assert trace.experts.shape == (16, len(trace), 8)
        assert trace.valid.all()
        assert (np.diff(trace.weights, axis=2) <= 0).all(), "weights fall from the best expert on"
        assert trace.weights.min() > 0
        assert trace.weights.sum(axis=2).max() < 1.0, "weights are not renormalised"
        assert len(trace.token_texts) == len(trace)
    assert (traces[0].task, traces[0].group, traces[0].fields) == ("code", "t", {"level": 3, "template": "t"})
    assert (traces[2].task, traces[2].text) == (None, PROMPTS[2].text)
    assert traces.info.model_name == "tiny-olmoe"
    assert len(traces.info.model_sha256) == 64


def test_generated_rows_are_what_generate_returns(model):
    new = model.generate(model.tokenizer.encode(PROMPTS[0].text).ids, max_new_tokens=5, ignore_eos=True)
    trace = record(model)[0]
    assert trace.token_ids.tolist()[trace.prompt_tokens :] == new[:-1]


def test_the_recorder_changes_no_bit_of_the_logits(model):
    ids = model.tokenizer.encode(PROMPTS[0].text).ids
    recorder = rs.TraceRecorder(router_logits=True)
    assert model.forward(ids, recorder=recorder).tobytes() == model.forward(ids).tobytes()
    trace = recorder.traces[0]
    assert trace.router_logits.shape == (16, len(ids), 64)
    # The recorded experts are the eight largest logits, and their weights the softmax over all 64.
    best = np.argsort(-trace.router_logits, axis=2, kind="stable")[..., :8]
    assert (best == trace.experts).all()
    shifted = np.exp(trace.router_logits - trace.router_logits.max(axis=2, keepdims=True))
    share = np.take_along_axis(shifted / shifted.sum(axis=2, keepdims=True), best, axis=2)
    np.testing.assert_allclose(trace.weights, share, atol=1e-6)


def test_saving_router_logits_warns_that_the_file_does_not_hold_them(model, tmp_path, recwarn):
    record(model, PROMPTS[:1]).save(tmp_path / "plain.jsonl")
    assert not recwarn.list
    traces = record(model, PROMPTS[:2], router_logits=True)
    path = tmp_path / "t.jsonl"
    with pytest.warns(UserWarning, match="router logits live in memory only") as warned:
        traces.save(path)
    said = "router logits live in memory only; those of 2 traces are left out of the file"
    assert [str(w.message) for w in warned] == [f"{path}: {said}"]
    assert warned[0].filename == __file__, "the warning points at the line that saved"
    assert rs.read_traces(path)[0].router_logits is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="left out"):
            traces.save(tmp_path / "u.jsonl")
    assert not (tmp_path / "u.jsonl").exists()


def test_batch_size_changes_experts_only_at_ties(model):
    one, three = record(model, batch_size=1, router_logits=True), record(model, batch_size=3)
    for a, b in zip(one, three, strict=True):
        assert a.token_ids.tolist() == b.token_ids.tolist()
        ranked = -np.sort(-a.router_logits, axis=2)
        margin = ranked[..., 7] - ranked[..., 8]
        differs = (np.sort(a.experts, axis=2) != np.sort(b.experts, axis=2)).any(axis=2)
        assert not (differs & (margin >= 1e-5)).any()


def test_sampling_depends_on_the_seed_and_not_on_the_batch(model):
    hot = {"temperature": 1.0, "max_new_tokens": 12}
    first = [t.token_ids.tolist() for t in record(model, **hot, seed=1)]
    assert first == [t.token_ids.tolist() for t in record(model, **hot, seed=1, batch_size=1)]
    assert first != [t.token_ids.tolist() for t in record(model, **hot, seed=2)]


def test_a_streamed_file_holds_what_memory_holds(model, tmp_path):
    path = tmp_path / "t.jsonl"
    streamed = record(model, out=path)
    assert [p.name for p in tmp_path.iterdir()] == ["t.jsonl"]
    again = rs.read_traces(path)
    assert again == streamed
    for a, b in zip(record(model), again, strict=True):
        assert a == b
    assert again.settings == {
        "max_new_tokens": 5,
        "temperature": 0.0,
        "seed": 0,
        "ignore_eos": True,
        "chat_template": None,
        "add_special_tokens": True,
    }
    other = tmp_path / "u.jsonl"
    record(model, out=other)
    assert other.read_bytes() == path.read_bytes(), "same input, same bytes"
    streamed.save(tmp_path / "v.jsonl")
    assert rs.read_traces(tmp_path / "v.jsonl") == streamed


def test_forced_tokens_route_as_they_did_when_generated(model, tmp_path):
    traces = record(model)
    forced = rs.record(model, traces, out=tmp_path / "f.jsonl", progress=False)
    for a, b in zip(traces, forced, strict=True):
        assert a.token_ids.tolist() == b.token_ids.tolist()
        assert a.token_types.tolist() == b.token_types.tolist()
        assert (np.sort(a.experts, axis=2) == np.sort(b.experts, axis=2)).mean() > 0.99
        assert (a.id, a.task, a.group, a.fields) == (b.id, b.task, b.group, b.fields)


def test_random_weights_are_the_same_architecture_untrained(model):
    a, b, c = (rs.load_model(random_weights=seed) for seed in (1, 1, 2))
    traces = record(model)
    routes = [rs.record(m, traces, progress=False) for m in (a, b, c)]
    assert routes[0] == routes[1]
    assert (routes[0][0].experts != routes[2][0].experts).any()
    assert (routes[0][0].experts != traces[0].experts).any()
    assert a.info.layers == model.info.layers
    assert "random weights 1" in a.info.model_name


# Records in a process that the system kills when a file of it would pass the given number of bytes (SIGXFSZ).
KILLED = """
import resource, signal, sys
import routesig as rs
prompts, path, size = rs.load_prompts()[:12], sys.argv[1], int(sys.argv[2])
model = rs.load_model()
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
rs.record(model, prompts, max_new_tokens=4, batch_size=1, out=path, resume="resume" in sys.argv, progress=False)
"""


def test_a_recording_killed_at_any_byte_is_readable_and_resumes_to_the_same_file(model, tmp_path):
    prompts, options = rs.load_prompts()[:12], {"max_new_tokens": 4, "batch_size": 1, "progress": False}
    rs.record(model, prompts, out=tmp_path / "whole.jsonl", **options)
    whole = (tmp_path / "whole.jsonl").read_bytes()
    path, partial = tmp_path / "t.jsonl", tmp_path / "t.jsonl.partial"
    first, second = sorted(random.Random(1).sample(range(len(whole) // 8, len(whole)), 2))
    for size, resume in ((first, []), (second, ["resume"])):
        child = subprocess.run(
            [sys.executable, "-c", KILLED, path, str(size), *resume], capture_output=True, check=False
        )
        assert child.returncode == -signal.SIGXFSZ, child.stderr
        assert not path.exists()
        left = partial.read_bytes()
        assert left == whole[:size]
        with pytest.raises(rs.FormatError, match="recover=True"):
            rs.read_traces(partial)
        lines = left[: left.rindex(b"\n") + 1]
        with pytest.warns(UserWarning, match="recovered"):
            kept = rs.read_traces(partial, recover=True)
        assert not kept.complete
        assert len(kept) == lines.count(b'{"kind":"prompt",')
        assert sum(map(len, kept)) == lines.count(b'{"kind":"token",')

    with pytest.raises(ValueError, match=r"cannot resume: expected settings\.seed 0 as in the file, got 5"):
        rs.record(model, prompts, seed=5, out=path, resume=True, **options)
    with pytest.raises(ValueError, match=r"cannot resume: expected prompts\."):
        rs.record(model, prompts[:7], out=path, resume=True, **options)
    resumed = rs.record(model, prompts, out=path, resume=True, **options)
    assert path.read_bytes() == whole
    assert not partial.exists()
    assert resumed == rs.read_traces(tmp_path / "whole.jsonl")
    assert rs.record(model, prompts, out=path, resume=True, **options) == resumed, (
        "a finished file has nothing left to do"
    )
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("prompts", "options", "error", "message"),
    [
        ([rs.Prompt("x", None, "")], {}, ValueError, "prompt 'x' is empty"),
        (
            [rs.Prompt("x", None, "word " * 5000)],
            {},
            ValueError,
            "prompt 'x' has [0-9]+ tokens, and with 5 new ones exceeds",
        ),
        ([], {}, ValueError, "expected at least one prompt"),
        ([rs.Prompt("x", None, "a"), rs.Prompt("x", None, "b")], {}, ValueError, "'x' twice"),
        ([3], {}, TypeError, "expected prompts as rs.Prompt or text, got an int"),
        ("one prompt", {}, TypeError, "use .text."),
        (PROMPTS, {"max_new_tokens": -1}, ValueError, "expected max_new_tokens from 0 to"),
        (PROMPTS, {"batch_size": 0}, ValueError, "expected batch_size from 1 to"),
        (PROMPTS, {"router_logits": True}, ValueError, "memory only"),
        (PROMPTS, {"chat_template": "mine"}, ValueError, "expected chat_template to be None or 'model'"),
        (PROMPTS, {"chat_template": "model"}, ValueError, "needs a chat template"),
        (PROMPTS, {"temperature": -1.0}, ValueError, "temperature"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(model, tmp_path, prompts, options, error, message):
    with pytest.raises(error, match=message):
        record(model, prompts, out=tmp_path / "t.jsonl", **options)
    assert not (tmp_path / "t.jsonl").exists()


def test_plain_text_prompts_get_ids(model):
    assert record(model, ["Hello there.", "Goodbye."]).ids == ["prompt-1", "prompt-2"]


def test_no_new_tokens_records_the_prompt_alone(model):
    trace = record(model, max_new_tokens=0)[0]
    assert len(trace) == trace.prompt_tokens


def test_another_thing_than_a_model_is_refused():
    with pytest.raises(TypeError, match=r"expected a model from rs\.load_model, got a str"):
        rs.record("tiny", PROMPTS)


def test_rotated_routers_are_recorded_beside_and_change_nothing(model):
    plain = record(model)
    both = record(model, rotated_routers=2, seed=5)
    assert plain == both
    assert plain.rotated == []
    assert [len(one) for one in both.rotated] == [3, 3]
    for one in both.rotated:
        assert one.ids == both.ids
        assert one.tasks == both.tasks
        for real, heard in zip(both, one, strict=True):
            np.testing.assert_array_equal(real.token_ids, heard.token_ids)
            assert (real.experts != heard.experts).mean() > 0.5
    assert both.rotated[1].info.model_name.endswith("(rotated router 1, seed 5)")
    again = record(model, both, rotated_routers=2, seed=5)  # forced tokens, the same hidden states
    agree = np.mean([(a.experts == b.experts).mean() for a, b in zip(both.rotated[0], again.rotated[0], strict=True)])
    assert agree > 0.999


def test_rotated_routers_follow_slices_and_pickles_and_are_missed_where_they_are_lost(model, tmp_path):
    both = record(model, rotated_routers=1)
    assert both[1:].rotated[0].ids == both.ids[1:]
    assert both.take([2, 0]).rotated[0].ids == [both.ids[2], both.ids[0]]
    assert pickle.loads(pickle.dumps(both)).rotated == both.rotated
    with pytest.warns(UserWarning, match=r"t.jsonl: a file holds the traces of one router; those of 1 rotated "):
        both.save(tmp_path / "t.jsonl")
    with pytest.raises(ValueError, match="expected 3 traces from every rotated router, got 2"):
        both.rotated = [both.rotated[0][:2]]


def test_a_number_of_rotated_routers_below_0_is_refused(model):
    with pytest.raises(ValueError, match="rotated_routers from 0 to 1000, got -1"):
        record(model, rotated_routers=-1)


ROTATED = ("t.jsonl", "t.rotated-000.jsonl", "t.rotated-001.jsonl")


def test_rotated_routers_stream_to_files_beside_that_hold_what_memory_holds(model, tmp_path):
    kept = record(model, rotated_routers=2, seed=5)
    streamed = record(model, rotated_routers=2, seed=5, out=tmp_path / "t.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(ROTATED)
    for name, held, read in zip(ROTATED[1:], kept.rotated, streamed.rotated, strict=True):
        assert read == rs.read_traces(tmp_path / name)
        assert read.info == held.info
        assert list(read) == list(held)
    assert list(streamed) == list(kept)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_files_of_rotated_routers_resume_wherever_each_of_them_was_cut(model, tmp_path, seed):
    options = {"rotated_routers": 2, "batch_size": 1, "out": tmp_path / "t.jsonl"}
    record(model, **options)
    whole = {name: (tmp_path / name).read_bytes() for name in ROTATED}
    where = random.Random(seed)
    for name in where.sample(ROTATED, 2):  # the third is finished
        (tmp_path / name).unlink()
        cut = where.randrange(len(whole[name]))
        (tmp_path / f"{name}.partial").write_bytes(whole[name][:cut])
    resumed = record(model, resume=True, **options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole
    assert [one.ids for one in resumed.rotated] == [resumed.ids] * 2


def test_a_finished_recording_can_be_given_rotated_routers_and_keeps_its_bytes(model, tmp_path):
    record(model, out=tmp_path / "t.jsonl")
    before = (tmp_path / "t.jsonl").read_bytes()
    both = record(model, out=tmp_path / "t.jsonl", rotated_routers=1, resume=True)
    assert (tmp_path / "t.jsonl").read_bytes() == before
    assert list(both.rotated[0]) == list(record(model, rotated_routers=1).rotated[0])


def test_what_an_interrupted_rotated_router_left_is_not_lost(model, tmp_path):
    left = tmp_path / "t.rotated-001.jsonl.partial"
    left.write_text("something\n")
    with pytest.raises(FileExistsError, match=r"t.rotated-001.jsonl.partial"):
        record(model, out=tmp_path / "t.jsonl", rotated_routers=2)
    assert [path.name for path in tmp_path.iterdir()] == [left.name]


def test_other_rotations_do_not_go_on_in_the_same_file(model, tmp_path):
    options = {"rotated_routers": 1, "out": tmp_path / "t.jsonl", "progress": False}
    traces = record(model)
    rs.record(model, traces, seed=1, **options)
    with pytest.raises(ValueError, match=r"expected model.name .*seed 1.* as in the file, got .*seed 0"):
        rs.record(model, traces, seed=0, resume=True, **options)
