"""Parquet files of ours: written whole or not at all, and read so that every fault is a FormatError with the name."""

import os
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from routesig._file_limits import NO_MEMORY, check_memory, format_error
from routesig._files import atomic_write, open_file
from routesig._optional import need
from routesig._parquet_pages import Damage, decoded_size, row_groups
from routesig._text import json_value, path_text

TRACES = "routesig.header"  # the key of the schema's metadata that tells what a file holds
SIGNATURES = "routesig.signatures"
_HOLDS = {TRACES: "traces (read_traces)", SIGNATURES: "signatures (read_signatures)"}

_CHECKSUM = "routesig.crc32"  # of our values in the schema's metadata, which Parquet itself does not check
_ROWS = 65_536  # of a row group
_NAMED = 8  # columns that are not known


def holds_signatures(path: str | os.PathLike[str]) -> bool:
    """Whether a Parquet file is one of signatures."""
    with open_file(path) as file:
        return ParquetReader(file, path).holds == SIGNATURES


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
    metadata = table.schema.metadata
    table = table.replace_schema_metadata({**metadata, _CHECKSUM: _checksum(metadata)})
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


def _checksum(metadata: Mapping[bytes, bytes]) -> bytes:
    """CRC-32 of the keys and values that are ours, as eight hexadecimal digits."""
    crc = 0
    for key in sorted(metadata):
        if key.startswith(b"routesig.") and key != _CHECKSUM.encode():
            crc = zlib.crc32(b"%d %d " % (len(key), len(metadata[key])) + key + metadata[key], crc)
    return b"%08x" % crc


def dictionary_of(codes: NDArray[np.int32], texts: list[str]) -> Any:
    """A number per row and the texts that they count, as an Arrow array; null for -1."""
    arrow = need("pyarrow", "Parquet files")
    indices = arrow.array(codes, mask=codes < 0)
    return arrow.DictionaryArray.from_arrays(indices, arrow.array(texts, arrow.string()))


@contextmanager
def open_parquet(path: str | os.PathLike[str], kind: str, *, max_bytes: int | None = None) -> Iterator["ParquetReader"]:
    """Open a Parquet file that holds `kind`: TRACES or SIGNATURES. Damage found in the block is a FormatError."""
    with open_file(path) as file:
        reader = ParquetReader(file, path, max_bytes)
        if reader.holds != kind:
            found = "a Parquet file of something else" if reader.holds is None else f"one of {_HOLDS[reader.holds]}"
            reader.fail(f"expected a Parquet file of {_HOLDS[kind].split()[0]}, found {found}")
        with reader.faults():
            yield reader


class ParquetReader:
    """An open Parquet file. `metadata` is its schema's."""

    def __init__(self, file: IO[bytes], path: str | os.PathLike[str], max_bytes: int | None = None) -> None:
        self._path, self.name, self._io = path, path_text(path), file
        self._size, self._max_bytes = os.fstat(file.fileno()).st_size, max_bytes
        self._arrow = need("pyarrow", "Parquet files")
        with self.faults():
            self._open()
            self.metadata: Mapping[bytes, bytes] = self._schema.metadata or {}
            self.rows: int = self._file.metadata.num_rows
        said = self.metadata.get(_CHECKSUM.encode())  # absent from files of others, and from older ones
        if said is not None and said != (found := _checksum(self.metadata)):
            self.fail(
                f"expected metadata with the CRC-32 {said.decode('utf-8', 'replace')}, found {found.decode()}: damaged"
            )

    def _open(self, **options: Any) -> None:
        longest = min(max(self._size, 1), 2**31 - 1)  # no text or list inside is longer
        self._file = need("pyarrow.parquet", "Parquet files").ParquetFile(
            self._io,
            page_checksum_verification=True,
            thrift_string_size_limit=longest,
            thrift_container_size_limit=longest,
            **options,
        )
        self._schema = self._file.schema_arrow

    @property
    def holds(self) -> str | None:
        """TRACES, SIGNATURES, or None for a file that is not ours."""
        return next((key for key in _HOLDS if key.encode() in self.metadata), None)

    def fail(self, problem: str) -> NoReturn:
        """Raise a FormatError about this file."""
        raise format_error(self._path, problem)

    def value(self, key: str) -> bytes:
        """One value of the schema's metadata, which is UTF-8."""
        if key.encode() not in self.metadata:
            self.fail(f"expected {key!r} in the schema's metadata, found none")
        value = self.metadata[key.encode()]
        try:
            value.decode()
        except UnicodeDecodeError as error:
            self.fail(f"expected UTF-8 under {key!r} in the schema's metadata, found something else ({error})")
        return value

    def table(
        self, types: Mapping[str, Any], *, nullable: set[str], optional: set[str], coded: Sequence[str] = ()
    ) -> Any:
        """Read columns of exactly these types, each in one piece. Other columns are ignored with a warning.

        `coded` columns of texts come as dictionaries, so that a text takes no more memory than it does in the file.
        """
        names = self._schema.names
        unknown = [name for name in names if name not in types]
        for name in unknown[:_NAMED]:
            warnings.warn(f"{self.name}: column {name!r} is not known and was ignored", stacklevel=4)
        if more := unknown[_NAMED:]:
            warnings.warn(f"{self.name}: {len(more)} more columns are not known and were ignored", stacklevel=4)
        wanted = [name for name in types if name in names or name not in optional]
        for name in wanted:
            if names.count(name) != 1:
                self.fail(f"expected one column {name!r}, found {names.count(name) or 'none'}")
            found = self._schema.field(name).type
            if found != types[name]:
                self.fail(f"expected column {name!r} as {types[name]}, found {found}")
        self._check_declared({name: types[name] for name in wanted})
        if coded:
            self._open(read_dictionary=list(coded))
        table = self._file.read(columns=wanted)
        table.validate(full=True)
        table = table.unify_dictionaries().combine_chunks()
        for name in wanted:
            if name not in nullable and table[name].null_count:
                self.fail(f"expected column {name!r} without nulls, found {table[name].null_count}")
        return table

    def _check_declared(self, types: Mapping[str, Any]) -> None:
        """Refuse columns that would take too much memory, by what the file declares: rows, values and pages.

        The size of the pages tells too little by itself, since a dictionary makes many rows of a few bytes.
        """
        leaves = [self._file.schema.column(i).path.partition(".")[0] for i in range(len(self._file.schema))]
        pages = rows = 0
        for group in row_groups(self._io):
            if len(group.chunks) != len(leaves) or group.rows < 0:
                self.fail(f"expected {len(leaves)} columns in each row group, found {len(group.chunks)}")
            for name, chunk in zip(leaves, group.chunks, strict=True):
                if name not in types:
                    continue
                if not 0 <= chunk.values <= group.rows * self._entries(types[name]):
                    self.fail(f"expected values of {group.rows} rows in column {name!r}, found {chunk.values} of them")
                pages += decoded_size(self._io, chunk)
            rows += group.rows
        if rows != self.rows:
            self.fail(f"expected row groups of {self.rows} rows together, found {rows}")
        row = sum(self._entries(kind) * self._width(kind) for kind in types.values())
        self.check_memory(max(pages, rows * row))

    def check_memory(self, declared: int) -> None:
        """Refuse arrays of more bytes than are allowed."""
        check_memory(self._path, declared, self._size, self._max_bytes)

    def _entries(self, kind: Any) -> int:
        """Numbers in a row of a column of this type."""
        entries = 1
        while self._arrow.types.is_fixed_size_list(kind):
            entries, kind = entries * kind.list_size, kind.value_type
        return entries

    def _width(self, kind: Any) -> int:
        """Bytes of a number, or of the number that stands for a text."""
        while self._arrow.types.is_fixed_size_list(kind):
            kind = kind.value_type
        texts = self._arrow.types.is_dictionary(kind) or self._arrow.types.is_string(kind)
        return 4 if texts else int(kind.bit_width) // 8

    def json(self, key: str) -> Any:
        """One value of the schema's metadata, which is JSON."""
        text = self.value(key)
        try:
            return json_value(text)
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
    def faults(self) -> Iterator[None]:
        """What reading a damaged file raises, as a FormatError."""
        try:
            yield
        except MemoryError:
            self.fail(NO_MEMORY)
        except (
            self._arrow.ArrowException,
            Damage,
            OSError,
            UnicodeDecodeError,
            OverflowError,
            RecursionError,
        ) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, not the file's
            self.fail(f"expected a whole Parquet file, found a damaged one ({error})")
