"""Signatures in `.npz` files: arrays and text, never pickled (docs/formats.md).

A file is asked what it declares before anything in it is decompressed. NumPy's own reader evaluates any header, and
takes any size.
"""

import errno
import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._file_limits import NO_MEMORY, check_memory, format_error
from routesig._files import atomic_write, open_file
from routesig._signature_checks import check_signatures
from routesig._signatures import SignatureSet
from routesig._text import json_value

_TYPES = {"values": "<f8", "counts": "<u8", "num_tokens": "<u8"}  # the others are _TEXT
_TEXT = r"<U[1-9]\d*"
_AXES = {"values": 3, "counts": 3, "num_tokens": 1, "tasks": 1, "ids": 1, "groups": 1, "sources": 1, "info": 0}
_NEEDED = ("groups", "ids", "info", "tasks", "values")

# The head of a member as np.savez writes it: magic, version 1.0, length; type, order and shape in this order.
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    r"\{'descr': '([<>|=]?[a-zA-Z]\d{0,9})', 'fortran_order': (False|True), "
    r"'shape': \(((?:\d{1,18}, )*(?:\d{1,18},?)?)\), \} *\n"
)
_TEXT_BYTES = 64  # bytes of a Python text beside its characters
_LAST = 0x10FFFF  # of Unicode


def write_npz(sigs: SignatureSet, path: str | os.PathLike[str]) -> None:
    """Write a file; the same signatures give the same bytes."""
    arrays: dict[str, NDArray[Any]] = {"values": sigs.values}
    if sigs.counts is not None:
        arrays["counts"] = sigs.counts
    if sigs.num_tokens is not None:
        arrays["num_tokens"] = sigs.num_tokens
    for name, column in (("tasks", sigs.tasks), ("ids", sigs.ids), ("groups", sigs.groups)):
        arrays[name] = np.array(["" if entry is None else entry for entry in column], dtype=np.str_)
    if any(source is not None for source in sigs.sources):
        arrays["sources"] = np.array(["" if source is None else source for source in sigs.sources], dtype=np.str_)
    arrays["info"] = np.array(json.dumps(sigs.info, sort_keys=True))
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> SignatureSet:
    """Read what `write_npz` wrote; `max_bytes` as in `routesig.read_signatures`."""
    with open_file(path) as file:
        return _read(file, path, max_bytes)


def _read(file: IO[bytes], path: str | os.PathLike[str], max_bytes: int | None) -> SignatureSet:
    try:
        return _signatures(_arrays(file, path, max_bytes), path)
    except _core.FormatError:
        raise
    except MemoryError:
        raise format_error(path, NO_MEMORY) from None
    except Exception as error:  # zipfile lets any exception through that a damaged archive provokes
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: a place before 0
            raise  # the disk's fault, not the file's
        found = f"found something else ({str(error) or type(error).__name__})"
        raise format_error(path, f"expected a .npz file of signatures, {found}") from None


def _signatures(arrays: Mapping[str, NDArray[Any]], path: str | os.PathLike[str]) -> SignatureSet:
    try:
        sigs = SignatureSet(
            values=np.ascontiguousarray(arrays["values"]),
            counts=arrays.get("counts"),
            ids=arrays["ids"].tolist(),
            tasks=arrays["tasks"].tolist(),
            groups=arrays["groups"].tolist(),
            num_tokens=arrays.get("num_tokens"),
            info=_info(str(arrays["info"])),
            sources=arrays["sources"].tolist() if "sources" in arrays else [],
        )
        check_signatures(sigs)
    except ValueError as error:  # half a character, or what no signatures are
        raise format_error(path, str(error)) from None
    return sigs


@dataclass(frozen=True)
class _Declared:
    """An array as the head of its member declares it; its content follows at `begin`."""

    member: zipfile.ZipInfo
    type: str
    shape: tuple[int, ...]
    fortran: bool
    begin: int

    @property
    def entries(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of an entry."""
        return 4 * int(self.type[2:]) if self.type.startswith("<U") else 8

    @property
    def memory(self) -> int:
        """Bytes that reading takes. An axis of length 0 does not make the others free: texts become a list."""
        each = self.size + (_TEXT_BYTES if self.type.startswith("<U") else 0)
        return math.prod(max(length, 1) for length in self.shape) * each

    def __str__(self) -> str:
        return f"{self.type} {list(self.shape)}"


def _arrays(file: IO[bytes], path: str | os.PathLike[str], max_bytes: int | None) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(file) as archive:
        declared = {name: _declared(archive, member, path) for name, member in _members(archive, path).items()}
        _check(declared, path)
        memory = sum(one.memory for one in declared.values())
        check_memory(path, memory, os.fstat(file.fileno()).st_size, max_bytes)
        return {name: _array(archive, one, path) for name, one in declared.items()}


def _members(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, zipfile.ZipInfo]:
    """The members that hold our arrays. Others are not opened."""
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    names = [member.filename.removesuffix(".npy") for member in members]
    for name in _AXES:
        if names.count(name) > 1:
            raise format_error(path, f"expected one array {name!r}, found {names.count(name)}")
    for name in _NEEDED:
        if name not in names:
            found = ", ".join(repr(one) for one in sorted(names)[:8]) or "none"
            raise format_error(path, f"expected an array {name!r}, found {found}")
    return {name: member for name, member in zip(names, members, strict=True) if name in _AXES}


def _declared(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str | os.PathLike[str]) -> _Declared:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others expand without bound
        found = f"compression method {member.compress_type}"
        raise format_error(path, f"expected {member.filename!r} stored or deflated, found {found}")
    with archive.open(member) as file:
        head = file.read(len(_MAGIC) + 2)
        length = int.from_bytes(head[len(_MAGIC) :], "little")
        header = _HEADER.fullmatch(file.read(length).decode("latin-1"))
    if not head.startswith(_MAGIC) or header is None:
        raise format_error(path, f"expected {member.filename!r} as NumPy writes an array, found something else")
    shape = tuple(int(axis) for axis in header[3].split(",") if axis)
    return _Declared(member, header[1], shape, header[2] == "True", len(head) + length)


def _check(declared: Mapping[str, _Declared], path: str | os.PathLike[str]) -> None:
    """Types and shapes that belong together, and members of the length that these make."""
    prompts = declared["values"].shape
    for name, one in declared.items():
        if not re.fullmatch(_TYPES.get(name, _TEXT), one.type):
            raise format_error(path, f"expected {name} as {_TYPES.get(name, 'text')}, found {one}")
        if name == "values" and len(one.shape) != 3:
            raise format_error(path, f"expected values [prompts, layers, experts], found {one}")
        if one.shape != prompts[: _AXES[name]]:
            expected = list(prompts[: _AXES[name]])
            raise format_error(path, f"expected {name} of shape {expected}, found {list(one.shape)}")
        length = one.begin + one.entries * one.size
        if one.member.file_size != length:
            raise format_error(path, f"expected {name} of {length} bytes, found {one.member.file_size}")


def _array(archive: zipfile.ZipFile, declared: _Declared, path: str | os.PathLike[str]) -> NDArray[Any]:
    with archive.open(declared.member) as file:
        content = file.read(declared.member.file_size)  # read() would take what the stream holds, not what it declares
    order: Any = "F" if declared.fortran else "C"
    array: NDArray[Any] = np.ndarray(declared.shape, declared.type, content, declared.begin, order=order)
    if declared.type.startswith("<U") and array.size:
        largest = int(np.frombuffer(content, "<u4", offset=declared.begin).max())
        if largest > _LAST:
            raise format_error(path, f"expected characters of Unicode in {declared.member.filename!r}, found {largest}")
    return array


def _info(text: str) -> dict[str, Any]:
    try:
        info = json_value(text)
    except ValueError as error:
        raise ValueError(f"expected info to be JSON, found something else ({error})") from None
    if not isinstance(info, dict):
        raise ValueError(f"expected info to be a JSON object, found {type(info).__name__}")
    return info
