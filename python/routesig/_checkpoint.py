"""What a model folder says of itself: config.json and the headers of its weights. Nothing is loaded or computed."""

import re
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from routesig import _core
from routesig._files import read_json_object
from routesig._identity import model_name, weight_files
from routesig._model import check_torch

# What configurations of mixture-of-experts models call the same thing.
_CALLED = {
    "layers": ("num_hidden_layers", "n_layers", "num_layers"),
    "experts": ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    "top_k": ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "moe_top_k", "moe_k"),
    "context": ("max_position_embeddings", "max_seq_len", "n_positions"),
    "vocabulary": ("vocab_size",),
}
_NESTED = ("text_config", "ffn_config")  # where models of several parts, and DBRX, keep theirs
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json")
_LARGEST = 64_000_000  # bytes of a configuration


def checkpoint_summary(folder: Path) -> dict[str, Any]:
    """What a folder with config.json holds, by name; None where it does not say, and then `absent` says why.

    Raises
    ------
    FormatError
        Where there is no config.json, or it is no JSON object.
    """
    config = _config(folder)
    found: dict[str, Any] = {"kind": "model", "model": model_name(folder), "architecture": _architecture(config)}
    found |= {name: _whole(config, called) for name, called in _CALLED.items()}
    absent = {name: f"config.json has none of {', '.join(_CALLED[name])}" for name in _CALLED if found[name] is None}
    files = [file for file in weight_files(folder) if file.is_file()]
    found |= {"shards": len(files), "bytes": sum(file.stat().st_size for file in files)}
    tensors, broken = _tensors(folder)
    for name, value, reason in (
        ("expert_layers", _expert_layers(tensors, found["layers"]), "no tensor is named as an expert's"),
        ("parameters", _parameters(tensors, config), "parameters of quantized weights may share a stored number"),
        ("dtype", _dtypes(tensors), ""),
        ("tokenizer", _tokenizer(folder), f"there is none of {', '.join(_TOKENIZERS)}"),
    ):
        found[name] = value
        if value is None:
            absent[name] = broken if broken and name != "tokenizer" else reason
    obstacle = _obstacle(config) or broken
    return found | {"load_model": obstacle is None, "obstacle": obstacle, "absent": absent}


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise _core.FormatError(f"{folder}: expected a model folder with config.json, found none")
    return read_json_object(file, _LARGEST)


def _architecture(config: Mapping[str, Any]) -> str | None:
    kind, classes = config.get("model_type"), config.get("architectures")
    named = [one for one in classes if isinstance(one, str)] if isinstance(classes, list) else []
    return " / ".join([kind, *named[:1]]) if isinstance(kind, str) else (named[0] if named else None)


def _whole(config: Mapping[str, Any], called: tuple[str, ...]) -> int | None:
    """The first whole number under one of these names, at the top or in a part."""
    parts = [config, *(config[name] for name in _NESTED if isinstance(config.get(name), dict))]
    values = (part.get(name) for part in parts for name in called)
    return next((value for value in values if type(value) is int), None)


def _tensors(folder: Path) -> tuple[dict[str, tuple[str, tuple[int, ...]]], str | None]:
    """Dtype and shape of every tensor, from the headers; none, and why, where these cannot be read."""
    try:
        return _core.safetensors_shapes(folder), None
    except (_core.FormatError, OSError) as error:
        return {}, str(error)


def _expert_layers(tensors: Mapping[str, Any], layers: int | None) -> int | None:
    """Layers of which a tensor is named as an expert's; those that only predict further tokens do not count."""
    places = (re.search(r"(?:layers|blocks|h)\.(\d+)\..*experts", name) for name in tensors)
    with_experts = {int(place[1]) for place in places if place}
    return len([layer for layer in with_experts if layers is None or layer < layers]) or None


def _parameters(tensors: Mapping[str, tuple[str, tuple[int, ...]]], config: Mapping[str, Any]) -> int | None:
    return sum(prod(shape) for _, shape in tensors.values()) if tensors and not _quantized(config) else None


def _dtypes(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> str | None:
    """As the files write them, the one of most numbers first."""
    stored: Counter[str] = Counter()
    for dtype, shape in tensors.values():
        stored[dtype] += prod(shape)
    return ", ".join(dtype for dtype, _ in stored.most_common()) or None


def _tokenizer(folder: Path) -> str | None:
    return next((name for name in _TOKENIZERS if (folder / name).is_file()), None)


def _quantized(config: Mapping[str, Any]) -> bool:
    return config.get("quantization_config") is not None


def _obstacle(config: Mapping[str, Any]) -> str | None:
    """Why `rs.load_model` cannot run it, as far as config.json tells; None where it can."""
    kind = config.get("model_type")
    if kind != "olmoe":
        named = f"model_type {kind!r}" if isinstance(kind, str) else "no model_type"
        return f"it computes OLMoE alone, and config.json says {named}; RoutingTrace.from_arrays takes its routing"
    if _quantized(config):
        return "it computes with unquantized weights alone"
    try:
        check_torch()
    except ImportError as error:
        return str(error)
    return None
