"""What the figures draw, as plain numbers."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from routesig._report._comparison import agreement_data
from routesig._report._confusion import confusion_data
from routesig._report._numbers import plain
from routesig._report._packing import packed, size
from routesig._report._prompts import Prompts

_BINS = 60
_LOAD_BYTES = 1_000_000  # of the page that loads of tasks may take
BASELINES = {
    "permutation": "experts permuted",
    "load_balance": "load balance",
    "marginal": "popular experts",
    "token_pool": "tokens pooled",
}

_TERMS = {"permutation": "permuted", "load_balance": "load_balance", "marginal": "marginal", "token_pool": "pool"}


def figure_data(study: Any, prompts: Prompts) -> dict[str, Any]:
    """One entry a figure; None where there is nothing to draw."""
    return {
        "categories": categories(study),
        "baselines": baselines(study),
        "layers": layers(study),
        "pca": points(study.pca, prompts),
        "tsne": points(study.tsne, prompts),
        "null": null(study),
        "decomposition": decomposition(study),
        "ladder": ladder(study),
        "confusion": confusion_data(study),
        "evidence": evidence(study),
        "load": load(study),
        "agreement": agreement_data(study.comparison),
    }


def categories(study: Any) -> dict[str, Any] | None:
    """Mean similarity of every pair of tasks, and how many pairs of prompts it rests on."""
    matrix = study.category_matrix
    if matrix is None or not np.any(matrix.pairs):
        return None
    return {"tasks": list(matrix.tasks), "mean": plain(matrix.mean), "pairs": plain(matrix.pairs)}


def baselines(study: Any) -> dict[str, Any] | None:
    """Within and across of every baseline: mean and the middle 95 % of its repetitions."""
    rows = []
    for name, one in study.baselines.items():
        if name != "load_balance":
            rows.append(_baseline(BASELINES.get(name, name), one))
            continue
        by_tokens = study.load_balance
        for tokens, found in (by_tokens or {study.options.tokens: one}).items():
            rows.append(_baseline(f"load balance, {_SETS[tokens]}", found))
    rows = [row for row in rows if row["within"] or row["across"]]
    if not rows:
        return None
    terms = [_TERMS[name] for name in study.baselines if name in _TERMS]
    return {"rows": rows, "within": study.within.mean, "across": study.across.mean, "terms": terms}


_SETS = {"all": "all tokens", "prompt": "prompt tokens", "generation": "generated tokens"}


def _baseline(name: str, one: Any) -> dict[str, Any]:
    def drawn(found: Any) -> Any:
        return None if found is None else plain([found.mean, found.low, found.high])

    return {
        "name": name,
        "within": drawn(one.within),
        "across": drawn(one.across),
        "tokens": None if one.token_range is None else plain(one.token_range),
        "observed": plain([one.observed.within.mean, one.observed.across.mean]),
    }


def layers(study: Any) -> dict[str, Any] | None:
    """Every layer: d with its interval, D, debiased D, information, and D of control models."""
    rows = study.layers
    if all(row.difference is None and row.information is None for row in rows):
        return None
    views = {"d": "cohens_d", "difference": "difference", "information": "information"}
    return {
        "known": [view for view, name in views.items() if any(getattr(row, name) is not None for row in rows)],
        "d": plain([row.cohens_d for row in rows]),
        "low": plain([row.ci[0] if row.ci else None for row in rows]),
        "high": plain([row.ci[1] if row.ci else None for row in rows]),
        "adjusted": [None if row.adjusted is None else plain([row.adjusted, row.adjusted.floor]) for row in rows],
        "within": plain([row.within for row in rows]),
        "across": plain([row.across for row in rows]),
        "difference": plain([row.difference for row in rows]),
        "debiased": plain([row.debiased for row in rows]),
        "information": plain([row.information for row in rows]),
        "controls": {
            name: plain(control.layers) for name, control in study.controls.items() if control.layers is not None
        },
    }


def points(found: Any, prompts: Prompts) -> dict[str, Any] | None:
    """Two coordinates a prompt."""
    if found is None or found.points is None or found.points.shape[1] < 2:
        return None
    chosen = found.points[prompts.order]
    explained = getattr(found, "explained_variance_ratio", None)
    return {
        "x": plain(chosen[:, 0]),
        "y": plain(chosen[:, 1]),
        "explained": None if explained is None else plain(explained[:2]),
    }


def null(study: Any) -> dict[str, Any] | None:
    """Histograms of D: labels permuted, and words that take their routing from any prompt."""
    test, shuffled = study.permutation_test, study.token_shuffle
    series = []
    if test is not None and test.difference is not None and len(test.null):
        series.append(("labels", "labels permuted", test.null))
    if shuffled is not None and shuffled.difference is not None:
        series.append(("words", "routing of another occurrence", shuffled.draws))
    if not series or study.difference.value is None:
        return None
    return {
        "observed": plain(study.difference.value),
        "series": [{"key": key, "name": name, **_histogram(values)} for key, name, values in series],
    }


def _histogram(values: ArrayLike) -> dict[str, Any]:
    array = np.asarray(values, dtype=np.float64)
    counts, edges = np.histogram(array, bins=min(_BINS, max(8, int(np.sqrt(len(array))))))
    return {
        "draws": len(array),
        "share": plain(counts / max(1, len(array))),
        "middle": plain((edges[1:] + edges[:-1]) / 2),
        "width": plain(edges[1] - edges[0], 8),
    }


PARTS = ("length", "vocabulary", "context")


def decomposition(study: Any) -> dict[str, Any] | None:
    """Length, vocabulary and context of D, layer by layer with bands."""
    found = study.decomposition
    if found is None or not any(found.layers):
        return None
    parts = {
        name: {
            "value": plain([None if layer is None else getattr(layer, name).value for layer in found.layers]),
            "band": [None if layer is None else plain(getattr(layer, name).band) for layer in found.layers],
        }
        for name in PARTS
    }
    return {"parts": parts, "total": plain([None if layer is None else layer.total.value for layer in found.layers])}


def ladder(study: Any) -> dict[str, Any] | None:
    """Experts shared by two tokens, rung by rung, over layers and in the mean."""
    found = study.overlap_ladder
    if found is None or not any(value is not None for value in found.overlap.values()):
        return None
    return {
        "rungs": list(found.overlap),
        "mean": plain(list(found.overlap.values())),
        "chance": plain(found.chance),
        "layers": {rung: plain([layer.overlap[rung] for layer in found.layers]) for rung in found.overlap},
    }


def evidence(study: Any) -> dict[str, Any] | None:
    """Bits about the task after the first t tokens."""
    found = study.information.evidence
    if found is None or not found.bits:
        return None
    return {
        "t": list(found.prefixes),
        "bits": {name: plain(values) for name, values in found.bits.items()},
        "error": {name: plain(values) for name, values in found.standard_error.items()},
        "ended": list(found.ended),
        "entropy": plain(found.entropy_bits),
    }


def load(study: Any) -> dict[str, Any] | None:
    """Shares of experts [layers, experts] of all prompts and of every task; None where a layer has no token."""
    if study.load is None or not study.load.shares.size:
        return None
    groups = [("all prompts", study.load, 0)]
    if study.load_by_task is not None:
        groups += [(f"task {name}", study.load_by_task, i) for i, name in enumerate(study.load_by_task.names)]
    entries: list[dict[str, Any]] = []
    room = _LOAD_BYTES
    for name, found, i in groups:
        entry = {
            "name": name,
            **_shares(found.shares[i]),
            "entropy": plain(found.entropy[i]),
            "unused": plain(found.unused[i]),
            "chance_unused": None if found.chance is None else plain(found.chance.unused[i]),
            "chance_entropy": None if found.chance is None else plain(found.chance.entropy[i]),
        }
        room -= size(entry["shares"])
        if entries and room < 0:
            break
        entries.append(entry)
    unused = any(int(np.ma.sum(found.unused[i])) > 0 for _, found, i in groups[: len(entries)])
    return {"groups": entries, "left_out": len(groups) - len(entries), "any_unused": unused}


def _shares(shares: Any) -> dict[str, Any]:
    """Shares in steps of a 65,535th of the largest; no step is 0 where an expert was picked."""
    values = np.ma.filled(shares, 0.0)
    step = float(values.max(initial=0.0)) / 65_535 or 1.0
    steps = np.maximum(np.rint(values / step), values > 0)
    return {"shares": packed(steps.astype(np.uint16)), "step": step}
