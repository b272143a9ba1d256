"""What an instruction is, and how the shipped prompts are kept out of the training text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GENRES = ("code", "math", "story", "factual")


@dataclass(frozen=True)
class Pair:
    """One training example: an instruction and the text that answers it."""

    instruction: str
    answer: str

    def text(self) -> str:
        # One newline: two become a single token that running text seldom has.
        return f"{self.instruction}\n{self.answer}"


def normalise(instruction: str) -> str:
    """Lower-case with every run of white space as one space: what counts as "the same" instruction."""
    return " ".join(instruction.lower().split())


def instruction_hash(instruction: str) -> int:
    """The first 8 bytes, big-endian, of the SHA-256 of the normalised instruction in UTF-8."""
    return int.from_bytes(hashlib.sha256(normalise(instruction).encode("utf-8")).digest()[:8], "big")


def hash_table(instructions: Iterable[str]) -> np.ndarray:
    """Sorted unique uint64 hashes of all training instructions."""
    return np.array(sorted({instruction_hash(text) for text in instructions}), dtype=np.uint64)


def read_prompts(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def refuse_verbatim(prompts: list[dict[str, str]], hashes: np.ndarray) -> None:
    """Stop if a shipped prompt is word for word a training instruction: it would no longer be held out."""
    for prompt in prompts:
        if np.uint64(instruction_hash(prompt["text"])) in hashes:
            raise SystemExit(f"prompts: {prompt['id']} is word for word in the training text; reword the template")


def held_out(key: str, share: float) -> bool:
    """Whether the document of this key is kept from training; the same answer on every run."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:4], "big") < share * 2**32
