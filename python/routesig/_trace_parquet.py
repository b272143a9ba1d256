"""Traces in Parquet files: one row per token, what is known of a prompt in the schema's metadata (docs/formats.md)."""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._optional import need
from routesig._parquet import TRACES, ParquetReader, dictionary_of, open_parquet, write_parquet
from routesig._tables import TYPES, joined, repeated, token_ids, token_texts

_PROMPTS = "routesig.prompts"  # the prompt lines of the JSONL file
_ENDS = "routesig.prompt_ends"  # [{"id", "tokens", "nonfinite_rows", "weights"}]


def save_traces(traces: _core.TraceSet, path: str | os.PathLike[str]) -> None:
    """Write a Parquet file."""
    arrow = need("pyarrow", "Parquet files")
    header, prompts = _core.jsonl_head(traces).split(b"\n", 1)  # refuses what no trace file can say
    weighted = [len(trace) > 0 and trace.weights is not None for trace in traces]
    ends = [
        {"id": t.id, "tokens": len(t), "nonfinite_rows": t.nonfinite_rows, "weights": has}
        for t, has in zip(traces, weighted, strict=True)
    ]
    lengths = [len(trace) for trace in traces]
    types = _column_types(traces[0].info)
    token, absent = token_ids(traces)
    columns = {
        "prompt": dictionary_of(*repeated(traces.ids, lengths)),
        "task": dictionary_of(*repeated(traces.tasks, lengths)),
        "group": dictionary_of(*repeated([trace.group for trace in traces], lengths)),
        "position": arrow.array(joined([trace.positions for trace in traces])),
        "type": dictionary_of(joined([trace.token_types for trace in traces]), TYPES),
        "token": arrow.array(token, mask=absent),
        "token_text": arrow.array(token_texts(traces), types["token_text"]),
        "experts": _lists(np.concatenate([trace.experts.transpose(1, 0, 2) for trace in traces])),
    }
    if any(weighted):
        weights = [np.full(t.experts.shape, np.nan, np.float32) if t.weights is None else t.weights for t in traces]
        columns["weights"] = _lists(np.concatenate([part.transpose(1, 0, 2) for part in weights]))
    metadata = {TRACES: header, _PROMPTS: prompts, _ENDS: json.dumps(ends, ensure_ascii=False, separators=(",", ":"))}
    schema = arrow.schema([(name, types[name]) for name in columns], metadata)
    write_parquet(arrow.table(columns, schema=schema), path)


def read_traces(
    path: str | os.PathLike[str], *, drop_invalid: bool = False, max_bytes: int | None = None
) -> _core.TraceSet:
    """Read what `save_traces` wrote; the options as in `routesig.read_traces`."""
    with open_parquet(path, TRACES, max_bytes=max_bytes) as file:
        head = _head(file)
        assert head.info is not None
        types = _column_types(head.info)
        nullable = {"task", "group", "token", "token_text"}
        table = file.table(types, nullable=nullable, optional={"weights"}, coded=("token_text",))
        table, lengths = _by_prompt(file, table, head)
        ends = _ends(file, head.ids, lengths)
        weighted = np.repeat([end["weights"] for end in ends], lengths)
        columns = _Columns(file, table, head.info, weighted)
        stops = np.cumsum(lengths)
        tokens = [np.arange(stop - length, stop) for stop, length in zip(stops, lengths, strict=True)]
        kept = [columns.ascending(rows, name, drop_invalid) for rows, name in zip(tokens, head.ids, strict=True)]
        infos, prompts, run, _, _ = head.__getstate__()
        filled = []
        for i, (info, (sequence, *_)) in enumerate(prompts):
            *labels, prompt_tokens, fields = sequence
            prompt_tokens = max(0, prompt_tokens - columns.prompt_tokens(tokens[i]) + columns.prompt_tokens(kept[i]))
            counts = (ends[i]["nonfinite_rows"], len(tokens[i]) - len(kept[i]))
            filled.append((info, ((*labels, prompt_tokens, fields), *columns.state(kept[i], head.ids[i]), *counts)))
        traces = _core.TraceSet.__new__(_core.TraceSet)  # put together as pickle does it
        traces.__setstate__((infos, filled, run, True, []))
    return traces


def _column_types(info: _core.RoutingInfo) -> dict[str, Any]:
    arrow = need("pyarrow", "Parquet files")
    text = arrow.dictionary(arrow.int32(), arrow.string())
    return {
        "prompt": text,
        "task": text,
        "group": text,
        "position": arrow.int32(),
        "type": text,
        "token": arrow.int32(),
        "token_text": arrow.string(),
        "experts": arrow.list_(arrow.list_(arrow.uint16(), info.top_k), info.layers),
        "weights": arrow.list_(arrow.list_(arrow.float32(), info.top_k), info.layers),
    }


def _lists(array: NDArray[Any]) -> Any:
    """[tokens, layers, top_k] as lists of lists."""
    arrow = need("pyarrow", "Parquet files")
    _, layers, top_k = array.shape
    inner = arrow.FixedSizeListArray.from_arrays(arrow.array(array.reshape(-1)), top_k)
    return arrow.FixedSizeListArray.from_arrays(inner, layers)


def _head(file: ParquetReader) -> _core.TraceSet:
    """The prompts, without their tokens."""
    lines = file.value(TRACES) + b"\n" + file.value(_PROMPTS)
    head = _core.parse_jsonl_head(lines, f"{file.name}, the schema's metadata")
    if len(head) == 0 or any(len(trace) for trace in head):
        file.fail("expected a header and prompt lines in the schema's metadata, found something else")
    return head


def _by_prompt(file: ParquetReader, table: Any, head: _core.TraceSet) -> tuple[Any, NDArray[np.intp]]:
    """The table with its rows in the order of the prompts, and how many each has."""
    prompts = file.prompts(table["prompt"], head.ids)
    file.check_labels(table["task"], "task", prompts, head.ids, head.tasks)
    file.check_labels(table["group"], "group", prompts, head.ids, [trace.group for trace in head])
    if (np.diff(prompts) < 0).any():
        table = table.take(np.argsort(prompts, kind="stable"))
    return table, np.bincount(prompts, minlength=len(head))


def _ends(file: ParquetReader, ids: list[str], lengths: NDArray[np.intp]) -> list[dict[str, Any]]:
    """What is said at the end of every prompt; the count of its tokens must agree."""
    ends = file.json(_ENDS)
    if not isinstance(ends, list) or [end.get("id") for end in ends if isinstance(end, dict)] != ids:
        file.fail(f"expected an entry for each of the {len(ids)} prompts in {_ENDS!r}, found something else")
    for end, length in zip(ends, lengths, strict=True):
        where = f"(prompt {end['id']!r})"
        tokens = end.get("tokens")
        if type(tokens) is not int or tokens != int(length):
            file.fail(f"expected {tokens!r} tokens, found {length} {where}")
        rows = end.get("nonfinite_rows")
        if type(rows) is not int or not 0 <= rows < 2**63:
            file.fail(f"expected nonfinite_rows of 0 or more, found {rows!r} {where}")
        if not isinstance(end.get("weights"), bool):
            file.fail(f"expected weights to be true or false in {_ENDS!r}, found {end.get('weights')!r} {where}")
    return ends


class _Columns:
    """A table's columns as arrays, checked."""

    def __init__(self, file: ParquetReader, table: Any, info: _core.RoutingInfo, weighted: NDArray[np.bool_]) -> None:
        self._file = file
        shape = (table.num_rows, info.layers, info.top_k)
        codes, names = file.codes(table["type"])
        for code in np.unique(codes):
            if names[code] not in TYPES:
                file.fail(f"expected column 'type' to be one of {', '.join(TYPES)}, found {names[code]!r}")
        self._types = np.array([TYPES.index(name) if name in TYPES else 0 for name in names], np.uint8)[codes]
        weights = np.zeros((shape[0], 0), np.float32)
        if "weights" in table.column_names:
            weights = file.numbers(table["weights"]).reshape(shape)
        elif weighted.any():
            file.fail("expected one column 'weights', found none")
        everywhere = np.ones(shape[0], np.bool_)
        self._arrays: dict[str, tuple[Any, NDArray[np.bool_]]] = {  # values, and where there are any
            "experts": (file.numbers(table["experts"]).reshape(shape), everywhere),
            "weights": (weights, weighted),
            "token": (file.numbers(table["token"].fill_null(0)), file.known(table["token"])),
            "position": (file.numbers(table["position"]), everywhere),
            "token_text": self._texts(table["token_text"]),
        }
        for name in ("position", "token"):
            values, _ = self._arrays[name]
            if (values < 0).any():
                file.fail(f"expected column {name!r} of 0 or more, found {values.min()}")

    def _texts(self, column: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Texts a row; equal ones are one object, and what they take as C++ strings is asked before it is taken."""
        codes, texts = self._file.codes(column)
        lengths = np.array([*(len((text or "").encode()) for text in texts), 0], np.int64)  # 0 of code -1
        self._file.check_memory(int(lengths[codes].sum()))
        return np.array([*texts, None], object)[codes], codes >= 0

    def ascending(self, rows: NDArray[np.intp], id: str, drop_invalid: bool) -> NDArray[np.intp]:
        """Of the rows of a prompt those to keep; where positions do not ascend, the file is refused or they drop."""
        positions = self._arrays["position"][0][rows]
        wrong = np.flatnonzero(np.diff(positions) <= 0)
        if not len(wrong):
            return rows
        if not drop_invalid:
            token = int(wrong[0]) + 1
            self._file.fail(
                f"expected positions that ascend, got {positions[token]} after {positions[token - 1]} at token {token} "
                f"(prompt {id!r}; drop_invalid keeps the later of two tokens at one position)"
            )
        return rows[_core.kept_tokens(positions)]

    def prompt_tokens(self, rows: NDArray[np.intp]) -> int:
        """How many of these rows are tokens of the prompt."""
        return int((self._types[rows] == TYPES.index("prompt")).sum())

    def state(self, rows: NDArray[np.intp], id: str) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes, list[str]]:
        """What a RoutingTrace pickles between its labels and its counts."""

        def part(name: str) -> Any:
            values, known = self._arrays[name]
            if not known[rows].any():
                return values[:0]
            if not known[rows].all():
                self._file.fail(f"expected column {name!r} on every row of prompt {id!r} or on none, found both")
            return values[rows]

        experts, weights, token, position = (part(n).tobytes() for n in ("experts", "weights", "token", "position"))
        return experts, weights, b"", token, position, self._types[rows].tobytes(), part("token_text").tolist()
