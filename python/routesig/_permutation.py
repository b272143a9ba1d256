"""The label permutation test."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from routesig import _core
from routesig._equality import ByValue
from routesig._labelled import NO_SPREAD, NO_TEST, Floats, LabelledSimilarities, Similarities, number, why_no_pairs
from routesig._multiplicity import holm
from routesig._options import number_of_draws, whole_number
from routesig._p_value import PValue
from routesig._progress import progress_bar
from routesig._tasks import Groups, Sources, Tasks


@dataclass(frozen=True)
class LayerTest:
    """One layer's permutation test; `adjusted` holds for all layers together (single-step max-T over d)."""

    layer: int
    difference: float | None
    p_value: PValue | None
    cohens_d: float | None
    adjusted: PValue | None


@dataclass(frozen=True)
class PairTest:
    """Two tasks tested against each other alone; `adjusted` holds for all pairs together (Holm)."""

    tasks: tuple[str, str]
    difference: float
    p_value: PValue | None
    cohens_d: float | None
    adjusted: PValue | None


@dataclass(frozen=True, eq=False)
class PermutationTest(ByValue):
    """Result of `permutation_test`.

    Attributes
    ----------
    difference : float or None
        D: mean within-task minus mean across-task similarity.
    p_value : PValue or None
        One-sided, of D; also of d where units are of one size.
    cohens_d, cohens_d_p_value : float and PValue, or None
    unit, units : str, int
        What was permuted ("prompts" or "groups"), and how many.
    sources : int
        Sources within which labels were permuted; 0: among all.
    unlabelled : int
        Prompts left out for want of a task.
    permutations : int
        Labellings looked at; all possible ones if `exact`.
    labellings : int or None
        Possible labellings; None above 2**63.
    null : float64 [permutations]
        D of each labelling; empty where no test is possible.
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
    sources: int = 0

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
    sources: Sources = None,
    layers: bool = True,
    pairs: bool = True,
    progress: bool = False,
) -> PermutationTest:
    """How often permuted task labels separate the prompts as much.

    H0: prompts are exchangeable across tasks, their length and concentration included. Tasks that differ in length
    alone are rejected too: see the baselines, the debiased similarity and `dispersion_test`.

    Parameters
    ----------
    sigs : SignatureSet, or similarities [prompts, prompts] or [layers, prompts, prompts]
        Of layers, their mean is tested, and each of them.
    tasks : sequence of str, optional
        One per prompt, needed for matrices; None where unlabelled (left out).
    permutations : int
        Random labellings; where no more are possible, all of them are looked at once.
    seed : int
    groups : sequence of str, False, or None
        Prompts of one group (template, near-duplicates) move together; None: a prompt alone. Default: the groups of the
        SignatureSet where any holds two prompts. False: prompts are treated as independent.
    sources : sequence of str, False, or None
        Labels are permuted within each source (data set, language, author): what is common to a source then cannot look
        like a task. Default: the sources of the SignatureSet where any has prompts of two tasks. False: among all.
    layers, pairs : bool
        Test every layer, and every pair of tasks, too.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    PermutationTest
        p = (1 + #{D* >= D}) / (1 + P), or #/M over all M labellings. Where no labelling differs from the observed one,
        as with one group per task, there is no p. Layers are adjusted by single-step max-T over d under shared
        labellings. A pair of tasks is tested by permuting their prompts alone, because a permutation of all labels says
        nothing about two tasks when the others differ; pairs are adjusted by Holm.

    Raises
    ------
    ValueError
        Where shapes do not fit, similarities are not finite, or a group spans two tasks or sources.

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
    given = LabelledSimilarities.of(sigs, tasks, groups, "permutation_test", sources)
    permutations = number_of_draws("permutation_test", "permutations", permutations)
    seed = whole_number("permutation_test", "seed", seed)
    with progress_bar("permutation test", progress) as tell:
        options = (permutations, seed, given.sources, tell)
        found = _core.permutation_test(given.matrix, given.codes, given.groups, *options)
        by_layer = None
        if layers:
            by_layer = given.by_layer(_core.permutation_test, _core.layer_permutation_test, *options)
    first: dict[str, Any] = found["tests"][0] if found["tests"] else {}
    absent = _why_absent(first, given)
    layer_tests = [
        LayerTest(i, test["difference"], p_value(test["p_value"]), test["cohens_d"], p_value(test["adjusted"]))
        for i, test in enumerate(by_layer["tests"] if by_layer else [])
    ]
    for t in layer_tests:
        if t.difference is None:
            absent[f"layers[{t.layer}].difference"] = "too few prompts have tokens in this layer"
        elif t.cohens_d is None:
            absent[f"layers[{t.layer}].cohens_d"] = NO_SPREAD
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
        null=found["null"].reshape(-1) if first.get("p_value") else np.zeros(0),
        layers=layer_tests,
        pairs=_pair_tests(given, permutations, seed, absent) if pairs else [],
        absent=absent,
        sources=len(set(given.sources) - {-1}),
    )


def _why_absent(test: dict[str, Any], given: LabelledSimilarities) -> dict[str, str]:
    if not test or test["difference"] is None:
        return dict.fromkeys(("difference", "p_value", "cohens_d", "cohens_d_p_value"), given.no_pairs())
    absent = dict.fromkeys(("cohens_d", "cohens_d_p_value"), NO_SPREAD) if test["cohens_d"] is None else {}
    if test["p_value"] is None:
        absent |= dict.fromkeys(("p_value", "cohens_d_p_value"), NO_TEST)
    return absent


def _pair_tests(given: LabelledSimilarities, permutations: int, seed: int, absent: dict[str, str]) -> list[PairTest]:
    """Every pair of tasks alone; Holm over the pairs."""
    found = []
    for a, b in combinations(range(len(given.names)), 2):
        codes = [code if code in (a, b) else -1 for code in given.codes]
        tests = _core.permutation_test(given.matrix, codes, given.groups, permutations, seed, given.sources)["tests"]
        pair = (given.names[a], given.names[b])
        if tests and tests[0]["difference"] is not None:
            found.append((pair, tests[0]))
        else:
            absent[f"pairs[{pair[0]}, {pair[1]}]"] = why_no_pairs(given.names, codes, given.groups)
    tested = [test for _, test in found if test["p_value"] is not None]
    adjusted = iter(holm([test["p_value"][0] for test in tested]))
    return [
        PairTest(
            tasks=pair,
            difference=test["difference"],
            p_value=p_value(test["p_value"]),
            cohens_d=test["cohens_d"],
            adjusted=PValue(float(next(adjusted)), min(1.0, len(tested) * test["p_value"][1]))
            if test["p_value"] is not None
            else None,
        )
        for pair, test in found
    ]


def p_value(found: tuple[float, float] | None) -> PValue | None:
    return None if found is None else PValue(*found)
