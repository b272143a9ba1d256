"""The same-token shuffle null."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._equality import ByValue
from routesig._kinds import traces_of
from routesig._labelled import why_no_pairs
from routesig._left_out import LeftOut
from routesig._options import number_of_draws, whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._signatures import SignatureSet, source_of
from routesig._tasks import numbered_groups, numbered_tasks

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShuffleTest:
    """One statistic, as observed and under the same-token shuffle.

    Attributes
    ----------
    observed : float
    mean, sd, low, high : float
        Under the shuffle: mean, standard deviation (ddof 1), 2.5 % and 97.5 % quantiles.
    p_value : PValue
        One-sided: the shuffle reaches the observed value. Its floor: the smallest this many shuffles can give.
    share : float or None
        mean / observed; None unless observed > 0. For the difference of similarities: the lexical share.
    """

    observed: float
    mean: float
    sd: float
    low: float
    high: float
    p_value: PValue
    share: float | None

    @classmethod
    def of(cls, *test: Any) -> "ShuffleTest":
        """From what the core gives: all fields in order, the floor of p after p."""
        observed, mean, sd, low, high, p, floor, share = test
        return cls(observed, mean, sd, low, high, PValue(p, floor), share)

    def __repr__(self) -> str:
        share = "" if self.share is None else f", share={self.share:.2f}"
        return (
            f"ShuffleTest(observed={self.observed:.4f}, shuffled={self.mean:.4f} +- {self.sd:.4f}{share}, "
            f"p={self.p_value:.4g}, floor={self.p_value.floor:.4g})"
        )


@dataclass(frozen=True, eq=False)
class TokenShuffle(ByValue):
    """Result of `token_shuffle`.

    Attributes
    ----------
    difference : ShuffleTest or None
        D, the mean within-task minus the mean across-task similarity.
    layers : list of (ShuffleTest or None)
        The same for each layer, None where it has no pairs; their p-values are not adjusted for the number of layers.
    draws, layer_draws : float64 [shuffles], [shuffles, layers]
        D under every shuffle: what an adjustment over layers needs.
    statistic : ShuffleTest or None
        The caller's own statistic.
    seed : int
    tokens, movable, across_tasks : int
        Tokens of the analysis; those whose stratum spans two prompts or more; two tasks or more.
    left_out : list of LeftOut
        Prompts that took no part.
    unknown_rows, dropped_rows : int
        Rows without known routing; impossible rows left out.
    absent : dict
        Name of a field that is None -> why.
    """

    difference: ShuffleTest | None
    layers: list[ShuffleTest | None]
    draws: Floats
    layer_draws: Floats
    statistic: ShuffleTest | None
    seed: int
    tokens: int
    movable: int
    across_tasks: int
    left_out: list[LeftOut]
    unknown_rows: int
    dropped_rows: int
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def lexical_share(self) -> float | None:
        """How much of D is left under the shuffle: mean(D*) / D; None unless D > 0.

        The most that words can account for: tokens whose word occurs in one task only keep their task's routing.
        """
        return None if self.difference is None else self.difference.share

    @property
    def crossing_share(self) -> float | None:
        """Share of tokens that a shuffle can give to a prompt of another task; None without tokens."""
        return self.across_tasks / self.tokens if self.tokens else None

    @property
    def movable_share(self) -> float | None:
        """Share of tokens that a shuffle can give to another prompt; None without tokens."""
        return self.movable / self.tokens if self.tokens else None

    def __repr__(self) -> str:
        movable = "" if self.movable_share is None else f", movable={self.movable_share:.0%}"
        return (
            f"TokenShuffle(difference={self.difference!r}, shuffles={len(self.draws)}, tokens={self.tokens}{movable})"
        )


def token_table(who: str, traces: _core.TraceSet, tokens: str, drop_invalid: bool, groups: bool) -> Any:
    """The tokens of labelled prompts, with their groups if wanted; ValueError on a group of two tasks."""
    names, codes = numbered_tasks(traces.tasks)
    found = numbered_groups(None if groups else False, [trace.group for trace in traces], names, codes, who)
    return _core.TokenTable(traces, tokens=tokens, drop_invalid=drop_invalid, groups=bool(found))


def left_out(traces: _core.TraceSet, table: _core.TokenTable) -> list[LeftOut]:
    """Traces that have no place in the table, in their order."""
    reasons = dict.fromkeys(table.unlabelled, "no task") | dict.fromkeys(table.empty, "no token with known routing")
    return [LeftOut(traces[i].id, reasons[i]) for i in sorted(reasons)]


def no_difference(traces: _core.TraceSet, table: _core.TokenTable) -> str:
    """Why D is not defined."""
    names = [str(traces[i].task) for i in table.trace]
    return why_no_pairs(*numbered_tasks(names), table.group)


def checked_draws(who: str, shuffles: int, seed: int) -> tuple[int, int]:
    """Both as whole numbers; ValueError on fewer than one shuffle."""
    if number_of_draws(who, "shuffles", shuffles) < 1:
        raise ValueError(f"{who}: expected 1 shuffle or more, got {shuffles}")
    return int(shuffles), whole_number(who, "seed", seed)


def token_shuffle(
    traces: _core.TraceSet,
    *,
    shuffles: int = 200,
    seed: int = 0,
    tokens: str = "all",
    drop_invalid: bool = False,
    groups: bool = True,
    statistic: Callable[[SignatureSet], float] | None = None,
    progress: bool = False,
) -> TokenShuffle:
    """Same-token shuffle null: what is left of the separation when words take their routing from any prompt.

    Whole layers x top_k blocks of routing are permuted over all occurrences, in all prompts, of one stratum: the same
    token id, prompt or generated, first position or not, the same layers known. Null hypothesis: given its stratum a
    token's routing is exchangeable across prompts. It is no hypothesis about tasks: prompts that route in ways of their
    own are rejected too (`context_test` tests tasks). Words that occur in one prompt only stay put, so the test is
    conservative: see `movable_share` and `crossing_share`.

    Parameters
    ----------
    traces : TraceSet
        With token ids. Unlabelled prompts are left out.
    shuffles : int
        Shuffles to draw; the smallest attainable p is 1 / (1 + shuffles).
    seed : int
        The same seed gives the same result on any number of threads and in any order of the prompts.
    tokens : {"all", "prompt", "generation"}
    drop_invalid : bool
        Leave impossible rows out (counted) instead of refusing them.
    groups : bool
        Pairs of prompts of one group (template, near-duplicates) do not count. False: they do.
    statistic : callable, optional
        A number of a SignatureSet, for instance the accuracy of a classifier: tested against the same shuffles.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    TokenShuffle

    Raises
    ------
    ValueError
        On traces without token ids, on impossible rows, on fewer than one shuffle.

    References
    ----------
    p = (1 + #{D* >= D}) / (1 + shuffles): Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010).

    Examples
    --------
    Words route alike everywhere here, so the whole separation is lexical.

    >>> import routesig as rs
    >>> def prompt(task, words, i):
    ...     experts = [[[w % 4] for w in words]]
    ...     return rs.RoutingTrace.from_arrays(experts, num_experts=4, token_ids=words, task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet(
    ...     [prompt("a", [0, 1, 1, 2], i) for i in range(3)] + [prompt("b", [0, 2, 2, 1], i) for i in range(3)]
    ... )
    >>> result = rs.controls.token_shuffle(traces, shuffles=99)
    >>> round(result.lexical_share, 6), result.difference.p_value
    (1.0, PValue(1, floor=0.01))
    """
    traces = traces_of("token_shuffle", traces)
    table = token_table("token_shuffle", traces, tokens, drop_invalid, groups)
    shuffles, seed = checked_draws("token_shuffle", shuffles, seed)
    with progress_bar("token shuffle", progress) as told:
        difference, layers, draws, layer_draws = _core.token_shuffle(table, shuffles, seed, told)
    absent: dict[str, str] = {}
    if difference is None:
        absent["difference"] = no_difference(traces, table)
    elif difference[-1] is None:
        absent["lexical_share"] = "a share needs D > 0"
    own = None
    if statistic is None:
        absent["statistic"] = "no statistic was asked for"
    else:
        observed, *drawn = [
            float(statistic(sigs))
            for sigs in shuffled_signatures(
                traces, shuffles=shuffles, seed=seed, tokens=tokens, drop_invalid=drop_invalid, observed_first=True
            )
        ]
        own = ShuffleTest.of(*_core.shuffle_test(observed, drawn))
    return TokenShuffle(
        difference=None if difference is None else ShuffleTest.of(*difference),
        layers=[None if layer is None else ShuffleTest.of(*layer) for layer in layers],
        draws=draws,
        layer_draws=layer_draws,
        statistic=own,
        seed=seed,
        tokens=len(table),
        movable=table.movable,
        across_tasks=table.across_tasks,
        left_out=left_out(traces, table),
        unknown_rows=table.unknown_rows,
        dropped_rows=table.dropped_rows,
        absent=absent,
    )


def shuffled_signatures(
    traces: _core.TraceSet,
    *,
    shuffles: int = 200,
    seed: int = 0,
    tokens: str = "all",
    drop_invalid: bool = False,
    observed_first: bool = False,
) -> Iterator[SignatureSet]:
    """The signatures of every shuffle that `token_shuffle` draws, for statistics of one's own.

    Parameters
    ----------
    traces, shuffles, seed, tokens, drop_invalid
        As for `token_shuffle`.
    observed_first : bool
        Begin with the signatures as they are.

    Returns
    -------
    iterator of SignatureSet
        Of the labelled prompts with tokens, in their order.

    Raises
    ------
    ValueError
        As `token_shuffle`.

    Examples
    --------
    >>> import routesig as rs
    >>> def prompt(name, ids, task="code"):
    ...     experts = [[[i % 4] for i in ids]]
    ...     return rs.RoutingTrace.from_arrays(experts, num_experts=4, token_ids=ids, task=task, id=name)
    >>> traces = [prompt("a", [1, 2]), prompt("b", [2, 3], task="math")]
    >>> [int(sigs.counts.sum()) for sigs in rs.controls.shuffled_signatures(traces, shuffles=2)]
    [4, 4]
    """
    traces = traces_of("shuffled_signatures", traces)
    table = _core.TokenTable(traces, tokens=tokens, drop_invalid=drop_invalid)
    chosen = [traces[i] for i in sorted(table.trace)]

    def signatures_of(counts: NDArray[np.uint64]) -> SignatureSet:
        return SignatureSet.from_counts(
            counts,
            tasks=[trace.task for trace in chosen],
            ids=[trace.id for trace in chosen],
            groups=[trace.group for trace in chosen],
            sources=[source_of(trace) for trace in chosen],
            top_k=chosen[0].info.top_k if chosen else None,
            unequal_layers=True,  # rows of which nothing is known
        )

    def draw(count: int) -> Iterator[SignatureSet]:
        if observed_first:
            yield signatures_of(table.counts())
        for repetition in range(count):
            yield signatures_of(table.counts(seed, repetition))

    shuffles, seed = checked_draws("token_shuffle", shuffles, seed)
    return draw(shuffles)
