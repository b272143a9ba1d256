"""How numbers and terms are written in the templates."""

from __future__ import annotations

import random


def signed(number: int) -> str:
    return f"+ {number}" if number >= 0 else f"- {-number}"


def term(factor: int, symbol: str) -> str:
    return {1: symbol, -1: f"-{symbol}"}.get(factor, f"{factor}{symbol}")


def nonzero(r: random.Random, limit: int) -> int:
    return r.choice([n for n in range(-limit, limit + 1) if n])
