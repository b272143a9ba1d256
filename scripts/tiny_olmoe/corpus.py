"""From the four sources to windows of token ids, training and held out."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from . import code_text, fact_text, maths, sources, story_text
from .prompts import GENRES, Pair, held_out
from .tokenizer import END_ID

SEQUENCE = 128
HELD_OUT_SHARE = 0.02
MATH_PROBLEMS = 46_000
FACT_QUESTIONS = 46_000  # of about 90,000: more than a run of 5,000 steps can use


@dataclass
class Genre:
    """The text of one genre, in the two forms it is trained in."""

    pairs: list[Pair]
    passages: list[str]


def _story(books: list[list[str]], rng: random.Random, copies: int) -> Genre:
    return Genre(story_text.story_pairs(books, rng, copies), story_text.story_passages(books))


def _split_books(books: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Blocks of 40 paragraphs go to one side as a whole, so that held-out text has no trained neighbour."""
    training, kept = [], []
    for number, book in enumerate(books):
        for at in range(0, len(book), 40):
            (kept if held_out(f"story/{number}/{at}", HELD_OUT_SHARE) else training).append(book[at : at + 40])
    return training, kept


def read_genres(unpacked: Path, seed: int) -> tuple[dict[str, Genre], dict[str, Genre]]:
    """Training text and held-out text by genre; no file, block, synset or problem is in both."""
    rng = random.Random(seed)
    files = sources.python_files(unpacked)
    kept_files = {name: text for name, text in files.items() if held_out(f"code/{name}", HELD_OUT_SHARE)}
    own_files = {name: text for name, text in files.items() if name not in kept_files}
    problems = maths.maths_pairs(MATH_PROBLEMS, rng)
    kept_problems = [pair for pair in problems if held_out(f"math/{pair.instruction}", HELD_OUT_SHARE)]
    own_problems = [pair for pair in problems if not held_out(f"math/{pair.instruction}", HELD_OUT_SHARE)]
    books, kept_books = _split_books(sources.novels(unpacked))
    every = sources.synsets(unpacked)
    kept_facts = {key: synset for key, synset in every.items() if held_out(f"factual/{key}", HELD_OUT_SHARE)}
    own_facts = {key: synset for key, synset in every.items() if key not in kept_facts}

    questions = fact_text.fact_pairs(list(own_facts.values()), own_facts, rng)
    training = {
        # Two wordings for each function: there are far fewer functions than facts.
        "code": Genre(
            code_text.code_pairs(own_files, rng) + code_text.code_pairs(own_files, rng),
            code_text.code_passages(own_files),
        ),
        "math": Genre(own_problems, maths.maths_passages(own_problems, rng)),
        "story": _story(books, rng, copies=3),
        "factual": Genre(rng.sample(questions, FACT_QUESTIONS), fact_text.fact_passages(list(own_facts.values()))),
    }
    kept = {
        "code": Genre(code_text.code_pairs(kept_files, rng), code_text.code_passages(kept_files)),
        "math": Genre(kept_problems, maths.maths_passages(kept_problems, rng)),
        "story": _story(kept_books, rng, copies=1),
        "factual": Genre(
            fact_text.fact_pairs(list(kept_facts.values()), kept_facts, rng),
            fact_text.fact_passages(list(kept_facts.values())),
        ),
    }
    return training, kept


def tokenizer_sample(genres: dict[str, Genre], rng: random.Random, characters: int) -> list[str]:
    """About `characters` of each genre, half pairs and half passages, for training the tokenizer."""
    sample = []
    for name in GENRES:
        for texts in ([pair.text() for pair in genres[name].pairs], genres[name].passages):
            room = characters // 2
            for text in rng.sample(texts, len(texts)):
                sample.append(text)
                room -= len(text)
                if room <= 0:
                    break
    return sample


def _encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [[*encoding.ids, END_ID] for encoding in tokenizer.encode_batch(texts)]


def pair_windows(tokenizer: Tokenizer, pairs: list[Pair], rng: random.Random) -> np.ndarray:
    """[windows, SEQUENCE + 1]: each starts with an instruction, as a prompt does, and is filled with more pairs."""
    windows: list[list[int]] = []
    window: list[int] = []
    for ids in _encode(tokenizer, [pair.text() for pair in rng.sample(pairs, len(pairs))]):
        window.extend(ids)
        if len(window) > SEQUENCE:
            windows.append(window[: SEQUENCE + 1])
            window = []
    return np.array(windows, dtype=np.uint16)


def passage_windows(tokenizer: Tokenizer, passages: list[str], rng: random.Random) -> np.ndarray:
    """[windows, SEQUENCE + 1]: running text, cut wherever a window is full."""
    shuffled = rng.sample(passages, len(passages))
    stream = np.concatenate([np.array(ids, dtype=np.uint16) for ids in _encode(tokenizer, shuffled)])
    count = len(stream) // (SEQUENCE + 1)
    return stream[: count * (SEQUENCE + 1)].reshape(count, SEQUENCE + 1)


def genre_windows(tokenizer: Tokenizer, genres: dict[str, Genre], rng: random.Random) -> list[np.ndarray]:
    """Eight arrays: pairs and passages of each genre, in the order of GENRES."""
    windows = []
    for name in GENRES:
        windows.append(pair_windows(tokenizer, genres[name].pairs, rng))
        windows.append(passage_windows(tokenizer, genres[name].passages, rng))
    return windows


def held_out_tokens(
    tokenizer: Tokenizer, kept: dict[str, Genre], rng: random.Random, count: int
) -> dict[str, np.ndarray]:
    """`count` ids a genre: windows of SEQUENCE, pairs and passages in turn."""
    tokens = {}
    for name in GENRES:
        pairs = pair_windows(tokenizer, kept[name].pairs, rng)
        passages = passage_windows(tokenizer, kept[name].passages, rng)
        rows = min(len(pairs), len(passages))
        flat = np.stack((pairs[:rows, :SEQUENCE], passages[:rows, :SEQUENCE]), axis=1).reshape(-1)
        if len(flat) < count:
            raise SystemExit(f"corpus: only {len(flat)} held-out tokens of {name}, expected {count}")
        tokens[name] = flat[:count].astype(np.uint16)
    return tokens
