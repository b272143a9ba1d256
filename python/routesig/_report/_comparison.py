"""The comparison that a study carries, as tables."""

from typing import Any

from routesig._comparison._text import (
    absent_fields,
    alignment_text,
    estimate_texts,
    interval_text,
    mantel_tests,
    observed_rows,
    separations,
    side_text,
)
from routesig._report._numbers import decimal, p_value, plain, true_minus


def comparison_tables(found: Any) -> dict[str, Any] | None:
    """What `print(comparison)` shows; None where there is none."""
    if found is None:
        return None
    remarks = list(found.notes) + [f"{fields}: absent, {reason}" for fields, reason in absent_fields(found)]
    remarks += [f"{one.id} is left out: {one.reason}" for one in found.left_out[:20]]
    return {
        "prompts": len(found.ids),
        "alike": _least_alike(found),
        "tokens": found.agreement is not None,
        "reason": found.absent.get("prompt_similarity"),
        "sides": [("A", side_text(found.a)), ("B", side_text(found.b))],
        "alignment": true_minus(alignment_text(found.alignment)) if found.alignment else None,
        "rows": [tuple(map(true_minus, row)) for row in observed_rows(found)],
        "separations": [
            tuple(map(true_minus, (name, *estimate_texts(one), interval_text(one)))) for name, one in separations(found)
        ],
        "arrangement": _arrangement(found),
        "remarks": remarks,
    }


def agreement_data(found: Any) -> dict[str, Any] | None:
    """Layer by layer: what agrees, beside chance; None where there is nothing to agree on."""
    if found is None or found.prompt_similarity is None:
        return None
    if found.agreement is None:
        return {
            "unit": "cosine of signatures",
            "lines": {"same prompt": plain(found.prompt_similarity.mean(axis=0))},
            "chance": {"another prompt": plain(found.similarity_chance)},
        }
    layers = found.agreement.layers
    return {
        "unit": "share",
        "lines": {
            "experts in common": plain([one.overlap for one in layers]),
            "same set of experts": plain([one.exact for one in layers]),
        },
        "chance": {"in common by chance": plain([one.marginal_chance for one in layers])},
    }


def _least_alike(found: Any, most: int = 3) -> list[str]:
    """The prompts whose signatures differ most, with their mean cosine."""
    if found.prompt_similarity is None or len(found.ids) <= most:
        return []
    means = found.prompt_similarity.mean(axis=1)
    return [f"{found.ids[i]} ({decimal(means[i])})" for i in means.argsort()[:most]]


def _arrangement(found: Any) -> list[tuple[str, str]]:
    """How alike the two arrange the prompts; each p with its floor."""
    rows = [("Spearman correlation of the similarity matrices", decimal(found.correlation.spearman))]
    for within, test, remark in mantel_tests(found):
        name = f"Mantel's p, prompts permuted {within or 'freely'}"
        rows.append((name, f"{p_value(test.p_value)}; {remark.format(decimal(test.null_mean))}"))
    return [*rows, ("unbiased CKA of the signatures", decimal(found.cka))]
