"""The comparison that a study carries, as tables."""

from typing import Any

from routesig._comparison_text import _absent, _estimates, _interval, _rows, _separations, _side
from routesig._report._numbers import decimal, p_value


def comparison_tables(found: Any) -> dict[str, Any] | None:
    """What `print(comparison)` shows; None where there is none."""
    if found is None:
        return None
    remarks = list(found.notes) + [f"{fields}: absent, {reason}" for fields, reason in _absent(found)]
    remarks += [f"{one.id} is left out: {one.reason}" for one in found.left_out[:20]]
    return {
        "prompts": len(found.ids),
        "sides": [("A", _side(found.a)), ("B", _side(found.b))],
        "rows": _rows(found),
        "separations": [(name, *_estimates(one), _interval(one)) for name, one in _separations(found)],
        "arrangement": _arrangement(found),
        "remarks": remarks,
    }


def _arrangement(found: Any) -> list[tuple[str, str]]:
    """How alike the two arrange the prompts; each p with its floor."""
    of = found.correlation
    rows = [("Spearman correlation of the similarity matrices", decimal(of.spearman))]
    for name, test, remark in (
        ("prompts permuted", of.free, "rejects wherever both separate tasks"),
        ("prompts permuted within tasks", of.within_tasks, "tasks alone give {}"),
        ("prompts permuted within groups", of.within_groups, "groups alone give {}"),
    ):
        if test is not None:
            rows.append((f"Mantel's p, {name}", f"{p_value(test.p_value)}; {remark.format(decimal(test.null_mean))}"))
    return [*rows, ("unbiased CKA of the signatures", decimal(found.cka))]
