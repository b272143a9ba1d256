"""The model from Python: what goes in and out, what it refuses, how it is interrupted. Numbers: test_parity.py."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

pytest.importorskip("torch", reason="running a model needs PyTorch")
pytest.importorskip("routesig._torch", reason="built without LibTorch")

import routesig as rs

CONFIG = {
    "model_type": "olmoe",
    "architectures": ["OlmoeForCausalLM"],
    "hidden_act": "silu",
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_experts": 16,
    "num_experts_per_tok": 4,
    "max_position_embeddings": 200,
    "initializer_range": 0.2,
    "norm_topk_prob": True,
    "tie_word_embeddings": True,
    "eos_token_id": [5, 6],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("untrained")
    (path / "config.json").write_text(json.dumps(CONFIG))
    return path


@pytest.fixture(scope="module")
def small(folder):
    return rs.load_model(folder, random_weights=0)


def test_one_prompt_gives_one_array(small):
    logits = small.forward([1, 2, 3])
    assert logits.shape == (3, 60)
    assert logits.dtype == np.float32
    assert logits.flags.c_contiguous
    assert logits.flags.writeable


def test_a_batch_of_unequal_lengths_is_its_prompts(small):
    prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10]]
    together = small.forward(prompts)
    assert [a.shape for a in together] == [(3, 60), (1, 60), (6, 60)]
    for logits, prompt in zip(together, prompts, strict=True):
        np.testing.assert_allclose(logits, small.forward(prompt), atol=1e-5)


def test_arrays_outlive_the_model(folder):
    model = rs.load_model(folder, random_weights=0)
    logits = model.forward([[1, 2], [3]])
    kept = [a.copy() for a in logits]
    del model
    for a, b in zip(logits, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_recording_changes_no_bit(small):
    recorder = rs.TraceRecorder(router_logits=True)
    np.testing.assert_array_equal(small.forward([1, 2, 3]), small.forward([1, 2, 3], recorder=recorder))
    trace = recorder.traces[0]
    assert trace.experts.shape == (3, 3, 4)
    assert trace.router_logits.shape == (3, 3, 16)
    assert trace.token_ids.tolist() == [1, 2, 3]
    # Best first, by the logits themselves, and renormalised.
    picked = np.take_along_axis(trace.router_logits, trace.experts.astype(np.int64), axis=-1)
    assert (np.diff(picked, axis=-1) <= 0).all()
    assert (picked[..., -1] >= np.sort(trace.router_logits, axis=-1)[..., -4]).all()
    np.testing.assert_allclose(trace.weights.sum(-1), 1, atol=1e-6)


def test_generate_returns_the_new_ids_alone(small):
    recorder = rs.TraceRecorder()
    answers = small.generate([[1, 2, 3], [9]], max_new_tokens=7, ignore_eos=True, recorder=recorder)
    assert [len(ids) for ids in answers] == [7, 7]
    assert [t.experts.shape[1] for t in recorder.traces] == [3 + 6, 1 + 6]
    assert recorder.traces[1].token_types.tolist() == [0] + [1] * 6
    assert recorder.traces[0].token_ids.tolist() == [1, 2, 3, *answers[0][:-1]]
    assert small.generate([1, 2, 3], max_new_tokens=7, ignore_eos=True) == answers[0]


def test_sampling_is_reproducible(small):
    first = small.generate([1, 2], max_new_tokens=20, temperature=1.5, seed=3, ignore_eos=True)
    assert first == small.generate([1, 2], max_new_tokens=20, temperature=1.5, seed=3, ignore_eos=True)
    assert first != small.generate([1, 2], max_new_tokens=20, temperature=1.5, seed=4, ignore_eos=True)


def test_the_config_is_what_the_folder_says(small):
    for key, value in CONFIG.items():
        if key not in ("model_type", "architectures", "hidden_act"):
            assert small.config[key] == value, key
    assert small.config["head_dim"] == 8
    assert small.config["clip_qkv"] is None
    assert small.info.renormalized
    assert (small.info.layers, small.info.experts, small.info.top_k) == (3, 16, 4)


def test_random_weights_are_their_seed(folder, small):
    np.testing.assert_array_equal(rs.load_model(folder, random_weights=0).forward([1, 2]), small.forward([1, 2]))
    assert np.abs(rs.load_model(folder, random_weights=1).forward([1, 2]) - small.forward([1, 2])).max() > 1e-3


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[]], "at least 1 token id in prompt 0"),
        ([[1], [60]], r"token ids from 0 to 59, got 60 \(prompt 1, position 0\)"),
        ([[-1]], "token ids from 0 to 59, got -1"),
        ([[2**40]], "expected 32-bit integers, got 1099511627776"),
        ([[10**30]], "expected 32-bit integers"),
        ([list(range(50)) * 5], "at most 200 tokens .* in prompt 0, got 250"),
    ],
)
def test_bad_token_ids_are_a_value_error(small, ids, message):
    with pytest.raises(ValueError, match=message):
        small.forward(ids)


def test_what_does_not_fit_the_context_is_refused_before_any_work(small):
    recorder = rs.TraceRecorder()
    with pytest.raises(ValueError, match=r"context of 200, got 190 \+ 11 in prompt 0"):
        small.generate([1] * 190, max_new_tokens=11, recorder=recorder)
    assert len(recorder.traces) == 0
    assert len(small.generate([1] * 190, max_new_tokens=10, ignore_eos=True)) == 10


@pytest.mark.parametrize("native", ["forward", "generate"])
def test_the_native_module_asks_for_a_list_of_lists(small, native):
    with pytest.raises(TypeError, match="list of lists of ints"):
        getattr(small._native, native)([1, 2])
    with pytest.raises(TypeError):
        getattr(small._native, native)([[1.5]])


def test_a_missing_gpu_is_one_sentence(folder):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="LibTorch finds no GPU; use cpu"):
        rs.load_model(folder, random_weights=0, device="cuda")


def test_weights_that_disagree_with_the_config_are_refused(folder, tmp_path):
    from safetensors.numpy import save_file

    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file({"model.embed_tokens.weight": np.zeros((60, 31), np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(rs.FormatError, match="safetensors"):
        rs.load_model(tmp_path)


def test_other_threads_run_while_it_computes(small):
    """The GIL is released: a second thread counts on during one long call."""
    counted = 0
    counting, done = threading.Event(), threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            counting.set()

    thread = threading.Thread(target=count)
    thread.start()
    try:
        counting.wait()
        before = counted
        small.generate([[1, 2, 3]] * 20, max_new_tokens=60, ignore_eos=True)
        during = counted - before
    finally:
        done.set()
        thread.join()
    assert during > 1000


def test_two_threads_may_share_a_model(small):
    expected = small.generate([1, 2, 3], max_new_tokens=30, ignore_eos=True)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(small.generate([1, 2, 3], max_new_tokens=30, ignore_eos=True)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_ctrl_c_ends_a_run(folder):
    """In a process of its own: the signal comes while a run of minutes is under way."""
    program = f"""
        import os, signal, threading
        import routesig as rs
        model = rs.load_model({os.fspath(folder)!r}, random_weights=0)
        started = threading.Event()

        def interrupt():
            started.wait()
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        try:
            started.set()
            for _ in range(100_000):
                model.generate([[1, 2, 3]] * 50, max_new_tokens=150, ignore_eos=True)
        except KeyboardInterrupt:
            print("interrupted")
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300, check=False
    )
    assert out.stdout == "interrupted\n", out.stderr
    assert out.returncode in (0, -signal.SIGINT)
