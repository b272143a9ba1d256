"""Files: what they are, and writing them whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO


def is_parquet(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins like a Parquet file."""
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends well: written beside it, synced, renamed."""
    folder = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".partial", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes private files
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
