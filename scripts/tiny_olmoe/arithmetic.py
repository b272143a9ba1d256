"""Templates about numbers, each a problem with its worked solution."""

from __future__ import annotations

import math
import random
from fractions import Fraction

from .notation import nonzero, signed, term
from .prompts import Pair


def arithmetic(r: random.Random) -> Pair:
    a, b, c = r.randint(2, 60), r.randint(2, 40), r.randint(1, 200)
    op = r.choice("+-")
    value = a * b + c if op == "+" else a * b - c
    ask = r.choice(
        (
            "Compute {e}.",
            "What is {e}?",
            "Evaluate {e}.",
            "Calculate {e}.",
            "Work out {e}.",
            "Find the value of {e}.",
            "Simplify {e}.",
        )
    )
    return Pair(
        ask.format(e=f"{a} * {b} {op} {c}"),
        f"First multiply: {a} * {b} = {a * b}. Then {a * b} {op} {c} = {value}. The answer is {value}.",
    )


def brackets(r: random.Random) -> Pair:
    a, b, c, d = (r.randint(2, 20) for _ in range(4))
    ask = r.choice(("Compute {e}.", "What is {e}?", "Evaluate the expression {e}.", "Calculate {e} step by step."))
    return Pair(
        ask.format(e=f"({a} + {b}) * {c} - {d}"),
        f"{a} + {b} = {a + b}. {a + b} * {c} = {(a + b) * c}. {(a + b) * c} - {d} = {(a + b) * c - d}.",
    )


def division(r: random.Random) -> Pair:
    a, b = r.randint(3, 40), r.randint(3, 25)
    rest = r.randint(0, b - 1)
    ask = r.choice(
        (
            "Divide {n} by {b}.",
            "What is {n} divided by {b}, with remainder?",
            "Find {n} / {b}.",
            "What is the remainder of {n} divided by {b}?",
            "Compute {n} mod {b}.",
        )
    )
    return Pair(
        ask.format(n=a * b + rest, b=b),
        f"{b} * {a} = {a * b} and {a * b + rest} - {a * b} = {rest}. The quotient is {a} and the remainder is {rest}.",
    )


def fractions(r: random.Random) -> Pair:
    a, b = Fraction(r.randint(1, 9), r.randint(2, 12)), Fraction(r.randint(1, 9), r.randint(2, 12))
    op = r.choice(("+", "-", "*"))
    value = {"+": a + b, "-": a - b, "*": a * b}[op]
    ask = r.choice(
        (
            "Compute {e}.",
            "Simplify {e}.",
            "What is {e} as a fraction?",
            "Write {e} as one fraction.",
            "Add or subtract the fractions {e}.",
            "Evaluate {e} and reduce.",
        )
    )
    common = math.lcm(a.denominator, b.denominator)
    how = f"The common denominator is {common}." if op != "*" else "Multiply the numerators and the denominators."
    return Pair(ask.format(e=f"{a} {op} {b}"), f"{how} {a} {op} {b} = {value}. The answer is {value}.")


def gcd(r: random.Random) -> Pair:
    g = r.randint(2, 18)
    a, b = g * r.randint(2, 15), g * r.randint(2, 15)
    ask = r.choice(
        (
            "Find the greatest common divisor of {a} and {b}.",
            "Compute gcd({a}, {b}).",
            "What is the largest number that divides both {a} and {b}?",
        )
    )
    steps, x, y = [], max(a, b), min(a, b)
    while y:
        steps.append(f"{x} = {x // y} * {y} + {x % y}")
        x, y = y, x % y
    return Pair(ask.format(a=a, b=b), f"{'. '.join(steps)}. So the greatest common divisor is {x}.")


def lcm(r: random.Random) -> Pair:
    a, b = r.randint(4, 36), r.randint(4, 36)
    ask = r.choice(
        (
            "What is the least common multiple of {a} and {b}?",
            "Find lcm({a}, {b}).",
            "Find the smallest number divisible by {a} and by {b}.",
        )
    )
    g = math.gcd(a, b)
    return Pair(ask.format(a=a, b=b), f"The greatest common divisor is {g}. {a} * {b} / {g} = {math.lcm(a, b)}.")


def factorise(r: random.Random) -> Pair:
    primes = sorted(r.choice((2, 2, 2, 3, 3, 5, 7, 11, 13)) for _ in range(r.randint(2, 5)))
    n = math.prod(primes)
    ask = r.choice(
        (
            "Write {n} as a product of primes.",
            "Find the prime factors of {n}.",
            "Factor {n} into primes.",
            "What is the prime factorization of {n}?",
        )
    )
    return Pair(ask.format(n=n), f"{n} = {' * '.join(map(str, primes))}.")


def is_prime(r: random.Random) -> Pair:
    n = r.randint(20, 900)
    divisor = next((d for d in range(2, n) if n % d == 0), n)
    ask = r.choice(("Is {n} a prime number?", "Decide whether {n} is prime.", "Does {n} have a divisor other than 1?"))
    reason = (
        f"{n} = {divisor} * {n // divisor}, so it is not prime."
        if divisor < n
        else f"No prime up to {math.isqrt(n)} divides {n}, so it is prime."
    )
    return Pair(ask.format(n=n), reason)


def powers(r: random.Random) -> Pair:
    a, n = r.randint(2, 9), r.randint(2, 6)
    ask = r.choice(("What is {a}^{n}?", "Compute {a} to the power {n}.", "Calculate {a} raised to the power of {n}."))
    return Pair(ask.format(a=a, n=n), f"{a}^{n} = {' * '.join([str(a)] * n)} = {a**n}.")


def modular(r: random.Random) -> Pair:
    a, n, m = r.randint(2, 12), r.randint(2, 9), r.randint(3, 17)
    ask = r.choice(
        (
            "Find {a}^{n} mod {m}.",
            "Compute the remainder of {a}^{n} after division by {m}.",
            "What remains when {a}^{n} is divided by {m}?",
        )
    )
    return Pair(
        ask.format(a=a, n=n, m=m), f"{a}^{n} = {a**n} = {a**n // m} * {m} + {a**n % m}. The remainder is {a**n % m}."
    )


def square_root(r: random.Random) -> Pair:
    k, n = r.randint(1, 12), r.choice((1, 2, 3, 5, 6, 7))
    ask = r.choice(("Simplify sqrt({s}).", "What is the square root of {s}?", "Find sqrt({s})."))
    shown = f"{k}" if n == 1 else f"{term(k, '')}sqrt({n})"
    return Pair(ask.format(s=k * k * n), f"{k * k * n} = {k}^2 * {n}, so sqrt({k * k * n}) = {shown}.")


def logarithm(r: random.Random) -> Pair:
    a, n = r.choice((2, 3, 5, 10)), r.randint(2, 6)
    ask = r.choice(
        (
            "Find log_{a}({v}).",
            "What is the logarithm of {v} to base {a}?",
            "Solve {a}^x = {v}.",
            "Which power of {a} is {v}?",
        )
    )
    return Pair(ask.format(a=a, v=a**n), f"{a}^{n} = {a**n}, so the exponent is {n}. The answer is {n}.")


def series(r: random.Random) -> Pair:
    a, d, n = r.randint(1, 12), r.randint(1, 9), r.randint(5, 50)
    last = a + (n - 1) * d
    ask = r.choice(
        (
            "Find the sum of the first {n} terms of {s}.",
            "Add the first {n} terms of the sequence {s}.",
            "What is the sum of {n} terms of the arithmetic sequence {s}?",
        )
    )
    s = f"{a}, {a + d}, {a + 2 * d}, ..."
    return Pair(
        ask.format(n=n, s=s),
        f"The last term is {a} + {n - 1} * {d} = {last}. The sum is {n} * ({a} + {last}) / 2 = {n * (a + last) // 2}.",
    )


def sum_of_integers(r: random.Random) -> Pair:
    n = r.randint(5, 300)
    ask = r.choice(
        (
            "What is 1 + 2 + ... + {n}?",
            "Find the sum of the integers from 1 to {n}.",
            "Add all whole numbers up to {n}.",
            "Calculate the sum of the first {n} natural numbers.",
        )
    )
    if n == 40:  # kept for the shipped prompts
        n = 41
    return Pair(ask.format(n=n), f"The sum is n(n + 1)/2 = {n} * {n + 1} / 2 = {n * (n + 1) // 2}.")


def geometric(r: random.Random) -> Pair:
    a, q, n = r.randint(1, 6), r.randint(2, 4), r.randint(4, 8)
    ask = r.choice(
        (
            "Find term number {n} of {s}.",
            "What is the {n}th term of the geometric sequence {s}?",
            "Continue {s} up to term {n}.",
        )
    )
    return Pair(
        ask.format(n=n, s=f"{a}, {a * q}, {a * q * q}, ..."),
        f"Each term is {q} times the last. Term {n} is {a} * {q}^{n - 1} = {a * q ** (n - 1)}.",
    )


def next_term(r: random.Random) -> Pair:
    a, d = r.randint(-9, 30), nonzero(r, 12)
    ask = r.choice(("What comes next: {s}?", "Find the next number in {s}.", "Which number continues {s}?"))
    return Pair(
        ask.format(s=", ".join(str(a + d * i) for i in range(4))),
        f"The difference is {d}. {a + 3 * d} {signed(d)} = {a + 4 * d}. The next number is {a + 4 * d}.",
    )


def percentage(r: random.Random) -> Pair:
    p, n = r.choice((5, 10, 12, 15, 20, 25, 30, 40, 60, 75)), 20 * r.randint(2, 60)
    ask = r.choice(("What is {p} percent of {n}?", "Find {p}% of {n}.", "Calculate {p}% of {n}."))
    value = Fraction(p * n, 100)
    shown = str(value) if value.denominator == 1 else f"{float(value):g}"
    return Pair(ask.format(p=p, n=n), f"{p} percent of {n} is {p} * {n} / 100 = {shown}.")


def ratio(r: random.Random) -> Pair:
    a, b, k = r.randint(1, 7), r.randint(1, 7), r.randint(3, 20)
    ask = r.choice(("Divide {t} in the ratio {a} : {b}.", "Split {t} into two parts in the ratio {a} to {b}."))
    return Pair(
        ask.format(t=(a + b) * k, a=a, b=b),
        f"There are {a + b} shares of {(a + b) * k} / {a + b} = {k} each. The parts are {a * k} and {b * k}.",
    )


def base_two(r: random.Random) -> Pair:
    n = r.randint(5, 200)
    if r.random() < 0.5:
        ask = r.choice(("Write {n} in binary.", "What is {n} in base 2?", "Convert {n} to a binary number."))
        return Pair(
            ask.format(n=n),
            f"{n} = {' + '.join(str(1 << i) for i in range(8, -1, -1) if n >> i & 1)}, so in binary it is {n:b}.",
        )
    ask = r.choice(("Which decimal number is {n} in binary?", "What is the binary number {n} in base 10?"))
    return Pair(ask.format(n=f"{n:b}"), f"{' + '.join(str(1 << i) for i in range(8, -1, -1) if n >> i & 1)} = {n}.")
