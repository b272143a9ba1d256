"""Where does the separation come from? Nulls and controls beside the usual baselines.

`token_shuffle` asks what is left when every word keeps its prompt but takes its routing from any prompt; `context_test`
whether what is left follows the task;
`decomposition` splits the difference into length, vocabulary and context; `overlap_ladder` compares tokens;
`position_matched`, `drop_first`, `drop_common_prefix` and `without_duplicates` give traces for a second look;
`random_weights` and `rotated_router` compare with models that were never trained, or whose routers were turned;
`bag_of_tokens` and `length` classify by words and by text length alone, on the signature's own folds.
"""

from routesig._left_out import LeftOut
from routesig.controls._context import ContextTest, context_test
from routesig.controls._decomposition import Decomposition, Part, Parts, decomposition
from routesig.controls._filters import (
    FilteredTraces,
    drop_common_prefix,
    drop_first,
    position_matched,
    without_duplicates,
)
from routesig.controls._ladder import LadderLayer, MatchedEffect, OverlapLadder, overlap_ladder
from routesig.controls._models import ControlComparison, ControlValue, random_weights, rotated_router
from routesig.controls._shuffle import ShuffleTest, TokenShuffle, shuffled_signatures, token_shuffle
from routesig.controls._text import TextControl, bag_of_tokens, length

__all__ = [
    "ContextTest",
    "ControlComparison",
    "ControlValue",
    "Decomposition",
    "FilteredTraces",
    "LadderLayer",
    "LeftOut",
    "MatchedEffect",
    "OverlapLadder",
    "Part",
    "Parts",
    "ShuffleTest",
    "TextControl",
    "TokenShuffle",
    "bag_of_tokens",
    "context_test",
    "decomposition",
    "drop_common_prefix",
    "drop_first",
    "length",
    "overlap_ladder",
    "position_matched",
    "random_weights",
    "rotated_router",
    "shuffled_signatures",
    "token_shuffle",
    "without_duplicates",
]
