"""The label permutation test."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from routesig import _core
from routesig._labelled import NO_SPREAD, Floats, LabelledSimilarities, Similarities, number
from routesig._multiplicity import holm
from routesig._options import whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._tasks import Groups, Tasks


@dataclass(frozen=True)
class LayerTest:
    """One layer's permutation test; `adjusted` holds for all layers together (single-step max-T over d)."""

    layer: int
    difference: float
    p_value: PValue
    cohens_d: float | None
    adjusted: PValue | None


@dataclass(frozen=True)
class PairTest:
    """Two tasks tested against each other alone; `adjusted` holds for all pairs together (Holm)."""

    tasks: tuple[str, str]
    difference: float
    p_value: PValue
    cohens_d: float | None
    adjusted: PValue


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """Result of `permutation_test`.

    Attributes
    ----------
    difference : float or None
        D: mean within-task minus mean across-task similarity.
    p_value : PValue or None
        One-sided, of D; also of d where units are of one size.
    cohens_d, cohens_d_p_value : float and PValue, or None
    unit, units : str, int
        What was dealt labels ("prompts" or "groups"), and how many.
    unlabelled : int
        Prompts left out for want of a task.
    permutations : int
        Labellings looked at; all possible ones if `exact`.
    labellings : int or None
        Possible labellings; None above 2**63.
    null : float64 [permutations]
        D of each labelling.
    layers : list of LayerTest
        Empty where no layers were given.
    pairs : list of PairTest
    absent : dict
        Why a field is None.
    """

    difference: float | None
    p_value: PValue | None
    cohens_d: float | None
    cohens_d_p_value: PValue | None
    unit: str
    units: int
    unlabelled: int
    permutations: int
    exact: bool
    labellings: int | None
    null: Floats
    layers: list[LayerTest]
    pairs: list[PairTest]
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        how = "all" if self.exact else "random"
        return (
            f"PermutationTest(difference={number(self.difference)}, p_value={self.p_value!r}, "
            f"cohens_d={number(self.cohens_d)}, {self.permutations} {how} labellings of {self.units} {self.unit})"
        )


def permutation_test(
    sigs: Similarities,
    tasks: Tasks = None,
    *,
    permutations: int = 10_000,
    seed: int = 0,
    groups: Groups = None,
    layers: bool = True,
    pairs: bool = True,
    progress: bool = False,
) -> PermutationTest:
    """How often dealing the task labels anew separates the prompts as much.

    H0: prompts are exchangeable across tasks, their length and concentration included. Tasks that differ in length
    alone are rejected too: see the baselines, the debiased similarity and `dispersion_test`.

    Parameters
    ----------
    sigs : SignatureSet, or similarities [prompts, prompts] or [layers, prompts, prompts]
        Of layers, their mean is tested, and each of them.
    tasks : sequence of str, optional
        One a prompt, needed for matrices; None where unlabelled (left out).
    permutations : int
        Random labellings; where no more are possible, all of them are looked at once.
    seed : int
    groups : sequence of str, False, or None
        Prompts of one group (template, source) move together; None: a prompt alone. Default: the groups of the
        SignatureSet where any holds two prompts. False: prompts are treated as independent.
    layers, pairs : bool
        Test every layer, and every pair of tasks, too.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    PermutationTest
        p = (1 + #{D* >= D}) / (1 + P), or #/M over all M labellings. Layers are adjusted by single-step max-T over d
        under shared labellings. A pair of tasks is tested by permuting their prompts alone, because a permutation of
        all labels says nothing about two tasks when the others differ; pairs are adjusted by Holm.

    Raises
    ------
    ValueError
        Where shapes do not fit, similarities are not finite, or a group spans two tasks.

    References
    ----------
    Westfall and Young, Resampling-based multiple testing, 1993. Phipson and Smyth, SAGMB 2010 (the 1 + in p).

    Examples
    --------
    >>> import numpy as np
    >>> matrix = np.array([[1, 0.9, 0.5, 0.4], [0.9, 1, 0.6, 0.3], [0.5, 0.6, 1, 0.8], [0.4, 0.3, 0.8, 1]])
    >>> permutation_test(matrix, ["a", "a", "b", "b"])
    PermutationTest(difference=0.4, p_value=PValue(0.3333, floor=0.3333), cohens_d=3.411, 6 all labellings of 4 prompts)
    """
    given = LabelledSimilarities.of(sigs, tasks, groups, "permutation_test")
    permutations = whole_number("permutation_test", "permutations", permutations)
    seed = whole_number("permutation_test", "seed", seed)
    with progress_bar("permutation test", progress) as tell:
        found = _core.permutation_test(given.matrix, given.codes, given.groups, permutations, seed, tell)
        by_layer = None
        if layers:
            by_layer = given.by_layer(_core.permutation_test, _core.layer_permutation_test, permutations, seed, tell)
    first: dict[str, Any] = found["tests"][0] if found["tests"] else {}
    absent: dict[str, str] = {}
    if not first:
        absent = dict.fromkeys(("difference", "p_value", "cohens_d", "cohens_d_p_value"), given.no_pairs())
    elif first["cohens_d"] is None:
        absent = dict.fromkeys(("cohens_d", "cohens_d_p_value"), NO_SPREAD)
    layer_tests = [
        LayerTest(i, test["difference"], PValue(*test["p_value"]), test["cohens_d"], p_value(test["adjusted"]))
        for i, test in enumerate(by_layer["tests"] if by_layer else [])
    ]
    absent |= {f"layers[{t.layer}].cohens_d": NO_SPREAD for t in layer_tests if t.cohens_d is None}
    return PermutationTest(
        difference=first.get("difference"),
        p_value=p_value(first.get("p_value")),
        cohens_d=first.get("cohens_d"),
        cohens_d_p_value=p_value(first.get("cohens_d_p_value")),
        unit=given.unit,
        units=found["units"],
        unlabelled=given.unlabelled,
        permutations=found["permutations"],
        exact=found["exact"],
        labellings=found["labellings"],
        null=found["null"].reshape(-1),
        layers=layer_tests,
        pairs=_pair_tests(given, permutations, seed, absent) if pairs else [],
        absent=absent,
    )


def _pair_tests(given: LabelledSimilarities, permutations: int, seed: int, absent: dict[str, str]) -> list[PairTest]:
    """Every pair of tasks alone; Holm over the pairs."""
    found = []
    for a, b in combinations(range(len(given.names)), 2):
        codes = [code if code in (a, b) else -1 for code in given.codes]
        tests = _core.permutation_test(given.matrix, codes, given.groups, permutations, seed)["tests"]
        if tests:
            found.append(((given.names[a], given.names[b]), tests[0]))
        else:
            absent[f"pairs[{given.names[a]}, {given.names[b]}]"] = "both tasks have a single prompt"
    adjusted = holm([test["p_value"][0] for _, test in found])
    return [
        PairTest(
            tasks=names,
            difference=test["difference"],
            p_value=PValue(*test["p_value"]),
            cohens_d=test["cohens_d"],
            adjusted=PValue(float(p), min(1.0, len(found) * test["p_value"][1])),
        )
        for (names, test), p in zip(found, adjusted, strict=True)
    ]


def p_value(found: tuple[float, float] | None) -> PValue | None:
    return None if found is None else PValue(*found)
