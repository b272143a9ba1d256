"""Signatures as Arrow tables and Parquet files: one row for each prompt, layer and expert (docs/formats.md)."""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._optional import need
from routesig._parquet import SIGNATURES, ParquetReader, dictionary_of, open_parquet
from routesig._signature_checks import check_signatures
from routesig._signatures import SignatureSet
from routesig._tables import grid, repeated

_FORMAT, _VERSION = "routesig-signatures", 1


def signature_table(sigs: SignatureSet) -> Any:
    """See SignatureSet.to_arrow."""
    arrow = need("pyarrow", "Arrow tables")
    if len(set(sigs.ids)) != len(sigs):
        twice = next(name for i, name in enumerate(sigs.ids) if name in sigs.ids[:i])
        raise ValueError(f"signatures: expected a different id for each prompt of a table, got {twice!r} twice")
    cells = sigs.layers * sigs.experts
    columns = {
        "prompt": dictionary_of(*repeated(sigs.ids, cells)),
        "task": dictionary_of(*repeated(sigs.tasks, cells)),
        "group": dictionary_of(*repeated(sigs.groups, cells)),
        **{name: arrow.array(column) for name, column in grid(sigs).items()},
    }
    types = _column_types()
    schema = arrow.schema([(name, types[name]) for name in columns], {SIGNATURES: _header(sigs)})
    return arrow.table(columns, schema=schema)


def _header(sigs: SignatureSet) -> str:
    prompts: list[dict[str, Any]] = [
        {"id": name, "task": task, "group": group}
        for name, task, group in zip(sigs.ids, sigs.tasks, sigs.groups, strict=True)
    ]
    if sigs.num_tokens is not None:
        for prompt, tokens in zip(prompts, sigs.num_tokens, strict=True):
            prompt["num_tokens"] = int(tokens)
    for prompt, source in zip(prompts, sigs.sources, strict=True):
        if source is not None:
            prompt["source"] = source
    header = {"format": _FORMAT, "version": _VERSION, "layers": sigs.layers, "experts": sigs.experts}
    header |= {"prompts": prompts, "info": sigs.info, "routesig": _core.__version__}
    return json.dumps(header, ensure_ascii=False, separators=(",", ":"))


def _column_types() -> dict[str, Any]:
    arrow = need("pyarrow", "Parquet files")
    text = arrow.dictionary(arrow.int32(), arrow.string())
    numbers = {"layer": arrow.int32(), "expert": arrow.int32(), "count": arrow.uint64(), "value": arrow.float64()}
    return {"prompt": text, "task": text, "group": text, **numbers}


def read_signatures(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> SignatureSet:
    """Read a Parquet file that `SignatureSet.save` wrote; `max_bytes` as in `routesig.read_signatures`."""
    with open_parquet(path, SIGNATURES, max_bytes=max_bytes) as file:
        header = _checked_header(file)
        shape = (len(header["prompts"]), header["layers"], header["experts"])
        _check_rows(file, shape)
        table = file.table(_column_types(), nullable={"task", "group"}, optional={"count"})
        labels = {name: [prompt[name] for prompt in header["prompts"]] for name in ("id", "task", "group")}
        prompts = file.prompts(table["prompt"], labels["id"])
        for name in ("task", "group"):
            file.check_labels(table[name], name, prompts, labels["id"], labels[name])
        cell = _cells(file, table, prompts, shape)
        columns = {name: file.numbers(table[name]) for name in ("value", "count") if name in table.column_names}
        arrays = {name: np.zeros(shape, column.dtype) for name, column in columns.items()}
        for name, column in columns.items():
            arrays[name].reshape(-1)[cell] = column
        tokens = [prompt["num_tokens"] for prompt in header["prompts"] if "num_tokens" in prompt]
        sigs = SignatureSet(
            values=arrays["value"],
            counts=arrays.get("count"),
            ids=labels["id"],
            tasks=labels["task"],
            groups=labels["group"],
            num_tokens=np.array(tokens, np.uint64) if len(tokens) == shape[0] else None,
            info=header["info"],
            sources=[prompt.get("source") for prompt in header["prompts"]],
        )
        try:
            check_signatures(sigs)
        except ValueError as error:
            file.fail(str(error))
    return sigs


def _checked_header(file: ParquetReader) -> dict[str, Any]:
    """What the schema's metadata says of the set as a whole and of each prompt."""
    header = file.json(SIGNATURES)
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        file.fail(f"expected an object of format {_FORMAT!r} under {SIGNATURES!r}, found something else")
    version = header.get("version")
    if type(version) is not int or version > _VERSION:
        writer = header.get("routesig", "of a newer version")
        file.fail(
            f"expected version {_VERSION} of the signature format, got {version!r}: read it with routesig {writer}"
        )
    for key, kind in (("layers", int), ("experts", int), ("prompts", list), ("info", dict)):
        if type(header.get(key)) is not kind or (kind is int and not 0 <= header[key] < 2**31):
            file.fail(f"expected {key} of type {kind.__name__} under {SIGNATURES!r}, found {header.get(key)!r}")
    for i, prompt in enumerate(header["prompts"]):
        if not isinstance(prompt, dict) or not _fits(prompt):
            file.fail(f"expected id, task, group and num_tokens of prompt {i} under {SIGNATURES!r}, found {prompt!r}")
    ids = [prompt["id"] for prompt in header["prompts"]]
    if len(set(ids)) != len(ids):
        file.fail(f"expected a different id for each prompt under {SIGNATURES!r}, found one twice")
    return header


def _fits(prompt: dict[str, Any]) -> bool:
    texts = isinstance(prompt.get("id"), str) and all(
        key in prompt and (prompt[key] is None or isinstance(prompt[key], str)) for key in ("task", "group")
    )
    texts = texts and isinstance(prompt.get("source", ""), str)
    tokens = prompt.get("num_tokens", 0)
    return texts and type(tokens) is int and 0 <= tokens < 2**64


def _check_rows(file: ParquetReader, shape: tuple[int, int, int]) -> None:
    prompts, layers, experts = shape
    rows = prompts * layers * experts
    if file.rows != rows:
        file.fail(f"expected {rows} rows ({prompts} prompts x {layers} layers x {experts} experts), found {file.rows}")
    file.check_memory(8 * max(layers, 1) * max(experts, 1))  # an array of no prompts has a shape all the same


def _cells(
    file: ParquetReader, table: Any, prompts: NDArray[np.int64], shape: tuple[int, int, int]
) -> NDArray[np.int64]:
    """The place of every row in an array of `shape`; each place must be taken once."""
    size = shape[0] * shape[1] * shape[2]
    cell = prompts
    for name, count in (("layer", shape[1]), ("expert", shape[2])):
        index = file.numbers(table[name])
        if index.size and not 0 <= index.min() <= index.max() < count:
            file.fail(f"expected column {name!r} from 0 to {count - 1}, found {index.min()} to {index.max()}")
        cell = cell * count + index
    if (np.bincount(cell, minlength=size) != 1).any():
        file.fail("expected one row for each prompt, layer and expert, found some twice")
    return cell
