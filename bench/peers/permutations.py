"""10,000 label permutations, ours against NumPy's one-hot product, in turns; prints JSON lines of seconds."""

import sys
from typing import Any

import numpy as np
from analysis import turns

import routesig as rs

PERMUTATIONS, TASKS = 10_000, 4
OPTIONS: Any = {"permutations": PERMUTATIONS, "layers": False, "pairs": False}
# Prompts -> ratio to reach, and the batch of permutations that suits NumPy best of 50, 100, 500 and 2,500.
CASES = {80: (40.0, 500), 400: (15.0, 500), 2000: (3.0, 100)}


def numpy_null(matrix: Any, codes: Any, batch: int) -> Any:
    """D of random labellings: within sums are tr(Z' S Z) / 2 for one-hot labels Z, many labellings to a product."""
    random = np.random.default_rng(0)
    prompts = len(codes)
    zero_diagonal = matrix - np.diag(np.diag(matrix))
    total, pairs = zero_diagonal.sum() / 2, prompts * (prompts - 1) / 2
    sizes = np.bincount(codes)
    within_pairs = (sizes * (sizes - 1) / 2).sum()
    out = np.empty(PERMUTATIONS)
    for first in range(0, PERMUTATIONS, batch):
        labels = random.permuted(np.broadcast_to(codes, (batch, prompts)), axis=1)
        one_hot = (labels.T[:, :, None] == np.arange(TASKS)).astype(np.float64).reshape(prompts, -1)
        within = (one_hot * (zero_diagonal @ one_hot)).reshape(prompts, batch, TASKS).sum(axis=(0, 2)) / 2
        out[first : first + batch] = within / within_pairs - (total - within) / (pairs - within_pairs)
    return out


def main() -> None:
    for prompts, (target, batch) in CASES.items():
        random = np.random.default_rng(0)
        matrix = random.random((prompts, prompts))
        matrix = (matrix + matrix.T) / 2
        codes = np.arange(prompts) % TASKS
        tasks = [str(code) for code in codes]
        ours = rs.statistics.permutation_test(matrix, tasks, **OPTIONS)
        if prompts <= 400:  # the same distribution, to five standard errors
            theirs = numpy_null(matrix, codes, batch)
            assert abs(ours.null.mean() - theirs.mean()) < 5 * theirs.std() * np.sqrt(2 / PERMUTATIONS)
            assert abs(ours.null.std() / theirs.std() - 1) < 5 / np.sqrt(PERMUTATIONS)
        turns(
            f"10,000 label permutations, {prompts} prompts",
            "NumPy one-hot product",
            lambda matrix=matrix, tasks=tasks: rs.statistics.permutation_test(matrix, tasks, **OPTIONS),  # type: ignore[misc]
            lambda matrix=matrix, codes=codes, batch=batch: numpy_null(matrix, codes, batch),  # type: ignore[misc]
            target,
        )


if __name__ == "__main__":
    sys.exit(main())
