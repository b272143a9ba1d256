"""The overlap ladder and the vocabulary-matched task effect."""

from dataclasses import dataclass, field

from routesig import _core
from routesig._left_out import LeftOut
from routesig._progress import progress_bar
from routesig.controls._shuffle import ShuffleTest, as_traces, checked_draws, left_out

RUNGS = ("same id, same task", "same id, other task", "other id, same task", "other id, other task")


@dataclass(frozen=True)
class LadderLayer:
    """One layer of the ladder: `overlap` and `pairs` by rung, `chance`, and the vocabulary-matched `effect`."""

    overlap: dict[str, float | None]
    pairs: dict[str, int]
    chance: float | None
    effect: ShuffleTest | None


@dataclass(frozen=True)
class OverlapLadder:
    """Result of `overlap_ladder`.

    Attributes
    ----------
    overlap : dict
        Rung -> mean share of the top_k experts that two tokens of different prompts have in common, mean over layers.
        Rungs: "same id, same task", "same id, other task", "other id, same task", "other id, other task".
    chance : float or None
        What two tokens drawn at random have in common: sum pi^2 / top_k, mean over layers.
    effect : ShuffleTest or None
        Vocabulary-matched task effect Delta and its p from the same-token shuffle.
    token_ids : int
        Token ids that Delta rests on.
    layers : list of LadderLayer
        p-values of layers are not adjusted for their number.
    left_out : list of LeftOut
    absent : dict
        Name of a field or rung that is None -> why.
    """

    overlap: dict[str, float | None]
    chance: float | None
    effect: ShuffleTest | None
    token_ids: int
    layers: list[LadderLayer]
    left_out: list[LeftOut]
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        rungs = ", ".join(f"{rung}: {'absent' if x is None else format(x, '.4f')}" for rung, x in self.overlap.items())
        chance = "absent" if self.chance is None else f"{self.chance:.4f}"
        return f"OverlapLadder({rungs}, chance: {chance}, effect={self.effect!r})"


def overlap_ladder(
    traces: _core.TraceSet,
    *,
    shuffles: int = 200,
    seed: int = 0,
    tokens: str = "all",
    drop_invalid: bool = False,
    progress: bool = False,
) -> OverlapLadder:
    """How many experts do two tokens share, by word and by task? Does not depend on prompt length.

    O = sum |E_s & E_t| / (top_k x pairs) over pairs of tokens from different prompts, on four rungs: same or other
    token id, same or other task. The vocabulary-matched effect is
    Delta = sum_v w_v (O_v(same task) - O_v(other task)) / sum_v w_v over token ids v, w = n_s n_d / (n_s + n_d) of
    their pairs.

    Parameters
    ----------
    traces, shuffles, seed, tokens, drop_invalid, progress
        As for `token_shuffle`, whose shuffles give Delta its p.

    Returns
    -------
    OverlapLadder

    Raises
    ------
    ValueError
        As `token_shuffle`.

    References
    ----------
    The overlap of two tokens' experts is the saturation |E_t & E_T| / K of arXiv 2409.02060, taken between prompts.

    Examples
    --------
    >>> import routesig as rs
    >>> def prompt(task, experts, i):
    ...     return rs.RoutingTrace.from_arrays([[experts]], num_experts=4, token_ids=[7], task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", [0, 1], 0), prompt("a", [0, 2], 1), prompt("b", [1, 3], 0)])
    >>> ladder = rs.controls.overlap_ladder(traces, shuffles=9)
    >>> ladder.overlap["same id, same task"], ladder.overlap["same id, other task"], ladder.effect.observed
    (0.5, 0.25, 0.25)
    """
    shuffles, seed = checked_draws("overlap_ladder", shuffles, seed)
    traces = as_traces(traces)
    table = _core.TokenTable(traces, tokens=tokens, drop_invalid=drop_invalid)
    with progress_bar("overlap ladder", progress) as told:
        overlap, chance, effect, token_ids, layers = _core.overlap_ladder(table, shuffles, seed, told)
    rungs = dict(zip(RUNGS, overlap, strict=True))
    absent = {rung: "no two tokens of different prompts are such a pair" for rung in RUNGS if rungs[rung] is None}
    if chance is None:
        absent["chance"] = "there are no tokens"
    if effect is None:
        absent["effect"] = "no token id occurs both in two prompts of one task and in prompts of two tasks"
    return OverlapLadder(
        overlap=rungs,
        chance=chance,
        effect=None if effect is None else ShuffleTest.of(*effect),
        token_ids=token_ids,
        layers=[
            LadderLayer(
                overlap=dict(zip(RUNGS, layer_overlap, strict=True)),
                pairs=dict(zip(RUNGS, pairs, strict=True)),
                chance=layer_chance,
                effect=None if layer_effect is None else ShuffleTest.of(*layer_effect),
            )
            for layer_overlap, pairs, layer_chance, layer_effect in layers
        ],
        left_out=left_out(traces, table),
        absent=absent,
    )
