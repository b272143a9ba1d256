"""Signatures in `.npz` files: arrays and text, never pickled (docs/formats.md)."""

import json
import os
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._files import atomic_write
from routesig._signatures import SignatureSet
from routesig._text import json_value

# What zipfile and NumPy raise on files that are no archives of arrays, or damaged ones (OSError: a place before 0).
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_npz(sigs: SignatureSet, path: str | os.PathLike[str]) -> None:
    """Write a file; the same signatures give the same bytes."""
    arrays: dict[str, NDArray[Any]] = {"values": sigs.values}
    if sigs.counts is not None:
        arrays["counts"] = sigs.counts
    if sigs.num_tokens is not None:
        arrays["num_tokens"] = sigs.num_tokens
    for name, column in (("tasks", sigs.tasks), ("ids", sigs.ids), ("groups", sigs.groups)):
        arrays[name] = np.array(["" if entry is None else entry for entry in column], dtype=np.str_)
    if any(source is not None for source in sigs.sources):
        arrays["sources"] = np.array(["" if source is None else source for source in sigs.sources], dtype=np.str_)
    arrays["info"] = np.array(json.dumps(sigs.info, sort_keys=True))
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(path: str | os.PathLike[str]) -> SignatureSet:
    """Read what `write_npz` wrote."""
    name = os.fspath(path)
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
            info = json_value(str(arrays.get("info", "{}")))
        except _DAMAGE as error:
            raise _core.FormatError(
                f"{name}: expected a .npz file of signatures, found something else ({error})"
            ) from None
    missing = {"values", "tasks", "ids", "groups", "info"} - set(arrays)
    if missing:
        raise _core.FormatError(
            f"{name}: expected an array {min(missing)!r}, found {', '.join(sorted(arrays)) or 'none'}"
        )
    if not isinstance(info, dict):
        raise _core.FormatError(f"{name}: expected info to be a JSON object, found {type(info).__name__}")
    values = arrays["values"]
    if values.ndim != 3 or values.dtype != np.float64:
        raise _core.FormatError(
            f"{name}: expected values float64 [prompts, layers, experts], found {values.dtype} {list(values.shape)}"
        )
    for key, shape in {"tasks": 1, "ids": 1, "groups": 1, "sources": 1, "num_tokens": 1, "counts": 3}.items():
        if key in arrays and arrays[key].shape != values.shape[:shape]:
            raise _core.FormatError(
                f"{name}: expected {key} of shape {list(values.shape[:shape])}, found {list(arrays[key].shape)}"
            )
    for key in ("counts", "num_tokens"):
        if key in arrays and arrays[key].dtype != np.uint64:
            raise _core.FormatError(f"{name}: expected {key} as uint64, found {arrays[key].dtype}")
    try:
        return SignatureSet(
            values=np.ascontiguousarray(values),
            counts=arrays.get("counts"),
            ids=arrays["ids"].tolist(),
            tasks=arrays["tasks"].tolist(),
            groups=arrays["groups"].tolist(),
            num_tokens=arrays.get("num_tokens"),
            info=info,
            sources=arrays["sources"].tolist() if "sources" in arrays else [],
        )
    except ValueError as error:  # half a character
        raise _core.FormatError(f"{name}: {error}") from None
