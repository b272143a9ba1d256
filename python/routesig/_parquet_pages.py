"""What a Parquet file declares: rows, values and the size of every page, before anything in it is decompressed.

pyarrow decompresses a page of any size, and what it says of columns ends the process where a footer is damaged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

_STRING, _I32, _I64, _LIST, _SET, _STRUCT = 8, 5, 6, 9, 10, 12  # kinds of Thrift's compact protocol

# The fields that count, by number, as parquet.thrift has them: a kind, a struct, or a list of one of them.
_CHUNK = {3: {5: _I64, 7: _I64, 9: _I64, 11: _I64}}  # num_values, total_compressed_size, data page, dictionary page
_FOOTER = {4: [{1: [_CHUNK], 3: _I64}]}  # row groups: columns, num_rows
_PAGE = {2: _I32, 3: _I32, 5: {2: _I32}, 7: {1: _I32, 2: _I32}, 8: {4: _I32}}  # sizes; encodings, a dictionary's values
_DELTA_BYTE_ARRAY = 7  # texts that share their beginnings: their length may grow with the square of the file's


class Damage(Exception):
    """What is wrong with a file."""


@dataclass(frozen=True)
class Chunk:
    """The pages of a column in a row group: bytes `begin` to `end` of the file."""

    values: int
    begin: int
    end: int


@dataclass(frozen=True)
class RowGroup:
    """`chunks`: one for each column of numbers or texts, in the order of the schema."""

    rows: int
    chunks: list[Chunk]


def row_groups(file: IO[bytes]) -> list[RowGroup]:
    """The row groups of an open file, by its footer. Damage where it does not say."""
    end = file.seek(-8, 2)
    length = int.from_bytes(file.read(4), "little")
    file.seek(end - length)
    try:
        groups = _Thrift(file.read(length)).struct(_FOOTER)[4]
        return [RowGroup(group[3], [_chunk(chunk[3]) for chunk in group[1]]) for group in groups]
    except (IndexError, KeyError):
        raise Damage("a footer without its row groups") from None


def decoded_size(file: IO[bytes], chunk: Chunk) -> int:
    """Bytes that the pages of a chunk take when they are decompressed, as they say, and 16 for a dictionary's entry."""
    size = 0
    for page in _pages(file, chunk) if chunk.values else ():  # where there is no value, there may be no page
        values = page.get(7, {}).get(1, 0)
        if not 0 <= values <= page[2]:
            raise Damage("a dictionary of more values than bytes")
        if _DELTA_BYTE_ARRAY in (page.get(5, {}).get(2), page.get(7, {}).get(2), page.get(8, {}).get(4)):
            raise Damage("the encoding DELTA_BYTE_ARRAY, which is not read")
        size += page[2] + 16 * values
    return size


def _chunk(fields: Mapping[int, int]) -> Chunk:
    begin = fields[9]
    if 0 < fields.get(11, 0) < begin:
        begin = fields[11]
    if begin < 0:
        raise Damage("a column that begins before the file")
    return Chunk(fields[5], begin, begin + fields[7])


def _pages(file: IO[bytes], chunk: Chunk) -> Iterator[dict[int, Any]]:
    """The header of every page."""
    place = chunk.begin
    while place < chunk.end:
        page, length = _page(file, place, chunk.end)
        if page.get(2, -1) < 0 or page.get(3, -1) < 0:
            raise Damage("a page without its sizes")
        yield page
        place += length + page[3]


def _page(file: IO[bytes], begin: int, end: int) -> tuple[dict[int, Any], int]:
    """The header of a page, and its length, which it does not say: read in pieces that grow."""
    size = 1024
    while True:
        file.seek(begin)
        thrift = _Thrift(file.read(min(size, end - begin)))
        try:
            return thrift.struct(_PAGE), thrift.place
        except IndexError:
            if size >= end - begin:
                raise Damage("a page that is cut short") from None
        size *= 16


class _Thrift:
    """A walk over bytes of Thrift's compact protocol, which keeps the fields that are wanted. IndexError at the end.

    Fields that are there twice or of another kind are refused: readers differ in which they take.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def struct(self, wanted: Mapping[int, Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for field, kind in self._fields():
            if field not in wanted:
                self._skip(kind)
            elif field in found:
                raise Damage(f"field {field} twice")
            else:
                found[field] = self._value(kind, wanted[field])
        return found

    def _fields(self) -> Iterator[tuple[int, int]]:
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            yield field, head & 15

    def _value(self, kind: int, wanted: Any) -> Any:
        if isinstance(wanted, dict) and kind == _STRUCT:
            return self.struct(wanted)
        if isinstance(wanted, list) and kind == _LIST:
            size, kind = self._list()
            return [self._value(kind, wanted[0]) for _ in range(size)]
        if kind != wanted:
            raise Damage(f"a field of kind {kind}")
        return self._number()

    def _skip(self, kind: int, *, in_list: bool = False) -> None:
        if kind in (1, 2):  # true and false: within the kind of a field, a byte of a list
            self.place += in_list
        elif kind == 3:
            self.place += 1
        elif kind in (4, _I32, _I64):
            self._varint()
        elif kind == 7:
            self.place += 8
        elif kind == _STRING:
            length = self._varint()
            self.place += length
        elif kind in (_LIST, _SET):
            size, kind = self._list()
            for _ in range(size):
                self._skip(kind, in_list=True)
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner)
        else:
            raise Damage(f"a field of kind {kind}")

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        if size > len(self._data) - self.place:  # an entry takes a byte or more
            raise IndexError
        return size, head & 15

    def _number(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) >= 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise Damage("a number of more than 64 bits")
        return value | byte << shift

    def _byte(self) -> int:
        byte = self._data[self.place]
        self.place += 1
        return byte
