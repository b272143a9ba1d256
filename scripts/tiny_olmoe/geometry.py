"""Templates of geometry, counting and proof, each a problem with its worked solution."""

from __future__ import annotations

import math
import random

from .prompts import Pair


def triangle(r: random.Random) -> Pair:
    a, b, c = r.choice(((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29)))
    k = r.randint(1, 7)
    a, b, c = a * k, b * k, c * k
    if r.random() < 0.5:
        ask = r.choice(
            (
                "The legs of a right triangle are {a} and {b}. How long is the hypotenuse?",
                "Find the hypotenuse of a right triangle whose legs are {a} and {b}.",
            )
        )
        return Pair(ask.format(a=a, b=b), f"By Pythagoras c^2 = {a}^2 + {b}^2 = {c * c}, so c = {c}.")
    ask = r.choice(
        (
            "A right triangle has hypotenuse {c} and one leg {a}. Find the other leg.",
            "The hypotenuse of a right triangle is {c} and one side is {a}. What is the third side?",
        )
    )
    return Pair(ask.format(a=a, c=c), f"The square of the leg is {c}^2 - {a}^2 = {b * b}, so the leg is {b}.")


def angles(r: random.Random) -> Pair:
    a, b = r.randint(20, 85), r.randint(20, 85)
    ask = r.choice(
        (
            "Two angles of a triangle are {a} and {b} degrees. Find the third.",
            "A triangle has angles of {a} and {b} degrees. What is the third angle?",
        )
    )
    return Pair(ask.format(a=a, b=b), f"The angles add up to 180 degrees. 180 - {a} - {b} = {180 - a - b} degrees.")


def area(r: random.Random) -> Pair:
    a, b = r.randint(2, 40), r.randint(2, 30)
    ask, answer = r.choice(
        (
            (f"Find the area of a rectangle with sides {a} and {b}.", f"The area is {a} * {b} = {a * b}."),
            (f"What is the perimeter of a rectangle {a} by {b}?", f"2 * ({a} + {b}) = {2 * (a + b)}."),
            (
                f"A triangle has base {a} and height {2 * b}. Find its area.",
                f"The area is {a} * {2 * b} / 2 = {a * b}.",
            ),
            (f"Compute the area of a circle of radius {b}.", f"The area is pi * {b}^2 = {b * b} pi."),
            (f"What is the circumference of a circle with radius {a}?", f"It is 2 * pi * {a} = {2 * a} pi."),
            (f"The side of a square is {a}. What is its area?", f"The area is {a}^2 = {a * a}."),
            (f"Find the volume of a box with edges {a}, {b} and 3.", f"The volume is {a} * {b} * 3 = {a * b * 3}."),
            (
                f"The area of a rectangle is {a * b} and its length is {a}. Find the width and the perimeter.",
                f"The width is {a * b} / {a} = {b}. The perimeter is 2 * ({a} + {b}) = {2 * (a + b)}.",
            ),
            (f"What is the surface of a cube with edge {b}?", f"A cube has 6 faces, so it is 6 * {b}^2 = {6 * b * b}."),
        )
    )
    return Pair(ask, answer)


def choose(r: random.Random) -> Pair:
    n, k = r.randint(4, 14), r.randint(2, 4)
    ask = r.choice(
        (
            "How many ways are there to choose {k} of {n} things?",
            "Compute C({n}, {k}).",
            "In how many ways can {k} students be picked from a class of {n}?",
            "How many teams of {k} can be formed from {n} players?",
        )
    )
    return Pair(
        ask.format(n=n, k=k),
        f"The order does not matter: C({n}, {k}) = {n}! / ({k}! * {n - k}!) "
        f"= {math.comb(n, k)}. The answer is {math.comb(n, k)}.",
    )


def arrange(r: random.Random) -> Pair:
    n = r.randint(3, 8)
    ask = r.choice(
        (
            "How many ways are there to arrange {n} books on a shelf?",
            "What is {n}! equal to?",
            "In how many orders can {n} runners finish a race?",
        )
    )
    return Pair(ask.format(n=n), f"{n}! = {' * '.join(str(i) for i in range(n, 0, -1))} = {math.factorial(n)}.")


def statistics(r: random.Random) -> Pair:
    mean = r.randint(5, 30)
    first = [mean + r.randint(-4, 4) for _ in range(4)]
    numbers = [*first, 5 * mean - sum(first)]
    shown = ", ".join(map(str, numbers))
    if r.random() < 0.5:
        ask = r.choice(("Find the mean of {s}.", "What is the average of {s}?", "Compute the arithmetic mean of {s}."))
        return Pair(ask.format(s=shown), f"The sum is {5 * mean} and there are 5 numbers: {5 * mean} / 5 = {mean}.")
    ask = r.choice(("Find the median of {s}.", "What is the median of the numbers {s}?"))
    ordered = sorted(numbers)
    return Pair(ask.format(s=shown), f"In order: {', '.join(map(str, ordered))}. The middle one is {ordered[2]}.")


def show_that(r: random.Random) -> Pair:
    n = r.choice(("odd", "even"))
    ask, answer = r.choice(
        (
            (
                f"Prove that the sum of two {n} numbers is even.",
                "Write them as 2a + 1 and 2b + 1, or as 2a and 2b. The sum has the factor 2, so it is even.",
            ),
            (
                "Prove that the square of an odd number is odd.",
                "(2a + 1)^2 = 4a^2 + 4a + 1 = 2(2a^2 + 2a) + 1, an odd number.",
            ),
            ("Show that n^2 - n is always even.", "n^2 - n = n(n - 1), and one of two neighbouring numbers is even."),
            (
                "Prove that the square root of 2 is irrational.",
                "Suppose sqrt(2) = p/q in lowest terms. Then p^2 = 2q^2, "
                "so p is even, p = 2r, and q^2 = 2r^2, so q is even too. This is a contradiction.",
            ),
        )
    )
    return Pair(ask, answer)
