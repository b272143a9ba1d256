"""The tabular parts of a study as pandas DataFrames."""

from typing import TYPE_CHECKING, Any

from routesig._optional import need

if TYPE_CHECKING:
    from routesig._study._result import Study


def tables(study: "Study") -> dict[str, Any]:
    """See Study.tables."""
    frame = need("pandas", "tables").DataFrame
    return {name: frame.from_records(rows) for name, rows in _records(study).items()}


def _records(study: "Study") -> dict[str, list[dict[str, Any]]]:
    return {
        "prompts": _prompts(study),
        "layers": [_layer(row) for row in study.layers],
        "pairs": [
            {
                "task": pair.tasks[0],
                "other": pair.tasks[1],
                "difference": pair.difference,
                "cohens_d": pair.cohens_d,
                "p_value": None if pair.p_value is None else float(pair.p_value),
                "adjusted": None if pair.adjusted is None else float(pair.adjusted),
            }
            for pair in study.permutation_test.pairs
        ],
        "tasks": _tasks(study),
        "baselines": [
            {
                "baseline": name,
                "statistic": what,
                "mean": found.mean,
                "sd": found.sd,
                "low": found.low,
                "high": found.high,
            }
            for name, null in study.baselines.items()
            for what in ("within", "across", "difference", "cohens_d")
            if (found := getattr(null, what)) is not None
        ],
        "controls": [_control(control) for control in study.controls.values()],
    }


def _prompts(study: "Study") -> list[dict[str, Any]]:
    columns = ("id", "task", "group", "tokens", "predicted")
    return [{name: getattr(prompt, name) for name in columns} for prompt in study.prompts]


def _layer(row: Any) -> dict[str, Any]:
    low, high = row.ci or (None, None)
    return {
        "layer": row.layer,
        "within": row.within,
        "across": row.across,
        "difference": row.difference,
        "cohens_d": row.cohens_d,
        "low": low,
        "high": high,
        "p_value": None if row.p_value is None else float(row.p_value),
        "adjusted": None if row.adjusted is None else float(row.adjusted),
        "debiased": row.debiased,
        "information": row.information,
    }


def _tasks(study: "Study") -> list[dict[str, Any]]:
    found = study.category_matrix
    means = found.mean.tolist()  # None where there is no pair
    return [
        {"task": a, "other": b, "similarity": means[i][j], "pairs": int(found.pairs[i, j])}
        for i, a in enumerate(found.tasks)
        for j, b in enumerate(found.tasks)
        if j >= i
    ]


def _control(control: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"control": control.name, "kind": control.kind}
    for what in ("within", "across", "difference", "cohens_d", "accuracy"):
        value = getattr(control, what)
        row |= (
            {what: None, f"{what}_low": None, f"{what}_high": None}
            if value is None
            else {
                what: value.mean,
                f"{what}_low": value.low,
                f"{what}_high": value.high,
            }
        )
    return row | {"p_value": None if control.p_value is None else float(control.p_value), "prompts": control.prompts}
