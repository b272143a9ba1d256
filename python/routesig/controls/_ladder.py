"""The overlap ladder and the vocabulary-matched task effect."""

from dataclasses import dataclass, field

from routesig import _core
from routesig._kinds import traces_of
from routesig._left_out import LeftOut
from routesig.controls._shuffle import left_out, token_table

RUNGS = ("same id, same task", "same id, other task", "other id, same task", "other id, other task")


@dataclass(frozen=True)
class MatchedEffect:
    """The vocabulary-matched task effect Delta. Whether it could be chance: `context_test`.

    Attributes
    ----------
    observed : float
        How many more of its experts a word shares between prompts of one task than between prompts of two, as a share.
    standard_error : float or None
        Over prompts (or whole groups), from the linearization of Delta in how often each of them counts. None where a
        task has fewer than 5 of them.
    """

    observed: float
    standard_error: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %: `observed` less and plus 1.96 standard errors."""
        if self.standard_error is None:
            return None
        return self.observed - 1.96 * self.standard_error, self.observed + 1.96 * self.standard_error

    def __repr__(self) -> str:
        error = "" if self.standard_error is None else f", standard_error={self.standard_error:.4f}"
        return f"MatchedEffect(observed={self.observed:.4f}{error})"


@dataclass(frozen=True)
class LadderLayer:
    """One layer of the ladder: `overlap` and `pairs` by rung, `chance`, and the vocabulary-matched `effect`."""

    overlap: dict[str, float | None]
    pairs: dict[str, int]
    chance: float | None
    effect: MatchedEffect | None


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
    effect : MatchedEffect or None
        Vocabulary-matched task effect Delta, mean over layers.
    token_ids : int
        Token ids that Delta rests on.
    layers : list of LadderLayer
    left_out : list of LeftOut
    absent : dict
        Name of a field or rung that is None -> why.
    """

    overlap: dict[str, float | None]
    chance: float | None
    effect: MatchedEffect | None
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
    tokens: str = "all",
    drop_invalid: bool = False,
    groups: bool = True,
) -> OverlapLadder:
    """How many experts do two tokens share, by word and by task? Does not depend on prompt length.

    O = sum |E_s & E_t| / (top_k x pairs) over pairs of tokens from different prompts (and groups), on four rungs: same
    or other token id, same or other task. The vocabulary-matched effect is Delta = sum_v w_v (O_v(same task) -
    O_v(other task)) / sum_v w_v over token ids v, w = n_s n_d / (n_s + n_d) of their pairs.

    Parameters
    ----------
    traces : TraceSet
        With token ids. Unlabelled prompts are left out.
    tokens, drop_invalid, groups
        As for `token_shuffle`.

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
    >>> ladder = rs.controls.overlap_ladder(traces)
    >>> ladder.overlap["same id, same task"], ladder.overlap["same id, other task"], ladder.effect.observed
    (0.5, 0.25, 0.25)
    """
    traces = traces_of("overlap_ladder", traces)
    table = token_table("overlap_ladder", traces, tokens, drop_invalid, groups)
    overlap, chance, effect, token_ids, units, fewest, layers = _core.overlap_ladder(table)
    rungs = dict(zip(RUNGS, overlap, strict=True))
    absent = {rung: "no two tokens of different prompts are such a pair" for rung in RUNGS if rungs[rung] is None}
    if chance is None:
        absent["chance"] = "there are no tokens"
    if effect is None:
        absent["effect"] = "no token id occurs both in two prompts of one task and in prompts of two tasks"
    elif effect[-1] is None:
        unit = "groups" if units < table.prompts else "prompts"
        absent["effect.standard_error"] = f"a task has {fewest} {unit}, fewer than 5"
    return OverlapLadder(
        overlap=rungs,
        chance=chance,
        effect=None if effect is None else MatchedEffect(*effect),
        token_ids=token_ids,
        layers=[
            LadderLayer(
                overlap=dict(zip(RUNGS, layer_overlap, strict=True)),
                pairs=dict(zip(RUNGS, pairs, strict=True)),
                chance=layer_chance,
                effect=None if layer_effect is None else MatchedEffect(*layer_effect),
            )
            for layer_overlap, pairs, layer_chance, layer_effect in layers
        ],
        left_out=left_out(traces, table),
        absent=absent,
    )
