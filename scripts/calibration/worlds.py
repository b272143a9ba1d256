"""Worlds that draw prompts: signatures around task means, and traces whose tokens are routed by word, task or prompt.

Shapes: N prompts, L layers, E experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import routesig as rs

LAYERS, EXPERTS = 4, 16
SELECTIONS = 80  # a layer: 40 tokens, top-2
CONCENTRATION = 30.0  # of a prompt's shares around its task's
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


def signatures(
    means: np.ndarray,
    tasks: list[str],
    random: np.random.Generator,
    groups: list[str] | None = None,
    selections: np.ndarray | int = SELECTIONS,
) -> rs.SignatureSet:
    """A prompt for each row of `means` [N, L, E], with so many selections in a layer."""
    each = np.broadcast_to(np.asarray(selections).reshape(-1, 1), means.shape[:2])
    counts = random.multinomial(each, prompt_shares(means, random))
    return rs.SignatureSet.from_counts(counts, tasks=tasks, groups=groups, num_tokens=each[:, 0] // 2)


def labels(sizes: Sequence[int]) -> list[str]:
    return [f"task {i}" for i, size in enumerate(sizes) for _ in range(size)]


@dataclass(frozen=True)
class Tokens:
    """Prompts of tokens: half of their words belong to their task, and each token is routed by one favourite expert."""

    tasks: int = 4
    prompts: int = 10  # of each task
    tokens: int = 30  # on average; from half to one and a half times as many
    words: int = 40
    own: float = 0.5  # share of tokens whose word belongs to a third of the words, the task's
    by_task: float = 0.0  # share of tokens routed by their task instead of their word
    by_prompt: float = 0.0  # by their prompt
    by_template: float = 0.0  # by their template
    per_template: int = 1  # prompts of a template; they are a group where there are more than one

    def draw(self, random: np.random.Generator) -> rs.TraceSet:
        """The traces; favourites of words and tasks are the same in every study."""
        fixed = np.random.default_rng(5)
        of_word = fixed.integers(0, EXPERTS, (self.words, LAYERS))
        of_task = fixed.integers(0, EXPERTS, (self.tasks, LAYERS))
        out = []
        for task in range(self.tasks):
            of_template = random.integers(0, EXPERTS, (self.prompts, LAYERS))
            for p in range(self.prompts):
                of_prompt = random.integers(0, EXPERTS, LAYERS)
                ids = self._words(task, random)
                kind = random.random(len(ids))
                edges = np.cumsum([self.by_task, self.by_prompt, self.by_template])
                favourite = of_word[ids].T.copy()  # [L, tokens]
                for own, low, high in zip(
                    (of_task[task], of_prompt, of_template[p // self.per_template]), (0.0, *edges), edges, strict=False
                ):
                    favourite = np.where((low <= kind) & (kind < high), own[:, None], favourite)
                out.append(self._trace(task, p, ids, favourite, random))
        return rs.TraceSet(out)

    def _words(self, task: int, random: np.random.Generator) -> np.ndarray:
        count = int(random.integers(self.tokens // 2, self.tokens * 3 // 2))
        own = (task * 7 + random.integers(0, self.words // 3, count)) % self.words
        return np.where(random.random(count) < self.own, own, random.integers(0, self.words, count))

    def _trace(self, task: int, p: int, ids: np.ndarray, favourite: np.ndarray, random: np.random.Generator):
        first = np.where(random.random(favourite.shape) < 0.6, favourite, random.integers(0, EXPERTS, favourite.shape))
        second = (first + 1 + random.integers(0, EXPERTS - 1, favourite.shape)) % EXPERTS
        template = f"{task}/{p // self.per_template}" if self.per_template > 1 else None
        return rs.RoutingTrace.from_arrays(
            np.stack([first, second], axis=2),
            num_experts=EXPERTS,
            token_ids=ids,
            id=f"{task}-{p}",
            task=f"task {task}",
            group=template,
        )
