"""WordNet as raw passages and as question -> answer pairs."""

from __future__ import annotations

import random
import re

from .prompts import Pair
from .sources import Synset

PERSON, PLACES, ACTS, STATES = 18, (15, 17), (4, 11, 22), (7, 9, 26)
DEFINE = (
    "What is {a_word}?",
    "Define {word}.",
    "Define the word {word}.",
    "What does {word} mean?",
    "Explain what {a_word} is.",
    "Explain the meaning of {word}.",
    "Give a short definition of {word}.",
    "What is meant by {word}?",
    "Describe {a_word} in one sentence.",
    "Explain {word} briefly.",
    "Tell me what {word} means.",
    "How is {word} defined?",
    "What is {a_word}, and what kind of thing is it?",
)
WHO = (
    "Who was {word}?",
    "Who is {word}, and what is this person known for?",
    "What is {word} known for?",
    "What did {word} do?",
    "Who was {word} and when did this person live?",
    "Explain who {word} was.",
    "Name the person called {word} and say what he or she did.",
)
WHERE = (
    "Where is {word}?",
    "What is {word} and where does it lie?",
    "Where can I find {word} on a map?",
    "Which place is {word}?",
    "Describe where {word} is located.",
    "Where in the world is {word}, and what is it?",
)
WHICH = (
    "Which word means {gloss}?",
    "What do you call {gloss}?",
    "Name the term for {gloss}.",
    "Which {kind} is described as {gloss}?",
)
HOW = (
    "What causes {word}?",
    "Explain how {word} happens.",
    "Why does {word} occur, and what is it?",
    "How does {word} work?",
    "When does one speak of {word}?",
    "What happens during {word}?",
)


def article(word: str) -> str:
    if word[0].isupper() or word.endswith("s") or len(word) > 24:
        return word
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _statement(synset: Synset) -> str:
    """A sentence or two: the definition, a second word for it, an example of its use."""
    word, gloss = synset.word, synset.gloss
    subject = article(word) if synset.key[0] == "n" else f'"{word}"'
    verb = "is" if synset.key[0] == "n" else "means"
    text = f"{subject[0].upper()}{subject[1:]} {verb} {gloss}."
    if len(synset.words) > 1:
        text += f" It is also called {synset.words[1]}."
    if synset.examples:
        text += f' For example: "{synset.examples[0]}".'
    return text


def _related(synset: Synset, symbols: tuple[str, ...], every: dict[str, Synset]) -> list[Synset]:
    return [every[key] for symbol, key in synset.pointers if symbol in symbols and key in every]


def _kinds(rng: random.Random, synset: Synset, below: list[Synset]) -> Pair:
    names = [item.word for item in below[:5]]
    number = ("two", "three", "four", "five")[min(len(names), 5) - 2]
    question = rng.choice(
        (
            "Name {n} kinds of {w}.",
            "List some kinds of {w}.",
            "Which kinds of {w} are there?",
            "Name some examples of {w}.",
            "What are the main types of {w}?",
            "Give {n} examples of {w}.",
        )
    ).format(n=number, w=synset.word)
    return Pair(question, f"Kinds of {synset.word} are {', '.join(names[:-1])} and {names[-1]}. {_statement(below[0])}")


def _difference(rng: random.Random, first: Synset, second: Synset) -> Pair:
    question = rng.choice(
        (
            "What is the difference between {a} and {b}?",
            "Compare {a} with {b}.",
            "How do {a} and {b} differ?",
            "Explain how {a} is different from {b}.",
        )
    ).format(a=article(first.word), b=article(second.word))
    return Pair(question, f"{_statement(first)} {_statement(second)}")


def _parts(rng: random.Random, synset: Synset, parts: list[Synset]) -> Pair:
    question = rng.choice(
        ("What are the parts of {w}?", "What belongs to {w}?", "Name a part of {w}.", "What does {w} consist of?")
    ).format(w=article(synset.word))
    names = ", ".join(part.word for part in parts[:4])
    return Pair(question, f"Parts of {article(synset.word)} are {names}. {_statement(synset)}")


def _pair(rng: random.Random, synset: Synset, every: dict[str, Synset]) -> Pair:
    below = _related(synset, ("~", "~i"), every)
    parts = _related(synset, ("%p", "%m", "%s"), every)
    above = _related(synset, ("@", "@i"), every)
    roll = rng.random()
    if len(below) > 1 and roll < 0.4:
        return _kinds(rng, synset, below)
    if parts and roll < 0.5:
        return _parts(rng, synset, parts)
    if above and roll < 0.06:
        return _difference(rng, synset, rng.choice(_related(above[0], ("~", "~i"), every) or above))
    if roll > 0.85 and len(synset.gloss) < 90 and "(" not in synset.gloss:
        kind = above[0].word if above else "word"
        question = rng.choice(WHICH).format(gloss=synset.gloss, kind=kind)
        return Pair(question, _statement(synset))
    is_name = synset.word[0].isupper()
    wordings = DEFINE
    if is_name and synset.lexicographer == PERSON:
        wordings = WHO
    elif is_name and synset.lexicographer in PLACES:
        wordings = WHERE
    elif synset.lexicographer in ACTS and synset.key[0] == "n" and roll > 0.5:
        wordings = HOW
    question = rng.choice(wordings).format(word=synset.word, a_word=article(synset.word))
    answer = _statement(synset)
    if above and rng.random() < 0.5:
        answer += f" {article(above[0].word)[:1].upper()}{article(above[0].word)[1:]} is {above[0].gloss}."
    return Pair(question, answer)


def fact_pairs(some: list[Synset], every: dict[str, Synset], rng: random.Random) -> list[Pair]:
    """One question for each synset; nouns three times as often as the rest, since people ask about things."""
    return [
        _pair(rng, synset, every)
        for synset in some
        if (synset.key[0] == "n" or rng.random() < 0.3) and re.fullmatch(r"[A-Za-z' .-]+", synset.word)
    ]


def fact_passages(some: list[Synset]) -> list[str]:
    """Runs of eight neighbouring synsets: WordNet keeps related meanings near one another."""
    statements = [_statement(synset) for synset in some]
    return [" ".join(statements[at : at + 8]) for at in range(0, len(statements), 8)]
