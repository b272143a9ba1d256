"""The top of the page: what was studied, the key numbers, where the difference comes from, the paper beside it."""

from collections import Counter
from typing import Any

from routesig._report._numbers import ABSENT, decimal, floor, interval, percent, significant, true_minus
from routesig._study._headline import headline, in_headline
from routesig._study._paper import PAPER, comparable
from routesig.controls._decomposition import LEAST_CROSSING

TOKEN_SETS = {"all": "prompt and generated tokens", "prompt": "prompt tokens", "generation": "generated tokens"}


def summary(study: Any) -> dict[str, Any]:
    """Everything above the first figure."""
    return {
        "model": str(study.provenance.get("model") or study.signatures.info.get("model") or "an unnamed model"),
        "facts": _facts(study),
        "headline": [_shown(sentence) for sentence in headline(study)],
        "numbers": _numbers(study),
        "origin": origin(study),
        "paper": study.paper() if comparable(study) else None,
        "left_out": list(study.left_out),
        "findings": [(found.severity, _shown(str(found))) for found in study.findings if not in_headline(found)],
    }


def _shown(sentence: str) -> str:
    return true_minus(sentence.replace(" %", "\u00a0%"))


def readout(study: Any) -> list[tuple[str, str]]:
    """What stands beside the similarity matrix before anything else is chosen."""
    return [
        ("within", decimal(study.within.mean)),
        ("across", decimal(study.across.mean)),
        ("difference", decimal(study.difference.value)),
        ("d", decimal(study.cohens_d.value, 2)),
    ]


def _facts(study: Any) -> list[str]:
    sigs = study.signatures
    labelled = Counter(task for task in sigs.tasks if task is not None)
    unlabelled = sum(task is None for task in sigs.tasks)
    facts = [_count(len(sigs), "prompt"), _count(len(labelled), "task")]
    if unlabelled:
        facts.append(f"{unlabelled:,} without a task, left out of tests")
    top_k = sigs.info.get("top_k")
    facts.append(
        f"{sigs.layers} layer{'s' * (sigs.layers != 1)} \u00d7 {sigs.experts} experts"
        + ("" if top_k is None else f", {top_k} per token")
    )
    if sigs.num_tokens is not None and len(sigs):
        facts.append(f"{int(sigs.num_tokens.sum()):,} {TOKEN_SETS[study.options.tokens]}")
    return facts


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _numbers(study: Any) -> list[dict[str, Any]]:
    """Tiles: a term, its value, what stands below it; `reason` where it is absent."""
    read, shuffled, p = study.classification, study.token_shuffle, study.p_value
    d, difference = study.cohens_d, study.difference
    tiles = [
        _tile("within", study.within.mean, decimal(study.within.mean), _group(study.within)),
        _tile("across", study.across.mean, decimal(study.across.mean), _group(study.across)),
        _tile("difference", difference.value, decimal(difference.value), _range(difference)),
        _tile("d", d.value, decimal(d.value, 2), _range(d, 2)),
        _tile("p", p, "" if p is None else significant(p), None if p is None else floor(p)),
        _tile("accuracy", read.accuracy, percent(read.accuracy), _accuracy(read)),
        _lexical(shuffled),
    ]
    keys = {"difference": "difference", "d": "cohens_d", "p": "p_value", "accuracy": "classification"}
    for tile in tiles:
        reported = PAPER.get(tile["term"]) if comparable(study) else None
        tile["paper"] = reported and reported.replace(" ", "\u00a0")
        if tile["value"] == ABSENT and tile["reason"] is None:
            field = keys.get(tile["term"], "token_shuffle" if tile["term"] == "lexical" else tile["term"])
            tile["reason"] = why(study, field)
    return tiles


def _tile(term: str, value: Any, text: str, below: str | None) -> dict[str, Any]:
    return {"term": term, "value": text if value is not None else ABSENT, "below": below, "reason": None}


def _group(group: Any) -> str | None:
    sd = "" if group.sd is None else f"\u00b1 {decimal(group.sd)}, "
    return f"{sd}{_count(group.pairs, 'pair')}"


def _range(estimate: Any, places: int = 3) -> str | None:
    limits = interval(estimate.ci, places)
    return None if limits is None else "95\u00a0%: " + limits.replace(" ", "\u00a0")  # breaks after the colon alone


def _accuracy(read: Any) -> str | None:
    if read.accuracy is None:
        return None
    low, high = read.wilson
    return f"95\u00a0%: {decimal(100 * low, 0)} to {percent(high, 0)}, chance {percent(read.chance, 0)}"


def _lexical(shuffled: Any) -> dict[str, Any]:
    """The most that words account for; absent where too few tokens can cross tasks to say so."""
    share = None if shuffled is None else shuffled.lexical_share
    if share is None:
        return _tile("lexical", None, "", None)
    crossing = f"{percent(shuffled.crossing_share, 0)} of the tokens occur in more than one task"
    if shuffled.crossing_share < LEAST_CROSSING:
        return {**_tile("lexical", None, "", None), "reason": f"only {crossing}"}
    return _tile("lexical", share, f"\u2264 {percent(min(max(share, 0.0), 1.0), 0)}", f"of D; {crossing}")


def origin(study: Any) -> dict[str, Any] | None:
    """D as a bar of three parts; the bar itself only where no part is below zero by more than its rounding."""
    found = study.decomposition
    if found is None or found.overall is None or not found.overall.total.value:
        return None
    total = found.overall.total.value
    parts = []
    for name in ("length", "vocabulary", "context"):
        part = getattr(found.overall, name)
        parts.append(
            {
                "term": name,
                "value": decimal(part.value),
                "share": part.value / total,
                "percent": percent(part.value / total, 0) if 0 <= part.value / total <= 1 else "",
                "band": interval(part.band),
            }
        )
    drawable = total > 0 and all(part["share"] > -0.02 for part in parts)
    return {"total": decimal(total), "parts": parts, "drawable": drawable}


def why(study: Any, field: str) -> str:
    """Why a field of the study is absent."""
    if field in study.absent:
        return str(study.absent[field])
    inside = getattr(getattr(study, field, None), "absent", None)
    if isinstance(inside, dict) and inside:
        return str(next(iter(inside.values())))
    if field == "baselines":
        parts = [dict(one.absent) for one in study.baselines.values()]
        parts.append({key: reason for key, reason in study.absent.items() if key.startswith("baselines[")})
        return next((str(reason) for part in parts for reason in part.values()), "no baseline could be drawn")
    for name in ("permutation_test", "bootstrap", "classification", "token_shuffle"):
        reasons = getattr(getattr(study, name, None), "absent", {})
        if field in reasons:
            return str(reasons[field])
    return "not part of this study"
