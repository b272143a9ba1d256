"""Arrays as the page reads them: the smallest unsigned integers that hold them, deflated, in base64."""

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_INTEGERS = ((np.uint8, "u8"), (np.uint16, "u16"), (np.uint32, "u32"))


def packed(values: ArrayLike) -> dict[str, Any]:
    """An array of integers of 0 or more, or of floats (kept in single precision).

    Returns
    -------
    dict
        `type` ("u8", "u16", "u32" or "f32"), `shape` and `data`.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return _entry(array.astype("<f4"), "f32")
    top = int(array.max(initial=0))
    for kind, name in _INTEGERS:
        if top <= np.iinfo(kind).max:
            return _entry(array.astype(np.dtype(kind).newbyteorder("<")), name)
    return _entry(array.astype("<f4"), "f32")


def size(entry: dict[str, Any]) -> int:
    """Bytes that a packed array takes in the page."""
    return len(entry["data"])


def _entry(array: NDArray[Any], kind: str) -> dict[str, Any]:
    deflated = zlib.compress(np.ascontiguousarray(array).tobytes(), 6)
    return {"type": kind, "shape": list(array.shape), "data": base64.b64encode(deflated).decode("ascii")}
