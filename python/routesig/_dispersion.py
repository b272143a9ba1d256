"""Whether tasks differ in spread."""

from dataclasses import dataclass, field

import numpy as np

from routesig import _core
from routesig._absent import Masked
from routesig._equality import ByValue
from routesig._labelled import NO_TEST, LabelledSimilarities, Similarities, masked, number
from routesig._options import number_of_draws, whole_number
from routesig._p_value import PValue
from routesig._permutation import p_value
from routesig._progress import progress_bar
from routesig._tasks import Groups, Sources, Tasks


@dataclass(frozen=True, eq=False)
class DispersionTest(ByValue):
    """Result of `dispersion_test`.

    Attributes
    ----------
    f : float or None
        Between-task over within-task mean square of the distances.
    p_value : PValue or None
    distances : masked float64 [prompts]
        From each prompt to the centroid of its task without the prompt's group; masked where there is none.
    task_means : dict
        Mean distance of each task.
    unit, units, permutations, exact
        As in PermutationTest.
    absent : dict
        Why a field is None.
    """

    f: float | None
    p_value: PValue | None
    distances: Masked
    task_means: dict[str, float]
    unit: str
    units: int
    permutations: int
    exact: bool
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"DispersionTest(f={number(self.f)}, p_value={self.p_value!r}, {self.units} {self.unit})"


def dispersion_test(
    sigs: Similarities,
    tasks: Tasks = None,
    *,
    permutations: int = 10_000,
    seed: int = 0,
    groups: Groups = None,
    sources: Sources = None,
    progress: bool = False,
) -> DispersionTest:
    """Whether the prompts of some tasks lie farther apart than those of others.

    A label permutation test of the separation also rejects when tasks differ in spread alone; this test says so. A
    prompt's distance is that to the centroid of its task without the prompt's own group, scaled so that it does not
    depend on how many prompts are left. One-way F of the distances; labels are permuted.

    Parameters
    ----------
    sigs : SignatureSet, or a similarity matrix [prompts, prompts] of inner products, its diagonal included
    tasks : sequence of str, optional
        One per prompt, needed for a matrix; None where unlabelled (left out), and so are tasks of one prompt or group.
    permutations, seed, groups, sources, progress
        As in `permutation_test`; the mean distance of a group stands for its prompts.

    Returns
    -------
    DispersionTest

    Raises
    ------
    ValueError
        Where shapes do not fit, similarities are not finite, or a group spans two tasks or sources.

    References
    ----------
    Anderson, Distance-based tests for homogeneity of multivariate dispersions, Biometrics 2006.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[0, 0], [2, 0], [1, 0], [5, 1], [5, -1]])
    >>> found = dispersion_test(points @ points.T, ["a", "a", "a", "b", "b"])
    >>> round(found.task_means["b"], 3), found.p_value.floor
    (1.414, 0.1)
    """
    given = LabelledSimilarities.of(sigs, tasks, groups, "dispersion_test", sources)
    permutations = number_of_draws("dispersion_test", "permutations", permutations)
    seed = whole_number("dispersion_test", "seed", seed)
    with progress_bar("dispersion test", progress) as tell:
        found = _core.dispersion_test(given.matrix, given.codes, given.groups, permutations, seed, given.sources, tell)
    distances = masked(found["distance"])
    codes = np.array(given.codes, dtype=np.int64)
    means = {name: distances[codes == i].mean() for i, name in enumerate(given.names)}
    reason = f"fewer than two tasks have two {given.unit}, or distances do not vary"
    absent = {}
    if found["p_value"] is None:
        absent = {"p_value": NO_TEST} if found["f"] is not None else dict.fromkeys(("f", "p_value"), reason)
    return DispersionTest(
        f=found["f"],
        p_value=p_value(found["p_value"]),
        distances=distances,
        task_means={name: float(mean) for name, mean in means.items() if mean is not np.ma.masked},
        unit=given.unit,
        units=found["units"],
        permutations=found["permutations"],
        exact=found["exact"],
        absent=absent,
    )
