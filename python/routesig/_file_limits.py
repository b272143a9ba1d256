"""What is said of a file that is refused, and how much memory one may ask for."""

import os

from routesig import _core
from routesig._text import path_text, shortened

MAX_BYTES = 8 << 30  # of decoded arrays, unless the caller says otherwise
_ALWAYS = 16 << 20  # bytes that any file may ask for
_RATIO = 256  # bytes that a byte of the file may become; signatures of prompts of few tokens come near it

NO_MEMORY = "expected arrays that fit into memory, found larger ones"


def format_error(path: str | os.PathLike[str], problem: str) -> _core.FormatError:
    """A FormatError about a file, on one line of bearable length whatever the file says."""
    return _core.FormatError(f"{path_text(path)}: {shortened(problem)}")


def check_memory(path: str | os.PathLike[str], declared: int, size: int, max_bytes: int | None) -> None:
    """Refuse a file of `size` bytes that declares arrays of more than it may, before any is read.

    `max_bytes` is the reader's option; None: in proportion to the file, and at most MAX_BYTES.
    """
    limit = min(MAX_BYTES, _ALWAYS + _RATIO * size) if max_bytes is None else max_bytes
    if declared > limit:
        raise format_error(
            path,
            f"expected arrays of at most {limit} bytes, found {declared} bytes declared in a file of {size} bytes "
            "(max_bytes sets another limit)",
        )
