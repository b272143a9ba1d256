"""Columns of tables, from lists with an entry a prompt."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core

if TYPE_CHECKING:
    from routesig._signatures import SignatureSet

TYPES = ["prompt", "generation"]  # by number, as RoutingTrace.token_types has it


def repeated(values: Sequence[str | None], times: Sequence[int] | int) -> tuple[NDArray[np.int32], list[str]]:
    """`values[i]` on `times[i]` rows: the rows' numbers (-1 for None), and the texts in the order they first occur."""
    texts = [text for text in dict.fromkeys(values) if text is not None]
    number: dict[str | None, int] = {text: i for i, text in enumerate(texts)}
    codes = np.array([number.get(value, -1) for value in values], dtype=np.int32)
    return np.repeat(codes, times), texts


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[np.int32]:
    """Arrays [tokens], one after the other."""
    return np.concatenate([np.empty(0, np.int32), *parts], dtype=np.int32)


def token_ids(traces: _core.TraceSet) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The ids of all tokens, and where there is none."""
    ids = [np.zeros(len(trace), np.int32) if trace.token_ids is None else trace.token_ids for trace in traces]
    absent = [np.full(len(trace), trace.token_ids is None) for trace in traces]
    return joined(ids), np.concatenate([np.empty(0, np.bool_), *absent])


def token_texts(traces: _core.TraceSet) -> list[str | None]:
    """The texts of all tokens, None where there is none."""
    texts: list[str | None] = []
    for trace in traces:
        texts += [None] * len(trace) if trace.token_texts is None else trace.token_texts
    return texts


def grid(sigs: "SignatureSet") -> dict[str, NDArray[Any]]:
    """The cells of signatures, the expert running fastest: layer, expert, count (where there are counts) and value."""
    prompts, layers, experts = sigs.values.shape
    layer, expert = np.divmod(np.arange(layers * experts, dtype=np.int32), np.int32(max(experts, 1)))
    columns: dict[str, NDArray[Any]] = {"layer": np.tile(layer, prompts), "expert": np.tile(expert, prompts)}
    if sigs.counts is not None:
        columns["count"] = sigs.counts.reshape(-1)
    columns["value"] = sigs.values.reshape(-1)
    return columns
