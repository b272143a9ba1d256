"""What `routesig info` says of a model folder, of any architecture, without loading it."""

import json
import struct
import subprocess
import sys
from math import prod

import pytest

import routesig as rs
from routesig._checkpoint import checkpoint_summary


def write_weights(path, tensors):
    """A safetensors file of zeros: name -> shape, two bytes a number."""
    header, end = {}, 0
    for name, shape in tensors.items():
        begin, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def folder_of(folder, config, *shards):
    """A model folder: config.json, and a file of weights for each of `shards`."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    if len(shards) == 1:
        write_weights(folder / "model.safetensors", shards[0])
    elif shards:
        names = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
        for name, tensors in zip(names, shards, strict=True):
            write_weights(folder / name, tensors)
        where = {tensor: name for name, tensors in zip(names, shards, strict=True) for tensor in tensors}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


MIXTRAL = {
    "model_type": "mixtral",
    "architectures": ["MixtralForCausalLM"],
    "num_hidden_layers": 2,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32768,
    "vocab_size": 32000,
}


def test_the_shipped_model_is_what_loading_it_says(model):
    found = checkpoint_summary(model.path)
    assert (found["layers"], found["experts"], found["top_k"]) == (16, 64, 8)
    assert (found["expert_layers"], found["dtype"], found["shards"]) == (16, "BF16", 1)
    assert (found["context"], found["vocabulary"]) == (512, 4096)
    assert found["bytes"] == (model.path / "model.safetensors").stat().st_size
    (header,) = struct.unpack("<Q", (model.path / "model.safetensors").read_bytes()[:8])
    assert found["bytes"] == 8 + header + 2 * found["parameters"]
    assert (found["model"], found["architecture"]) == ("tiny-olmoe", "olmoe / OlmoeForCausalLM")
    assert (found["tokenizer"], found["load_model"], found["obstacle"], found["absent"]) == (
        "tokenizer.json",
        True,
        None,
        {},
    )


def test_another_architecture_in_shards_is_described_and_not_run(tmp_path):
    first = {"model.layers.0.block_sparse_moe.experts.0.w1.weight": (4, 3), "model.norm.weight": (3,)}
    second = {"model.layers.1.block_sparse_moe.experts.0.w1.weight": (4, 3)}
    found = checkpoint_summary(folder_of(tmp_path / "mixtral", MIXTRAL, first, second))
    assert (found["architecture"], found["layers"], found["expert_layers"]) == ("mixtral / MixtralForCausalLM", 2, 2)
    assert (found["experts"], found["top_k"], found["shards"], found["parameters"]) == (8, 2, 2, 27)
    assert found["bytes"] == sum(file.stat().st_size for file in (tmp_path / "mixtral").glob("*.safetensors"))
    assert found["load_model"] is False
    assert found["obstacle"] == (
        "it computes OLMoE alone, and config.json says model_type 'mixtral'; RoutingTrace.from_arrays takes its routing"
    )
    assert found["absent"].keys() == {"tokenizer"}


@pytest.mark.parametrize(
    ("config", "experts", "top_k"),
    [
        ({"num_experts": 128, "num_experts_per_tok": 8}, 128, 8),  # Qwen3
        ({"n_routed_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1}, 256, 8),  # DeepSeek
        ({"moe_num_experts": 64, "moe_k": 6}, 64, 6),  # ERNIE
        ({"text_config": {"num_local_experts": 16, "num_experts_per_tok": 1}}, 16, 1),  # Llama 4
        ({"ffn_config": {"moe_num_experts": 16, "moe_top_k": 4}}, 16, 4),  # DBRX
        ({"num_experts": [8, 8], "moe_topk": True}, None, None),  # no whole numbers
        ({}, None, None),
    ],
)
def test_experts_go_by_many_names_and_what_has_none_is_unknown(tmp_path, config, experts, top_k):
    found = checkpoint_summary(folder_of(tmp_path / "other", config, {"norm.weight": (3,)}))
    assert (found["experts"], found["top_k"]) == (experts, top_k)
    assert ("experts" in found["absent"], "top_k" in found["absent"]) == (experts is None, top_k is None)
    assert found["absent"]["layers"].startswith("config.json has none of num_hidden_layers, ")


def test_dense_layers_and_those_behind_the_last_hold_no_experts(tmp_path):
    names = [f"model.layers.{layer}.mlp.experts.0.up_proj.weight" for layer in (1, 2, 3)]
    config = {"model_type": "deepseek_v3", "num_hidden_layers": 3}  # layer 0 is dense, 3 predicts further tokens
    found = checkpoint_summary(folder_of(tmp_path / "deep", config, dict.fromkeys(names, (2, 2))))
    assert found["expert_layers"] == 2


def test_what_the_headers_cannot_tell_is_said(tmp_path):
    bare = checkpoint_summary(folder_of(tmp_path / "bare", MIXTRAL))
    assert (bare["parameters"], bare["dtype"], bare["shards"], bare["bytes"]) == (None, None, 0, 0)
    assert "expected model.safetensors" in bare["absent"]["parameters"]
    packed = folder_of(tmp_path / "packed", MIXTRAL | {"quantization_config": {}}, {"norm.weight": (3,)})
    found = checkpoint_summary(packed)
    assert (found["parameters"], found["dtype"]) == (None, "BF16")
    assert "quantized" in found["absent"]["parameters"]
    whole = folder_of(tmp_path / "cut", {"model_type": "olmoe"}, {"norm.weight": (3,)}) / "model.safetensors"
    whole.write_bytes(whole.read_bytes()[:-1])
    cut = checkpoint_summary(tmp_path / "cut")
    assert cut["load_model"] is False
    assert "expected data_offsets within the 5 bytes after the header" in cut["obstacle"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "with config.json, found none"), ("{", "expected JSON"), ("[]", "expected a JSON object, found list")],
)
def test_a_folder_of_something_else_is_one_sentence(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(rs.FormatError, match=message):
        checkpoint_summary(tmp_path)


def test_without_torch_the_folder_is_described_and_the_command_that_mends_it_named(tmp_path, monkeypatch):
    folder = folder_of(tmp_path / "olmoe", MIXTRAL | {"model_type": "olmoe"}, {"norm.weight": (3,)})
    monkeypatch.setattr("routesig._model.importlib.util.find_spec", lambda name: None)
    found = checkpoint_summary(folder)
    assert (found["experts"], found["load_model"]) == (8, False)
    assert "built without LibTorch" in found["obstacle"]


def test_the_command_prints_it_and_loads_no_torch(tmp_path):
    pytest.importorskip("typer", reason="the command line needs typer")
    folder = folder_of(tmp_path / "mixtral", MIXTRAL, {"model.layers.0.block_sparse_moe.experts.0.w1.weight": (4, 300)})
    code = (
        "import sys; from routesig import cli; sys.argv = ['routesig', 'info', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "finally: assert not [name for name in sys.modules if name.partition('.')[0] == 'torch']"
    )

    def shown(*options):
        command = [sys.executable, "-c", code, str(folder), *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    lines = dict(line.split(maxsplit=1) for line in shown().splitlines())
    assert (lines["architecture"], lines["experts"], lines["parameters"]) == (
        "mixtral / MixtralForCausalLM",
        "8",
        "1,200",
    )
    assert lines["tokenizer"].startswith("unknown (there is none of tokenizer.json, ")
    assert lines["load_model"].startswith("no: it computes OLMoE alone")
    assert json.loads(shown("--json")) == checkpoint_summary(folder)
