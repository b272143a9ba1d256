"""Which model a folder holds: the name its owner gave it, and the hash of the weights that are loaded from it."""

import hashlib
import re
from pathlib import Path

from routesig._text import json_value, path_text

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_LARGEST = 64_000_000  # bytes of an index


def model_name(folder: Path) -> str:
    """The owner's name of a snapshot in a Hugging Face cache, "allenai/OLMoE-1B-7B-0924"; else the folder's own.

    A link is called what it leads to. `_name_or_path` of config.json is only what some earlier program was given.
    """
    for place in (folder.absolute(), folder.resolve()):
        kind, *owner_and_name = place.parent.parent.name.split("--")  # .../models--OWNER--NAME/snapshots/COMMIT
        if place.parent.name == "snapshots" and kind == "models" and len(owner_and_name) in (1, 2):
            return path_text("/".join(owner_and_name))
    return path_text(folder.resolve().name)


def weight_files(folder: Path) -> list[Path]:
    """The files that the weights are loaded from, by name; none where loading is going to refuse the folder.

    The rule of `Safetensors::open`: model.safetensors, or the shards that its index names.
    """
    single, index = folder / _SINGLE, folder / _INDEX
    if single.is_file() or not index.is_file():
        return [single]
    if index.stat().st_size > _LARGEST:
        return []
    try:
        shards = set(json_value(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    plain = all(isinstance(name, str) and re.fullmatch(r"[^/\\\x00-\x1f]+\.safetensors", name) for name in shards)
    return [folder / name for name in sorted(shards)] if plain else []


def sha256(paths: list[Path]) -> str:
    """Of the files' bytes one after the other; "" where there are none, or one is not there."""
    if not (paths and all(path.is_file() for path in paths)):
        return ""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while piece := file.read(1 << 22):
                digest.update(piece)
    return digest.hexdigest()
