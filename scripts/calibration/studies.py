"""One small study of each kind: its outcomes by name, each of them true where a test rejects or an interval covers."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

import routesig as rs
from calibration.worlds import (
    EXPERTS,
    LAYERS,
    SELECTIONS,
    Tokens,
    labels,
    prompt_shares,
    signatures,
    task_shares,
)

Outcomes = dict[str, float]

ALPHA = 0.05
UNBALANCED = (50, 10, 10, 10)
EFFECTS = (0.0, 0.05, 0.1, 0.15, 0.2)
PERMUTATIONS = 999


def t_test_rejects(sigs: rs.SignatureSet) -> bool:
    """Welch's one-sided test over pairs of prompts, as if they were independent; normal for that many pairs."""
    found = rs.separation(sigs)
    error = np.sqrt(found.within.sd**2 / found.within.pairs + found.across.sd**2 / found.across.pairs)
    return bool(found.difference > 1.6449 * error)


def rejections(sigs: rs.SignatureSet, seed: int, permutations: int = PERMUTATIONS) -> Outcomes:
    """Rejections at 5 % of what a study tests on signatures."""
    test = rs.statistics.permutation_test(sigs, permutations=permutations, seed=seed)
    spread = rs.statistics.dispersion_test(sigs, permutations=permutations, seed=seed)
    told = rs.information.layer_information(sigs, permutations=permutations, seed=seed)
    return {
        "label permutation, D": test.p_value <= ALPHA,
        "any layer, max-T": min(layer.adjusted for layer in test.layers) <= ALPHA,
        "any pair of tasks, Holm": min(pair.adjusted for pair in test.pairs) <= ALPHA,
        "debiased D": debiased_p(sigs, seed, permutations) <= ALPHA,
        "dispersion": spread.p_value <= ALPHA,
        "any layer's information, Bonferroni": LAYERS * min(layer.p_value for layer in told) <= ALPHA,
    }


def debiased_p(sigs: rs.SignatureSet, seed: int, permutations: int) -> float:
    """As a study tests the difference that is free of text length."""
    found = rs.debiased_similarity(sigs).values
    matrix = found.data + np.eye(len(sigs))
    groups = sigs.groups if any(sigs.groups) else None
    options = {"permutations": permutations, "seed": seed, "layers": False, "pairs": False}
    return rs.statistics.permutation_test(matrix, sigs.tasks, groups=groups, **options).p_value


def equal_tasks(seed: int) -> Outcomes:
    """All tasks are the same, of unequal size."""
    random = np.random.default_rng([1, seed])
    tasks = labels(UNBALANCED)
    sigs = signatures(task_shares(0.0, 1, random).repeat(len(tasks), axis=0), tasks, random)
    return rejections(sigs, seed) | {"t-test over pairs": t_test_rejects(sigs)}


def unequal_lengths(seed: int, times: float) -> Outcomes:
    """All tasks route the same, and the texts of a small one are longer (or shorter)."""
    random = np.random.default_rng([8, seed])
    tasks = labels(UNBALANCED)
    usual = SELECTIONS if times > 1 else int(SELECTIONS / times)
    selections = np.array([usual] * 70 + [int(usual * times)] * 10)
    sigs = signatures(task_shares(0.0, 1, random).repeat(len(tasks), axis=0), tasks, random, selections=selections)
    found = rejections(sigs, seed)
    return {name: found[name] for name in ("label permutation, D", "debiased D", "any layer's information, Bonferroni")}


def templates(seed: int, sizes: tuple[int, ...]) -> Outcomes:
    """Sixteen templates, four of each task, differ, and tasks do not. `sizes`: prompts of the templates, in turn."""
    random = np.random.default_rng([2, seed])
    each = [sizes[i % len(sizes)] for i in range(16)]
    tasks = [f"task {i // 4}" for i, size in enumerate(each) for _ in range(size)]
    groups = [f"template {i}" for i, size in enumerate(each) for _ in range(size)]
    means = task_shares(0.3, 16, random).repeat(each, axis=0)
    sigs = signatures(means, tasks, random, groups)
    options = {"permutations": PERMUTATIONS, "layers": False, "pairs": False, "seed": seed}
    apart = rs.statistics.permutation_test(sigs, groups=False, **options).p_value
    found = rejections(sigs, seed)
    return found | {"prompts permuted instead of groups": apart <= ALPHA}


def many_templates(seed: int) -> Outcomes:
    """Seven templates of three prompts in each of four tasks; is the interval of D above 0?"""
    random = np.random.default_rng([9, seed])
    tasks = [f"task {i // 21}" for i in range(84)]
    groups = [f"template {i // 3}" for i in range(84)]
    sigs = signatures(task_shares(0.3, 28, random).repeat(3, axis=0), tasks, random, groups)
    found = rs.statistics.bootstrap(sigs, draws=500, seed=seed, layers=False)
    return {"interval of D above 0": found.difference.interval.low > 0}


def classifier(seed: int) -> Outcomes:
    """All tasks are the same: p with 20, 8, 6 and 6 prompts; accuracy with 10 each."""
    random = np.random.default_rng([7, seed])
    means = task_shares(0.0, 1, random).repeat(40, axis=0)
    uneven, even = (signatures(means, labels(sizes), random) for sizes in ((20, 8, 6, 6), (10, 10, 10, 10)))
    rejects = rs.classify(uneven, refits=39, seed=seed).p_value <= ALPHA
    return {"classifier, 39 refits": rejects, "accuracy": rs.classify(even, seed=seed).accuracy}


def power(seed: int) -> Outcomes:
    """Planted effects, 20 prompts in each of four tasks."""
    out = {}
    for effect in EFFECTS:
        random = np.random.default_rng([3, seed])
        sigs = signatures(task_shares(effect, 4, random).repeat(20, axis=0), labels((20,) * 4), random)
        options = {"permutations": PERMUTATIONS, "layers": False, "pairs": False}
        out[f"{effect:g}"] = rs.statistics.permutation_test(sigs, seed=seed, **options).p_value <= ALPHA
    return out


@functools.cache
def planted() -> tuple[np.ndarray, dict[str, float]]:
    """Means [tasks, L, E] of an effect, and what estimates aim at: from pairs among many prompts of each task."""
    means = task_shares(0.4, 4, np.random.default_rng(5))
    random = np.random.default_rng(4)
    tasks, prompts, pairs = len(means), 4_000, 200_000
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
    return means, {name: float(value) for name, value in out.items()}


def coverage(seed: int, draws: int = 2_000) -> Outcomes:
    """Whether 95 % intervals cover the truth, 20 prompts of each task."""
    means, truth = planted()
    random = np.random.default_rng([6, seed])
    sigs = signatures(means.repeat(20, axis=0), labels((20,) * 4), random)
    found = rs.statistics.bootstrap(sigs, draws=draws, seed=seed)
    return {
        name: getattr(found, name).interval.low <= value <= getattr(found, name).interval.high
        for name, value in truth.items()
    }


WITHOUT_CONTEXT = {
    "words alone": Tokens(),
    "each prompt in ways of its own": Tokens(by_prompt=0.3),
    "the same, 80 tokens": Tokens(by_prompt=0.3, tokens=80),
    "templates of 4 in ways of their own": Tokens(by_template=0.3, prompts=20, per_template=4),
}


def tokens(seed: int, world: str) -> Outcomes:
    """Worlds in which routing does not follow the task beyond its words."""
    traces = WITHOUT_CONTEXT[world].draw(np.random.default_rng([10, seed]))
    test = rs.controls.context_test(traces, shuffles=99, permutations=PERMUTATIONS, seed=seed)
    low, _ = rs.controls.overlap_ladder(traces).effect.interval
    parts = rs.controls.decomposition(traces, shuffles=50, bootstrap=400, seed=seed).overall
    return {
        "context test": test.p_value <= ALPHA,
        "labels permuted, alone": test.p_labels <= ALPHA,
        "words shuffled, alone": test.p_words <= ALPHA,
        "interval of Delta above 0": low > 0,
        "band of context above 0": parts.context.band is not None and parts.context.band[0] > 0,
    }


PARTS = ("total", "vocabulary", "context")


def parts(seed: int, prompts: int) -> Outcomes:
    """Values of the parts and their bands, where 30 % of the tokens are routed by their task."""
    world = Tokens(prompts=prompts, by_task=0.3)
    found = rs.controls.decomposition(
        world.draw(np.random.default_rng([11, seed])), shuffles=100, bootstrap=400, seed=seed
    ).overall
    out = {}
    for name in PARTS:
        part = getattr(found, name)
        out |= {name: part.value, f"{name} low": part.band[0], f"{name} high": part.band[1]}
    return out


KINDS: dict[str, Callable[[int], Outcomes]] = {
    "equal tasks": equal_tasks,
    "one task 10 times longer": functools.partial(unequal_lengths, times=10),
    "one task 10 times shorter": functools.partial(unequal_lengths, times=0.1),
    "templates of 5": functools.partial(templates, sizes=(5,)),
    "templates of 1 to 9": functools.partial(templates, sizes=(1, 3, 5, 9)),
    "28 templates of 3": many_templates,
    "classifier": classifier,
    "power": power,
    "coverage": coverage,
    **{f"tokens: {world}": functools.partial(tokens, world=world) for world in WITHOUT_CONTEXT},
    "parts, 10 prompts": functools.partial(parts, prompts=10),
    "parts, 20 prompts": functools.partial(parts, prompts=20),
}
