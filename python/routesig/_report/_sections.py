"""The tables and sentences below the top."""

from typing import Any

import numpy as np

from routesig._absent import by_reason
from routesig._report._numbers import decimal, interval, p_value, percent, spread
from routesig._report._summary import why
from routesig._study._headline import context_units, permuted
from routesig._study._text import why_nothing


def sections(study: Any) -> dict[str, Any]:
    """What the template shows, section by section."""
    return {
        "layers": layer_rows(study),
        "depth": depth(study),
        "debiased": debiased(study),
        "controls": control_rows(study),
        "controls_absent": controls_absent(study),
        "shuffle": study.token_shuffle,
        "effect": effect(study),
        "context": context(study),
        "reading": reading(study),
        "dispersion": dispersion(study),
        "unused": unused(study),
        "missing": missing(study),
        "provenance": provenance(study),
        "permutations": permutations(study),
        "p": p_value(study.p_value),
        "token_ranges": token_ranges(study),
        "call": call(study),
    }


def permutations(study: Any) -> str:
    """What was permuted, and how often."""
    test = study.permutation_test
    count = f"all {test.permutations:,} labellings" if test.exact else f"{test.permutations:,} random labellings"
    return f"{permuted(study)} ({count})"


def effect(study: Any) -> dict[str, str | None] | None:
    """What a word shares more within a task than across."""
    found = None if study.overlap_ladder is None else study.overlap_ladder.effect
    return None if found is None else {"value": decimal(found.observed), "interval": interval(found.interval)}


def context(study: Any) -> dict[str, str] | None:
    """The test of context, and the two it consists of."""
    found = study.context
    if found is None or found.p_value is None:
        return None
    return {
        "difference": decimal(found.difference),
        "p": p_value(found.p_value),
        "labels": p_value(found.p_labels),
        "words": p_value(found.p_words),
        "unit": context_units(study),
    }


def token_ranges(study: Any) -> list[str]:
    """Tokens per prompt under load balance, for each token set."""
    rows = []
    for tokens, found in study.load_balance.items():
        if found.token_range is not None:
            low, median, high = found.token_range
            rows.append(f"{tokens}: {low} to {high}, median {median:g}")
    return rows


def call(study: Any) -> str:
    """What computes this study again in Python."""
    options = study.options
    chosen = [f"tokens={options.tokens!r}", f"weighting={options.weighting!r}", f"seed={options.seed}"]
    names = ("permutations", "bootstrap", "null_draws", "shuffles", "refits", "folds")
    chosen += [f"{name}={getattr(options, name):_}" for name in names]
    chosen += [f"{name}=False" for name in ("groups", "sources") if not getattr(options, name)]
    chosen += ["drop_invalid=True"] if options.drop_invalid else []
    if options.controls:
        models = ", ".join(f"{name!r}: [...]" for name in options.controls)
        chosen.append(f"controls={{{models}}}")
    given = "signatures" if study.traces is None else "traces"
    return f'study = rs.study({given}, {", ".join(chosen)})\nstudy.report("report.html")'


def layer_rows(study: Any) -> list[dict[str, Any]]:
    return [
        {
            "layer": row.layer,
            "within": decimal(row.within),
            "across": decimal(row.across),
            "difference": decimal(row.difference),
            "debiased": decimal(row.debiased),
            "d": decimal(row.cohens_d, 2),
            "ci": interval(row.ci, 2),
            "adjusted": p_value(row.adjusted),
            "information": decimal(row.information),
        }
        for row in study.layers
    ]


def depth(study: Any) -> dict[str, Any] | None:
    """The layers that separate most and least, and the slope of d with its interval."""
    rows = [row for row in study.layers if row.cohens_d is not None]
    if len(rows) < 2:
        return None
    most = max(rows, key=lambda row: row.cohens_d)
    least = min(rows, key=lambda row: row.cohens_d)
    slope = study.depth.cohens_d
    limits = None if slope is None else slope.interval
    return {
        "most": most.layer,
        "most_d": decimal(most.cohens_d, 2),
        "least": least.layer,
        "least_d": decimal(least.cohens_d, 2),
        "slope": None if slope is None or slope.value is None else decimal(slope.value),
        "interval": None if limits is None else interval((limits.low, limits.high)),
        "grows": study.depth.grows,
        "untrained": study.depth.controls.get("random weights"),
    }


def debiased(study: Any) -> dict[str, str] | None:
    found = study.debiased
    if found is None or found.difference is None:
        return None
    return {
        "within": decimal(found.within),
        "across": decimal(found.across),
        "difference": decimal(found.difference),
        "p": p_value(found.p_value),
    }


KINDS = {
    "null": "nulls: what is left when what is claimed is taken away",
    "rival": "rivals: a classifier that does not see the routing",
    "check": "checks: the same analysis of fewer tokens or prompts; no hypothesis, and no p",
}


def control_rows(study: Any) -> list[dict[str, Any]]:
    """The study itself first, then its controls by kind."""
    read = study.classification
    mine = {
        "name": "this study",
        "kind": None,
        "holds": "nothing: the analysis of the paper",
        "prompts": len(study.signatures),
        "difference": _cell(study.difference.value),
        "d": _cell(study.cohens_d.value, 2),
        "accuracy": _share(read.accuracy),
        "p": p_value(study.p_value),
        "reason": None,
    }
    rows = [mine]
    for kind, title in KINDS.items():
        found = [control for control in study.controls.values() if control.kind == kind]
        for i, control in enumerate(found):
            rows.append({**_control(control), "kind": title if i == 0 else None})
    return rows


def _control(control: Any) -> dict[str, Any]:
    accuracy = control.accuracy
    return {
        "name": control.name,
        "holds": control.holds,
        "prompts": control.prompts,
        "difference": _summary(control.difference),
        "d": _summary(control.cohens_d, 2),
        "accuracy": None if accuracy is None else (percent(accuracy.mean), _percent_range(accuracy)),
        "p": p_value(control.p_value),
        "reason": why_nothing(control) or (None if control.kind == "check" else control.absent.get("p_value")),
    }


def _cell(value: Any, places: int = 3) -> tuple[str, str | None] | None:
    return None if value is None else (decimal(value, places), None)


def _share(value: Any) -> tuple[str, str | None] | None:
    return None if value is None else (percent(value), None)


def _summary(found: Any, places: int = 3) -> tuple[str, str | None] | None:
    return None if found is None else (decimal(found.mean, places), spread(found, places))


def _percent_range(found: Any) -> str | None:
    return None if found.high <= found.low else f"{decimal(100 * found.low, 0)} to {percent(found.high, 0)}"


def controls_absent(study: Any) -> list[tuple[str, list[str]]]:
    """Why controls could not be made, and which."""
    absent = {
        key.partition("[")[2].rstrip("]") or "controls": reason
        for key, reason in study.absent.items()
        if key.partition("[")[0] == "controls"
    }
    return list(by_reason(absent).items())


def reading(study: Any) -> dict[str, Any] | None:
    """Accuracy in words, and the confusion with the share of each row."""
    read = study.classification
    if read.accuracy is None or read.confusion is None:
        return None
    totals = np.maximum(read.confusion.sum(axis=1, keepdims=True), 1)
    bound = study.information.log_loss
    fano = study.information.fano
    return {
        "hits": read.hits,
        "trials": read.trials,
        "accuracy": percent(read.accuracy),
        "sd": decimal(100 * read.accuracy_sd, 1) if read.accuracy_sd is not None else None,
        "wilson": f"{decimal(100 * read.wilson[0], 1)} to {percent(read.wilson[1])}" if read.wilson else None,
        "macro_f1": decimal(read.macro_f1),
        "chance": percent(read.chance),
        "p": p_value(read.p_value),
        "p_reason": read.absent.get("p_value"),
        "classes": list(read.classes),
        "rows": [
            [{"count": int(count), "share": float(count / total)} for count in row]
            for row, (total,) in zip(read.confusion, totals, strict=True)
        ],
        "bits": None if bound is None else decimal(bound.bits, 2),
        "bits_error": None if bound is None else decimal(bound.standard_error, 2),
        "grouped": study.permutation_test.unit == "groups",
        "entropy": None if bound is None else decimal(bound.entropy_bits, 2),
        "fano": None if fano is None else decimal(fano.valid_bits, 2),
    }


def dispersion(study: Any) -> str | None:
    """The dispersion test in one sentence."""
    found = study.dispersion
    if found is None or found.p_value is None:
        return None
    return f"F = {decimal(found.f, 2)}, p = {p_value(found.p_value)}"


def unused(study: Any) -> dict[str, Any] | None:
    """Experts without a token, over all layers, and how many uniform routing would leave."""
    if study.load is None or not study.load.shares.size:
        return None
    chance = study.load.chance
    return {
        "count": int(np.ma.sum(study.load.unused[0])),
        "of": int(study.load.shares.shape[1] * study.load.shares.shape[2]),
        "expected": None if chance is None else _few(float(np.ma.sum(chance.unused[0]))),
        "reason": study.load.absent.get("chance"),
        "busiest": decimal(float(study.load.shares[0].max()) * study.signatures.experts, 1),
    }


def _few(count: float) -> str:
    return decimal(count, 1) if count >= 0.05 else "none"


def missing(study: Any) -> list[tuple[str, list[str]]]:
    """Why something is absent from the study, or was drawn less often, and what."""
    return list(by_reason(study.absent | study.fewer, _in_words).items())


def _in_words(field: str) -> str:
    return field.replace("_", " ").replace("[", ": ").rstrip("]").replace(".ci", " interval").replace(".", ": ")


def provenance(study: Any) -> list[tuple[str, str]]:
    """Names and values as text; nested ones by their path."""
    rows: list[tuple[str, str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix} {key}".strip(), inner)
        else:  # a setting is known: None means that nothing was set
            nothing = "none" if prefix.startswith("settings ") else "unknown"
            rows.append((prefix.replace("_", " "), nothing if value is None else _word(value)))

    walk("", study.provenance)
    stated = {"tokens", "weighting", "seed"}
    rows += [
        (name.replace("_", " "), _word(value)) for name, value in vars(study.options).items() if name not in stated
    ]
    return rows


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


__all__ = ["sections", "why"]
