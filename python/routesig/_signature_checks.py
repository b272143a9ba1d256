"""What signatures must be to be written, and to be taken from a file."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from routesig._signatures import SignatureSet

_NEAR_ONE = 1e-6  # of a sum of shares, for shares that were once float32
_COUNTS = 2**53  # below it every whole number is a float64


def check_signatures(sigs: "SignatureSet") -> None:
    """Refuse values that are no shares, counts that float64 cannot hold, and an info that is none: ValueError."""
    prompts, layers, experts = sigs.values.shape
    if prompts and not layers * experts:
        raise ValueError(f"signatures: expected at least one layer and one expert, got {layers} and {experts}")
    _check_shares(sigs)
    for name in ("counts", "num_tokens"):
        array = getattr(sigs, name)
        if array is not None:
            check_counts(array, name)
    _check_info(sigs.info, experts)


def check_counts(array: NDArray[Any], name: str) -> None:
    """Refuse whole numbers that float64 cannot hold: ValueError."""
    if array.size and array.max() >= _COUNTS:
        raise ValueError(f"signatures: expected {name} below 2^53, got {array.max()}")


def _check_shares(sigs: "SignatureSet") -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        sums = sigs.values.sum(axis=2)
        fits = (sums == 0) | (abs(sums - 1) <= _NEAR_ONE)  # 0 is no data; nearly 0 is nothing
    fits &= (sigs.values >= 0).all(axis=2)
    if not fits.all():
        prompt, layer = (int(i) for i in np.argwhere(~fits)[0])
        row = sigs.values[prompt, layer]
        found = f"a sum of {sums[prompt, layer]:g}" if (row >= 0).all() else f"{row[~(row >= 0)][0]:g}"
        raise ValueError(
            "signatures: expected shares of 0 or more that sum to 1 in every layer, or to 0 where there are no data, "
            f"got {found} in layer {layer} of prompt {sigs.ids[prompt]!r}"
        )


def _check_info(info: dict[str, Any], experts: int) -> None:
    """What analyses take from it; further entries are the caller's."""
    top_k = info.get("top_k")
    if top_k is not None and (type(top_k) is not int or not 1 <= top_k <= max(experts, 1)):
        raise ValueError(f"signatures: expected top_k from 1 to {experts} (the number of experts), got {top_k!r}")
    for name in ("unknown_rows", "dropped_rows"):
        rows = info.get(name)
        if rows is not None and (type(rows) is not int or not 0 <= rows < _COUNTS):
            raise ValueError(f"signatures: expected {name} of 0 or more, got {rows!r}")
    for name in ("tokens", "weighting", "model"):
        if not isinstance(info.get(name, ""), (str, type(None))):
            raise ValueError(f"signatures: expected {name} to be text, got {info[name]!r}")
