"""What within- and across-task similarity would be if routing followed no task.

>>> import routesig as rs
>>> sigs = rs.SignatureSet.from_counts([[[9, 6, 1]], [[8, 7, 1]], [[1, 8, 7]]], tasks=["a", "a", "b"], top_k=2)
>>> base = rs.baselines.load_balance(sigs, repetitions=100)
>>> round(base.observed.within.mean, 3), round(base.closed_form.within, 3)
(0.992, 0.941)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._baseline import Baseline, BreakEven, ClosedForm, Distribution
from routesig._expectations import (
    RowDraws,
    break_even_tokens,
    load_balance_similarity,
    permutation_moments,
    with_replacement,
)
from routesig._kinds import either_of, traces_of
from routesig._labelled import why_no_pairs
from routesig._left_out import LeftOut
from routesig._options import number_of_draws, whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._signatures import SignatureSet, experts_a_token, signatures
from routesig._tasks import Groups, numbered_groups, numbered_tasks

__all__ = [
    "Baseline",
    "BreakEven",
    "ClosedForm",
    "Distribution",
    "break_even_tokens",
    "load_balance",
    "load_balance_similarity",
    "marginal",
    "permutation",
    "permutation_moments",
    "token_pool",
]


def permutation(
    sigs: "SignatureSet | _core.TraceSet",
    *,
    repetitions: int = 1_000,
    seed: int = 0,
    groups: Groups = None,
    progress: bool = False,
) -> Baseline:
    """Relabel the experts of every prompt and layer at random, each by a permutation of its own.

    What is left is how concentrated signatures are. One permutation shared by all prompts would change nothing.

    Parameters
    ----------
    sigs : SignatureSet, or traces (all their tokens)
        Any weighting.
    repetitions, seed : int
        Draws; with 0 the closed form alone, which is exact.
    groups : sequence of str, False, or None
        As in `separation`: pairs of prompts of one group do not count.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Baseline

    Raises
    ------
    ValueError
        Where signatures are not finite, or `repetitions` or `seed` is negative.

    References
    ----------
    arXiv 2603.11114, section 4.5. Per layer the cosine has mean 1 / (E |a| |b|) and variance
    S_a S_b / ((E - 1) |a|^2 |b|^2), S the sum of (s - 1/E)^2; different pairs are uncorrelated.

    Examples
    --------
    >>> import routesig as rs
    >>> sigs = rs.SignatureSet.from_counts([[[9, 6, 1]], [[8, 7, 1]], [[1, 8, 7]]], tasks=["a", "a", "b"], top_k=2)
    >>> base = rs.baselines.permutation(sigs, repetitions=0)  # exact without draws
    >>> round(base.observed.within.mean, 4), round(base.closed_form.within, 4)
    (0.9915, 0.7357)
    """
    part = _Part.of(_as_set("permutation", sigs), groups)
    drawn = _run("permutation", _core.permutation_baseline, part.sigs.values, *part.labels, repetitions, seed, progress)
    reasons = {"p_value": "relabelling experts tests concentration, not whether routing follows the task"}
    return _baseline("permutation", drawn, part, repetitions, seed, reasons)


def load_balance(
    sigs: "SignatureSet | _core.TraceSet",
    *,
    repetitions: int = 1_000,
    seed: int = 0,
    draws: RowDraws = "distinct",
    groups: Groups = None,
    progress: bool = False,
) -> Baseline:
    """Let every token of every layer draw its experts uniformly, as many tokens per prompt as recorded.

    What is left is text length: similarity tends to 1 as texts grow, for any model. So "within > load balance > across"
    holds for short texts and fails for long ones; read it with `tokens` and `break_even`, never as evidence. Of texts
    of more than 16,384 tokens counts are drawn, which have the same distribution and cost no more for longer ones.

    Parameters
    ----------
    sigs : SignatureSet, or traces (all their tokens)
        Counts and the number of experts per token (`top_k`) are needed.
    repetitions, seed : int
        Draws; with 0 the closed form alone.
    draws : {"distinct", "with_replacement"}
        A token's experts differ (as real ones do), or are drawn one by one whatever came before.
    groups : sequence of str, False, or None
        As in `separation`: pairs of prompts of one group do not count.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Baseline

    Raises
    ------
    ValueError
        Where counts or `top_k` are missing, or an option is not one of those above.

    References
    ----------
    arXiv 2603.11114, sections 3.3 and 4.5. Closed form: see `load_balance_similarity`.

    Examples
    --------
    >>> import routesig as rs
    >>> sigs = rs.SignatureSet.from_counts([[[9, 6, 1]], [[8, 7, 1]], [[1, 8, 7]]], tasks=["a", "a", "b"], top_k=2)
    >>> base = rs.baselines.load_balance(sigs, repetitions=200)
    >>> base.tokens.tolist(), round(base.closed_form.within, 4)
    ([8, 8, 8], 0.9412)
    """
    replace = with_replacement(draws)
    part = _Part.of(_as_set("load_balance", sigs), groups)
    counts, top_k = _counted(part.sigs, "load_balance")
    drawn = _run(
        "load balance",
        _core.load_balance_baseline,
        counts,
        top_k,
        *part.labels,
        repetitions,
        seed,
        progress,
        with_replacement=replace,
    )
    reasons = {
        "p_value": "any trained model departs from uniform routing: that is no evidence about tasks",
        "closed_form.sd": "the form gives expected similarities only",
    }
    ratio = _core.sampling_ratio(counts.shape[2], top_k, replace)
    break_even, reason = _break_even(counts, top_k, part.labels, ratio)
    if break_even is None:
        reasons["break_even"] = reason
    return _baseline("load_balance", drawn, part, repetitions, seed, reasons, break_even)


def marginal(
    sigs: "SignatureSet | _core.TraceSet",
    *,
    repetitions: int = 1_000,
    seed: int = 0,
    groups: Groups = None,
    progress: bool = False,
) -> Baseline:
    """Let every token draw distinct experts as popular as they are in all prompts together, layer by layer.

    What is left is text length, and that some experts are chosen more than others whatever the prompt. Of texts of more
    than 16,384 tokens counts are drawn, with the same means, variances and covariances at a bounded cost.

    Parameters
    ----------
    sigs : SignatureSet, or traces (all their tokens)
        Counts and the number of experts per token (`top_k`) are needed.
    repetitions, seed : int
        Draws; with 0 the closed form alone.
    groups : sequence of str, False, or None
        As in `separation`: pairs of prompts of one group do not count.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Baseline
        Its p-value is that of "tokens choose independently, by popularity alone".

    Raises
    ------
    ValueError
        Where counts or `top_k` are missing, or counts are not those of top-k routing.

    References
    ----------
    Randomised systematic sampling (Madow, Annals of Mathematical Statistics 20, 1949) with inclusion probabilities
    pi_e = K A_e / sum A; closed form as for load balancing with r = (K - m)/m, m the sum of pi^2.

    Examples
    --------
    >>> import routesig as rs
    >>> sigs = rs.SignatureSet.from_counts([[[9, 6, 1]], [[8, 7, 1]], [[1, 8, 7]]], tasks=["a", "a", "b"], top_k=2)
    >>> base = rs.baselines.marginal(sigs, repetitions=200)
    >>> round(base.observed.within.mean, 4), base.within.low < base.within.mean < base.within.high
    (0.9915, True)
    """
    part = _Part.of(_as_set("marginal", sigs), groups)
    counts, top_k = _counted(part.sigs, "marginal")
    drawn = _run("marginal", _core.marginal_baseline, counts, top_k, *part.labels, repetitions, seed, progress)
    reasons = {"closed_form.sd": "the form gives expected similarities only"}
    return _baseline("marginal", drawn, part, repetitions, seed, reasons)


def token_pool(
    traces: "_core.TraceSet | Sequence[_core.RoutingTrace]",
    *,
    tokens: str = "all",
    weighting: str = "count",
    drop_invalid: bool = False,
    repetitions: int = 1_000,
    seed: int = 0,
    groups: Groups = None,
    progress: bool = False,
) -> Baseline:
    """Permute the tokens of all prompts among them, each prompt getting as many as it had.

    Popularity of experts and dependence between layers stay exactly as they are; whose token it was is lost.

    Parameters
    ----------
    traces : TraceSet
    tokens : {"all", "prompt", "generation"}
        Which tokens are pooled, redistributed and compared.
    weighting : {"count", "gate", "top1"}
        As for `signatures`.
    drop_invalid : bool
        Leave impossible rows out instead of refusing them.
    repetitions, seed : int
        Draws.
    groups : sequence of str, False, or None
        As in `separation`: pairs of prompts of one group do not count.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Baseline
        Its p-value is that of "tokens are exchangeable between prompts". No closed form.

    Raises
    ------
    ValueError
        As for `signatures`; or where signatures are given: counts do not tell tokens apart.

    References
    ----------
    A permutation test of whole tokens under fixed lengths.

    Examples
    --------
    >>> import routesig as rs
    >>> def prompt(task, expert, i):
    ...     return rs.RoutingTrace.from_arrays([[[expert]] * 8], num_experts=3, task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", 0, 0), prompt("a", 0, 1), prompt("b", 1, 0), prompt("b", 1, 1)])
    >>> rs.baselines.token_pool(traces, repetitions=99).p_value
    PValue(0.01, floor=0.01)
    """
    whole = traces_of("token_pool", traces)
    sigs = signatures(whole, tokens=tokens, weighting=weighting, drop_invalid=drop_invalid)
    part = _Part.of(sigs, groups)
    drawn = _run(
        "token pool",
        _core.token_pool_baseline,
        _core.TraceSet([whole[i] for i in part.kept]),
        *part.labels,
        repetitions,
        seed,
        progress,
        tokens=tokens,
        weighting=weighting,
        drop_invalid=drop_invalid,
    )
    reasons = {"closed_form": "redistributing recorded tokens has no closed form"}
    return _baseline("token_pool", drawn, part, repetitions, seed, reasons)


@dataclass(frozen=True)
class _Part:
    """The prompts that take part: those with a task and at least one routed token."""

    sigs: SignatureSet
    kept: list[int]
    names: list[str]
    labels: tuple[list[int], list[int]]  # tasks and groups, as numbers
    left_out: list[LeftOut]

    @classmethod
    def of(cls, sigs: SignatureSet, groups: Groups) -> "_Part":
        routed = (sigs.values != 0).any(axis=(1, 2))
        left_out = []
        for i in range(len(sigs)):
            if sigs.tasks[i] is None:
                left_out.append(LeftOut(sigs.ids[i], "no task"))
            elif not routed[i]:
                left_out.append(LeftOut(sigs.ids[i], "no token with known routing"))
        kept = [i for i in range(len(sigs)) if sigs.tasks[i] is not None and routed[i]]
        names, codes = numbered_tasks(sigs.tasks)
        group = numbered_groups(groups, sigs.groups, names, codes, "baselines")
        labels = [codes[i] for i in kept], [group[i] for i in kept] if group else []
        return cls(sigs[kept], kept, names, labels, left_out)

    @property
    def tokens(self) -> "NDArray[np.uint64] | None":
        top_k = _top_k(self.sigs)
        if self.sigs.counts is None or top_k is None:
            return self.sigs.num_tokens
        totals: NDArray[np.uint64] = self.sigs.counts.sum(axis=2, dtype=np.uint64).max(axis=1, initial=0)
        tokens: NDArray[np.uint64] = (totals + np.uint64(top_k - 1)) // np.uint64(top_k)
        return tokens


def _as_set(who: str, given: Any) -> SignatureSet:
    given = either_of(who, given)
    return given if isinstance(given, SignatureSet) else signatures(given)


def _top_k(sigs: SignatureSet) -> int | None:
    try:
        return experts_a_token(sigs)
    except ValueError:
        return None


def _counted(sigs: SignatureSet, name: str) -> "tuple[NDArray[np.uint64], int]":
    if sigs.counts is None:
        raise ValueError(f"baselines: {name} draws tokens: expected signatures with counts, got gate weighting")
    top_k = _top_k(sigs)
    if top_k is None:
        raise ValueError(
            f"baselines: {name} draws tokens: expected signatures that know top_k, or num_tokens that tell it, got "
            "neither (SignatureSet.from_counts(..., top_k=8))"
        )
    return np.ascontiguousarray(sigs.counts), top_k


def _run(what: str, function: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
    *data, repetitions, seed, progress = arguments
    repetitions = number_of_draws("baselines", "repetitions", repetitions)
    seed = whole_number("baselines", "seed", seed)
    with progress_bar(f"{what} baseline", progress) as advance:
        return function(*data, repetitions=repetitions, seed=seed, progress=advance, **options)  # type: ignore[no-any-return]


def _break_even(
    counts: Any, top_k: int, labels: tuple[list[int], list[int]], ratio: float
) -> tuple[BreakEven | None, str]:
    found = _core.length_free(counts, top_k, *labels)
    if found is None:
        return None, "needs a task with two prompts, 8 tokens or more in every layer, and experts that recur"
    tokens = _core.break_even_tokens(*found, ratio)
    if tokens is None:
        return None, f"within-task similarity free of length is {found[0]:.4f}, not below 1: no length breaks even"
    return BreakEven(tokens, *found), ""


def _baseline(
    name: str,
    drawn: dict[str, Any],
    part: _Part,
    repetitions: int,
    seed: int,
    reasons: dict[str, str],
    break_even: BreakEven | None = None,
) -> Baseline:
    fields: dict[str, Any] = {
        key: None if drawn[key] is None else Distribution(*drawn[key])
        for key in ("within", "across", "difference", "cohens_d")
    }
    fields |= {
        "within_pair_sd": drawn["within_pair_sd"],
        "across_pair_sd": drawn["across_pair_sd"],
        "closed_form": None if drawn["closed_form"] is None else ClosedForm(*drawn["closed_form"]),
        "p_value": None if drawn["p_value"] is None else PValue(*drawn["p_value"]),
        "break_even": break_even,
        "tokens": part.tokens,
    }
    if repetitions == 0:
        reasons = dict.fromkeys(_DRAWN, "repetitions is 0: nothing was drawn") | reasons
    no_pairs = why_no_pairs(part.names, *part.labels)
    reasons = _LACKING | dict.fromkeys(("within", "difference", "p_value"), no_pairs) | reasons
    return Baseline(
        name=name,
        observed=drawn["observed"],
        repetitions=repetitions,
        seed=seed,
        left_out=part.left_out,
        absent={key: reason for key, reason in reasons.items() if fields.get(key) is None},
        **fields,
    )


# Why a field is None where the baseline has no reason of its own.
_DRAWN = ("within", "across", "difference", "cohens_d", "within_pair_sd", "across_pair_sd", "p_value")
_LACKING = {
    "across": "there are fewer than two tasks",
    "cohens_d": "it needs pairs within and across tasks, three in all, that differ in every repetition",
    "within_pair_sd": "it needs two pairs within tasks",
    "across_pair_sd": "it needs two pairs across tasks",
    "closed_form": "some prompts have no token with known routing in some layers",
    "break_even": "it is a property of load balancing",
    "tokens": "the signatures know neither top_k nor num_tokens",
}
