"""The comparison that a study carries, as tables."""

from typing import Any

from routesig._comparison._text import (
    absent_fields,
    estimate_texts,
    interval_text,
    mantel_tests,
    observed_rows,
    separations,
    side_text,
)
from routesig._report._numbers import decimal, p_value


def comparison_tables(found: Any) -> dict[str, Any] | None:
    """What `print(comparison)` shows; None where there is none."""
    if found is None:
        return None
    remarks = list(found.notes) + [f"{fields}: absent, {reason}" for fields, reason in absent_fields(found)]
    remarks += [f"{one.id} is left out: {one.reason}" for one in found.left_out[:20]]
    return {
        "prompts": len(found.ids),
        "sides": [("A", side_text(found.a)), ("B", side_text(found.b))],
        "rows": observed_rows(found),
        "separations": [(name, *estimate_texts(one), interval_text(one)) for name, one in separations(found)],
        "arrangement": _arrangement(found),
        "remarks": remarks,
    }


def _arrangement(found: Any) -> list[tuple[str, str]]:
    """How alike the two arrange the prompts; each p with its floor."""
    rows = [("Spearman correlation of the similarity matrices", decimal(found.correlation.spearman))]
    for within, test, remark in mantel_tests(found):
        name = f"Mantel's p, prompts permuted {within}".rstrip()
        rows.append((name, f"{p_value(test.p_value)}; {remark.format(decimal(test.null_mean))}"))
    return [*rows, ("unbiased CKA of the signatures", decimal(found.cka))]
