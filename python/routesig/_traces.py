"""Reading traces, whatever file they come in."""

import os

from routesig import _core
from routesig._file_limits import format_error
from routesig._files import is_parquet, open_file, path_of

_FORMATS = ("jsonl", "parquet")


def read_traces(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    recover: bool = False,
    experts: int | None = None,
    drop_invalid: bool = False,
    max_bytes: int | None = None,
) -> _core.TraceSet:
    """Read a trace file; its format is found from its content.

    Parameters
    ----------
    path : path
        A finished trace file, or an unfinished `.jsonl.partial` with `recover=True`.
    format : {"jsonl", "parquet"}, optional
        To insist on that format.
    recover : bool
        Read the whole lines of a file that was cut off; a warning gives the counts, and `complete` is then False.
    experts : int, optional
        Experts per layer, for files of routing events that do not say; default: the largest id + 1.
    drop_invalid : bool
        Where positions of a prompt repeat or decrease, as after a draft of speculative decoding that was rejected,
        leave out the earlier tokens from that position on, counted in `TraceSet.dropped_tokens`, instead of refusing
        the file.
    max_bytes : int, optional
        How many bytes the columns of a Parquet file may take when they are decoded; what declares more is refused
        unread. Default: 16 MiB and 256 for each byte of the file, but no more than 8 GiB. Reading takes a few times
        that. A JSONL file, whose arrays are limited to 64 times its size, has no such limit.

    Returns
    -------
    TraceSet

    Raises
    ------
    FormatError
        Where the file is not what it claims to be, with the line, positions of a prompt do not ascend, or columns are
        larger than `max_bytes`.
    OSError
        Where it cannot be opened.

    References
    ----------
    The event form holds the fields of arXiv 2603.11114, section 4.3; docs/formats.md describes every format.

    Examples
    --------
    >>> import tempfile
    >>> import routesig as rs
    >>> trace = rs.RoutingTrace.from_arrays([[[0, 3], [1, 2]]], num_experts=4, id="hand")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rs.TraceSet([trace]).save(f"{folder}/traces.jsonl")
    ...     rs.read_traces(f"{folder}/traces.jsonl")
    TraceSet(1 traces, 2 tokens, 1 layers x 4 experts x top-2)
    """
    path = path_of("read_traces", path)
    if format is not None and format not in _FORMATS:
        raise ValueError(f"read_traces: expected format to be one of {', '.join(_FORMATS)}, got {format!r}")
    if experts is not None and experts < 1:
        raise ValueError(f"read_traces: expected experts of 1 or more, got {experts}")
    if format == "parquet" or (format is None and is_parquet(path)):
        from routesig import _trace_parquet

        return _trace_parquet.read_traces(path, drop_invalid=drop_invalid, max_bytes=max_bytes)
    if format is None:
        with open_file(path) as file:
            first = file.read(4096)
        if not _core.looks_like_jsonl_trace(first):
            found = "an empty file" if not first else f"a file that begins with {first[:24]!r}"
            raise format_error(path, f"expected a routesig trace file or routing events, found {found}")
    return _core.read_jsonl(path, recover=recover, experts=experts or 0, drop_invalid=drop_invalid)
