"""How many bits routing tells about the task.

`log_loss_bound` and `fano_bound`: lower bounds from a classifier's out-of-fold predictions. `layer_information`: an
estimate layer by layer. `evidence_over_tokens`: how it grows with the first tokens of a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from routesig import _core
from routesig._evidence import Evidence, evidence_over_tokens
from routesig._kinds import numbers_of, signatures_of
from routesig._labelled import NO_TEST
from routesig._options import number_of_draws, whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._signatures import SignatureSet
from routesig._tasks import Groups, Sources, numbered_groups, numbered_sources, numbered_tasks

__all__ = [
    "Evidence",
    "FanoBound",
    "LayerInformation",
    "LogLossBound",
    "evidence_over_tokens",
    "fano_bound",
    "layer_information",
    "log_loss_bound",
]


@dataclass(frozen=True)
class LogLossBound:
    """I(S; T) >= H(T) - log-loss, in bits.

    Attributes
    ----------
    bits : float
        The bound, at least 0.
    unclipped_bits : float
        H(T) - loss: below 0 where predictions are worse than guessing.
    entropy_bits : float
        H(T), from the shares of the labels.
    loss_bits : float
        Mean of -log2 q(label).
    standard_error : float
        Of the loss over prompts.
    """

    bits: float
    unclipped_bits: float
    entropy_bits: float
    loss_bits: float
    standard_error: float


def log_loss_bound(
    probabilities: ArrayLike, labels: Sequence[object], classes: Sequence[object] | None = None, *, floor: float = 0.01
) -> LogLossBound:
    """A lower bound on the information from class probabilities.

    Parameters
    ----------
    probabilities : float array [prompts, classes]
        Predicted without the predicted prompt (out of fold); rows sum to 1.
    labels : sequence
        The true class of each prompt.
    classes : sequence, optional
        The class of each column; default: the labels that occur, sorted.
    floor : float
        Every q is taken as (1 - floor) q + floor / classes.

    Returns
    -------
    LogLossBound
        An estimate of the bound: its sampling error is `standard_error`.

    Raises
    ------
    ValueError
        On what are no probabilities, and on labels that are no class.

    References
    ----------
    Barber and Agakov, The IM algorithm, NIPS 2003.

    Examples
    --------
    >>> found = log_loss_bound([[0.9, 0.1], [0.1, 0.9]], ["code", "math"], floor=0.0)
    >>> round(found.bits, 4)  # 1 + log2 .9
    0.848
    """
    values = numbers_of("log_loss_bound", "probabilities", probabilities)
    if any(label is None for label in labels):
        raise ValueError("information: expected a label for every prompt, got None (leave unlabelled prompts out)")
    columns = sorted(set(labels)) if classes is None else list(classes)  # type: ignore[type-var]
    place = {name: i for i, name in enumerate(columns)}
    for label in labels:
        if label not in place:
            raise ValueError(f"information: expected labels among the classes {columns}, got {label!r}")
    return LogLossBound(*_core.log_loss_bound(np.ascontiguousarray(values), [place[label] for label in labels], floor))


@dataclass(frozen=True)
class FanoBound:
    """I(S; T) from an error rate, in bits.

    Attributes
    ----------
    point_bits : float
        At the observed error rate: an estimate, not a bound.
    valid_bits : float
        At the upper limit of the error rate: a bound with the given confidence, as far as errors are independent.
    upper_error : float
        That limit, one-sided (Clopper and Pearson).
    """

    point_bits: float
    valid_bits: float
    upper_error: float


def fano_bound(
    errors: int, n: int, classes: int, *, confidence: float = 0.95, entropy: float | None = None
) -> FanoBound:
    """A lower bound on the information from counted errors: H(T) - h(P) - P log2(C - 1).

    Parameters
    ----------
    errors, n : int
        Wrong out-of-fold predictions, and all of them.
    classes : int
        Number of tasks.
    confidence : float
        Of the upper limit of the error rate.
    entropy : float, optional
        H(T) in bits; default log2(classes), equally frequent tasks.

    Returns
    -------
    FanoBound

    Raises
    ------
    ValueError
        On counts that do not fit, and on an entropy that so many classes cannot have.

    References
    ----------
    Fano (1961); Clopper and Pearson, Biometrika 26 (1934).

    Examples
    --------
    >>> found = fano_bound(6, 80, 4)
    >>> round(found.point_bits, 3), round(found.valid_bits, 3)
    (1.497, 1.183)
    """
    wrong, of = (whole_number("fano_bound", name, x) for name, x in (("errors", errors), ("n", n)))
    tasks = whole_number("fano_bound", "classes", classes, most=2**31 - 1)
    return FanoBound(*_core.fano_bound(wrong, of, tasks, confidence, entropy))


@dataclass(frozen=True)
class LayerInformation:
    """What the expert of one layer tells about the task, in bits; None where undefined, see `absent`.

    Attributes
    ----------
    prompts : int
        Labelled, with routing in this layer.
    unit, units : str, int
        What was permuted and left out in turn ("prompts" or "groups"), and how many: N.
    plug_in : float or None
        H(mean) - mean of H: too large.
    null_mean : float or None
        Mean of the same under permuted labels.
    corrected : float or None
        (plug_in - null_mean)(N - 1) / (N - C); chance 0.
    standard_error : float or None
        Of `corrected`: jackknife over units.
    statistic : float or None
        Squared distance of the tasks' mean signatures from the common one (weighted by 1 / share), over what the spread
        of prompts within tasks makes of it where tasks do not differ: 1 is chance.
    p_value : PValue or None
        Of `statistic` under permuted labels, one-sided; its floor is the smallest that could have come out. Unlike that
        of `plug_in` it does not depend on texts of tasks being equally long, or groups equally large.
    absent : dict
        Field -> why it is None.
    """

    prompts: int
    plug_in: float | None
    null_mean: float | None
    corrected: float | None
    standard_error: float | None
    statistic: float | None
    p_value: PValue | None
    absent: dict[str, str]
    unit: str
    units: int


def layer_information(
    sigs: SignatureSet,
    *,
    tasks: Sequence[str | None] | None = None,
    permutations: int = 1000,
    seed: int = 0,
    groups: Groups = None,
    sources: Sources = None,
    progress: bool = False,
) -> list[LayerInformation]:
    """Mutual information between the task and the expert of a random selection, layer by layer.

    Parameters
    ----------
    sigs : SignatureSet
    tasks : sequence of str or None, optional
        One per prompt; default: the set's. None where unlabelled (left out).
    permutations : int
        Of the labels, the same for all layers, all of them once where no more are possible; 0: no correction.
    seed : int
    groups, sources : sequence of str, False, or None
        As in `permutation_test`: whole groups are permuted, within sources.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of LayerInformation
        One per layer. p-values are per layer, not corrected for the number of layers.

    Raises
    ------
    ValueError
        Where shapes do not fit, a value is not finite, or a group spans two tasks or sources.

    References
    ----------
    Brunner, Dette and Munk, JASA 92 (1997) for the ANOVA-type statistic.

    Notes
    -----
    I = H(sum_c pi_c s_c) - sum_c pi_c H(s_c) with s_c the mean signature of task c, every prompt weighing the same and
    pi_c the task's share of prompts.

    Examples
    --------
    >>> sigs = SignatureSet.from_counts([[[4, 0]], [[4, 0]], [[0, 4]], [[0, 4]]], tasks=["a", "a", "b", "b"])
    >>> layer_information(sigs, permutations=100)[0].plug_in
    1.0
    """
    sigs = signatures_of("layer_information", sigs)
    labels = list(sigs.tasks if tasks is None else tasks)
    if len(labels) != len(sigs):
        raise ValueError(f"information: expected tasks for {len(sigs)} prompts, got {len(labels)}")
    permutations = number_of_draws("information", "permutations", permutations)
    seed = whole_number("information", "seed", seed)
    names, codes = numbered_tasks(labels)
    group = numbered_groups(groups, sigs.groups, names, codes, "information")
    source = numbered_sources(sources, sigs.sources, codes, "information")
    values = np.ascontiguousarray(sigs.values)
    with progress_bar("layer information", progress) as callback:
        rows = _core.layer_information(values, codes, group, permutations, seed, source, callback)
    return [_layer("groups" if group else "prompts", *row) for row in rows]


def _layer(
    unit: str,
    prompts: int,
    units: int,
    plug_in: float | None,
    null_mean: float | None,
    corrected: float | None,
    standard_error: float | None,
    statistic: float | None,
    p: tuple[float, float] | None,
) -> LayerInformation:
    return LayerInformation(
        prompts,
        plug_in,
        null_mean,
        corrected,
        standard_error,
        statistic,
        p_value=None if p is None else PValue(*p),
        absent=_why_absent(f"{units} {unit}", unit, plug_in, corrected, p),
        unit=unit,
        units=units,
    )


def _why_absent(
    found: str, unit: str, plug_in: float | None, corrected: float | None, p: tuple[float, float] | None
) -> dict[str, str]:
    permuted = ("null_mean", "corrected", "p_value")
    if plug_in is None:
        reason = f"expected {unit} of two tasks or more, and more {unit} than tasks, got {found}"
        return dict.fromkeys(("plug_in", "standard_error", "statistic", *permuted), reason)
    if corrected is None:
        return dict.fromkeys(permuted, "permutations=0")
    return {} if p is not None else {"p_value": NO_TEST}
