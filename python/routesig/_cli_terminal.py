"""What a terminal is shown: a stranger's file cannot move its cursor, ring its bell or turn its text round."""

import io
import sys
from typing import Any

from routesig._text import harmless


class _Harmless:
    """A stream whose text is harmless; all else is the stream's own."""

    def __init__(self, stream: Any, kept: str = "") -> None:
        self._stream = stream
        self._kept = kept

    def write(self, text: str) -> int:
        self._stream.write(harmless(text, self._kept))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard() -> None:
    """Make stdout and stderr of this process harmless, whoever writes there."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may hold what the terminal cannot say
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout = _Harmless(sys.stdout)
    sys.stderr = _Harmless(sys.stderr, "\r")  # bars go back to the beginning of their line
