"""Whether two models find the same prompts alike: rank correlation of similarity matrices, and Mantel's test."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from routesig import _core
from routesig._labelled import Floats, number
from routesig._p_value import PValue
from routesig._progress import progress_bar

NO_SPREAD = "the similarities of one of the two do not vary"
NO_ORDER = {
    "free": "there are fewer than two prompts",
    "within_tasks": "no two prompts share a task",
    "within_groups": "no two prompts share a group",
}


@dataclass(frozen=True)
class MantelTest:
    """Mantel's test: how often prompts that changed places correlate as much, and how much they do on average.

    Attributes
    ----------
    p_value : PValue
        One-sided, upper.
    permutations : int
        Orders looked at; all possible ones if `exact`.
    exact : bool
    null_mean, null_sd, null_low, null_high : float
        Of the correlation under these orders: mean, sd, and 2.5 % and 97.5 % quantiles.
    """

    p_value: PValue
    permutations: int
    exact: bool
    null_mean: float
    null_sd: float
    null_low: float
    null_high: float


@dataclass(frozen=True)
class MatrixCorrelation:
    """The rank correlation of two similarity matrices of the same prompts.

    Attributes
    ----------
    spearman : float or None
        Over the pairs of different prompts.
    pairs : int
    free : MantelTest or None
        Any prompt may take another's place. Rejects wherever both models separate tasks.
    within_tasks, within_groups : MantelTest or None
        Prompts of one task, or of one group (template, near-duplicates), change places: agreement about more than
        these.
    absent : dict
        Why a field is None.
    """

    spearman: float | None
    pairs: int
    free: MantelTest | None
    within_tasks: MantelTest | None
    within_groups: MantelTest | None
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        tests = ", ".join(
            f"{name} p={number(None if test is None else test.p_value)}"
            for name, test in (("free", self.free), ("within tasks", self.within_tasks))
        )
        return f"MatrixCorrelation(spearman={number(self.spearman)}, {tests}, {self.pairs} pairs)"


def matrix_correlation(
    a: Floats,
    b: Floats,
    tasks: Sequence[int],
    groups: Sequence[int],
    permutations: int,
    seed: int,
    progress: bool,
) -> MatrixCorrelation:
    """Of similarity matrices [prompts, prompts]; `tasks` and `groups` as codes, negative where unknown."""
    strata = {"free": [0] * len(tasks), "within_tasks": list(tasks), "within_groups": list(groups)}
    with progress_bar("Mantel tests", progress) as tell:
        spearman, tests = _core.matrix_correlation(a, b, list(strata.values()), permutations, seed, tell)
    absent: dict[str, str] = {}
    found: dict[str, MantelTest | None] = {}
    for name, test in zip(strata, tests, strict=True):
        if test is None:
            absent[name] = NO_SPREAD if spearman is None else NO_ORDER[name]
            found[name] = None
        else:
            mean, sd, low, high = test["null"]
            p_value = PValue(*test["p_value"])
            found[name] = MantelTest(p_value, test["permutations"], test["exact"], mean, sd, low, high)
    if spearman is None:
        absent["spearman"] = NO_SPREAD
    return MatrixCorrelation(spearman, len(a) * (len(a) - 1) // 2, **found, absent=absent)
