"""A matrix as a PNG, for sets of prompts that are too large to be compared in the page."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

# Cividis (Nunez, Anderton and Renslow, PLOS ONE 13, 2018) at even steps; the page draws with the same colours.
CIVIDIS = (
    *((0, 32, 76), (0, 42, 102), (0, 52, 110), (39, 63, 108), (60, 74, 107), (76, 85, 107), (91, 95, 109)),
    *((104, 106, 112), (117, 117, 117), (131, 129, 120), (146, 140, 120), (161, 152, 118), (176, 165, 114)),
    *((192, 177, 109), (209, 191, 102), (225, 204, 92), (243, 219, 79), (255, 233, 69)),
)


def block_means(matrix: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """The means of at most `side` x `side` blocks over their numbers; NaN where a block has none."""
    edges = np.linspace(0, len(matrix), min(side, len(matrix)) + 1).astype(int)[:-1]
    known = ~np.isnan(matrix)
    sums, counts = (
        np.add.reduceat(np.add.reduceat(values, edges, axis=0), edges, axis=1)
        for values in (np.where(known, matrix, 0.0), known.astype(np.float64))
    )
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def png(matrix: NDArray[np.float64], low: float, high: float) -> str:
    """The matrix in cividis from `low` to `high`, NaN clear, as a `data:` address."""
    place = np.clip((matrix - low) / max(high - low, 1e-12), 0, 1) * 254
    indices = np.where(np.isnan(matrix), 255, np.rint(np.nan_to_num(place))).astype(np.uint8)
    rows = np.concatenate([np.zeros((len(indices), 1), np.uint8), indices], axis=1).tobytes()  # filter 0 on each row
    steps = np.linspace(0, len(CIVIDIS) - 1, 255)
    palette = np.stack([np.interp(steps, range(len(CIVIDIS)), channel) for channel in np.array(CIVIDIS).T], axis=1)
    height, width = indices.shape
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, content)
        for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", np.rint(palette).astype(np.uint8).tobytes() + bytes(3)),
            (b"tRNS", bytes([255] * 255 + [0])),
            (b"IDAT", zlib.compress(rows, 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
