"""The overlap ladder and the vocabulary-matched task effect."""

from dataclasses import dataclass, field
from typing import Any

from routesig import _core
from routesig._labelled import NO_TEST
from routesig._left_out import LeftOut
from routesig._options import whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._signatures import source_of
from routesig._tasks import Sources, numbered_sources, numbered_tasks
from routesig.controls._shuffle import as_traces, left_out, token_table

RUNGS = ("same id, same task", "same id, other task", "other id, same task", "other id, other task")


@dataclass(frozen=True)
class MatchedEffect:
    """The vocabulary-matched task effect Delta, as observed and under permuted labels.

    Attributes
    ----------
    observed : float
        How many more of its experts a word shares between prompts of one task than between prompts of two, as a share.
    mean, sd, low, high : float
        Under permuted labels: mean, standard deviation (ddof 1), 2.5 % and 97.5 % quantiles.
    p_value : PValue or None
        One-sided: labels of prompts (or of whole groups) permuted; None where no other labelling is possible.
    """

    observed: float
    mean: float
    sd: float
    low: float
    high: float
    p_value: PValue | None

    @classmethod
    def of(cls, *test: Any) -> "MatchedEffect":
        """From what the core gives: all fields in order, p with its floor."""
        observed, mean, sd, low, high, p = test
        return cls(observed, mean, sd, low, high, None if p is None else PValue(*p))

    def __repr__(self) -> str:
        return f"MatchedEffect(observed={self.observed:.4f}, p_value={self.p_value!r})"


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
        Vocabulary-matched task effect Delta and its p from permuted labels.
    token_ids : int
        Token ids that Delta rests on.
    unit, units, permutations
        What was permuted ("prompts" or "groups"), how many, and how many labellings were looked at.
    layers : list of LadderLayer
        p-values of layers are not adjusted for their number.
    left_out : list of LeftOut
    absent : dict
        Name of a field or rung that is None -> why.
    """

    overlap: dict[str, float | None]
    chance: float | None
    effect: MatchedEffect | None
    token_ids: int
    unit: str
    units: int
    permutations: int
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
    permutations: int = 1_000,
    seed: int = 0,
    tokens: str = "all",
    drop_invalid: bool = False,
    groups: bool = True,
    sources: Sources = None,
    progress: bool = False,
) -> OverlapLadder:
    """How many experts do two tokens share, by word and by task? Does not depend on prompt length.

    O = sum |E_s & E_t| / (top_k x pairs) over pairs of tokens from different prompts (and groups), on four rungs: same
    or other token id, same or other task. The vocabulary-matched effect is Delta = sum_v w_v (O_v(same task) -
    O_v(other task)) / sum_v w_v over token ids v, w = n_s n_d / (n_s + n_d) of their pairs.

    Parameters
    ----------
    traces : TraceSet
        With token ids. Unlabelled prompts are left out.
    permutations : int
        Labellings for the p of Delta; where no more are possible, all of them are looked at once.
    seed, tokens, drop_invalid, groups, progress
        As for `token_shuffle`. Labels of whole groups are permuted.
    sources : sequence of str, False, or None
        One per trace; labels are permuted within each source. Default: the field "source" of the prompts where any
        source has prompts of two tasks.

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
    permutations = whole_number("overlap_ladder", "permutations", permutations)
    seed = whole_number("overlap_ladder", "seed", seed)
    traces = as_traces(traces)
    table = token_table("overlap_ladder", traces, tokens, drop_invalid, groups)
    source = table_sources("overlap_ladder", traces, table, sources)
    with progress_bar("overlap ladder", progress) as told:
        overlap, chance, effect, token_ids, units, labellings, layers = _core.overlap_ladder(
            table, permutations, seed, source, told
        )
    rungs = dict(zip(RUNGS, overlap, strict=True))
    absent = {rung: "no two tokens of different prompts are such a pair" for rung in RUNGS if rungs[rung] is None}
    if chance is None:
        absent["chance"] = "there are no tokens"
    if effect is None:
        absent["effect"] = "no token id occurs both in two prompts of one task and in prompts of two tasks"
    elif effect[-1] is None:
        absent["effect.p_value"] = NO_TEST
    return OverlapLadder(
        overlap=rungs,
        chance=chance,
        effect=None if effect is None else MatchedEffect.of(*effect),
        token_ids=token_ids,
        unit="groups" if units < table.prompts else "prompts",
        units=units,
        permutations=labellings,
        layers=[
            LadderLayer(
                overlap=dict(zip(RUNGS, layer_overlap, strict=True)),
                pairs=dict(zip(RUNGS, pairs, strict=True)),
                chance=layer_chance,
                effect=None if layer_effect is None else MatchedEffect.of(*layer_effect),
            )
            for layer_overlap, pairs, layer_chance, layer_effect in layers
        ],
        left_out=left_out(traces, table),
        absent=absent,
    )


def table_sources(who: str, traces: _core.TraceSet, table: Any, sources: Sources) -> list[int]:
    """The number of the source of every prompt of a table; empty where labels are permuted among all."""
    codes = numbered_tasks(traces.tasks)[1]
    found = numbered_sources(sources, [source_of(trace) for trace in traces], codes, who)
    return [found[i] for i in table.trace] if found else []
