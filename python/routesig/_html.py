"""What notebooks show of our objects: escaped, without colours of its own or anything to fetch."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from routesig import _core

if TYPE_CHECKING:
    from routesig._signatures import SignatureSet
    from routesig._study import Study

_ROWS = 5  # prompts shown
_TOKENS = 32  # of a trace
_LENGTH = 60  # characters of a text shown
_STYLE = "text-align:left;padding:0.1em 1.2em 0.1em 0"  # notebooks set tables to the right otherwise


def traces_html(traces: _core.TraceSet) -> str:
    """See TraceSet._repr_html_."""
    info = traces.info
    if info is None:
        return page("TraceSet", [("prompts", "0")])
    lengths = [len(trace) for trace in traces]
    facts = [
        ("model", _short(info.model_name) or "unknown"),
        ("routing", f"{info.layers} layers x {info.experts} experts x top-{info.top_k}"),
        ("prompts", tasks_text(traces.tasks)),
        ("tokens", f"{sum(lengths):,}{'' if traces.complete else ' (the file was cut off)'}"),
    ]
    counts = (
        ("unknown rows", sum(trace.unknown_rows for trace in traces)),
        ("rows not finite", sum(trace.nonfinite_rows for trace in traces)),
        ("tokens dropped", traces.dropped_tokens),
    )
    facts += [(name, f"{count:,}") for name, count in counts if count]
    rows = [(t.id, _or_dash(t.task), str(t.prompt_tokens), str(len(t)), t.text) for t in traces[:_ROWS]]
    names = ("id", "task", "prompt tokens", "tokens", "text")
    return page("TraceSet", facts, names, rows, _more(len(traces) - len(rows)))


def trace_html(trace: _core.RoutingTrace) -> str:
    """See RoutingTrace._repr_html_: the best expert of each layer, of the first tokens."""
    info = trace.info
    facts = [
        ("id", _short(trace.id) or "-"),
        ("task", _short(_or_dash(trace.task))),
        ("routing", f"{info.layers} layers x {info.experts} experts x top-{info.top_k}"),
        ("tokens", f"{len(trace):,} ({trace.prompt_tokens:,} of the prompt)"),
        ("text", _short(trace.text) or "-"),
    ]
    shown = min(_TOKENS, len(trace))
    words = trace.token_texts or [str(position) for position in trace.positions]
    names = ["best expert of layer", *(_short(word.strip()) or "␣" for word in words[:shown])]
    best, known = trace.experts[:, :shown, 0], trace.valid
    rows = [
        [str(layer), *(str(best[layer, i]) if known[layer, i] else "-" for i in range(shown))]
        for layer in range(info.layers)
    ]
    more = f"{len(trace) - shown:,} more tokens" if len(trace) > shown else ""
    return page("RoutingTrace", facts, names, rows if shown else [], more)


def signatures_html(sigs: "SignatureSet") -> str:
    """See SignatureSet._repr_html_."""
    info = sigs.info
    facts = [
        ("model", _short(str(info.get("model") or "unknown"))),
        ("shape", f"{len(sigs)} prompts x {sigs.layers} layers x {sigs.experts} experts"),
        ("prompts", tasks_text(sigs.tasks)),
        ("counted", _short(f"tokens={info.get('tokens', 'all')!r}, weighting={info.get('weighting', 'count')!r}")),
    ]
    tokens = ["-"] * len(sigs) if sigs.num_tokens is None else [str(n) for n in sigs.num_tokens]
    rows = [
        (sigs.ids[i], _or_dash(sigs.tasks[i]), _or_dash(sigs.groups[i]), tokens[i])
        for i in range(min(_ROWS, len(sigs)))
    ]
    return page(
        "SignatureSet", facts, ("id", "task", "group", "tokens"), rows, _more(len(sigs) - len(rows)), _load(sigs)
    )


def study_html(study: "Study") -> str:
    """See Study._repr_html_."""
    return page("Study", _study_facts(study), picture=_headline(study))


def study_page(study: "Study", pictures: Mapping[str, bytes]) -> str:
    """What `Study.show` displays: with the controls, and PNG pictures by what they show."""
    from routesig._study._text import control_rows

    images = "".join(
        f'<img style="max-width:48%" alt="{escape(name)}" src="data:image/png;base64,{b64encode(png).decode()}">'
        for name, png in pictures.items()
    )
    names, *rows = control_rows(study)
    return page("Study", _study_facts(study), names, rows, picture=_headline(study) + f"<div>{images}</div>")


def _study_facts(study: "Study") -> list[tuple[str, str]]:
    return [(name, ours) for name, ours, _ in study.paper()]


def _headline(study: "Study") -> str:
    return f'<div style="max-width:46em">{escape(study.headline)}</div>'


def page(
    name: str,
    facts: Iterable[tuple[str, str]],
    names: Sequence[str] = (),
    rows: Sequence[Sequence[str]] = (),
    more: str = "",
    picture: str = "",
) -> str:
    """A heading, facts, a picture, and the first rows, with what is not shown. The notebook's own colours are used."""
    heading = f'<div style="font-weight:bold">{escape(name)}</div>'
    cell = f'<td style="{_STYLE}">'
    listed = "".join(f"<tr>{cell}{escape(key)}</td>{cell}{escape(value)}</td></tr>" for key, value in facts)
    first = ""
    if rows:
        head = "".join(f'<th style="{_STYLE}">{escape(column)}</th>' for column in names)
        body = "".join("<tr>" + "".join(_cell(text) for text in row) + "</tr>" for row in rows)
        rest = f'<div style="opacity:0.7">{escape(more)}</div>' if more else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        first = f'<div style="overflow-x:auto">{table}</div>{rest}'
    # Notebooks would read a dollar in a prompt as mathematics.
    return (
        f'<div class="tex2jax_ignore mathjax_ignore">{heading}<table><tbody>{listed}</tbody></table>'
        f"{picture}{first}</div>"
    )


def _more(count: int) -> str:
    return f"{count:,} more" if count > 0 else ""


def _cell(text: str) -> str:
    return f'<td style="{_STYLE}">{escape(_short(text))}</td>'


def _short(text: str) -> str:
    line = " ".join(text[: 2 * _LENGTH].split())
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"


def _or_dash(text: str | None) -> str:
    return "-" if text is None else text


def tasks_text(tasks: Sequence[str | None]) -> str:
    counts = Counter("unlabelled" if task is None else task for task in tasks)
    listed = ", ".join(f"{count} {_short(task)}" for task, count in counts.most_common(8))
    more = "" if len(counts) <= 8 else f", {len(counts) - 8} more tasks"
    return f"{len(tasks):,} ({listed}{more})" if counts else "0"


def _load(sigs: "SignatureSet") -> str:
    """A bar a layer: the share of the layer's busiest expert, over all prompts."""
    if sigs.values.size == 0:
        return ""
    peaks = sigs.values.mean(axis=0).max(axis=1)
    width, height, bar = 6 * len(peaks), 30, 5
    top = float(peaks.max()) or 1.0
    bars = "".join(
        f'<rect x="{6 * layer}" y="{height * (1 - peak / top):.1f}" width="{bar}" height="{height * peak / top:.1f}">'
        f"<title>layer {layer}: {peak:.3f}</title></rect>"
        for layer, peak in enumerate(peaks)
    )
    return (
        f"<div>busiest expert of each layer, largest share {top:.3f} (uniform: {1 / sigs.experts:.3f})</div>"
        f'<svg width="{width}" height="{height}" fill="currentColor" opacity="0.7" role="img">{bars}</svg>'
    )
