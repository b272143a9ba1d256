"""Files: what they are, and writing them whole or not at all."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routesig import _core
    from routesig._signatures import SignatureSet


def path_of(who: str, given: Any) -> Path:
    """A path; TypeError on what is none, ValueError where no file can be called so."""
    if not isinstance(given, (str, os.PathLike)):
        from routesig._kinds import refused

        raise refused(who, "a path", given)
    if "\0" in os.fspath(given):
        raise ValueError(f"{who}: expected a path without NUL, got {os.fspath(given)!r}")
    return Path(given)


def open_file(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file to read. OSError on a named pipe, which would wait for a writer; /dev/stdin may be a pipe without name."""
    if stat.S_ISFIFO(os.stat(path).st_mode) and os.path.exists(os.path.realpath(path)):
        raise OSError(errno.EINVAL, "expected an ordinary file to read, found a pipe", os.fspath(path))
    return open(path, "rb")


def is_parquet(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins like a Parquet file."""
    with open_file(path) as file:
        return file.read(4) == b"PAR1"


def read_whole(path: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a file; FormatError where they are more than `most`, before there is memory for them."""
    content = bytearray()
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        while size <= most and (piece := file.read(1 << 20)):  # a device has no size
            content += piece
            size = len(content)
    if size > most:
        from routesig import _core

        raise _core.FormatError(f"{os.fspath(path)}: expected at most {most} bytes, found more")
    return bytes(content)


def read_json_object(file: Path, most: int) -> dict[str, Any]:
    """The JSON object of a file of at most `most` bytes; FormatError on anything else."""
    from routesig import _core
    from routesig._text import json_value, said

    content = read_whole(file, most)
    try:
        fields = json_value(content)
    except ValueError as error:
        raise _core.FormatError(f"{file}: expected JSON, found something else ({said(error)})") from None
    if not isinstance(fields, dict):
        raise _core.FormatError(f"{file}: expected a JSON object, found {type(fields).__name__}")
    return fields


def holds_signatures(path: Path) -> bool:
    """Whether a file is one of signatures, and not of traces."""
    if path.suffix == ".npz":
        return True
    with open_file(path) as file:
        if file.read(2) == b"PK":  # .npz under another name
            return True
    from routesig import _parquet

    return is_parquet(path) and _parquet.holds_signatures(path)


def read_traces_or_signatures(path: Path, *, drop_invalid: bool = False) -> "_core.TraceSet | SignatureSet":
    """What a file holds; of a `.partial` file as far as it goes."""
    from routesig._signatures import read_signatures
    from routesig._traces import read_traces

    if holds_signatures(path):
        return read_signatures(path)
    return read_traces(path, recover=path.suffix == ".partial", drop_invalid=drop_invalid)


def write_target(path: str | os.PathLike[str]) -> str:
    """The file that writing to `path` writes: links are followed. OSError on what is no ordinary file."""
    target = os.path.realpath(path_of("write", path))
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        what = "expected an ordinary file to write, found a pipe, a socket or a device"
        raise OSError(errno.EINVAL, what, os.fspath(path))
    return target


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends well: written beside it, synced, renamed.

    Until then it is locked, so that what a killed process left is known from what another one is still writing.
    """
    path = write_target(path)
    folder, name = os.path.split(os.path.abspath(path))
    _remove_abandoned(folder, name)
    temporary, descriptor = _locked_beside(folder, name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename is None:  # a failed write does not say where
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from None
        raise
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _locked_beside(folder: str, name: str) -> tuple[str, int]:
    """A new file to write `name` to: its path, and its descriptor, which holds the lock."""
    while True:
        path = os.path.join(folder, f"{name}.{secrets.token_hex(4)}.partial")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)  # as the umask says
        if _lock(descriptor) is not False and os.path.exists(path):  # not taken for abandoned in between
            return path, descriptor
        os.close(descriptor)


def _remove_abandoned(folder: str, name: str) -> None:
    """Remove what writers of `name` left whose process has ended."""
    found: list[str] = []
    left = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.partial")
    with contextlib.suppress(OSError):  # said where the file is made
        found = [entry.path for entry in os.scandir(folder) if left.fullmatch(entry.name)]
    for path in found:
        with contextlib.suppress(OSError):  # somebody else's, or removed by another
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if _lock(descriptor):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether the lock was free and is held now; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
