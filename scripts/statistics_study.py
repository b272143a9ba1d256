"""Run many small studies whose truth is known, count how often the statistics are right, and write docs/statistics.md.

    python scripts/statistics_study.py            # 1,000 studies of each kind; write the page
    python scripts/statistics_study.py --print    # print it instead
    python scripts/statistics_study.py --studies 100 --print

tests/python/test_statistics_study.py runs the same studies and holds them to the bounds that the page states.

A study draws prompts: a prompt's expert shares are Dirichlet around its task's (or its template's) shares, its counts
multinomial. Shapes: N prompts, L layers, E experts.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

import routesig as rs

ROOT = Path(__file__).resolve().parents[1]

LAYERS, EXPERTS = 4, 16
SELECTIONS = 80  # a layer: 40 tokens, top-2
CONCENTRATION = 30.0  # of a prompt's shares around its task's
UNBALANCED = (50, 10, 10, 10)
FEW, MANY = 29, 74  # rejections of 1,000 at 5 %: the 99.9 % range
COVERAGE = (0.90, 0.98)
DEPTHS = np.linspace(0.5, 1.5, LAYERS)  # a planted effect grows over the layers


def task_shares(effect: float, tasks: int, random: np.random.Generator) -> np.ndarray:
    """Mean shares [tasks, L, E]: common ones, tilted by `effect` times a direction of each task's own."""
    common = random.normal(size=(1, LAYERS, EXPERTS)) * 0.5
    own = random.normal(size=(tasks, LAYERS, EXPERTS)) * DEPTHS[:, None]
    shares = np.exp(common + effect * own)
    return shares / shares.sum(axis=2, keepdims=True)


def prompt_shares(means: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Dirichlet draws around means [N, L, E]."""
    draws = random.standard_gamma(means * CONCENTRATION)
    return draws / draws.sum(axis=2, keepdims=True)


def signatures(means: np.ndarray, tasks: list[str], random: np.random.Generator, groups=None) -> rs.SignatureSet:
    """A prompt for each row of `means` [N, L, E]."""
    counts = random.multinomial(SELECTIONS, prompt_shares(means, random))
    return rs.SignatureSet.from_counts(counts, tasks=tasks, groups=groups, top_k=2)


def labels(sizes: tuple[int, ...]) -> list[str]:
    return [f"task {i}" for i, size in enumerate(sizes) for _ in range(size)]


def t_test_rejects(sigs: rs.SignatureSet) -> bool:
    """Welch's one-sided test over pairs of prompts, as if they were independent; normal for that many pairs."""
    found = rs.separation(sigs)
    error = np.sqrt(found.within.sd**2 / found.within.pairs + found.across.sd**2 / found.across.pairs)
    return bool(found.within.mean - found.across.mean > 1.6449 * error)


def null_studies(studies: int, permutations: int = 999) -> Counter[str]:
    """Rejections at 5 % where all tasks are the same, of 50, 10, 10 and 10 prompts."""
    rejected: Counter[str] = Counter()
    tasks = labels(UNBALANCED)
    for seed in range(studies):
        random = np.random.default_rng([1, seed])
        means = task_shares(0.0, 1, random).repeat(len(tasks), axis=0)
        sigs = signatures(means, tasks, random)
        test = rs.statistics.permutation_test(sigs, permutations=permutations, seed=seed)
        rejected["permutation test"] += test.p_value.value <= 0.05
        rejected["any layer, max-T"] += min(layer.adjusted.value for layer in test.layers) <= 0.05
        rejected["any pair of tasks, Holm"] += min(pair.adjusted.value for pair in test.pairs) <= 0.05
        spread = rs.statistics.dispersion_test(sigs, permutations=permutations, seed=seed)
        rejected["dispersion test"] += spread.p_value.value <= 0.05
        rejected["t-test over pairs"] += t_test_rejects(sigs)
    return rejected


def classifier_studies(studies: int, refits: int = 39) -> tuple[int, float]:
    """Where all tasks are the same: rejections at 5 % with 20, 8, 6 and 6 prompts; mean accuracy with 10 each."""
    rejected, accuracy = 0, 0.0
    for seed in range(studies):
        random = np.random.default_rng([7, seed])
        means = task_shares(0.0, 1, random).repeat(40, axis=0)
        uneven, even = (signatures(means, labels(sizes), random) for sizes in ((20, 8, 6, 6), (10, 10, 10, 10)))
        rejected += rs.classify(uneven, refits=refits, seed=seed).p_value <= 0.05
        accuracy += rs.classify(even, seed=seed).accuracy / studies
    return rejected, accuracy


def template_studies(studies: int, permutations: int = 999) -> Counter[str]:
    """Rejections at 5 % where 16 templates differ, four a task, and tasks do not."""
    rejected: Counter[str] = Counter()
    tasks = labels((20, 20, 20, 20))
    groups = [f"template {i // 5}" for i in range(80)]
    options = {"permutations": permutations, "layers": False, "pairs": False}
    for seed in range(studies):
        random = np.random.default_rng([2, seed])
        sigs = signatures(task_shares(0.3, 16, random).repeat(5, axis=0), tasks, random, groups)
        for name, choice in (("groups permuted", None), ("prompts permuted", False)):
            p = rs.statistics.permutation_test(sigs, seed=seed, groups=choice, **options).p_value
            rejected[name] += p.value <= 0.05
    return rejected


def power_studies(effect: float, studies: int, permutations: int = 999) -> int:
    """Rejections at 5 % of a planted effect, 20 prompts in each of four tasks."""
    tasks = labels((20, 20, 20, 20))
    rejected = 0
    for seed in range(studies):
        random = np.random.default_rng([3, seed])
        sigs = signatures(task_shares(effect, 4, random).repeat(20, axis=0), tasks, random)
        options = {"permutations": permutations, "layers": False, "pairs": False}
        rejected += rs.statistics.permutation_test(sigs, seed=seed, **options).p_value.value <= 0.05
    return rejected


def truth(means: np.ndarray, prompts: int = 4_000, pairs: int = 200_000) -> dict[str, float]:
    """What the estimates aim at for tasks of mean shares [tasks, L, E]: from pairs among many prompts of each."""
    random = np.random.default_rng(4)
    tasks = len(means)
    counts = random.multinomial(SELECTIONS, prompt_shares(means.repeat(prompts, axis=0), random)).astype(np.float64)
    units = (counts / np.linalg.norm(counts, axis=2, keepdims=True)).reshape(tasks, prompts, LAYERS, EXPERTS)
    sides = []
    for same in (True, False):
        a, i = random.integers(0, tasks, pairs), random.integers(0, prompts, pairs)
        b = a if same else (a + random.integers(1, tasks, pairs)) % tasks
        j = (i + random.integers(1, prompts, pairs)) % prompts
        sides.append((units[a, i] * units[b, j]).sum(axis=2))  # [pairs, L]
    size = 20
    n_w, n_a = tasks * size * (size - 1) / 2, tasks * (tasks - 1) / 2 * size**2

    def cohens_d(within: np.ndarray, across: np.ndarray) -> float:
        pooled = (n_w * within.var() + n_a * across.var()) / (n_w + n_a)
        return float((within.mean() - across.mean()) / np.sqrt(pooled))

    within, across = (side.mean(axis=1) for side in sides)
    out = {"within": within.mean(), "across": across.mean(), "difference": within.mean() - across.mean()}
    layers = [cohens_d(sides[0][:, layer], sides[1][:, layer]) for layer in range(LAYERS)]
    out |= {"cohens_d": cohens_d(within, across), "slope": rs.statistics.depth_slope(layers)}
    return {name: float(value) for name, value in out.items()}


def coverage_studies(studies: int, draws: int = 2_000) -> tuple[Counter[str], dict[str, float]]:
    """How often 95 % intervals cover the truth at 20 prompts a task."""
    means = task_shares(0.4, 4, np.random.default_rng(5))
    expected = truth(means)
    covered: Counter[str] = Counter()
    tasks = labels((20, 20, 20, 20))
    for seed in range(studies):
        random = np.random.default_rng([6, seed])
        sigs = signatures(means.repeat(20, axis=0), tasks, random)
        found = rs.statistics.bootstrap(sigs, draws=draws, seed=seed)
        for name, value in expected.items():
            interval = getattr(found, name).interval
            covered[name] += interval.low <= value <= interval.high
    return covered, expected


def page(studies: int) -> str:
    null, templates = null_studies(studies), template_studies(studies)
    at_chance, accuracy = classifier_studies(studies)
    effects = (0.0, 0.05, 0.1, 0.15, 0.2)
    power = {effect: power_studies(effect, studies) for effect in effects}
    covered, expected = coverage_studies(studies)
    rate = lambda count: f"{100 * count / studies:.1f} %"  # noqa: E731
    rows = lambda counts: "\n".join(f"| {name} | {rate(count)} |" for name, count in counts.items())  # noqa: E731
    coverage = "\n".join(f"| `{name}` | {expected[name]:.4f} | {rate(count)} |" for name, count in covered.items())
    return f"""# What the statistics are worth

Printed by `python scripts/statistics_study.py`: {studies} studies of each kind, their truth known. Prompts are drawn with
{LAYERS} layers of {EXPERTS} experts and {SELECTIONS} selections a layer, their shares Dirichlet around those of their task.

## Nothing to find

All tasks are the same, of {", ".join(map(str, UNBALANCED))} prompts (a balanced design would let a wrong test pass). A test at 5 %
should reject in 5 % of studies; of 1,000, {FEW} to {MANY} in 99.9 of 100 cases.

| test | rejects |
|---|---|
{rows(null)}

Pairs of prompts share prompts: taken for independent, they reject far too often. The dispersion test permutes distances to
centroids that were estimated from the same prompts, and is a little too ready. The classifier's permutation test (tasks
of 20, 8, 6 and 6 prompts, 39 refits) rejects in {rate(at_chance)}; equal accuracies count against it. Of four equal tasks
of 10 it tells {100 * accuracy:.1f} % of held-out prompts, where chance is 25 %. Sixteen templates, four a task, that differ
from each other while tasks do not:

| test | rejects |
|---|---|
{rows(templates)}

## Something to find

Twenty prompts in each of four tasks, whose log shares are tilted by `effect` times a standard normal direction.

| effect | permutation test rejects |
|---|---|
{chr(10).join(f"| {effect:g} | {rate(count)} |" for effect, count in power.items())}

## Intervals

How often 95 % bootstrap intervals cover the truth, twenty prompts in each of four tasks, tasks fixed. To be between
{COVERAGE[0]:.0%} and {COVERAGE[1]:.0%}.

| interval of | truth | covers |
|---|---|---|
{coverage}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    parser.add_argument("--studies", type=int, default=1000, help="studies of each kind (default: 1000)")
    arguments = parser.parse_args()
    text = page(arguments.studies)
    if arguments.print:
        print(text)
    else:
        (ROOT / "docs" / "statistics.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
