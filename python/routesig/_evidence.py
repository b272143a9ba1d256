"""How the evidence about the task grows with the first tokens of a text."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._equality import ByValue
from routesig._kinds import traces_of
from routesig._options import whole_number
from routesig._progress import progress_bar

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evidence(ByValue):
    """Bits about the task after the first t tokens.

    Attributes
    ----------
    prefixes : list of int
        The values of t.
    bits : dict
        "signature", "bag", "length" -> float64 [prefixes]: the log-loss bound, at least 0.
    unclipped_bits, standard_error : dict
        The same without the clip at 0; the standard error of the loss over prompts.
    reached : dict
        Name -> the first t with `threshold` bits or more, or None.
    threshold : float
    ended : list of int
        How many prompts are shorter than t; they stand with all they have, so that their length tells something.
    entropy_bits : float
        H(T): the most there is to know.
    left_out : int
        Unlabelled prompts.
    absent : dict
        Name -> why it is missing.
    """

    prefixes: list[int]
    bits: dict[str, Floats]
    unclipped_bits: dict[str, Floats]
    standard_error: dict[str, Floats]
    reached: dict[str, int | None]
    threshold: float
    ended: list[int]
    entropy_bits: float
    left_out: int
    absent: dict[str, str]

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.2f}" for name, values in self.bits.items())
        return f"Evidence(bits after {self.prefixes[-1]} tokens: {last} of {self.entropy_bits:.2f})"


def evidence_over_tokens(
    traces: _core.TraceSet,
    classifier: Any = None,
    *,
    prefixes: Sequence[int] | None = None,
    features: Sequence[str] = ("signature", "bag", "length"),
    folds: int | Sequence[int] = 5,
    seed: int = 0,
    tokens: str = "all",
    threshold: float = 1.0,
    floor: float = 0.01,
    drop_invalid: bool = False,
    groups: bool = True,
    progress: bool = False,
) -> Evidence:
    """What a classifier learns about the task from the first t tokens of a text, in bits.

    Parameters
    ----------
    traces : TraceSet
        Unlabelled traces are left out.
    classifier : estimator, or callable; default LogisticRegression()
        What has `fit(x, y)`, `predict_proba(x)` and then `classes_`, in scikit-learn's manner (it is copied, never
        fitted itself), or a function that makes one.
    prefixes : sequence of int, optional
        Values of t; default 1, 2, 3, 4, 6, 8, 12, 16, ... up to the longest text.
    features : sequence of {"signature", "bag", "length"}
        Routing of the first t tokens; log(1 + counts) of their token ids; log t and its square.
    folds : int, or sequence of int [prompts]
        Number of folds, spread over tasks, groups kept together; or the fold of every prompt.
    seed : int
        Of the folds.
    tokens : {"all", "prompt", "generation"}
        Which tokens count.
    threshold : float
        Bits that `reached` looks for.
    floor : float
        See `log_loss_bound`.
    drop_invalid : bool
        Leave impossible rows out instead of refusing them.
    groups : bool
        Keep prompts of one group in one fold.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Evidence
        Features are standardised on each training fold (ddof 0; constant columns keep scale 1).

    Raises
    ------
    ValueError
        Where fewer than two tasks have prompts, or an option does not exist.

    Examples
    --------
    >>> import routesig as rs
    >>> def prompt(task, expert, i):
    ...     experts = [[[0]] + [[expert]] * 3]  # the first token is routed alike everywhere
    ...     return rs.RoutingTrace.from_arrays(experts, num_experts=3, task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", 1, i) for i in range(6)] + [prompt("b", 2, i) for i in range(6)])
    >>> found = rs.information.evidence_over_tokens(traces, prefixes=[1, 4], features=["signature"])
    >>> found.bits["signature"].round(2).tolist(), found.reached["signature"]
    ([0.0, 0.82], None)
    """
    traces = traces_of("evidence_over_tokens", traces)
    if classifier is None:
        from routesig._classifier import LogisticRegression

        classifier = LogisticRegression()
    seed = whole_number("evidence", "seed", seed)
    labelled = traces.take([i for i, task in enumerate(traces.tasks) if task is not None])
    tasks = sorted({str(task) for task in labelled.tasks})
    if len(tasks) < 2:
        raise ValueError(f"evidence: expected prompts of at least two tasks, got {len(tasks)}")
    unknown = set(features) - {"signature", "bag", "length"}
    if unknown or not features:
        raise ValueError(f"evidence: expected features among signature, bag, length, got {sorted(unknown) or 'none'}")
    label = np.array([tasks.index(str(task)) for task in labelled.tasks])
    ids = [_ids(trace, tokens) for trace in labelled]
    lengths = np.array([_count(trace, tokens) for trace in labelled])
    steps = _prefixes(lengths, prefixes)
    absent = {}
    if "bag" in features and any(one is None for one in ids):
        absent["bag"] = "some traces have no token ids"
    fold = _folds(labelled, traces, label, folds, seed, groups)
    names = [name for name in features if name not in absent]
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    with progress_bar("evidence", progress) as callback:
        for at, t in enumerate(steps):
            for name in names:
                x = _features(name, labelled, t, ids, lengths, tokens, drop_invalid)
                predicted = _out_of_fold(classifier, x, label, fold, len(tasks))
                found[name].append(_core.log_loss_bound(predicted, label.tolist(), floor))
            if callback is not None:
                callback(at + 1, len(steps))
    columns = {name: np.array(rows).T for name, rows in found.items()}
    return Evidence(
        prefixes=steps,
        bits={name: rows[0] for name, rows in columns.items()},
        unclipped_bits={name: rows[1] for name, rows in columns.items()},
        standard_error={name: rows[4] for name, rows in columns.items()},
        reached={
            name: next((t for t, b in zip(steps, rows[0], strict=True) if b >= threshold), None)
            for name, rows in columns.items()
        },
        threshold=threshold,
        ended=[int((lengths < t).sum()) for t in steps],
        entropy_bits=float(next(iter(columns.values()))[2][0]) if columns else 0.0,
        left_out=len(traces) - len(labelled),
        absent=absent,
    )


def _chosen(trace: _core.RoutingTrace, tokens: str) -> NDArray[np.intp]:
    """Indices of the tokens that count, by position."""
    wanted = {"all": (0, 1), "prompt": (0,), "generation": (1,)}
    if tokens not in wanted:
        raise ValueError(f"evidence: expected tokens to be one of all, prompt, generation, got {tokens!r}")
    chosen = np.flatnonzero(np.isin(trace.token_types, wanted[tokens]))
    return chosen[np.argsort(trace.positions[chosen], kind="stable")]


def _count(trace: _core.RoutingTrace, tokens: str) -> int:
    return len(_chosen(trace, tokens))


def _ids(trace: _core.RoutingTrace, tokens: str) -> NDArray[np.int32] | None:
    return None if trace.token_ids is None else np.asarray(trace.token_ids)[_chosen(trace, tokens)]


def _prefixes(lengths: NDArray[np.intp], prefixes: Sequence[int] | None) -> list[int]:
    longest = int(lengths.max())
    if longest < 1:
        raise ValueError("evidence: expected traces with tokens, got none")
    if prefixes is None:
        powers = (2**i for i in range(longest.bit_length() + 1))
        steps = sorted({1, longest, *(s for p in powers for s in (p, p + p // 2) if s < longest)})
    else:
        steps = [int(t) for t in prefixes]
        if not steps or min(steps) < 1:
            raise ValueError(f"evidence: expected prefixes of 1 token or more, got {steps}")
    return steps


def _folds(
    labelled: _core.TraceSet,
    traces: _core.TraceSet,
    label: NDArray[np.intp],
    folds: int | Sequence[int],
    seed: int,
    whole_groups: bool,
) -> NDArray[np.intp]:
    if not isinstance(folds, Iterable):
        folds = whole_number("evidence", "folds", folds)
        number: dict[Any, int] = {}
        groups = [(trace.group if whole_groups else None) or ("alone", i) for i, trace in enumerate(labelled)]
        group = [number.setdefault(one, len(number)) for one in groups]
        if not 2 <= folds <= len(number):
            raise ValueError(
                f"evidence: expected 2 to {len(number)} folds (the number of prompts or groups), got {folds}"
            )
        whole = group if len(number) < len(group) else []
        return np.array(_core.FoldPlan(folds, groups=whole).assign(label.tolist(), seed))
    if len(folds) != len(traces):
        raise ValueError(f"evidence: expected the fold of each of {len(traces)} prompts, got {len(folds)}")
    given = np.array([f for f, task in zip(folds, traces.tasks, strict=True) if task is not None])
    if len(np.unique(given)) < 2:
        raise ValueError("evidence: expected at least 2 different folds, got 1")
    return given


def _features(
    name: str,
    traces: _core.TraceSet,
    t: int,
    ids: Sequence[NDArray[np.int32] | None],
    lengths: NDArray[np.intp],
    tokens: str,
    drop_invalid: bool,
) -> Floats:
    """[prompts, columns] from the first t tokens."""
    if name == "signature":
        return np.asarray(_core.prefix_signatures(traces, t, tokens, drop_invalid)).reshape(len(traces), -1)
    if name == "length":
        log = np.log(np.maximum(np.minimum(lengths, t), 1))
        return np.stack([log, log**2], axis=1)
    heads = [one[:t] for one in ids if one is not None]
    vocabulary = np.unique(np.concatenate(heads))
    return np.log1p([np.bincount(np.searchsorted(vocabulary, head), minlength=len(vocabulary)) for head in heads])


def _out_of_fold(classifier: Any, x: Floats, label: NDArray[np.intp], fold: NDArray[np.intp], classes: int) -> Floats:
    """Probabilities [prompts, classes], each from a classifier that did not see the prompt's fold."""
    out = np.zeros((len(x), classes))
    made = hasattr(classifier, "fit") and not isinstance(classifier, type)
    make: Callable[[], Any] = (lambda: copy.deepcopy(classifier)) if made else classifier
    for one in np.unique(fold):
        test = fold == one
        seen = np.unique(label[~test])
        if len(seen) == 1:
            out[np.ix_(test, seen)] = 1.0
            continue
        fitted = make()
        scaled = _core.standardized(x, np.where(test, -1, label).tolist())
        fitted.fit(scaled[~test], label[~test])
        columns = np.asarray(fitted.classes_, dtype=int)
        out[np.ix_(test, columns)] = fitted.predict_proba(scaled[test])
    out /= out.sum(axis=1, keepdims=True)
    return out
