"""What the parts of a study take, predicted in seconds of one processor: for budgets and the progress bar.

Formulas in the numbers of prompts, tasks, layers, experts and tokens, their constants fitted to what
`python bench/study.py --parts CASE` prints on a processor with AVX2. They are rough, which is all that a budget and a
bar need, and the same everywhere, so that a study is the same study on any machine.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from routesig._study._parts import StudyOptions

_TOKEN_SETS = ("prompt", "generation", "all")


@dataclass(frozen=True)
class Size:
    """How much there is to study."""

    prompts: int
    tasks: int
    layers: int
    experts: int
    tokens: int  # of all prompts; 0 where signatures were given

    @property
    def cells(self) -> int:
        """Numbers that describe all prompts."""
        return self.prompts * self.layers * self.experts

    @property
    def pairs(self) -> int:
        """Numbers that describe all pairs of prompts: a matrix for each layer and one for their mean."""
        return self.prompts**2 * (self.layers + 1)

    @property
    def similarity(self) -> float:
        """Seconds for the similarity of all pairs of prompts."""
        return 1.7e-11 * self.prompts * self.cells

    @property
    def fit(self) -> float:
        """Seconds for fitting a classifier once in each fold; labels that mean nothing take longest to fit."""
        return self.cells * (6e-9 * self.tasks + 1.5e-7 * min(1.0, self.prompts / 1_000))

    @property
    def null_draw(self) -> float:
        """Seconds for drawing all prompts and comparing them."""
        return 2e-8 * self.cells + self.similarity

    @property
    def shuffle(self) -> float:
        """Seconds for shuffling all tokens and comparing the prompts that they make, without looking at pairs."""
        return 1.2e-8 * self.tokens * self.layers + 1e-8 * self.cells

    @property
    def labelling(self) -> float:
        """Seconds for one labelling of the permutation test."""
        return 1e-11 * self.pairs + 1.8e-7 * self.tasks**2

    @property
    def resample(self) -> float:
        """Seconds for one resample of the similarities."""
        return 2e-10 * self.pairs


def expected(size: Size, options: StudyOptions, models: Collection[str], crossing: bool) -> dict[str, float]:
    """Seconds for each part of the study."""
    null, fit = size.null_draw * options.null_draws, size.fit
    one_matrix = size.labelling / (size.layers + 1)
    parts = {
        "permutation_test": 2 * size.similarity + size.labelling * options.permutations,
        "bootstrap": 2 * size.similarity + size.resample * options.bootstrap,
        "debiased": 4 * size.similarity + one_matrix * options.permutations,
        "classification": fit * (options.refits + 12),
        "information.layers": 1e-6 * size.cells,
        "dispersion": 1e-11 * size.prompts**2 * options.permutations,
        "pca": 1e-8 * size.cells,
        "tsne": 7e-3 * size.prompts,
        "load": 1e-9 * size.cells,
        "load_by_task": 1e-9 * size.cells,
    }
    parts |= dict.fromkeys((f"baselines[{name}]" for name in ("permutation", "load_balance", "marginal")), null)
    measured = size.similarity + 3 * fit
    parts |= {f"controls[{name}]": 20 * measured for name in models}
    if crossing:
        parts["controls[unseen source]"] = fit
    if not size.tokens:
        return parts
    parts |= {
        "baselines[token_pool]": null,
        "information.evidence": 110 * fit,
        "token_shuffle": size.shuffle * options.shuffles,
        "context": size.shuffle * (options.shuffles + 50) + 50 * size.similarity + one_matrix * options.permutations,
        "controls[token shuffle]": 20 * (size.shuffle + measured),
        "controls[bag of tokens]": 85 * fit,
        "decomposition": 2 * size.shuffle * (options.shuffles + 2 * options.bootstrap),
        "overlap_ladder": 1e-7 * size.tokens * size.layers,
    }
    parts |= {f"load_balance[{tokens}]": null for tokens in _TOKEN_SETS if tokens != options.tokens}
    return parts


@dataclass(frozen=True)
class _Limit:
    """Repetitions that become fewer where they would take longer than `seconds`, but no fewer than `fewest`."""

    option: str
    what: str
    fewest: int
    seconds: float
    each: Callable[[Size], float]


_LIMITS = (
    _Limit("permutations", "labellings of the permutation test", 999, 100.0, lambda size: size.labelling),
    _Limit("bootstrap", "resamples", 200, 100.0, lambda size: size.resample + 4 * size.shuffle),
    _Limit("null_draws", "repetitions of each baseline", 39, 150.0, lambda size: 6 * size.null_draw),
    _Limit("shuffles", "same-token shuffles", 39, 40.0, lambda size: 4 * size.shuffle),
    _Limit("refits", "permuted refits of the classifier", 39, 60.0, lambda size: size.fit),
)


def affordable(size: Size, options: StudyOptions, free: Collection[str]) -> tuple[StudyOptions, dict[str, str]]:
    """Options with fewer repetitions where `free` leaves the choice and time asks for it, and what was lowered."""
    lowered: dict[str, Any] = {}
    fewer = {}
    for limit in _LIMITS:
        usual = getattr(options, limit.option)
        count = max(limit.fewest, int(limit.seconds / limit.each(size)))
        if limit.option not in free or count >= usual:
            continue
        lowered[limit.option] = count
        fewer[limit.option] = (
            f"{count:,} {limit.what}, not {usual:,}: those would take some {_duration(usual * limit.each(size))} of "
            f"processor time for {size.prompts:,} prompts"
        )
    return replace(options, **lowered), fewer


def _duration(seconds: float) -> str:
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} seconds"
