"""A study on one screen."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from routesig._absent import by_reason
from routesig._p_value import PValue
from routesig._study._headline import NOT_CLAIMED, in_headline, labelled, percent
from routesig._study._paper import PAPER, comparable
from routesig._study._parts import Control, ControlSummary, Group
from routesig._text import one_line

if TYPE_CHECKING:
    from routesig._study._result import Study

_WIDTH = 100
_DASH = "-"


def study_text(study: "Study") -> str:
    """What `print(study)` shows."""
    lines = [*_wrapped(study.headline), ""]
    beside = comparable(study)
    rows = [("", "this study", "the paper (*)"), *study.paper()]
    lines += _table([row[: 2 + beside] for row in rows])
    lines += ["", *_controls(study), "", *_findings(study), *_absent(study)]
    if beside:
        lines += _wrapped("(*) OLMoE-1B-7B-0125-Instruct on 80 prompts of its own: another model, other prompts.")
    lines += _wrapped(
        "p tests the routing against chance or against that control; the floor is the smallest p this many draws allow."
    )
    lines += _wrapped("Not claimed: " + " ".join(NOT_CLAIMED))
    return "\n".join(lines).rstrip()


def beside_the_paper(study: "Study") -> list[tuple[str, str, str]]:
    """Rows (name, ours, the paper's)."""
    read, info = study.classification, study.provenance
    shape = f"{info['layers']} layers x {info['experts']} experts" + (
        f" x top-{info['top_k']}" if info["top_k"] else ""
    )
    tasks = len(study.category_matrix.tasks)
    rows = [
        ("model", str(info["model"] or "unknown"), "OLMoE-1B-7B-0125-Instruct"),
        ("routing", shape, "16 layers x 64 experts x top-8"),
        ("prompts", f"{len(labelled(study))} of {tasks} task{'s' * (tasks != 1)}", "80 of 4 tasks"),
        ("within a task", _group(study.within), PAPER["within"]),
        ("across tasks", _group(study.across), PAPER["across"]),
        ("Cohen's d", _estimate(study.cohens_d.value, study.cohens_d.ci), PAPER["d"]),
        ("p (label permutation)", _p(study.p_value), "not reported"),
        ("strongest layer", _peak(study), "around 13"),
        ("accuracy", _accuracy(study), PAPER["accuracy"]),
        ("macro F1", _DASH if read.macro_f1 is None else f"{read.macro_f1:.2f}", "0.93"),
    ]
    for name, label in (("permutation", "experts permuted"), ("load_balance", "load balanced")):
        null = study.baselines.get(name)
        if null is not None and null.within is not None and null.across is not None:
            rows.append((label, f"{null.within.mean:.4f} within, {null.across.mean:.4f} across", "a bar in figure 2"))
    return rows


def control_rows(study: "Study") -> list[tuple[str, ...]]:
    """A table: its header, the routing itself, and every control that has a value."""
    header = ("controls", "difference", "Cohen's d", "accuracy", "p")
    real: tuple[str, ...] = (
        "the routing itself",
        _number(study.difference.value),
        _number(study.cohens_d.value, 2),
        _DASH if study.classification.accuracy is None else f"{study.classification.accuracy:.3f}",
        "",
    )
    rows: list[tuple[str, ...]] = [
        (c.name, _range(c.difference), _mean(c.cohens_d, 2), _mean(c.accuracy, 3), _control_p(c))
        for c in study.controls.values()
        if not why_nothing(c)
    ]
    return [header, real, *rows]


def _controls(study: "Study") -> list[str]:
    parts = None if study.decomposition is None else study.decomposition.overall
    lines = _table(control_rows(study))
    if parts is not None and study.decomposition is not None:
        lines.append(
            f"difference {_number(parts.total.value)} = length {_number(parts.length.value)} + vocabulary, at most, "
            f"{_number(parts.vocabulary.value)} + context {_number(parts.context.value)}"
        )
        lines.append(f"{percent(study.decomposition.crossing_share or 0.0)} of the tokens occur in more than one task")
    return lines


def _findings(study: "Study") -> list[str]:
    lines = [
        line
        for finding in study.findings
        if not in_headline(finding)
        for line in _wrapped(f"{finding.severity}: {finding}.")
    ]
    return [*lines, ""] if lines else []


def _absent(study: "Study") -> list[str]:
    lines = [f"left out: {len(study.left_out)} prompts ({study.left_out[0].reason})"] if study.left_out else []
    for reason, names in by_reason(_reasons(study)).items():
        lines += _wrapped(f"absent: {', '.join(names)}: {reason}")
    for reason in study.fewer.values():
        lines += _wrapped(f"fewer: {reason}")
    return [*lines, ""] if lines else []


def _reasons(study: "Study") -> dict[str, str]:
    """Those of the study, and of controls that have nothing to show in a table."""
    return study.absent | {
        f"controls[{control.name}]": why_nothing(control) for control in study.controls.values() if why_nothing(control)
    }


def why_nothing(control: Control) -> str:
    """The reason where a control has no value at all; empty where it has one."""
    values = ("difference", "cohens_d", "accuracy")
    if any(getattr(control, name) is not None for name in values):
        return ""
    return next((control.absent[name] for name in values if name in control.absent), "it was not computed")


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as they need."""
    whole = [tuple(map(one_line, row)) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*whole, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in whole]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _group(group: Group) -> str:
    if group.mean is None:
        return _DASH
    spread = "" if group.sd is None else f" ± {group.sd:.4f}"
    return f"{group.mean:.4f}{spread} ({group.pairs} pair{'s' * (group.pairs != 1)})"


def _estimate(value: float | None, ci: tuple[float, float] | None) -> str:
    if value is None:
        return _DASH
    return f"{value:.2f}" + ("" if ci is None else f" ({ci[0]:.2f} to {ci[1]:.2f})")


def _p(p: PValue | None) -> str:
    return _DASH if p is None else f"{p:.2g} (floor {p.floor:.2g})"


def _peak(study: "Study") -> str:
    known = [(row.cohens_d, row.layer) for row in study.layers if row.cohens_d is not None]
    return f"{max(known)[1]} (d = {max(known)[0]:.2f}; layers count from 0)" if known else _DASH


def _accuracy(study: "Study") -> str:
    read = study.classification
    if read.accuracy is None or read.wilson is None:
        return _DASH
    spread = 100 * (read.accuracy_sd or 0.0)
    return f"{100 * read.accuracy:.1f} % ± {spread:.1f} % ({percent(read.wilson[0])} to {percent(read.wilson[1])})"


def _number(value: float | None, digits: int = 3) -> str:
    return _DASH if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no minus zero


def _mean(value: ControlSummary | None, digits: int) -> str:
    return _number(None if value is None else value.mean, digits)


def _range(value: ControlSummary | None) -> str:
    spread = "" if value is None or value.repetitions == 1 else f" ({value.low:.3f} to {value.high:.3f})"
    return _mean(value, 3) + spread


def _control_p(control: Control) -> str:
    if control.kind == "check":
        return ""
    return control.rank or _DASH if control.p_value is None else _p(control.p_value)
