"""Templates of algebra and calculus, each a problem with its worked solution."""

from __future__ import annotations

import random

from .notation import nonzero, signed, term
from .prompts import Pair


def linear(r: random.Random) -> Pair:
    x, a, b = r.randint(-12, 20), r.randint(2, 12), nonzero(r, 30)
    v = r.choice("xyzn")
    ask = r.choice(
        (
            "Solve {e} for {v}.",
            "Solve the equation {e}.",
            "Find {v} if {e}.",
            "What is {v} when {e}?",
            "Find the value of {v} such that {e}.",
            "If {e}, then what is {v}?",
        )
    )
    c = a * x + b
    move = "Subtract" if b > 0 else "Add"
    return Pair(
        ask.format(e=f"{a}{v} {signed(b)} = {c}", v=v),
        f"{move} {abs(b)} on both sides: {a}{v} = {a * x}. Divide by {a}: {v} = {x}. The answer is {x}.",
    )


def linear_both_sides(r: random.Random) -> Pair:
    x, a, c, b = r.randint(-9, 15), r.randint(5, 14), r.randint(1, 4), nonzero(r, 25)
    d = (a - c) * x + b
    ask = r.choice(("Solve {e}.", "Solve for x: {e}.", "Find x in the equation {e}.", "Which x satisfies {e}?"))
    return Pair(
        ask.format(e=f"{a}x {signed(b)} = {term(c, 'x')} {signed(d)}"),
        f"Subtract {term(c, 'x')}: {a - c}x {signed(b)} = {d}. Then {a - c}x = {d - b}, so x = {x}.",
    )


def quadratic(r: random.Random) -> Pair:
    p, q = nonzero(r, 10), nonzero(r, 10)
    b, c = -(p + q), p * q
    e = f"x^2 {signed(b)}x {signed(c)} = 0" if b else f"x^2 {signed(c)} = 0"
    ask = r.choice(
        (
            "Solve {e}.",
            "Find the roots of {e}.",
            "Solve the quadratic equation {e}.",
            "Find all x with {e}.",
            "What are the solutions of {e}?",
        )
    )
    return Pair(
        ask.format(e=e),
        f"Factor: (x {signed(-p)})(x {signed(-q)}) = 0. The solutions are x = {min(p, q)} and x = {max(p, q)}.",
    )


def system(r: random.Random) -> Pair:
    x, y, a, b = r.randint(-6, 9), r.randint(-6, 9), r.randint(1, 5), r.randint(1, 5)
    ask = r.choice(
        (
            "Solve the system {s}.",
            "Find x and y if {s}.",
            "Solve {s} together.",
            "Solve the simultaneous equations {s}.",
        )
    )
    s = f"{term(a, 'x')} + y = {a * x + y} and x - {term(b, 'y')} = {x - b * y}"
    return Pair(
        ask.format(s=s),
        f"From the first equation y = {a * x + y} - {term(a, 'x')}. Put it into the second: x = {x}. Then y = {y}.",
    )


def inequality(r: random.Random) -> Pair:
    x, a, b = r.randint(-10, 15), r.randint(2, 9), nonzero(r, 20)
    sign = r.choice("<>")
    ask = r.choice(("Solve the inequality {e}.", "For which x is {e}?", "Find every x such that {e}."))
    return Pair(
        ask.format(e=f"{a}x {signed(b)} {sign} {a * x + b}"),
        f"Move {b} to the right: {a}x {sign} {a * x}. Divide by {a}: x {sign} {x}.",
    )


def expand(r: random.Random) -> Pair:
    a, b, c, d = r.randint(1, 5), nonzero(r, 9), r.randint(1, 4), nonzero(r, 9)
    e = f"({term(a, 'x')} {signed(b)})({term(c, 'x')} {signed(d)})"
    ask = r.choice(("Expand {e}.", "Multiply out {e}.", "Write {e} without brackets.", "Simplify the product {e}."))
    middle = a * d + b * c
    shown = f" {signed(middle)}x" if middle else ""
    return Pair(
        ask.format(e=e),
        f"Multiply each term by each: {a * c}x^2 {signed(a * d)}x {signed(b * c)}x "
        f"{signed(b * d)}. The result is {term(a * c, 'x')}^2{shown} {signed(b * d)}.",
    )


def factor_quadratic(r: random.Random) -> Pair:
    p, q = nonzero(r, 9), nonzero(r, 9)
    middle = f" {signed(p + q)}x" if p + q else ""
    ask = r.choice(("Factor {e}.", "Write {e} as a product.", "Factorize the polynomial {e}."))
    return Pair(
        ask.format(e=f"x^2{middle} {signed(p * q)}"),
        f"We need two numbers with product {p * q} and sum {p + q}: {p} and {q}. "
        f"The result is (x {signed(p)})(x {signed(q)}).",
    )


def evaluate(r: random.Random) -> Pair:
    a, b, c, x = r.randint(1, 6), nonzero(r, 9), nonzero(r, 15), r.randint(-5, 8)
    ask = r.choice(
        (
            "Evaluate {e} at x = {x}.",
            "If f(x) = {e}, what is f({x})?",
            "Find f({x}) for f(x) = {e}.",
            "Let f(x) = {e}. Compute f({x}).",
        )
    )
    return Pair(
        ask.format(e=f"{term(a, 'x')}^2 {signed(b)}x {signed(c)}", x=x),
        f"f({x}) = {a} * {x * x} {signed(b * x)} {signed(c)} = {a * x * x + b * x + c}.",
    )


def line_through(r: random.Random) -> Pair:
    x, y, m, dx = r.randint(-5, 6), r.randint(-8, 9), nonzero(r, 5), r.randint(1, 5)
    ask = r.choice(
        (
            "Find the line through ({x}, {y}) and ({u}, {v}).",
            "What is the equation of the line that passes through ({x}, {y}) and ({u}, {v})?",
            "Find the slope of the line from ({x}, {y}) to ({u}, {v}).",
        )
    )
    return Pair(
        ask.format(x=x, y=y, u=x + dx, v=y + m * dx),
        f"The slope is {m * dx} / {dx} = {m}. The line is y = {term(m, 'x')} {signed(y - m * x)}.",
    )


def absolute(r: random.Random) -> Pair:
    a, b = r.randint(-9, 12), r.randint(1, 15)
    ask = r.choice(("Solve |x {s}| = {b}.", "Find every x with |x {s}| = {b}."))
    return Pair(
        ask.format(s=signed(-a), b=b),
        f"Either x {signed(-a)} = {b} or x {signed(-a)} = -{b}. So x = {a + b} or x = {a - b}.",
    )


def vertex(r: random.Random) -> Pair:
    h, k = nonzero(r, 8), r.randint(-12, 12)
    ask = r.choice(
        (
            "Find the smallest value of {e}.",
            "Where is the vertex of the parabola y = {e}?",
            "Complete the square in {e}.",
        )
    )
    return Pair(
        ask.format(e=f"x^2 {signed(-2 * h)}x {signed(h * h + k)}"),
        f"x^2 {signed(-2 * h)}x {signed(h * h + k)} = (x {signed(-h)})^2 {signed(k)}. "
        f"The smallest value is {k}, at x = {h}.",
    )


def derivative(r: random.Random) -> Pair:
    n, a, b, c = r.randint(2, 6), r.randint(1, 9), nonzero(r, 9), nonzero(r, 12)
    e = f"{term(a, 'x')}^{n} {signed(b)}x {signed(c)}"
    ask = r.choice(
        (
            "Differentiate {e}.",
            "Find the derivative of f(x) = {e}.",
            "What is f'(x) if f(x) = {e}?",
            "Compute the derivative of {e} with respect to x.",
            "Find the slope of f(x) = {e} at x.",
        )
    )
    inner = f"{a * n}x" if n == 2 else f"{a * n}x^{n - 1}"
    return Pair(ask.format(e=e), f"Use the power rule term by term. f'(x) = {inner} {signed(b)}.")


def slope_at(r: random.Random) -> Pair:
    a, b, x = r.randint(1, 6), nonzero(r, 9), r.randint(-4, 6)
    ask = r.choice(("Find the slope of y = {e} at x = {x}.", "What is f'({x}) for f(x) = {e}?"))
    return Pair(
        ask.format(e=f"{term(a, 'x')}^2 {signed(b)}x", x=x),
        f"The derivative is {2 * a}x {signed(b)}. At x = {x} it is {2 * a * x + b}.",
    )


def integral(r: random.Random) -> Pair:
    n, a, b = r.randint(1, 4), r.randint(1, 5), r.randint(1, 9)
    e = f"{a * (n + 1)}x^{n} + {b}" if n > 1 else f"{a * 2}x + {b}"
    ask = r.choice(
        (
            "Integrate {e}.",
            "Find the integral of {e}.",
            "Find an antiderivative of {e}.",
            "What is the integral of {e} with respect to x?",
        )
    )
    return Pair(ask.format(e=e), f"Raise each power by one and divide: {term(a, 'x')}^{n + 1} + {term(b, 'x')} + C.")


def definite_integral(r: random.Random) -> Pair:
    a, b, top = r.randint(1, 4), r.randint(1, 6), r.randint(1, 5)
    ask = r.choice(
        (
            "Compute the integral of {e} from 0 to {t}.",
            "Integrate {e} between 0 and {t}.",
            "Find the area under y = {e} from x = 0 to {t}.",
        )
    )
    value = a * top**3 + b * top
    return Pair(
        ask.format(e=f"{3 * a}x^2 + {b}", t=top),
        f"An antiderivative is {term(a, 'x')}^3 + {term(b, 'x')}. "
        f"At x = {top} it is {value} and at 0 it is 0. The answer is {value}.",
    )


def limit(r: random.Random) -> Pair:
    a = r.randint(1, 12)
    ask = r.choice(
        (
            "Find the limit of (x^2 - {s})/(x - {a}) as x approaches {a}.",
            "What is lim (x^2 - {s})/(x - {a}) for x -> {a}?",
        )
    )
    return Pair(
        ask.format(a=a, s=a * a),
        f"x^2 - {a * a} = (x - {a})(x + {a}), so the quotient is x + {a}. The limit is {2 * a}.",
    )
