"""The folder: weights under OLMoE-1B-7B's names in bf16, and the configuration Hugging Face reads."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .network import Shape, TinyOlmoe
from .tokenizer import END_ID, PADDING_ID

Weights = dict[str, Tensor]
PLAIN = ("input_layernorm", "post_attention_layernorm", "self_attn.o_proj", "self_attn.q_norm", "self_attn.k_norm")


def to_olmoe(weights: Weights, shape: Shape) -> Weights:
    """Split the fused matrices into the tensors of the original checkpoint."""
    named = {
        "model.embed_tokens.weight": weights["embed_tokens.weight"],
        "model.norm.weight": weights["norm.weight"],
        "lm_head.weight": weights["lm_head.weight"],
    }
    for layer in range(shape.layers):
        source, target = f"layers.{layer}", f"model.layers.{layer}"
        for name in PLAIN:
            named[f"{target}.{name}.weight"] = weights[f"{source}.{name}.weight"]
        for letter, rows in zip("qkv", weights[f"{source}.self_attn.qkv_proj.weight"].chunk(3), strict=True):
            named[f"{target}.self_attn.{letter}_proj.weight"] = rows
        named[f"{target}.mlp.gate.weight"] = weights[f"{source}.mlp.router.weight"]
        for name, axis in (("gate", 0), ("up", 0), ("down", 1)):
            split = weights[f"{source}.mlp.{name}.weight"].split(shape.expert_width, dim=axis)
            for expert, part in enumerate(split):
                named[f"{target}.mlp.experts.{expert}.{name}_proj.weight"] = part
    return named


def from_olmoe(named: Weights, shape: Shape) -> Weights:
    """The inverse of `to_olmoe`."""
    weights = {
        "embed_tokens.weight": named["model.embed_tokens.weight"],
        "norm.weight": named["model.norm.weight"],
        "lm_head.weight": named["lm_head.weight"],
    }
    for layer in range(shape.layers):
        source, target = f"model.layers.{layer}", f"layers.{layer}"
        for name in PLAIN:
            weights[f"{target}.{name}.weight"] = named[f"{source}.{name}.weight"]
        parts = [named[f"{source}.self_attn.{letter}_proj.weight"] for letter in "qkv"]
        weights[f"{target}.self_attn.qkv_proj.weight"] = torch.cat(parts)
        weights[f"{target}.mlp.router.weight"] = named[f"{source}.mlp.gate.weight"]
        for name, axis in (("gate", 0), ("up", 0), ("down", 1)):
            parts = [named[f"{source}.mlp.experts.{expert}.{name}_proj.weight"] for expert in range(shape.experts)]
            weights[f"{target}.mlp.{name}.weight"] = torch.cat(parts, dim=axis)
    return weights


def configuration(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["OlmoeForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "clip_qkv": None,
        "dtype": "bfloat16",
        "eos_token_id": END_ID,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": shape.initializer_range,
        "intermediate_size": shape.expert_width,
        "max_position_embeddings": shape.context,
        "model_type": "olmoe",
        "norm_topk_prob": False,
        "num_attention_heads": shape.heads,
        "num_experts": shape.experts,
        "num_experts_per_tok": shape.top_k,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.heads,
        "output_router_logits": False,
        "pad_token_id": PADDING_ID,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default"},
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": False,
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }


def save_folder(weights: Weights, shape: Shape, folder: Path) -> None:
    """Write the weights rounded to bf16: the committed file is the model."""
    stored = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in to_olmoe(weights, shape).items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # safetensors writes it for the owner alone
    (folder / "config.json").write_text(json.dumps(configuration(shape), indent=2) + "\n", "utf-8")
    generation = {"do_sample": False, "eos_token_id": END_ID, "pad_token_id": PADDING_ID}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", "utf-8")


def load_folder(folder: Path, shape: Shape) -> TinyOlmoe:
    """The stored model in fp32, as it is used."""
    named = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    model = TinyOlmoe(shape)
    model.load_state_dict(from_olmoe(named, shape))
    return model.eval()
