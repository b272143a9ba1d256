"""Hugging Face's OlmoeForCausalLM is the reference; scripts/parity.py measures, this holds it to the stated bounds."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="running a model needs PyTorch")
transformers = pytest.importorskip("transformers", reason="the reference is Hugging Face's")
pytest.importorskip("routesig._torch", reason="built without LibTorch")

import routesig as rs  # noqa: E402


def case_called(parity, name):
    case = next(case for case in parity.CASES if case.name == name)
    if case.config is None and not (parity.SHIPPED / "model.safetensors").is_file():
        pytest.skip("the shipped model is not there yet")
    return case


NAMES = ["grouped", "deep", "middle", "full width", "shipped"]


def test_every_case_is_tested(parity):
    assert [case.name for case in parity.CASES] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_hugging_faces(parity, name):
    rows = parity.measure(case_called(parity, name), "float32")
    assert len(rows) == 4
    for row in rows:
        print(row)
        assert row.rows > 0
        assert row.delta_logit is None or row.delta_logit <= parity.LOGIT_BOUND
        assert row.delta_router <= parity.LOGIT_BOUND
        assert row.unexplained == 0
        assert row.other_tokens == 0
        assert row.touched < row.rows / 10  # else little was compared


def test_what_hears_of_another_choice_is_told_apart(parity):
    differs = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=bool)  # [layers, tokens]
    expected = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1]], dtype=bool)
    assert (parity.heard_of(differs) == expected).all()
    assert not parity.heard_of(np.zeros((3, 4), dtype=bool)).any()


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_agrees_in_most_rows(parity, name):
    for row in parity.measure(case_called(parity, name), "bfloat16"):
        print(row)
        assert row.agreement >= parity.BF16_BOUND


def test_the_page_is_what_the_script_writes(parity):
    """Figures change with the machine; the models and the runs that the page lists do not."""
    page = (parity.ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    for case in parity.CASES:
        for mode in ("prefill, one by one", "prefill, one batch", "cached decoding, one by one"):
            assert f"| {case.name} | {mode} |" in page
    assert f"differs by more than {parity.LOGIT_BOUND:g}" in page


SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.1,
}


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(1)
    return transformers.OlmoeForCausalLM(transformers.OlmoeConfig(**SMALL, eos_token_id=3)).eval()


IDS = [8, 7, 42, 3, 9]  # not 1: the padding row of the embedding is 0, so all its router logits would tie


@pytest.fixture(scope="module")
def expected(theirs):
    with torch.inference_mode():
        return theirs(torch.tensor([IDS])).logits[0].numpy()


def close(path, expected):
    assert np.abs(rs.load_model(path, dtype="float32").forward(IDS) - expected).max() <= 1e-5


def test_shards_and_their_index_are_read(theirs, expected, tmp_path):
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    close(tmp_path, expected)


def test_the_checkpoint_that_hugging_face_would_load_is_loaded(theirs, expected, tmp_path):
    """Not the shards of an earlier save, nor another file that lies in the folder."""
    torch.manual_seed(5)
    transformers.OlmoeForCausalLM(theirs.config).save_pretrained(tmp_path, max_shard_size="20KB")
    single = tmp_path / "single"
    theirs.save_pretrained(single)
    (single / "model.safetensors").rename(tmp_path / "model.safetensors")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"no safetensors at all")
    with torch.inference_mode():
        read = transformers.OlmoeForCausalLM.from_pretrained(tmp_path)(torch.tensor([IDS])).logits[0].numpy()
    assert np.abs(read - expected).max() <= 1e-5
    close(tmp_path, expected)


def test_the_fused_layout_is_read(theirs, expected, tmp_path):
    """As transformers keeps experts in memory: gate_up_proj [E, 2 F, D], gate first."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in theirs.state_dict().items()}
    assert any(name.endswith("experts.gate_up_proj") for name in tensors)
    theirs.config.save_pretrained(tmp_path)
    save_file(tensors, tmp_path / "model.safetensors")
    close(tmp_path, expected)


def test_float16_files_are_computed_in_float32(theirs, tmp_path):
    half = transformers.OlmoeForCausalLM(theirs.config)
    half.load_state_dict(theirs.state_dict())
    half.to(torch.float16).save_pretrained(tmp_path)
    with torch.inference_mode():
        wide = transformers.OlmoeForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
        expected = wide(torch.tensor([IDS])).logits[0].numpy()
    model = rs.load_model(tmp_path)
    assert model.info.model_dtype == "float32"
    assert np.abs(model.forward(IDS) - expected).max() <= 1e-5


def test_version_4_configs_are_read(theirs, expected, tmp_path):
    """rope_theta beside the other fields and torch_dtype, as the published OLMoE folders have them."""
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["torch_dtype"] = config.pop("dtype")
    (tmp_path / "config.json").write_text(json.dumps(config))
    close(tmp_path, expected)


def test_another_rope_base_is_used(tmp_path):
    torch.manual_seed(2)
    config = transformers.OlmoeConfig(**SMALL, rope_parameters={"rope_type": "default", "rope_theta": 50.0})
    theirs = transformers.OlmoeForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    long = list(range(50))
    with torch.inference_mode():
        expected = theirs(torch.tensor([long])).logits[0].numpy()
    assert np.abs(rs.load_model(tmp_path).forward(long) - expected).max() <= 1e-5


def test_weights_as_applied_are_hugging_faces(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    heard = []
    hooks = [
        layer.mlp.gate.register_forward_hook(lambda _module, _inputs, out: heard.append((out[1], out[2])))
        for layer in theirs.model.layers
    ]
    with torch.inference_mode():
        theirs(torch.tensor([IDS]))
    for hook in hooks:
        hook.remove()
    recorder = rs.TraceRecorder()
    rs.load_model(tmp_path).forward(IDS, recorder=recorder)
    trace = recorder.traces[0]
    for layer, (weights, experts) in enumerate(heard):
        np.testing.assert_array_equal(trace.experts[layer], experts.numpy())
        np.testing.assert_allclose(trace.weights[layer], weights.numpy(), atol=1e-6)


def test_greedy_generation_stops_where_hugging_face_stops(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    prompt = torch.tensor([IDS])
    whole = theirs.generate(prompt, max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0)[0, 5:]
    stop = int(whole[6])
    cut = theirs.generate(prompt, max_new_tokens=20, do_sample=False, eos_token_id=stop, pad_token_id=0)[0, 5:]
    for name in ("config.json", "generation_config.json"):
        config = json.loads((tmp_path / name).read_text())
        config["eos_token_id"] = stop
        (tmp_path / name).write_text(json.dumps(config))
    model = rs.load_model(tmp_path)
    assert model.generate(IDS, max_new_tokens=20) == cut.tolist()
    assert model.generate(IDS, max_new_tokens=20, ignore_eos=True) == whole.tolist()
