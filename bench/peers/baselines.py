"""The load-balance null, ours against vectorised NumPy, in turns; prints JSON lines of seconds."""

import sys
from typing import Any

import numpy as np
from analysis import turns

import routesig as rs

REPETITIONS, PROMPTS, TOKENS, LAYERS, EXPERTS, TOP_K = 20, 80, 40, 16, 64, 8


def numpy_load_balance(same: Any, random: np.random.Generator) -> Any:
    """(within, across, Cohen's d) of every repetition; `same`: which pairs above the diagonal share a task."""
    rows = PROMPTS * LAYERS * TOKENS
    cells = np.repeat(np.arange(PROMPTS * LAYERS) * EXPERTS, TOKENS)[:, None]
    upper = np.triu_indices(PROMPTS, 1)
    out = np.empty((REPETITIONS, 3))
    for repetition in range(REPETITIONS):
        uniforms = random.random((rows, EXPERTS), dtype=np.float32)
        chosen = np.argpartition(uniforms, TOP_K, axis=1)[:, :TOP_K]
        counts = np.bincount((chosen + cells).ravel(), minlength=PROMPTS * LAYERS * EXPERTS)
        values = counts.reshape(PROMPTS, LAYERS, EXPERTS).astype(np.float64)
        flat = (values / np.linalg.norm(values, axis=2, keepdims=True)).reshape(PROMPTS, -1)
        pairs = (flat @ flat.T / LAYERS)[upper]
        w, a = pairs[same], pairs[~same]
        pooled = ((len(w) - 1) * w.var(ddof=1) + (len(a) - 1) * a.var(ddof=1)) / (len(pairs) - 2)
        out[repetition] = w.mean(), a.mean(), (w.mean() - a.mean()) / np.sqrt(pooled)
    return out


def main() -> None:
    counts = np.zeros((PROMPTS, LAYERS, EXPERTS), dtype=np.uint64)
    counts[..., :TOP_K] = TOKENS
    task = np.arange(PROMPTS) % 4
    sigs = rs.SignatureSet.from_counts(counts, tasks=[str(t) for t in task], top_k=TOP_K)
    i, j = np.triu_indices(PROMPTS, 1)
    same, random = task[i] == task[j], np.random.default_rng(0)
    ours = rs.baselines.load_balance(sigs, repetitions=REPETITIONS)
    theirs = numpy_load_balance(same, random)
    assert abs(ours.within.mean - theirs[:, 0].mean()) < 0.001  # the same null
    assert abs(ours.difference.sd - (theirs[:, 0] - theirs[:, 1]).std(ddof=1)) < 0.001
    for threads, name in ((1, "one thread"), (0, "default threads")):
        rs.set_num_threads(threads)
        turns(
            f"load-balance null, {REPETITIONS} repetitions, {name}",
            "NumPy argpartition of uniforms",
            lambda: rs.baselines.load_balance(sigs, repetitions=REPETITIONS),
            lambda: numpy_load_balance(same, random),
            20.0,
        )
    rs.set_num_threads(0)


if __name__ == "__main__":
    sys.exit(main())
