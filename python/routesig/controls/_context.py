"""Whether the routing of equal words follows the task."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from routesig import _core
from routesig._equality import ByValue
from routesig._kinds import traces_of
from routesig._left_out import LeftOut
from routesig._options import number_of_draws
from routesig._p_value import PValue
from routesig._permutation import PermutationTest, permutation_test
from routesig._progress import progress_bar
from routesig._signatures import source_of
from routesig._tasks import Sources, numbered_sources, numbered_tasks
from routesig.controls._shuffle import ShuffleTest, checked_draws, left_out, no_difference, token_table

_AVERAGED = 50  # shuffles: their mean has a fiftieth of the variance of one


@dataclass(frozen=True, eq=False)
class ContextTest(ByValue):
    """Result of `context_test`.

    Attributes
    ----------
    difference : float or None
        D of the residual similarity: mean over pairs of one task (and of different groups) less that over pairs of two.
    p_value : PValue or None
        One-sided: the larger of `p_labels` and `p_words`.
    p_labels : PValue or None
        Labels of prompts (or of whole groups) permuted on the residual similarity: prompts, or templates, that route in
        ways of their own do not follow the task.
    p_words : PValue or None
        The shuffle reaches D, as in `token_shuffle`: nor does routing that follows words alone, though prompts of one
        task share more of these.
    test : PermutationTest or None
        The test of which `p_labels` is the p-value.
    shuffles : int
    tokens, across_tasks : int
        Tokens of the analysis, and those that a shuffle can give to a prompt of another task.
    left_out : list of LeftOut
    absent : dict
        Field -> why it is None.
    """

    difference: float | None
    p_value: PValue | None
    p_labels: PValue | None
    p_words: PValue | None
    test: PermutationTest | None
    shuffles: int
    tokens: int
    across_tasks: int
    left_out: list[LeftOut]
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        if self.difference is None:
            return f"ContextTest(absent: {self.absent['difference']})"
        return f"ContextTest(difference={self.difference:.4f}, p_value={self.p_value!r}, shuffles={self.shuffles})"


def context_test(
    traces: _core.TraceSet,
    *,
    shuffles: int = 200,
    permutations: int = 10_000,
    seed: int = 0,
    tokens: str = "all",
    drop_invalid: bool = False,
    groups: bool = True,
    sources: Sources = None,
    progress: bool = False,
) -> ContextTest:
    """Whether equal words are routed more alike in prompts of one task than in prompts of two.

    The similarity of two prompts, less its mean under the same-token shuffle, is what their words do not account for.
    Task labels are permuted on that residual similarity, those of whole groups where prompts have groups. That test
    holds its level where each prompt, or each template, routes in ways of its own, and the test of `token_shuffle`
    where routing follows words alone; neither does where the other does. Context is claimed only where both reject.

    Parameters
    ----------
    traces : TraceSet
        With token ids. Unlabelled prompts are left out.
    shuffles : int
        Those of `token_shuffle`; the similarity is averaged over the first 50 of them.
    permutations : int
        As in `permutation_test`.
    seed, tokens, drop_invalid, groups, progress
        As for `token_shuffle`.
    sources : sequence of str, False, or None
        One per trace; labels are permuted within each source, as in `permutation_test`. Default: the field "source" of
        the prompts where any source has prompts of two tasks.

    Returns
    -------
    ContextTest

    Raises
    ------
    ValueError
        As `token_shuffle`.

    Examples
    --------
    One word, routed by its task alone.

    >>> import routesig as rs
    >>> def prompt(task, expert, i):
    ...     return rs.RoutingTrace.from_arrays([[[expert]]], num_experts=2, token_ids=[7], task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", 0, i) for i in range(4)] + [prompt("b", 1, i) for i in range(4)])
    >>> rs.controls.context_test(traces).p_value
    PValue(0.02857, floor=0.02857)
    """
    shuffles, seed = checked_draws("context_test", shuffles, seed)
    permutations = number_of_draws("context_test", "permutations", permutations)
    traces = traces_of("context_test", traces)
    table = token_table("context_test", traces, tokens, drop_invalid, groups)
    source = _table_sources("context_test", traces, table, sources)
    fields = ("difference", "p_value", "p_labels", "p_words", "test")
    absent: dict[str, str] = {}
    test, p_words, p_value = None, None, None
    if table.across_tasks == 0:
        absent = dict.fromkeys(fields, "no token can cross tasks: no word occurs in two of them")
    else:
        with progress_bar("context test", progress) as told:
            residual = _core.residual_similarity(table, min(shuffles, _AVERAGED), seed, told)
        with progress_bar("context test, shuffles", progress) as told:
            shuffled = _core.token_shuffle(table, shuffles, seed, told)[0]
        test = permutation_test(
            np.ma.masked_invalid(residual, copy=False),
            [str(code) for code in table.task],
            permutations=permutations,
            seed=seed,
            groups=[None if code < 0 else str(code) for code in table.group],
            sources=[None if code < 0 else str(code) for code in source] if source else False,
            layers=False,
            pairs=False,
        )
        if test.difference is None:
            absent, test = dict.fromkeys(fields, no_difference(traces, table)), None
        else:
            p_words = ShuffleTest.of(*shuffled).p_value
            if test.p_value is None:
                absent |= dict.fromkeys(("p_value", "p_labels"), test.absent["p_value"])
            else:
                p_value = PValue(max(test.p_value, p_words), max(test.p_value.floor, p_words.floor))
    return ContextTest(
        difference=None if test is None else test.difference,
        p_value=p_value,
        p_labels=None if test is None else test.p_value,
        p_words=p_words,
        test=test,
        shuffles=shuffles,
        tokens=len(table),
        across_tasks=table.across_tasks,
        left_out=left_out(traces, table),
        absent=absent,
    )


def _table_sources(who: str, traces: _core.TraceSet, table: Any, sources: Sources) -> list[int]:
    """The number of the source of every prompt of a table; empty where labels are permuted among all."""
    codes = numbered_tasks(traces.tasks)[1]
    found = numbered_sources(sources, [source_of(trace) for trace in traces], codes, who)
    return [found[i] for i in table.trace] if found else []
