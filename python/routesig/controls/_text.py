"""Is the task read from the routing, or from the words and the length? Controls on the signature's own folds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._classification import (
    Classification,
    Folds,
    absent_classification,
    classify,
    question,
    scored,
)
from routesig._equality import ByValue
from routesig._kinds import signatures_of, traces_of
from routesig._options import number_of_draws, whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._signatures import SignatureSet, signatures

_ON_COUNTS = ("log1p", "l2", "tf-idf", "naive Bayes")
_INNER_FOLDS = 5


@dataclass(frozen=True, eq=False)
class TextControl(ByValue):
    """A control's accuracy beside the signature's, on the same held-out folds.

    Attributes
    ----------
    control, signature : Classification
    difference : float or None
        Accuracy of the signature minus that of the control, predictions pooled over folds.
    interval : (float, float) or None
        95 % bootstrap interval of `difference`, prompts (or whole groups) drawn with replacement.
    p_value : PValue or None
        Exact McNemar test, two-sided; where prompts have groups, whole groups swap their hits (a sign test of the
        groups' differences).
    only_signature, only_control : int
        Prompts that one of the two predicts right and the other does not.
    choices : dict
        "control" and "signature" -> what each outer fold chose, as text; empty where nothing is tuned.
    absent : dict
        Field -> why it is None.
    """

    control: Classification
    signature: Classification
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p_value: PValue | None = None
    only_signature: int = 0
    only_control: int = 0
    choices: dict[str, list[str]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        if self.difference is None or self.interval is None:
            return f"TextControl(absent: {self.absent['difference']})"
        p = "" if self.p_value is None else f", p={self.p_value:.4g} (floor {self.p_value.floor:.4g})"
        return (
            f"TextControl(signature {self.signature.accuracy:.3f}, control {self.control.accuracy:.3f}, difference "
            f"{self.difference:+.3f} ({self.interval[0]:+.3f} to {self.interval[1]:+.3f}){p})"
        )


def bag_of_tokens(
    traces: _core.TraceSet,
    sigs: SignatureSet | None = None,
    *,
    tokens: str = "all",
    folds: Folds = 5,
    groups: str | Sequence[Any] | None = "auto",
    penalties: Iterable[float] = (0.01, 0.1, 1.0, 10.0, 100.0),
    bootstrap: int = 2000,
    seed: int = 0,
    progress: bool = False,
) -> TextControl:
    """The best that counts of token ids can do, against the best of the signature.

    In every outer fold, 5 inner folds of its training prompts choose among log(1 + count), counts of length 1 and
    sublinear tf-idf (idf of the training prompts), each with every penalty, and multinomial naive Bayes. The signature
    chooses among the same preparations of its expert counts, scaled so that every prompt has as many (their sum would
    tell the length of the text), and its standardised values.

    Parameters
    ----------
    traces : TraceSet
        With token ids.
    sigs : SignatureSet, optional
        Signatures of the same traces; default: those of `tokens`.
    tokens : {"all", "prompt", "generation"}
        Which tokens count, for both.
    folds, groups, seed
        As in `classify`.
    penalties : floats
        Values of C.
    bootstrap : int
        Draws for the interval.
    progress : bool

    Returns
    -------
    TextControl

    Raises
    ------
    ValueError
        Where `sigs` are not those of the traces, or an option does not fit.

    References
    ----------
    Dietterich, Neural Computation 10 (1998) for McNemar's test.

    Examples
    --------
    >>> words = [[1, 2, 3], [4, 5, 6]] * 6  # each task has words of its own; the routing knows nothing
    >>> experts = [[[0], [1], [0]]]  # 1 layer, 3 tokens, top-1
    >>> traces = TraceSet(
    ...     [
    ...         RoutingTrace.from_arrays(experts, num_experts=2, token_ids=ids, id=str(i), task="ab"[i % 2])
    ...         for i, ids in enumerate(words)
    ...     ]
    ... )
    >>> found = bag_of_tokens(traces, folds=3)
    >>> found.control.accuracy, found.signature.accuracy
    (1.0, 0.5)
    """
    traces = traces_of("bag_of_tokens", traces)
    grid = [float(c) for c in penalties]
    if not grid or min(grid) <= 0:
        raise ValueError("bag_of_tokens: expected penalties above 0")
    seed = whole_number("bag_of_tokens", "seed", seed)
    bootstrap = number_of_draws("bag_of_tokens", "bootstrap", bootstrap)
    sigs = _signatures_of(traces, sigs, tokens, "bag_of_tokens")
    missing = next((trace.id for trace in traces if len(trace) and trace.token_ids is None), None)
    asked = question(sigs, folds, groups)
    reason = asked.reason if missing is None else f"trace {missing!r} has no token ids"
    if reason is not None:
        return _absent(asked, reason)
    bag = [(_token_counts(traces, tokens), name) for name in _ON_COUNTS]
    own = [(asked.x, "standardized")]
    if sigs.counts is not None:
        usual = float(np.median(sigs.counts.sum(axis=2).max(axis=1)))  # selections of a prompt in a layer
        own += [(asked.x * usual, name) for name in _ON_COUNTS]
    fold = asked.plan.assign(asked.labels, seed, 0)
    inner = _core.FoldPlan(_INNER_FOLDS, [], asked.codes)
    results, choices = [], {}
    for what, candidates in (("control", bag), ("signature", own)):
        with progress_bar(f"tuning the {what}", progress) as advance:
            predicted, chosen = _core.tuned_cross_validation(
                candidates, asked.labels, fold, inner, c=grid, seed=seed, progress=advance
            )
        results.append(
            scored(asked, fold, predicted, None, absent={"probabilities": "choices among classifiers have none"})
        )
        choices[what] = [candidates[k][1] + (f", C = {c:g}" if c else "") for k, c in chosen]
    return _compared(results[0], results[1], asked.codes, bootstrap, seed, choices)


def length(
    traces: _core.TraceSet,
    sigs: SignatureSet | None = None,
    *,
    tokens: str = "all",
    folds: Folds = 5,
    groups: str | Sequence[Any] | None = "auto",
    bootstrap: int = 2000,
    seed: int = 0,
) -> dict[str, TextControl]:
    """What the number of tokens alone gives away: logistic regression on log T and (log T)^2.

    Parameters
    ----------
    traces : TraceSet
    sigs : SignatureSet, optional
        Signatures of the same traces; default: those of `tokens`.
    tokens : {"all", "prompt", "generation"}
        Which tokens the default signatures count.
    folds, groups, seed
        As in `classify`.
    bootstrap : int
        Draws for the interval.

    Returns
    -------
    dict
        "prompt" and "all" -> TextControl, T being the tokens of the prompt, or all of them.

    Raises
    ------
    ValueError
        Where `sigs` are not those of the traces, or an option does not fit.

    Examples
    --------
    >>> lengths = [4, 9] * 6
    >>> traces = TraceSet(
    ...     [
    ...         RoutingTrace.from_arrays([[[0]] * t], num_experts=2, id=str(i), task="ab"[i % 2])
    ...         for i, t in enumerate(lengths)
    ...     ]
    ... )
    >>> length(traces, folds=3)["all"].control.accuracy
    1.0
    """
    traces = traces_of("length", traces)
    seed = whole_number("length", "seed", seed)
    bootstrap = number_of_draws("length", "bootstrap", bootstrap)
    sigs = _signatures_of(traces, sigs, tokens, "length")
    asked = question(sigs, folds, groups)
    if asked.reason is not None:
        return dict.fromkeys(("prompt", "all"), _absent(asked, asked.reason))
    own = classify(sigs, folds=folds, groups=groups, seed=seed)
    fold = own.folds.tolist()
    out = {}
    for what in ("prompt", "all"):
        counted = [trace.prompt_tokens if what == "prompt" else len(trace) for trace in traces]
        logs = np.log(np.maximum(1.0, np.array(counted, dtype=np.float64)))
        features = np.ascontiguousarray(np.stack([logs, logs**2], axis=1))
        predicted, probabilities = _core.cross_validate(features, asked.labels, fold)
        control = scored(asked, fold, predicted, probabilities, absent={})
        out[what] = _compared(control, own, asked.codes, bootstrap, seed, {})
    return out


def _signatures_of(traces: _core.TraceSet, sigs: SignatureSet | None, tokens: str, what: str) -> SignatureSet:
    if sigs is None:
        return signatures(traces, tokens=tokens)
    sigs = signatures_of(what, sigs)
    if sigs.ids != traces.ids:
        raise ValueError(f"{what}: expected signatures of the same {len(traces)} traces in their order")
    if sigs.info.get("tokens", tokens) != tokens:
        raise ValueError(f"{what}: expected signatures of tokens={tokens!r}, got {sigs.info['tokens']!r}")
    return sigs


def _token_counts(traces: _core.TraceSet, tokens: str) -> NDArray[np.float64]:
    """How often each token id that occurs is in each trace: [traces, ids]."""
    chosen = []
    for trace in traces:
        ids = np.zeros(0, np.int64) if trace.token_ids is None else np.asarray(trace.token_ids, dtype=np.int64)
        if tokens != "all":
            ids = ids[np.asarray(trace.token_types) == (0 if tokens == "prompt" else 1)]
        chosen.append(ids)
    vocabulary = np.unique(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
    out = np.zeros((len(chosen), len(vocabulary)))
    for row, ids in zip(out, chosen, strict=True):
        np.add.at(row, np.searchsorted(vocabulary, ids), 1.0)
    return out


def _absent(asked: Any, reason: str) -> TextControl:
    empty = absent_classification(asked, reason)
    return TextControl(empty, empty, absent=dict.fromkeys(("difference", "interval", "p_value"), reason))


def _compared(
    control: Classification,
    signature: Classification,
    codes: list[int],
    bootstrap: int,
    seed: int,
    choices: dict[str, list[str]],
) -> TextControl:
    rows = [i for i, name in enumerate(control.predictions) if name is not None]
    hits = [
        [int(found.predictions[i] == found.tasks[i]) for i in rows]  # of the same prompts
        for found in (signature, control)
    ]
    units = [codes[i] for i in rows] if codes else rows
    only_signature, only_control, p, floor = _core.mcnemar(hits[0], hits[1], units)
    testable = floor < 1.0
    return TextControl(
        control,
        signature,
        difference=float(np.mean(hits[0]) - np.mean(hits[1])),
        interval=_core.accuracy_difference_interval(hits[0], hits[1], units, bootstrap, seed),
        p_value=PValue(p, floor) if testable else None,
        only_signature=only_signature,
        only_control=only_control,
        choices=choices,
        absent={} if testable else {"p_value": "no test is possible: both are right about the same prompts"},
    )
