"""What an analysis did not use, told by every result that leaves prompts out by name."""

from typing import NamedTuple


class LeftOut(NamedTuple):
    """A prompt that an analysis left out, and why."""

    id: str
    reason: str
