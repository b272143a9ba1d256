"""Parquet files of ours: written whole or not at all, and read so that every fault is a FormatError with the name."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._files import atomic_write
from routesig._optional import need
from routesig._text import json_value

TRACES = "routesig.header"  # the key of the schema's metadata that tells what a file holds
SIGNATURES = "routesig.signatures"
_HOLDS = {TRACES: "traces (read_traces)", SIGNATURES: "signatures (read_signatures)"}

_ROWS = 65_536  # of a row group
_LONGEST = 400  # characters of a message


def holds_signatures(path: str | os.PathLike[str]) -> bool:
    """Whether a Parquet file is one of signatures."""
    with open(path, "rb") as file:
        return ParquetReader(file, os.fspath(path)).holds == SIGNATURES


def write_parquet(table: Any, path: str | os.PathLike[str]) -> None:
    """Write an Arrow table: float32 (weights, which seldom repeat) split by byte, all else by dictionary; then zstd."""
    parquet = need("pyarrow.parquet", "Parquet files")
    types = need("pyarrow", "Parquet files").types
    coded: list[str] = []
    split: list[str] = []
    for field in table.schema:
        name, kind = field.name, field.type
        while types.is_fixed_size_list(kind):
            name, kind = f"{name}.list.element", kind.value_type
        (split if types.is_float32(kind) else coded).append(name)
    with atomic_write(path) as file:
        parquet.write_table(
            table,
            file,
            compression="zstd",
            use_dictionary=coded,
            column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
            row_group_size=_ROWS,
            write_page_checksum=True,
        )


def dictionary_of(codes: NDArray[np.int32], texts: list[str]) -> Any:
    """A number per row and the texts that they count, as an Arrow array; null for -1."""
    arrow = need("pyarrow", "Parquet files")
    indices = arrow.array(codes, mask=codes < 0)
    return arrow.DictionaryArray.from_arrays(indices, arrow.array(texts, arrow.string()))


@contextmanager
def open_parquet(path: str | os.PathLike[str], kind: str) -> Iterator["ParquetReader"]:
    """Open a Parquet file that holds `kind`: TRACES or SIGNATURES."""
    with open(path, "rb") as file:
        reader = ParquetReader(file, os.fspath(path))
        if reader.holds != kind:
            found = "a Parquet file of something else" if reader.holds is None else f"one of {_HOLDS[reader.holds]}"
            reader.fail(f"expected a Parquet file of {_HOLDS[kind].split()[0]}, found {found}")
        yield reader


class ParquetReader:
    """An open Parquet file. `metadata` is its schema's."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = os.fsencode(name).decode("utf-8", "replace")
        self._arrow = need("pyarrow", "Parquet files")
        parquet = need("pyarrow.parquet", "Parquet files")
        size = min(max(os.fstat(file.fileno()).st_size, 1), 2**31 - 1)  # no text or list inside is longer
        with self._faults():
            self._file = parquet.ParquetFile(
                file,
                page_checksum_verification=True,
                thrift_string_size_limit=size,
                thrift_container_size_limit=size,
            )
            self._schema = self._file.schema_arrow
        self.metadata: Mapping[bytes, bytes] = self._schema.metadata or {}

    @property
    def holds(self) -> str | None:
        """TRACES, SIGNATURES, or None for a file that is not ours."""
        return next((key for key in _HOLDS if key.encode() in self.metadata), None)

    def fail(self, problem: str) -> NoReturn:
        """Raise a FormatError about this file, on one line of bearable length whatever the file says."""
        line = " ".join(problem.split())
        raise _core.FormatError(f"{self.name}: {line if len(line) <= _LONGEST else line[:_LONGEST] + '...'}")

    def value(self, key: str) -> bytes:
        """One value of the schema's metadata."""
        if key.encode() not in self.metadata:
            self.fail(f"expected {key!r} in the schema's metadata, found none")
        return self.metadata[key.encode()]

    def table(self, types: Mapping[str, Any], *, nullable: set[str], optional: set[str]) -> Any:
        """Read columns of exactly these types, each in one piece. Other columns are ignored with a warning."""
        names = self._schema.names
        for name in names:
            if name not in types:
                warnings.warn(f"{self.name}: column {name!r} is not known and was ignored", stacklevel=4)
        wanted = [name for name in types if name in names or name not in optional]
        for name in wanted:
            if names.count(name) != 1:
                self.fail(f"expected one column {name!r}, found {names.count(name) or 'none'}")
            found = self._schema.field(name).type
            if found != types[name]:
                self.fail(f"expected column {name!r} as {types[name]}, found {found}")
        with self._faults():
            table = self._file.read(columns=wanted)
            table.validate(full=True)
            table = table.unify_dictionaries().combine_chunks()
        for name in wanted:
            if name not in nullable and table[name].null_count:
                self.fail(f"expected column {name!r} without nulls, found {table[name].null_count}")
        return table

    def json(self, key: str) -> Any:
        """One value of the schema's metadata, which is JSON."""
        try:
            return json_value(self.value(key))
        except ValueError as error:
            self.fail(f"expected JSON under {key!r} in the schema's metadata, found something else ({error})")

    def codes(self, column: Any) -> tuple[NDArray[np.int32], list[str | None]]:
        """A dictionary column as a number per row (-1 where null) and the texts that they count."""
        array = column.combine_chunks()
        return array.indices.fill_null(-1).to_numpy(zero_copy_only=False), array.dictionary.to_pylist()

    def prompts(self, column: Any, ids: Sequence[str]) -> NDArray[np.int64]:
        """The column `prompt` as an index into `ids` a row."""
        codes, names = self.codes(column)
        number: dict[str | None, int] = {prompt: i for i, prompt in enumerate(ids)}
        rows = np.array([number.get(name, -1) for name in names], np.int64)[codes]
        if (rows < 0).any():
            name = names[codes[np.argmax(rows < 0)]]
            self.fail(f"expected prompts that the schema's metadata has, found {name!r} in column 'prompt'")
        return rows

    def check_labels(
        self,
        column: Any,
        what: str,
        prompts: NDArray[np.int64],
        ids: Sequence[str],
        expected: Sequence[str | None],
    ) -> None:
        """Refuse rows whose label is not that of their prompt, `prompts[row]`, in the schema's metadata."""
        codes, names = self.codes(column)
        names.append(None)  # of code -1
        number: dict[str | None, int] = {}
        for text in (*names, *expected):
            number.setdefault(text, len(number))
        found = np.array([number[name] for name in names])[codes]
        wrong = found != np.array([number[label] for label in expected], np.int64)[prompts]
        if wrong.any():
            row = np.argmax(wrong)
            prompt = prompts[row]
            self.fail(
                f"expected {what} {expected[prompt]!r} of prompt {ids[prompt]!r}, as the schema's metadata has it, "
                f"found {names[codes[row]]!r}"
            )

    def known(self, column: Any) -> NDArray[np.bool_]:
        """Where a column is not null."""
        return np.asarray(column.is_valid().combine_chunks().to_numpy(zero_copy_only=False), np.bool_)

    def numbers(self, column: Any) -> NDArray[Any]:
        """The numbers of a column of numbers, or of lists of lists of them, as one flat array; null lists give none."""
        array = column.combine_chunks()
        while self._arrow.types.is_fixed_size_list(array.type):
            array = array.flatten()
            if array.null_count:
                self.fail(f"expected lists without nulls, found {array.null_count} in them")
        return np.asarray(array.to_numpy(zero_copy_only=False))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (self._arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, not the file's
            self.fail(f"expected a whole Parquet file, found a damaged one ({error})")
