"""The mathematics: instruction -> solution pairs and pages of exercises, drawn from templates of our own."""

from __future__ import annotations

import random
from collections.abc import Callable

from . import algebra, arithmetic, geometry
from .prompts import Pair
from .word_problems import WORD_PROBLEMS

Template = Callable[[random.Random], Pair]

SYMBOLIC: tuple[Template, ...] = (
    algebra.linear,
    algebra.linear_both_sides,
    algebra.quadratic,
    algebra.system,
    algebra.inequality,
    arithmetic.arithmetic,
    arithmetic.brackets,
    arithmetic.division,
    arithmetic.fractions,
    arithmetic.gcd,
    arithmetic.lcm,
    arithmetic.factorise,
    arithmetic.is_prime,
    arithmetic.powers,
    arithmetic.modular,
    arithmetic.square_root,
    arithmetic.logarithm,
    arithmetic.series,
    arithmetic.sum_of_integers,
    arithmetic.geometric,
    arithmetic.next_term,
    algebra.derivative,
    algebra.slope_at,
    algebra.integral,
    algebra.definite_integral,
    algebra.limit,
    algebra.expand,
    algebra.factor_quadratic,
    algebra.evaluate,
    algebra.line_through,
    geometry.triangle,
    geometry.angles,
    geometry.area,
    geometry.choose,
    geometry.arrange,
    geometry.statistics,
    arithmetic.percentage,
    arithmetic.ratio,
    arithmetic.base_two,
    algebra.absolute,
    algebra.vertex,
    geometry.show_that,
)


def maths_pairs(count: int, rng: random.Random) -> list[Pair]:
    """`count` different problems, two in five of them told as a little story."""
    pairs: dict[str, Pair] = {}
    while len(pairs) < count:
        pair = rng.choice(WORD_PROBLEMS if rng.random() < 0.4 else SYMBOLIC)(rng)
        pairs.setdefault(pair.instruction, pair)
    return list(pairs.values())


def maths_passages(pairs: list[Pair], rng: random.Random) -> list[str]:
    """Pages of a problem book: a heading, then a few exercises with their solutions in running text."""
    passages = []
    order = rng.sample(pairs, len(pairs))
    for at in range(0, len(order), 4):
        chapter = rng.randint(1, 30)
        lines = [
            rng.choice(("Exercise {c}.{i}. {q} Solution. {a}", "Example {i}. {q} {a}", "{i}. {q} {a}",
                        "Problem {c}{i}: {q} Answer: {a}", "({i}) {q} We have: {a}"))
            .format(c=chapter, i=i, q=pair.instruction, a=pair.answer)
            for i, pair in enumerate(order[at : at + 4], 1)
        ]  # fmt: skip
        passages.append("\n".join(lines))
    return passages
