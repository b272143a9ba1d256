"""Layer by layer, and whether the separation grows with depth."""

from typing import Any

from routesig import statistics
from routesig._bootstrap import Bootstrap, Estimate
from routesig._labelled import LabelledSimilarities
from routesig._permutation import PermutationTest
from routesig._study._parts import Control, Debiased, Depth, Group, Information, LayerRow


def group(moments: Any, estimate: Estimate) -> Group:
    """Mean and spread over pairs, and the interval of the mean over prompts."""
    return Group(moments.mean, moments.sd, moments.pairs, estimate.ci)


def layer_rows(
    given: LabelledSimilarities, test: PermutationTest, boot: Bootstrap, debiased: Debiased | None, told: Information
) -> list[LayerRow]:
    """One row per layer, from the parts that hold something by layer."""
    rows = []
    for i, found in enumerate(statistics.layer_separation(given)):
        tested = test.layers[i] if i < len(test.layers) else None
        rows.append(
            LayerRow(
                layer=i,
                within=found.within.mean,
                across=found.across.mean,
                difference=None if tested is None else tested.difference,
                cohens_d=found.cohens_d,
                ci=boot.layers[i].ci if i < len(boot.layers) else None,
                p_value=None if tested is None else tested.p_value,
                adjusted=None if tested is None else tested.adjusted,
                debiased=None if debiased is None else debiased.layers[i].difference,
                information=told.layers[i].corrected if i < len(told.layers) else None,
            )
        )
    return rows


def depth(layers: list[LayerRow], boot: Bootstrap, found: dict[str, Control]) -> Depth:
    """Slopes of d, of D, of the debiased D and of the controls' D."""
    slopes = {name: statistics.depth_slope(c.layers) for name, c in found.items() if c.layers is not None}
    return Depth(
        cohens_d=boot.slope,
        difference=statistics.depth_slope([row.difference for row in layers]) if len(layers) > 1 else None,
        debiased=statistics.depth_slope([row.debiased for row in layers]) if len(layers) > 1 else None,
        controls={name: slope for name, slope in slopes.items() if slope is not None},
    )
