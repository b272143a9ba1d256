"""A comparison as a page of text, and as what notebooks show."""

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from routesig._absent import by_reason
from routesig._comparison._given import Side
from routesig._html import page, tasks_text
from routesig._p_value import PValue
from routesig._text import one_line

if TYPE_CHECKING:
    from routesig._comparison._alignment import Alignment
    from routesig._comparison._matrix_correlation import MantelTest
    from routesig._comparison._paired_bootstrap import PairedEstimate
    from routesig._comparison._result import Comparison

_WIDTH = 42  # of the first column


def comparison_text(found: "Comparison") -> str:
    """See Comparison.__str__."""
    lines = [f"{len(found.ids)} prompts in both ({tasks_text(found.tasks).partition('(')[2]}, tokens={found.tokens!r}"]
    lines += [f"A  {side_text(found.a)}", f"B  {side_text(found.b)}", ""]
    if found.agreement is not None or found.prompt_similarity is not None:
        lines += [_row("", "observed", "chance")]
        lines += [_row(*row) for row in observed_rows(found)] + [""]
    lines += [*wrap(alignment_text(found.alignment), 110), ""] if found.alignment else []
    lines += [_row("", "A", "B", "B - A") + "  95 % interval of B - A"]
    lines += [_row(name, *estimate_texts(one)) + f"  {interval_text(one)}" for name, one in separations(found)]
    lines += ["", *(f"{name:<{_WIDTH}}{value}" for name, value in _arrangement(found))]
    if found.left_out:
        first = found.left_out[0]
        more = f", and {len(found.left_out) - 1} more" if len(found.left_out) > 1 else ""
        lines += ["", f"left out: {one_line(first.id)} ({first.reason}){more}"]
    remarks = [f"note: {note}" for note in found.notes]
    remarks += [f"absent: {fields}: {reason}" for fields, reason in absent_fields(found)]
    for remark in remarks:
        lines += wrap(remark, 110, subsequent_indent="  ")
    return "\n".join(lines)


def comparison_html(found: "Comparison") -> str:
    """See Comparison._repr_html_."""
    facts = [("A", side_text(found.a)), ("B", side_text(found.b)), ("prompts", tasks_text(found.tasks))]
    facts += [(name, f"{value}, chance {chance}") for name, value, chance in observed_rows(found)]
    facts += [("alignment", alignment_text(found.alignment))] if found.alignment else []
    facts += [
        (name, "A {}, B {}, B - A {} ".format(*estimate_texts(one)) + interval_text(one))
        for name, one in separations(found)
    ]
    facts += [*_arrangement(found)]
    facts += [("left out", f"{len(found.left_out)} prompts")] if found.left_out else []
    facts += [("note", note) for note in found.notes] + [
        (f"no {fields}", reason) for fields, reason in absent_fields(found)
    ]
    names: Sequence[str] = ()
    rows: list[tuple[str, ...]] = []
    if found.agreement is not None:
        assert found.prompt_similarity is not None  # of one shape, as wherever tokens are compared
        names = ("layer", "same sets", "in common", "chance", "cosine")
        cosines = found.prompt_similarity.mean(axis=0).tolist()
        rows = [
            (str(one.layer), *map(_number, (one.exact, one.overlap, one.marginal_chance, cosines[one.layer])))
            for one in found.agreement.layers
        ]
    return page("Comparison", facts, names, rows)


def observed_rows(found: "Comparison") -> list[tuple[str, str, str]]:
    """What is observed, beside chance."""
    rows = []
    if (of := found.agreement) is not None:
        both = f"{_number(of.uniform_chance)} uniform, {_number(of.marginal_chance)} given the loads"
        rows = [
            ("same set of experts (tokens x layers)", _number(of.exact), _number(of.exact_chance)),
            ("experts in common, |A & B| / K", _number(of.overlap), both),
        ]
        if of.top1 is not None:
            rows.append(("same best expert", _number(of.top1), _number(of.top1_chance)))
        counts = of.first_divergent
        rows.append((f"tokens alike in every layer, of {of.tokens:,}", _number(counts[-1] / max(counts.sum(), 1)), "-"))
        if counts[:-1].any():
            half = int(np.searchsorted(np.cumsum(counts[:-1]), counts[:-1].sum() / 2))
            rows.append(("first layer that differs, median", str(half), "-"))
    if found.prompt_similarity is not None:
        chance = f"{_number(found.mean_similarity_chance)} another prompt"
        rows.append(("cosine of a prompt's signatures", _number(found.mean_similarity), chance))
        rows.append(("divergence of loads, bits", _number(_mean(found.load_divergence)), "-"))
    return rows


def alignment_text(of: "Alignment") -> str:
    """Under which numbers the two agree, and how far."""
    ways, where = [], f"{of.scored} prompts"
    if of.shift:
        ways.append(f"layer l of A agrees with layer l {'+' if of.shift > 0 else '-'} 1 of B")
    if of.permutations is not None:
        ways.append(f"the experts of each layer were matched one to one on {of.fitted} prompts")
        where = f"{of.scored} others"
    return (
        f"The two agree under other numbers: {', and '.join(ways)}. Experts in common on {where}: "
        f"{_number(of.after)} (as numbered {_number(of.before)}, by chance {_number(of.chance)})."
    )


def separations(found: "Comparison") -> "list[tuple[str, PairedEstimate]]":
    return [("D, within less across tasks", found.difference), ("Cohen's d", found.cohens_d)]


def _arrangement(found: "Comparison") -> list[tuple[str, str]]:
    rows = [("Spearman of the similarity matrices", _number(found.correlation.spearman))]
    for within, test, remark in mantel_tests(found):
        value = f"{_p(test.p_value)}; {remark.format(_number(test.null_mean))}"
        rows.append((f"  Mantel's p, permuted {within or 'freely'}", value))
    return [*rows, ("CKA of the signatures, unbiased", _number(found.cka))]


def mantel_tests(found: "Comparison") -> "list[tuple[str, MantelTest, str]]":
    """What the prompts were permuted within ("": nothing), the test, and a remark that has room for its null's mean."""
    of = found.correlation
    tests = (
        ("", of.free, "rejects wherever both separate tasks"),
        ("within tasks", of.within_tasks, "tasks alone give {}"),
        ("within groups", of.within_groups, "groups alone give {}"),
    )
    return [(within, test, remark) for within, test, remark in tests if test is not None]


def absent_fields(found: "Comparison") -> list[tuple[str, str]]:
    """Fields and the reason, each reason once."""
    absent = dict(found.absent)
    if "spearman" in found.correlation.absent:
        absent["correlation"] = found.correlation.absent["spearman"]
    return [(", ".join(fields), reason) for reason, fields in by_reason(absent, _field).items()]


def _field(name: str) -> str:
    return name.partition(".")[0] + (" (intervals)" if name.endswith(".interval") else "")


def side_text(side: Side) -> str:
    known = [one_line(text) for text in (side.model or "unknown model", side.dtype) if text]
    top_k = "" if side.top_k is None else f" x top-{side.top_k}"
    tokens = "" if side.tokens_a_prompt is None else f", {side.tokens_a_prompt:.1f} tokens per prompt"
    return f"{' '.join(known)}: {side.layers} layers x {side.experts} experts{top_k}{tokens}"


def _row(name: str, *values: str) -> str:
    return f"{name:<{_WIDTH}}" + "".join(f"  {value:>8}" for value in values)


def estimate_texts(one: "PairedEstimate") -> tuple[str, str, str]:
    return _number(one.a.value), _number(one.b.value), _number(one.difference.value, "+")


def interval_text(one: "PairedEstimate") -> str:
    found = one.difference.interval
    return "-" if found is None else f"{_number(found.low, '+')} to {_number(found.high, '+')}"


def _p(p: PValue) -> str:
    return f"{p.value:.2g}{' (its floor)' if p.at_floor else ''}"


def _mean(values: Any) -> float | None:
    return float(values.mean()) if values.count() else None


def _number(value: float | None, sign: str = "") -> str:
    if value is None:
        return "-"
    small = value != 0 and abs(value) < 0.0005
    return format(float(value), f"{sign}.2g" if small else f"{sign}.4f")
