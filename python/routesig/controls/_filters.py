"""Traces for a second look, and what was left out of them."""

from dataclasses import dataclass
from typing import Any

from routesig import _core
from routesig._equality import ByValue
from routesig._kinds import traces_of
from routesig._left_out import LeftOut
from routesig._options import whole_number


@dataclass(frozen=True, eq=False)
class FilteredTraces(ByValue):
    """Traces that a filter kept, and what it left out.

    Attributes
    ----------
    traces : TraceSet
    left_out : list of LeftOut
        Whole prompts.
    length : int or None
        Tokens of every prompt, where `position_matched` cut them.
    tokens_dropped : int
        Tokens of the prompts that were kept.
    """

    traces: _core.TraceSet
    left_out: list[LeftOut]
    length: int | None
    tokens_dropped: int

    def __repr__(self) -> str:
        length = "" if self.length is None else f", length={self.length}"
        return (
            f"FilteredTraces({len(self.traces)} traces{length}, {len(self.left_out)} prompts left out, "
            f"{self.tokens_dropped} tokens dropped)"
        )


def position_matched(traces: _core.TraceSet, *, tokens: str = "prompt", length: int | None = None) -> FilteredTraces:
    """The first M tokens of every prompt, so that all are equally long and at the same positions.

    Parameters
    ----------
    traces : TraceSet
    tokens : {"prompt", "generation", "all"}
        Which tokens to count and keep: the prompt's and the generated ones are compared apart.
    length : int, optional
        M; default max(16, 5 % quantile of the prompts' tokens, rounded down). Prompts with fewer are left out.

    Returns
    -------
    FilteredTraces

    Raises
    ------
    ValueError
        On a length below 1.

    Examples
    --------
    >>> import numpy as np
    >>> import routesig as rs
    >>> def prompt(tokens):
    ...     return rs.RoutingTrace.from_arrays(np.zeros((1, tokens, 1), int), num_experts=4, id=f"{tokens} long")
    >>> matched = rs.controls.position_matched([prompt(40), prompt(30), prompt(12)])
    >>> [len(trace) for trace in matched.traces], matched.left_out[0]
    ([16, 16], LeftOut(id='12 long', reason='12 tokens, fewer than the 16 compared'))
    """
    traces = traces_of("position_matched", traces)
    length = 0 if length is None else whole_number("position_matched", "length", length, least=1, most=2**31 - 1)
    return _filtered(_core.position_matched(traces, tokens, length), cut=True)


def drop_first(traces: _core.TraceSet) -> FilteredTraces:
    """All tokens but the one at position 0, which many models use as an attention sink and route alike everywhere.

    Parameters
    ----------
    traces : TraceSet

    Returns
    -------
    FilteredTraces
        Prompts without another token are left out.

    Examples
    --------
    >>> import routesig as rs
    >>> trace = rs.RoutingTrace.from_arrays([[[0], [1], [2]]], num_experts=4, id="hand")
    >>> kept = rs.controls.drop_first([trace])
    >>> kept.traces[0].experts.ravel().tolist(), kept.tokens_dropped
    ([1, 2], 1)
    """
    return _filtered(_core.drop_first(traces_of("drop_first", traces)))


def without_duplicates(traces: _core.TraceSet, *, tokens: str = "all") -> FilteredTraces:
    """Of prompts with exactly the same token ids, the first.

    Parameters
    ----------
    traces : TraceSet
        With token ids.
    tokens : {"all", "prompt", "generation"}
        Which token ids to compare. Prompts without such tokens are kept.

    Returns
    -------
    FilteredTraces
        `left_out` names the prompt that each repeats.

    Raises
    ------
    ValueError
        On traces without token ids.

    Examples
    --------
    >>> import routesig as rs
    >>> def prompt(name, ids, task="code"):
    ...     experts = [[[i % 4] for i in ids]]
    ...     return rs.RoutingTrace.from_arrays(experts, num_experts=4, token_ids=ids, task=task, id=name)
    >>> kept = rs.controls.without_duplicates([prompt("a", [7, 8]), prompt("b", [7, 9]), prompt("c", [7, 8])])
    >>> kept.traces.ids, kept.left_out[0].id
    (['a', 'b'], 'c')
    """
    return _filtered(_core.without_duplicates(traces_of("without_duplicates", traces), tokens))


def drop_common_prefix(traces: _core.TraceSet, *, groups: bool = True) -> FilteredTraces:
    """Every prompt without the first tokens that another prompt of its task begins with too.

    Prompts of a task that begin with one instruction route alike there, whatever the task.

    Parameters
    ----------
    traces : TraceSet
        Beginnings are compared by token ids, without these by the experts picked in all layers, which equal beginnings
        make equal.
    groups : bool
        Beginnings that a prompt shares with prompts of its own group alone do not count.

    Returns
    -------
    FilteredTraces
        Prompts of which nothing remains are left out.

    Examples
    --------
    >>> import routesig as rs
    >>> def prompt(name, ids):
    ...     experts = [[[i % 4] for i in ids]]
    ...     return rs.RoutingTrace.from_arrays(experts, num_experts=4, token_ids=ids, task="code", id=name)
    >>> kept = rs.controls.drop_common_prefix([prompt("a", [7, 8, 1]), prompt("b", [7, 8, 2, 3])])
    >>> [trace.token_ids.tolist() for trace in kept.traces], kept.tokens_dropped
    ([[1], [2, 3]], 4)
    """
    return _filtered(_core.drop_common_prefix(traces_of("drop_common_prefix", traces), groups))


def _filtered(result: tuple[Any, ...], cut: bool = False) -> FilteredTraces:
    traces, left_out, length, tokens_dropped = result
    return FilteredTraces(traces, [LeftOut(*entry) for entry in left_out], length if cut else None, tokens_dropped)
