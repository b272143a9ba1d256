"""Novels as raw passages and as story prompt -> passage pairs."""

from __future__ import annotations

import random
import re

from .prompts import Pair

PEOPLE = (
    "a young widow", "a retired sailor", "a distant cousin", "a poor governess", "an old soldier", "a rich uncle",
    "a country doctor", "a middle sister", "a lonely gentleman", "a clever servant", "a proud lady", "a lost child",
    "a shy clergyman", "a foolish baronet", "an orphan girl", "a jealous husband", "a faithful friend",
    "an unlucky painter", "a cheerful aunt", "a stubborn grandmother", "a village teacher", "a runaway bride",
    "a kind neighbour", "a mysterious traveller", "a young officer", "a ruined merchant", "the vicar's daughter",
    "a musician", "a gardener", "a quiet boy", "an ambitious lawyer", "a tired farmer",
)  # fmt: skip
EVENTS = (
    "finds an old diary", "returns home after many years", "falls in love with a stranger", "loses a great fortune",
    "keeps a painful secret", "moves to a distant town", "receives bad news", "makes a promise that cannot be kept",
    "quarrels with an old friend", "waits all winter for a letter", "is invited to a ball", "refuses to marry",
    "learns to forgive", "discovers the truth about the past", "saves a drowning man", "must choose between two lovers",
    "hides a stolen ring", "is mistaken for somebody else", "takes a journey by night", "falls ill in the spring",
    "meets a rival at dinner", "plans a surprise", "leaves the family estate", "overhears a conversation",
)  # fmt: skip
PLACES = (
    "in a small seaside town", "in a country house", "on a stormy night", "in Bath", "during a long winter",
    "at a summer party", "in an old castle", "on the road to London", "in a quiet parsonage", "by a river",
    "in a great library", "on the last day of the year", "on an island", "in the woods", "at a crowded inn",
    "in the spring", "in a foreign city", "on board a ship", "at the edge of a moor", "in a ruined abbey",
)  # fmt: skip
FEELINGS = ("hope", "regret", "jealousy", "joy", "grief", "pride", "shame", "curiosity", "fear", "tenderness", "anger")
RELATIONS = (
    "a mother and her son", "two old friends", "a husband and his wife", "a lady and her maid", "two rivals",
    "a father and his eldest daughter", "a brother and a sister", "an aunt and her niece", "a guest and his host",
)  # fmt: skip
SUBJECTS = (
    "marriage", "money", "a journey", "the weather", "an inheritance", "a broken promise", "a letter", "a dance",
    "the new tenant", "an old quarrel", "a proposal", "a walk in the park", "the past", "a secret engagement",
)  # fmt: skip
THINGS = ("garden", "drawing room", "ballroom", "village street", "kitchen", "hill above the sea", "church", "park")
WORDINGS = (
    "Write a short story about {who} who {event}.",
    "Write a story about {who} {place}.",
    "Write a story in which {who} {event} {place}.",
    "Write a tale of {feeling} about {who}.",
    "Tell me a story about {who} who {event} {place}.",
    "Tell a story of {who} and {other}.",
    "Tell the story of {who}, who {event}.",
    "Begin a novel with {who} who {event}.",
    "Write the opening of a novel set {place}.",
    "Write the first paragraph of a story about {subject}.",
    "Write the beginning of a romance between {who} and {other}.",
    "Describe {who} {place}.",
    "Describe the {feeling} of {who} who {event}.",
    "Describe a {thing} where {who} meets {other}.",
    "Paint in words the scene in the {thing} when {who} {event}.",
    "Imagine {who} {place} and write what happens next.",
    "Imagine that {who} {event}, and tell how it ends.",
    "Continue the story of {who} who {event}.",
    "Continue this tale: {who} {event} {place}.",
    "Finish this story: one evening {place}, {who} {event}.",
    "Write a scene full of {feeling} {place}.",
    "Narrate the day on which {who} {event}.",
    "Make up a story about {subject} and {feeling}.",
    "Write a love story that begins {place}.",
    "Write a letter in which {who} speaks of {subject}.",
    "Write a chapter about {who} and {subject}.",
)
DIALOGUES = (
    "Write a dialogue between {pair} about {subject}.",
    "Write a conversation in which {pair} talk of {subject}.",
    "Write a scene where {pair} argue about {subject}.",
    "Let {pair} talk about {subject} {place}.",
    "Write what {pair} say to each other when someone {event}.",
)
NAMED = (
    "Write a story about {name}.",
    "Tell me what {name} felt when {name} heard the news.",
    "Write a scene between {name} and {second}.",
    "Continue the story of {name} and {second}.",
    "Describe how {name} met {second}.",
    "Write about the day {name} came to visit.",
)


def story_passages(books: list[list[str]]) -> list[str]:
    """Neighbouring paragraphs up to about 700 characters, so that a passage keeps its thread."""
    passages = []
    for book in books:
        piece = ""
        for paragraph in book:
            if len(piece) > 400:
                passages.append(piece)
                piece = ""
            piece = f"{piece}\n{paragraph}" if piece else paragraph[:1400]
        passages.append(piece)
    return passages


def _instruction(rng: random.Random, passage: str) -> str:
    names = list(dict.fromkeys(re.findall(r"(?:Mr\.|Mrs\.|Miss|Lady|Captain) [A-Z][a-z]+", passage)))
    if len(names) > 1 and rng.random() < 0.15:
        return rng.choice(NAMED).format(name=names[0], second=names[1])
    wordings = DIALOGUES if passage.count('"') >= 4 and rng.random() < 0.4 else WORDINGS
    who, other = rng.sample(PEOPLE, 2)
    return rng.choice(wordings).format(
        who=who,
        other=other,
        event=rng.choice(EVENTS),
        place=rng.choice(PLACES),
        feeling=rng.choice(FEELINGS),
        pair=rng.choice(RELATIONS),
        subject=rng.choice(SUBJECTS),
        thing=rng.choice(THINGS),
    )


def story_pairs(books: list[list[str]], rng: random.Random, copies: int) -> list[Pair]:
    """`copies` prompts, each with a passage that starts at its own paragraph."""
    pairs = []
    for _ in range(copies):
        for book in books:
            for at in range(len(book)):
                answer = book[at] if len(book[at]) > 250 else "\n".join(book[at : at + 3])
                # A passage may also start inside a long paragraph, at a sentence.
                sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", answer)
                start = rng.randrange(len(sentences)) if len(sentences) > 4 and rng.random() < 0.5 else 0
                pairs.append(Pair(_instruction(rng, answer), " ".join(sentences[start:])[:600]))
    return pairs
