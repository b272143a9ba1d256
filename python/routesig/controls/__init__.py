"""Where does the separation come from? Nulls and controls that the usual baselines do not give.

`token_shuffle` asks what is left when every word keeps its routing but not its prompt; `decomposition` splits the
difference into length, vocabulary and context; `overlap_ladder` compares tokens instead of prompts; `position_matched`,
`drop_first` and `without_duplicates` give traces for a second look; `random_weights` and `rotated_router` compare with
models that were never trained, or whose routers were turned.
"""

from routesig.controls._ladder import LadderLayer, OverlapLadder, overlap_ladder
from routesig.controls._shuffle import LeftOut, ShuffleTest, TokenShuffle, shuffled_signatures, token_shuffle

__all__ = [
    "LadderLayer",
    "LeftOut",
    "OverlapLadder",
    "ShuffleTest",
    "TokenShuffle",
    "overlap_ladder",
    "shuffled_signatures",
    "token_shuffle",
]
