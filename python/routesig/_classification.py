"""Can the task be read from the routing? Cross-validated classification of signatures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._equality import ByValue
from routesig._kinds import signatures_of
from routesig._options import number_of_draws, real_number, whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._signatures import SignatureSet
from routesig._tasks import Sources, numbered_sources
from routesig._text import as_labels

Folds = int | Sequence[int] | Sequence[Sequence[int]] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Classification(ByValue):
    """Held-out predictions of tasks and how good they are. What is undefined is None, its reason in `absent`.

    Attributes
    ----------
    accuracy, accuracy_sd : float or None
        Mean and standard deviation (ddof 0) over folds.
    wilson : (float, float) or None
        Wilson's 95 % interval of `hits` of `trials`, predictions pooled over folds.
    macro_f1, macro_f1_folds : float or None
        Unweighted mean over tasks of F1: of the pooled predictions, and averaged over folds.
    confusion : int64 [tasks, tasks] or None
        Rows: the task; columns: the prediction.
    chance : float or None
        Share of the commonest task.
    p_value : PValue or None
        How often permuted tasks are predicted as well, the classifier being fitted anew.
    fold_accuracy, repeated : float64 [folds], float64 [repeats], or None
        Accuracy of each fold; accuracy of each repetition of the whole cross-validation (the first is `accuracy`).
    classes : list of str
        The tasks, sorted: the order of `confusion` and `probabilities`.
    tasks : list
        The task of each prompt, None where unlabelled.
    folds : int64 [prompts]
        The fold that held the prompt out; -1: none did.
    predictions : list
        One task per prompt, None where it was not held out.
    probabilities : masked float64 [prompts, tasks] or None
    left_out : int
        Prompts without a task.
    not_scored : list of str
        Tasks that no classifier could have learned when they were held out: of one prompt, of one group, or all in one
        of the given folds. Their prompts take no part.
    absent : dict
        Field -> why it is None.
    """

    accuracy: float | None = None
    accuracy_sd: float | None = None
    hits: int = 0
    trials: int = 0
    wilson: tuple[float, float] | None = None
    macro_f1: float | None = None
    macro_f1_folds: float | None = None
    confusion: NDArray[np.int64] | None = None
    chance: float | None = None
    p_value: PValue | None = None
    fold_accuracy: NDArray[np.float64] | None = None
    repeated: NDArray[np.float64] | None = None
    classes: list[str] = field(default_factory=list)
    tasks: list[str | None] = field(default_factory=list)
    folds: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    predictions: list[str | None] = field(default_factory=list)
    probabilities: Any = None
    left_out: int = 0
    not_scored: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        if self.accuracy is None or self.wilson is None:
            return f"Classification(absent: {self.absent['accuracy']})"
        p = "" if self.p_value is None else f", p={self.p_value:.4g} (floor {self.p_value.floor:.4g})"
        return (
            f"Classification(accuracy={self.accuracy:.3f} +- {self.accuracy_sd:.3f}, {self.hits} of {self.trials}, "
            f"95 % {self.wilson[0]:.3f} to {self.wilson[1]:.3f}, chance={self.chance:.3f}{p})"
        )


def classify(
    sigs: SignatureSet,
    *,
    folds: Folds = 5,
    classifier: str = "logistic_regression",
    C: float = 1.0,
    groups: str | Sequence[Any] | None = "auto",
    sources: Sources = None,
    repeats: int = 1,
    refits: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> Classification:
    """Predict every prompt's task from its signature, held out fold by fold.

    Parameters
    ----------
    sigs : SignatureSet
        Prompts without a task are left out and counted, and so are tasks that cannot be learned while they are held
        out.
    folds : int, integers [prompts], or lists of held-out indices
        A number: that many shuffled folds in which tasks keep their shares. Otherwise the folds themselves: one
        number per prompt, or the prompts of each fold.
    classifier : {"logistic_regression", "nearest_centroid"}
        Multinomial, with features standardised on each training fold; or the task whose mean signature has the larger
        mean layer-wise cosine.
    C : float
        Inverse strength of the L2 penalty; the intercept is free.
    groups : "auto", sequence or None
        Prompts of one group stay in one fold and are permuted together. "auto": the set's groups, where it has any (a
        prompt without one, None or NaN, stands for itself); None: prompts are independent.
    sources : sequence of str, False, or None
        Tasks are permuted within each source for `p_value`, as in `permutation_test`; accuracy is not touched.
    repeats : int
        Cross-validations with folds of their own; the first is reported, all are in `repeated`.
    refits : int
        Permutations of the tasks for `p_value`.
    seed : int
    progress : bool
        Show a bar for repetitions and permutations.

    Returns
    -------
    Classification

    Raises
    ------
    ValueError
        Where an option does not fit.

    References
    ----------
    arXiv 2603.11114, section 5.4; Wilson, JASA 22 (1927); Ojala and Garriga, JMLR 11 (2010), test 1.

    Examples
    --------
    >>> counts = [[[20 + i, 9]] if i % 2 else [[9, 20 + i]] for i in range(8)]
    >>> sigs = SignatureSet.from_counts(counts, tasks=["a", "b"] * 4)
    >>> classify(sigs, folds=4).accuracy
    1.0
    """
    sigs = signatures_of("classify", sigs)
    _check_c(C)
    repeats = number_of_draws("classify", "repeats", repeats, least=1)
    refits = number_of_draws("classify", "refits", refits)
    seed = whole_number("classify", "seed", seed)
    asked = question(sigs, folds, groups)
    options: dict[str, Any] = {"classifier": classifier, "c": float(C), "layers": sigs.layers}
    if asked.reason is not None:
        return absent_classification(asked, asked.reason)
    fold = asked.plan.assign(asked.labels, seed, 0)
    predicted, probabilities = _core.cross_validate(asked.x, asked.labels, fold, **options)
    absent: dict[str, str] = {}
    if probabilities is None:
        absent["probabilities"] = "the nearest centroid gives no probabilities"
    found = scored(asked, fold, predicted, probabilities, absent)
    options["tolerance"] = _REFIT_TOLERANCE
    repeated = [found.accuracy]
    with progress_bar("repeated cross-validation", progress and repeats > 1) as advance:
        repeated += _core.repeated_accuracy(
            asked.x, asked.labels, asked.plan, repeats - 1, seed, first=1, **options, progress=advance
        )
    source = numbered_sources(sources, sigs.sources, asked.labels, "classify")
    p_value = _p_value(asked, float(found.accuracy or 0.0), refits, seed, source, options, progress, absent)
    return replace(found, repeated=np.array(repeated), p_value=p_value, absent=absent)


_REFIT_TOLERANCE = 1e-4  # of what is only counted: predictions do not need the digits of coefficients that are compared


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be predicted from what, and why it cannot be, if so."""

    x: NDArray[np.float64]  # [prompts, features]
    labels: list[int]  # index into classes; -1: unlabelled, or of a task that is not scored
    tasks: list[str | None]
    classes: list[str]
    not_scored: list[str]
    codes: list[int]  # group of each prompt; empty: independent
    plan: "_core.FoldPlan"
    reason: str | None


def question(sigs: SignatureSet, folds: Folds, groups: str | Sequence[Any] | None) -> Question:
    """Number tasks and groups, check folds."""
    number, given = _given_folds(folds, len(sigs))
    codes = _group_codes(sigs, groups)
    not_scored = _not_learned(sigs.tasks, given or codes)
    classes = sorted({task for task in sigs.tasks if task is not None} - set(not_scored))
    place = {task: i for i, task in enumerate(classes)}
    labels = [-1 if task is None else place.get(task, -1) for task in sigs.tasks]
    return Question(
        x=np.ascontiguousarray(sigs.values.reshape(len(sigs), sigs.layers * sigs.experts)),
        labels=labels,
        tasks=list(sigs.tasks),
        classes=classes,
        not_scored=not_scored,
        codes=codes,
        plan=_core.FoldPlan(number, given, codes),
        reason=_why_absent(sigs.tasks, labels, classes, not_scored, number, given, codes),
    )


def _not_learned(tasks: Sequence[str | None], parts: list[int]) -> list[str]:
    """Tasks whose prompts all lie in one part (fold or group; by default each prompt for itself), sorted."""
    of_task: dict[str, set[int]] = {}
    for i, task in enumerate(tasks):
        if task is not None:
            of_task.setdefault(task, set()).add(parts[i] if parts else i)
    return sorted(task for task, found in of_task.items() if len(found) < 2)


def absent_classification(asked: Question, reason: str) -> Classification:
    """Nothing, and why."""
    fields = ("accuracy", "accuracy_sd", "wilson", "macro_f1", "macro_f1_folds", "confusion", "chance", "p_value")
    return Classification(
        classes=asked.classes,
        tasks=asked.tasks,
        folds=np.full(len(asked.labels), -1, np.int64),
        predictions=[None] * len(asked.labels),
        left_out=asked.tasks.count(None),
        not_scored=asked.not_scored,
        absent=dict.fromkeys((*fields, "fold_accuracy", "repeated", "probabilities"), reason),
    )


def scored(
    asked: Question, fold: list[int], predicted: list[int], probabilities: Any, absent: dict[str, str]
) -> Classification:
    """Held-out predictions with their scores."""
    scores = _core.classification_scores(asked.labels, predicted, fold)
    count = len(asked.classes)
    if probabilities is not None:
        unseen = np.repeat(np.array(fold)[:, np.newaxis] < 0, count, axis=1)
        probabilities = np.ma.masked_array(probabilities, unseen)
    return Classification(
        accuracy=scores.accuracy,
        accuracy_sd=scores.accuracy_sd,
        hits=scores.hits,
        trials=scores.trials,
        wilson=scores.wilson,
        macro_f1=scores.macro_f1,
        macro_f1_folds=scores.macro_f1_folds,
        confusion=np.array(scores.confusion, np.int64).reshape(count, count),
        chance=scores.chance,
        fold_accuracy=np.array(scores.fold_accuracy),
        repeated=np.array([scores.accuracy]),
        classes=asked.classes,
        tasks=asked.tasks,
        folds=np.array(fold, np.int64),
        predictions=[None if label < 0 else asked.classes[label] for label in predicted],
        probabilities=probabilities,
        left_out=asked.tasks.count(None),
        not_scored=asked.not_scored,
        absent={"p_value": "no permutations were asked for"} | absent,
    )


def _p_value(
    asked: Question,
    accuracy: float,
    refits: int,
    seed: int,
    sources: list[int],
    options: dict[str, Any],
    progress: bool,
    absent: dict[str, str],
) -> PValue | None:
    if refits == 0:
        absent["p_value"] = "no permutations were asked for (refits=0)"
        return None
    if asked.codes and not _core.groups_have_one_label(asked.labels, asked.codes):
        absent["p_value"] = "a group has prompts of several tasks, so that whole groups cannot be permuted"
        return None
    with progress_bar("permuted refits", progress) as advance:
        draws = _core.permuted_accuracy(
            asked.x, asked.labels, asked.plan, refits, seed, sources=sources, **options, progress=advance
        )
    return PValue(*_core.upper_p_value(accuracy, draws))


def _why_absent(
    tasks: Sequence[str | None],
    labels: list[int],
    classes: list[str],
    not_scored: list[str],
    folds: int,
    given: list[int],
    codes: list[int],
) -> str | None:
    """Why nothing can be predicted, if so."""
    if given and len(set(tasks) - {None}) > 1:
        held = {fold for fold, task in zip(given, tasks, strict=True) if task is not None}
        if held == {-1}:
            return "the given folds hold no prompt with a task out"
        if len(held) == 1:
            return "the given folds leave no prompt to learn from"
    if len(classes) < 2:
        there = f"there {'is 1' if classes else 'is none'}"
        if not_scored:
            part = "fold" if given else "group" if codes else "prompt"
            there += f" beside {len(not_scored)} of a single {part}, which cannot be learned while it is held out"
        return f"classification needs prompts of two tasks or more, {there}"
    if given:
        return None
    known = [i for i, label in enumerate(labels) if label >= 0]
    units = len({codes[i] for i in known}) if codes else len(known)
    what = "groups" if codes else "prompts with a task"
    return f"{folds} folds need {folds} {what} or more, there are {units}" if units < folds else None


def _given_folds(folds: Folds, prompts: int) -> tuple[int, list[int]]:
    """The number of folds, and the fold of each prompt where the folds are given."""
    if isinstance(folds, (int, np.integer)):
        return whole_number("classify", "folds", folds, least=2, most=2**31 - 1), []
    if isinstance(folds, str) or not isinstance(folds, Iterable):
        raise ValueError(f"classify: expected a whole number of folds, or the folds themselves, got {folds!r}")
    entries = list(folds)
    if entries and not isinstance(entries[0], (int, np.integer)):
        out = np.full(prompts, -1, np.int64)
        for number, held in enumerate(entries):
            index = np.asarray(held).ravel()
            if index.size and index.dtype.kind not in "iu":
                raise ValueError(f"classify: expected indices of prompts in fold {number}, got {index.dtype}")
            index = index.astype(np.int64)
            if index.size and not (index.min() >= 0 and index.max() < prompts):
                raise ValueError(f"classify: expected indices from 0 to {prompts - 1} in fold {number}")
            if len(np.unique(index)) < index.size or (out[index] >= 0).any():
                raise ValueError(f"classify: expected every prompt in one fold, fold {number} repeats one")
            out[index] = number
        return max(2, len(entries)), [int(f) for f in out]
    if len(entries) != prompts:
        raise ValueError(f"classify: expected one fold for each of {prompts} prompts, got {len(entries)}")
    names = sorted({int(f) for f in entries if f >= 0})
    return max(2, len(names)), [names.index(int(f)) if f >= 0 else -1 for f in entries]


def _group_codes(sigs: SignatureSet, groups: str | Sequence[Any] | None) -> list[int]:
    """One number per prompt; empty where prompts are independent."""
    if groups is None:
        return []
    if isinstance(groups, str):
        if groups != "auto":
            raise ValueError(f"classify: expected groups to be 'auto', a sequence or None, got {groups!r}")
        column = sigs.groups
    else:
        column = as_labels(groups, "classify", "groups")
        if len(column) != len(sigs):
            raise ValueError(f"classify: expected a group for each of {len(sigs)} prompts, got {len(column)}")
    if all(name is None for name in column):
        return []
    names = {name: i for i, name in enumerate(dict.fromkeys(name for name in column if name is not None))}
    return [len(names) + i if name is None else names[name] for i, name in enumerate(column)]


def _check_c(value: float) -> None:
    if not real_number("classify", "C", value) > 0:
        raise ValueError(f"classify: expected C above 0, got {value}")
