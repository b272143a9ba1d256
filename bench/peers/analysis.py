"""Signatures and similarity, ours against NumPy, in turns; prints JSON lines of seconds."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import routesig as rs

ROUNDS = 7


def turns(
    item: str, peer: str, ours: Callable[[], Any], theirs: Callable[[], Any], target: float | None = None
) -> None:
    """Times the two in turns, ROUNDS times, after one warm-up each."""
    pairs = []
    for round_number in range(ROUNDS + 1):
        times = []
        for function in (ours, theirs):
            repeat, began = 0, time.perf_counter()
            while repeat == 0 or time.perf_counter() - began < 0.1:
                function()
                repeat += 1
            times.append((time.perf_counter() - began) / repeat)
        if round_number:
            pairs.append(times)
    print(json.dumps({"item": item, "peer": peer, "seconds": pairs, "target": target}), flush=True)


def random_set(prompts: int) -> rs.SignatureSet:
    counts = np.random.default_rng(0).multinomial(320, [1 / 64] * 64, (prompts, 16))
    return rs.SignatureSet.from_counts(counts, tasks=[("a", "b", "c", "d")[i % 4] for i in range(prompts)])


def numpy_similarity(values: Any) -> Any:
    unit = values / np.linalg.norm(values, axis=2, keepdims=True)
    flat = unit.reshape(len(values), -1)
    return flat @ flat.T / values.shape[1]


def numpy_signatures(experts: list[Any]) -> Any:
    out = np.empty((len(experts), 16, 64))
    offsets = np.arange(16)[:, None, None] * 64
    for i, ids in enumerate(experts):
        counts = np.bincount((ids + offsets).ravel(), minlength=1024).reshape(16, 64)
        out[i] = counts / counts.sum(axis=1, keepdims=True)
    return out


def main() -> None:
    for prompts in (80, 2000, 10_000):
        sigs = random_set(prompts)
        turns(
            f"similarity matrix, {prompts} prompts",
            "NumPy X @ X.T",
            lambda sigs=sigs: rs.similarity(sigs),  # type: ignore[misc]
            lambda sigs=sigs: numpy_similarity(sigs.values),  # type: ignore[misc]
            1.0,
        )
        turns(
            f"similarity matrix, {prompts} prompts, float32",
            "NumPy X @ X.T in float64",
            lambda sigs=sigs: rs.similarity(sigs, dtype="float32"),  # type: ignore[misc]
            lambda sigs=sigs: numpy_similarity(sigs.values),  # type: ignore[misc]
            1.8,
        )
    draws = np.random.default_rng(1).random((16, 46, 64)).argsort(axis=2)[..., :8]
    traces = rs.TraceSet([rs.RoutingTrace.from_arrays(draws, num_experts=64, id=str(i)) for i in range(80)])
    experts = [np.ascontiguousarray(trace.experts).astype(np.int64) for trace in traces]
    assert np.allclose(rs.signatures(traces).values, numpy_signatures(experts))
    turns(
        "signatures, 80 prompts x 46 tokens",
        "NumPy bincount",
        lambda: rs.signatures(traces),
        lambda: numpy_signatures(experts),
    )


if __name__ == "__main__":
    sys.exit(main())
