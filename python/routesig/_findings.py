"""What is wrong with traces, found by rules that have names."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routesig import _core

_PLACES = 5  # named, at most
_RARE = 1e-6  # tokens that uniform routing would give by chance, at most, for identity rows to be a finding
_MANY = 0.1  # share of rows from which unknown ones are a warning


@dataclass(frozen=True)
class Finding:
    """Something about traces that whoever analyses them should know.

    Attributes
    ----------
    rule : str
        The name of the rule: of rows "not-finite", "unknown-rows", "impossible-rows" and "identity-rows"; of a study
        also "missing-layers", "common-prefix", "debiased-above-1", "source-is-task", "not-scored" and "floor".
    severity : {"error", "warning", "note"}
        "error": some rows are no data. "warning": the recording went wrong in part. "note": nothing to do.
    count : int
        Rows (layers times tokens); for "identity-rows" tokens.
    places : list of str
        The first few, such as 'prompt "code-01", layer 3, position 5'.
    cause, remedy : str
        What was found, and what to do about it: the parts of the sentence that `str` gives.
    """

    rule: str
    severity: str
    count: int
    places: list[str]
    cause: str
    remedy: str

    def __str__(self) -> str:
        more = ["..."] if len(self.places) == _PLACES < self.count else []
        places = f" ({'; '.join([*self.places, *more])})" if self.places else ""
        return f"{self.cause}{places}: {self.remedy}"


def trace_findings(traces: Iterable[_core.RoutingTrace]) -> list[Finding]:
    """What is wrong with the rows of traces.

    Parameters
    ----------
    traces : TraceSet or iterable of RoutingTrace

    Returns
    -------
    list of Finding
        One per rule that found something, in the order of severity.

    Examples
    --------
    >>> import routesig as rs
    >>> trace = rs.RoutingTrace.from_arrays([[[1, 1], [2, 3]]], num_experts=4, id="hand")
    >>> [(found.rule, found.count, found.places) for found in trace_findings([trace])]
    [('impossible-rows', 1, ['prompt "hand", layer 0, position 0'])]
    """
    chosen = [trace for trace in traces if len(trace) > 0]
    states = [_core.row_states(trace) for trace in chosen]
    found = [_not_finite(chosen), _unknown(chosen, states), _impossible(chosen, states), _identity(chosen)]
    order = ("error", "warning", "note")
    return sorted((one for one in found if one is not None), key=lambda one: order.index(one.severity))


def _not_finite(traces: list[_core.RoutingTrace]) -> Finding | None:
    bad = [trace for trace in traces if trace.nonfinite_rows]
    if not bad:
        return None
    count = sum(trace.nonfinite_rows for trace in bad)
    counted = sum(max(0, trace.nonfinite_rows - trace.unknown_rows) for trace in bad)
    remedy = "the model overflows or its weights are damaged; they are skipped as not known"
    if counted:
        remedy = f"{_rows(counted)} of these cannot be told from data and would count, so record again"
    return Finding(
        "not-finite",
        "error" if counted else "warning",
        count,
        [f"{_prompt(trace)}, {_rows(trace.nonfinite_rows)}" for trace in bad[:_PLACES]],
        f"{_rows(count)} had router logits that were not finite",
        remedy,
    )


def _unknown(traces: list[_core.RoutingTrace], states: list[NDArray[np.uint8]]) -> Finding | None:
    """Beside those whose router logits were not finite."""
    less = [(trace, rows == 1) for trace, rows in zip(traces, states, strict=True)]
    less = [(trace, rows) for trace, rows in less if rows.sum() > trace.nonfinite_rows]
    if not less:
        return None
    count = sum(int(rows.sum()) - trace.nonfinite_rows for trace, rows in less)
    total = sum(rows.size for rows in states)
    return Finding(
        "unknown-rows",
        "warning" if count > _MANY * total else "note",
        count,
        _places(less),
        f"the routing of {count} of {_rows(total)} is not known",
        "padding, a prefix that was cached, or layers that were not recorded; they are skipped",
    )


def _impossible(traces: list[_core.RoutingTrace], states: list[NDArray[np.uint8]]) -> Finding | None:
    bad = [(trace, rows == 2) for trace, rows in zip(traces, states, strict=True)]
    count = sum(int(rows.sum()) for _, rows in bad)
    if not count:
        return None
    info = traces[0].info
    are = "are" if count > 1 else "is"
    return Finding(
        "impossible-rows",
        "error",
        count,
        _places(bad),
        f"{_rows(count)} {are} not {info.top_k} distinct experts below {info.experts}",
        "look at how the recording was written; drop_invalid leaves them out, counted",
    )


def _identity(traces: list[_core.RoutingTrace]) -> Finding | None:
    count, runs, expected = 0, 0, 0.0
    places: list[str] = []
    for trace in traces:
        _, _, tokens = _core.identity_rows(trace)
        expected += _by_chance(trace)
        count += len(tokens)
        runs += int((np.diff(tokens.astype(np.int64), prepend=-2) > 1).sum())
        places += [f"{_prompt(trace)}, position {trace.positions[token]}" for token in tokens[: _PLACES - len(places)]]
    if not count or expected > _RARE:
        return None
    last = traces[0].info.top_k - 1
    who = "1 token has" if count == 1 else f"{count} tokens in {runs} run{'s' if runs > 1 else ''} have"
    what = "expert 0" if last == 0 else f"the experts 0 to {last}, in this order,"
    return Finding(
        "identity-rows",
        "warning",
        count,
        places,
        f"{who} {what} in every known layer",
        "engines write such rows for padding and for a router that saw NaN; leave these tokens out or record again",
    )


def _by_chance(trace: _core.RoutingTrace) -> float:
    """Tokens with identity rows in every known layer that uniform routing would give."""
    info = trace.info
    ways = math.perm(info.experts, info.top_k) if info.ranked else math.comb(info.experts, info.top_k)
    known = trace.valid.sum(axis=0)
    return float(np.exp(-math.log(ways) * known[known > 0]).sum())


def _places(rows: list[tuple[_core.RoutingTrace, NDArray[np.bool_]]]) -> list[str]:
    def walk() -> Iterator[str]:
        for trace, wanted in rows:
            for token, layer in np.argwhere(wanted.T)[:_PLACES]:
                yield f"{_prompt(trace)}, layer {layer}, position {trace.positions[token]}"

    return [place for place, _ in zip(walk(), range(_PLACES), strict=False)]


def _prompt(trace: _core.RoutingTrace) -> str:
    shown = trace.id if len(trace.id) <= 60 else f"{trace.id[:60]}..."
    return f'prompt "{shown}"'


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
