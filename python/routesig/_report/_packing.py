"""What is large, as the page reads it: arrays in the smallest integers that hold them, texts; deflated, in base64."""

import base64
import json
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_INTEGERS = ((np.uint8, "u8"), (np.uint16, "u16"), (np.uint32, "u32"))
# Embeddings, overrides and isolates of the bidirectional algorithm (Unicode Standard Annex 9).
_TURNING = {code: f"\u27e8U+{code:04X}\u27e9" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def packed(values: ArrayLike) -> dict[str, Any]:
    """An array of integers of 0 or more, or of floats (kept in single precision).

    Returns
    -------
    dict
        `type` ("u8", "u16", "u32" or "f32"), `shape` and `data`.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return _array(array.astype("<f4"), "f32")
    top = int(array.max(initial=0))
    for kind, name in _INTEGERS:
        if top <= np.iinfo(kind).max:
            return _array(array.astype(np.dtype(kind).newbyteorder("<")), name)
    return _array(array.astype("<f4"), "f32")


def packed_json(value: Any) -> dict[str, Any]:
    """Texts and what holds them: `type` "json" and `data`."""
    text = straight(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    return {"type": "json", "data": _deflated(text.encode("utf-8"), 6)}


@lru_cache(maxsize=1)
def packed_script(text: str) -> str:
    """A script that the page runs once it needs it."""
    return _deflated(text.encode("utf-8"), 9)


def size(entry: dict[str, Any]) -> int:
    """Bytes that a packed value takes in the page."""
    return len(entry["data"])


def straight(text: str) -> str:
    """A text whose characters that turn the direction of what follows them are written out: they turn nothing."""
    return text.translate(_TURNING)


def _array(array: NDArray[Any], kind: str) -> dict[str, Any]:
    data = _deflated(np.ascontiguousarray(array).tobytes(), 6)
    return {"type": kind, "shape": list(array.shape), "data": data}


def _deflated(content: bytes, level: int) -> str:
    return base64.b64encode(zlib.compress(content, level)).decode("ascii")
