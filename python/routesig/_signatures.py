"""Routing signatures: what share of a prompt's routing each expert receives, layer by layer."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routesig import _core
from routesig._equality import ByValue
from routesig._files import is_parquet, path_of
from routesig._kinds import refused, traces_of
from routesig._options import whole_number
from routesig._selection import Names, indices, matching
from routesig._signature_checks import check_counts, check_signatures
from routesig._text import as_labels, is_missing, whole_text

Floats = NDArray[np.float64]
Counts = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Signature(ByValue):
    """The signature of one prompt: `values` float64 [layers, experts], each layer summing to 1 (or to 0 if empty)."""

    values: Floats
    id: str = ""
    task: str | None = None

    def __repr__(self) -> str:
        layers, experts = self.values.shape
        return f"Signature(id={self.id!r}, task={self.task!r}, layers={layers}, experts={experts})"


def read_only(array: NDArray[Any]) -> Any:
    """A view of an array that cannot be written."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class SignatureSet(ByValue):
    """Signatures of many prompts.

    Attributes
    ----------
    values : float64 [prompts, layers, experts]
        Each layer sums to 1, or to 0 where no token was routed. Arrays are read-only views.
    counts : uint64 [prompts, layers, experts] or None
        Tokens that chose the expert; None for gate weighting.
    ids, tasks, groups : list
        One entry per prompt, text. Tasks and groups are None where unknown, which is what NaN, pandas' NA and empty
        text become; an id that is missing is "prompt-" and the prompt's place.
    num_tokens : uint64 [prompts] or None
        Tokens that were counted.
    info : dict
        "top_k", "tokens", "weighting", "model" and how many rows were unknown or dropped, as far as known.
    sources : list
        One entry per prompt: the data set, language or author that it comes from; None where unknown.
    """

    values: Floats
    counts: Counts | None
    ids: list[str]
    tasks: list[str | None]
    groups: list[str | None]
    num_tokens: Counts | None
    info: dict[str, Any] = field(default_factory=dict)
    sources: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids = [f"prompt-{i}" if is_missing(name) else str(name) for i, name in enumerate(self.ids)]
        columns: dict[str, Any] = {
            "ids": [whole_text(name, "signatures", f"ids[{i}]") for i, name in enumerate(ids)],
            "tasks": as_labels(self.tasks, "signatures", "tasks"),
            "groups": as_labels(self.groups, "signatures", "groups"),
            "sources": as_labels(self.sources, "signatures", "sources") or [None] * len(ids),
        }
        for name, column in columns.items():
            if len(column) != len(self.values):
                raise ValueError(f"signatures: expected {name} for {len(self.values)} prompts, got {len(column)}")
            object.__setattr__(self, name, column)
        for name in ("values", "counts", "num_tokens"):
            if (array := getattr(self, name)) is not None:
                object.__setattr__(self, name, read_only(array))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, one.name) for one in fields(self))  # a copy's arrays are read-only too

    @classmethod
    def from_counts(
        cls,
        counts: ArrayLike,
        *,
        tasks: Sequence[str | None] | None = None,
        ids: Sequence[str] | None = None,
        groups: Sequence[str | None] | None = None,
        sources: Sequence[str | None] | None = None,
        num_tokens: ArrayLike | None = None,
        top_k: int | None = None,
        unequal_layers: bool = False,
    ) -> "SignatureSet":
        """Signatures from expert counts of any engine.

        Parameters
        ----------
        counts : array of integers [prompts, layers, experts]
            How many tokens chose each expert. Every layer routes every token, so the layers of a prompt have the same
            total, a multiple of `top_k`; a total of 0 says that there are no data of that layer.
        tasks, ids, groups, sources : sequences of str, optional
            One entry per prompt, by position: a column of a data frame will do. NaN and the like are None, no task. A
            group (template, near-duplicates) lies within a task; a source (data set, language, author) may cross tasks.
        num_tokens : array of integers [prompts], optional
            Tokens of each prompt; default: the largest layer total over `top_k`, where that is given. With `top_k`
            it explains layers of fewer tokens: the routing of the others is not known there.
        top_k : int, optional
            Experts per token.
        unequal_layers : bool
            Take counts whose layers have different totals, as of an engine that drops what exceeds an expert's
            capacity. Without it they are refused: swapped axes and layers of different prompts look like this.

        Raises
        ------
        ValueError
            Where shapes or counts do not fit, or the layers of a prompt do not.

        References
        ----------
        arXiv 2603.11114, equation 3.

        Examples
        --------
        >>> SignatureSet.from_counts([[[3, 1]], [[0, 4]]], tasks=["code", "math"]).values[0].tolist()
        [[0.75, 0.25]]
        """
        whole = _whole_numbers(counts, "counts", 3)
        prompts, _, experts = whole.shape
        if top_k is not None:
            top_k = whole_number("signatures", "top_k", top_k, least=1, most=max(experts, 1))
        totals = whole.sum(axis=2).max(axis=1, initial=0)
        tokens: Counts | None = None
        if num_tokens is not None:
            tokens = _whole_numbers(num_tokens, "num_tokens", 1)
            if len(tokens) != prompts:
                raise ValueError(f"signatures: expected num_tokens for {prompts} prompts, got {len(tokens)}")
            if top_k is not None and bool((totals > tokens * np.uint64(top_k)).any()):
                worst = int(np.argmax(totals > tokens * np.uint64(top_k)))
                raise ValueError(
                    f"signatures: expected at most {int(tokens[worst]) * top_k} selections per layer "
                    f"({int(tokens[worst])} tokens x top-{top_k}), got {int(totals[worst])} for prompt {worst}"
                )
        elif top_k is not None:
            tokens = (totals + np.uint64(top_k - 1)) // np.uint64(top_k)
        if not unequal_layers:
            _check_layers(whole, top_k, explained=num_tokens is not None and top_k is not None)
        unknown: list[Any] = [None] * prompts
        return cls(
            values=_core.normalized_counts(whole),
            counts=whole,
            ids=unknown if ids is None else list(ids),
            tasks=unknown if tasks is None else list(tasks),
            groups=unknown if groups is None else list(groups),
            num_tokens=tokens,
            info={"top_k": top_k, "tokens": "all", "weighting": "count"},
            sources=[] if sources is None else list(sources),
        )

    @property
    def layers(self) -> int:
        """Layers of every signature."""
        return int(self.values.shape[1])

    @property
    def experts(self) -> int:
        """Experts per layer."""
        return int(self.values.shape[2])

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int | str) -> Signature: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> "SignatureSet": ...
    def __getitem__(self, index: Any) -> "Signature | SignatureSet":
        """One signature for an integer or an id; a set for a slice, a list of integers or a boolean mask."""
        if isinstance(index, str):
            if index not in self.ids:
                raise KeyError(f"signatures: expected an id that occurs, got {index!r}")
            index = self.ids.index(index)
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"signatures: index {index} is out of range for {len(self)} signatures")
            return Signature(self.values[index], self.ids[index], self.tasks[index])
        chosen = np.arange(len(self))[index if isinstance(index, slice) else indices(index, len(self), "signatures")]
        return replace(
            self,
            values=self.values[chosen],
            counts=None if self.counts is None else self.counts[chosen],
            ids=[self.ids[i] for i in chosen],
            tasks=[self.tasks[i] for i in chosen],
            groups=[self.groups[i] for i in chosen],
            sources=[self.sources[i] for i in chosen],
            num_tokens=None if self.num_tokens is None else self.num_tokens[chosen],
        )

    def __iter__(self) -> Iterator[Signature]:
        return (self[i] for i in range(len(self)))

    def select(self, *, tasks: Names = None, ids: Names = None) -> "SignatureSet":
        """The signatures of the given tasks and ids, in their present order.

        Raises
        ------
        ValueError
            Where a task or an id does not occur.

        Examples
        --------
        >>> sigs = SignatureSet.from_counts([[[3, 1]], [[0, 4]]], tasks=["code", "math"], ids=["c-1", "m-1"])
        >>> sigs.select(tasks=["math"]).ids
        ['m-1']
        """
        return self[matching("signatures", self.tasks, self.ids, tasks, ids)]

    def top_experts(self, count: int = 5) -> Any:
        """The experts that each task uses most, layer by layer: a first look, not a test.

        Parameters
        ----------
        count : int
            Experts per task and layer, at most.

        Returns
        -------
        pandas.DataFrame
            `task`, `layer`, `rank` (1 is the largest share), `expert`, `share` (mean over the task's prompts, each
            weighing the same) and `elsewhere` (the same of the other prompts, NaN where there are none). An expert
            that is busy in every task has a large share in each: compare the two.

        Raises
        ------
        ValueError
            Where no prompt has a task.

        Examples
        --------
        >>> sigs = SignatureSet.from_counts([[[3, 1]], [[0, 4]]], tasks=["code", "math"])
        >>> sigs.top_experts(1)[["task", "expert", "share", "elsewhere"]].values.tolist()
        [['code', 0, 0.75, 0.0], ['math', 1, 1.0, 0.25]]
        """
        from routesig._top_experts import of_signatures

        return of_signatures(self, count)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file; it appears whole or not at all.

        Parameters
        ----------
        path : path
            Its end decides on the format: `.npz` (arrays and text, never pickled), or `.parquet` (the table of
            `to_arrow`; needs pyarrow). docs/formats.md describes both.

        Raises
        ------
        ValueError
            On another end; on values that are no shares or counts of 2^53 and more, which could not be read back; for
            `.parquet` also on ids that repeat.
        """
        check_signatures(self)
        if os.fspath(path).endswith(".parquet"):
            from routesig._parquet import write_parquet

            write_parquet(self.to_arrow(), path)
            return
        if not os.fspath(path).endswith(".npz"):
            raise ValueError(f"signatures: expected a file name that ends in .npz or .parquet, got {os.fspath(path)!r}")
        from routesig._signature_npz import write_npz

        write_npz(self, path)

    def to_pandas(self) -> Any:
        """One row for each prompt, layer and expert, as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            `prompt`, `task`, `group` (categorical; missing where unknown), `layer`, `expert` (0-based), `count` (where
            there are counts) and `value`, the expert's share of the layer. Prompts come in their order, layers within
            a prompt, experts within a layer.

        Examples
        --------
        >>> sigs = SignatureSet.from_counts([[[3, 1]], [[0, 4]]], tasks=["code", "math"])
        >>> sigs.to_pandas().groupby("task", observed=True)["count"].sum().to_dict()
        {'code': 4, 'math': 4}
        """
        from routesig._frames import signatures_to_pandas

        return signatures_to_pandas(self)

    def to_xarray(self) -> Any:
        """Return `values` as an xarray DataArray.

        Returns
        -------
        xarray.DataArray
            Dimensions `prompt`, `layer`, `expert`; coordinates `id`, `task`, `group` and, where known, `num_tokens`
            along `prompt`, and the numbers of `layer` and `expert`; `info` as attributes. Counts take the same labels
            with `sigs.to_xarray().copy(data=sigs.counts)`.

        Examples
        --------
        >>> sigs = SignatureSet.from_counts([[[3, 1]], [[0, 4]]], tasks=["code", "math"])
        >>> sigs.to_xarray().groupby("task").mean().sel(task="math", layer=0).values.tolist()
        [0.0, 1.0]
        """
        from routesig._frames import signatures_to_xarray

        return signatures_to_xarray(self)

    def to_arrow(self) -> Any:
        """Return the table of `to_pandas` as a pyarrow Table; the schema's metadata carries everything else.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        ValueError
            On ids that repeat: a row could not tell whose it is.

        Examples
        --------
        >>> sigs = SignatureSet.from_counts([[[3, 1]], [[0, 4]]], ids=["c-1", "m-1"])
        >>> sigs.to_arrow().column("count").to_pylist()
        [3, 1, 0, 4]
        """
        from routesig._signature_parquet import signature_table

        return signature_table(self)

    def _repr_html_(self) -> str:
        from routesig._html import signatures_html

        return signatures_html(self)

    def __repr__(self) -> str:
        return (
            f"SignatureSet({len(self)} prompts, {self.layers} layers x {self.experts} experts, "
            f"tokens={self.info.get('tokens', 'all')!r}, weighting={self.info.get('weighting', 'count')!r})"
        )


def signatures(
    traces: _core.TraceSet, *, tokens: str = "all", weighting: str = "count", drop_invalid: bool = False
) -> SignatureSet:
    """The routing signature of every trace.

    Parameters
    ----------
    traces : TraceSet
    tokens : {"all", "prompt", "generation"}
        Which tokens count. "generation": inputs that the model generated itself.
    weighting : {"count", "gate", "top1"}
        What a selected expert receives: 1; the weight that was applied; 1 for the best expert of a row alone.
    drop_invalid : bool
        Leave impossible rows out, counted in `info`, instead of refusing them.

    Returns
    -------
    SignatureSet
        `values` float64 [prompts, layers, experts].

    Raises
    ------
    ValueError
        On impossible rows, on gate weighting without recorded weights, on top-1 weighting without rank order.

    References
    ----------
    arXiv 2603.11114, equation 3.

    Examples
    --------
    >>> import routesig as rs
    >>> trace = rs.RoutingTrace.from_arrays([[[0, 3], [0, 2]]], num_experts=4, id="hand", task="code")
    >>> rs.signatures([trace]).values.tolist()  # 1 prompt, 1 layer, 4 experts
    [[[0.5, 0.0, 0.25, 0.25]]]
    """
    traces = traces_of("signatures", traces)
    values, counts, num_tokens, unknown, dropped = _core.signatures(traces, tokens, weighting, drop_invalid)
    info: dict[str, Any] = {"tokens": tokens, "weighting": weighting}
    if traces.info is not None:
        info |= {"top_k": traces.info.top_k, "model": traces.info.model_name or None}
    info |= {"unknown_rows": unknown, "dropped_rows": dropped}
    groups, sources = [trace.group for trace in traces], [source_of(trace) for trace in traces]
    return SignatureSet(values, counts, traces.ids, traces.tasks, groups, num_tokens, info, sources)


def source_of(trace: _core.RoutingTrace) -> str | None:
    """The field "source" that a prompt carries: the data set, language or author that it comes from."""
    source = trace.fields.get("source")
    return None if is_missing(source) else str(source) or None


def read_signatures(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> SignatureSet:
    """Read a file that `SignatureSet.save` wrote; its format is found from its content.

    Parameters
    ----------
    path : path
        A `.npz` or Parquet file.
    max_bytes : int, optional
        How many bytes its arrays may take when they are decoded; a file that declares more is refused unread. Default:
        16 MiB and 256 for each byte of the file, but no more than 8 GiB. Reading takes a few times that.

    Returns
    -------
    SignatureSet

    Raises
    ------
    FormatError
        Where it is not one, or is larger than `max_bytes`.

    Examples
    --------
    >>> import tempfile
    >>> import routesig as rs
    >>> sigs = rs.SignatureSet.from_counts([[[3, 1]], [[0, 4]]], tasks=["code", "math"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sigs.save(f"{folder}/sigs.npz")
    ...     rs.read_signatures(f"{folder}/sigs.npz").tasks
    ['code', 'math']
    """
    path = path_of("read_signatures", path)
    if is_parquet(path):
        from routesig import _signature_parquet

        return _signature_parquet.read_signatures(path, max_bytes=max_bytes)
    from routesig._signature_npz import read_npz

    return read_npz(path, max_bytes=max_bytes)


def experts_a_token(sigs: SignatureSet) -> int:
    """K, as far as a set tells: 1 for top-1 weighting, else its `top_k`, else layer totals over tokens."""
    if sigs.info.get("weighting") == "top1":
        return 1
    if sigs.info.get("top_k"):
        return int(sigs.info["top_k"])
    if sigs.num_tokens is None or not sigs.num_tokens.any():
        raise ValueError(
            "signatures: expected signatures that know top_k or num_tokens, got neither (from_counts takes both)"
        )
    if sigs.counts is None:
        raise ValueError("signatures: expected counts, got gate weights")
    totals = sigs.counts.sum(axis=2).max(axis=1, initial=0)
    ratios = {int(total) / int(n) for total, n in zip(totals, sigs.num_tokens, strict=True) if n}
    if len(ratios) != 1 or not float(top_k := ratios.pop()).is_integer():
        raise ValueError(
            "signatures: expected the same whole number of experts per token in every prompt, got counts without"
        )
    return int(top_k)


def _check_layers(counts: Counts, top_k: int | None, *, explained: bool) -> None:
    """Refuse layers of a prompt whose totals differ (unless `explained`) or are no multiple of top_k; 0 is no data."""
    totals = counts.sum(axis=2)
    largest = totals.max(axis=1, initial=0, keepdims=True)
    differ = (totals > 0) & (totals != largest)
    if differ.any() and not explained:
        prompt, layer = (int(i) for i in np.argwhere(differ)[0])
        fullest = int(totals[prompt].argmax())
        raise ValueError(
            "signatures: expected the same number of selections in every layer of a prompt, got "
            f"{totals[prompt, layer]} in layer {layer} and {totals[prompt, fullest]} in layer {fullest} of prompt "
            f"{prompt} (are the axes prompts, layers, experts? unequal_layers=True where some tokens were routed in "
            "some layers only)"
        )
    odd = totals % np.uint64(top_k or 1) > 0
    if odd.any():
        prompt, layer = (int(i) for i in np.argwhere(odd)[0])
        raise ValueError(
            f"signatures: expected {top_k} selections per token (top_k), got {totals[prompt, layer]} in layer {layer} "
            f"of prompt {prompt}, which is no multiple of it (unequal_layers=True where some selections were dropped)"
        )


def _whole_numbers(values: ArrayLike, what: str, axes: int) -> Counts:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal lengths
        raise refused("SignatureSet.from_counts", f"{what} as whole numbers", values) from None
    if np.ma.is_masked(values):
        raise ValueError(f"signatures: expected {what} without masked entries, got a masked array (0: never chosen)")
    if array.dtype.kind == "O" or array.ndim == 0 or (array.dtype.kind == "U" and array.ndim < axes):
        raise refused("SignatureSet.from_counts", f"{what} as whole numbers", values)
    if array.ndim != axes:
        shape = "[prompts, layers, experts]" if axes == 3 else "[prompts]"
        raise ValueError(f"signatures: expected {what} {shape}, got {array.ndim} axes")
    if array.dtype.kind not in "iuf" and array.size:
        raise ValueError(f"signatures: expected {what} to be whole numbers, got {array.dtype}")
    if array.dtype.kind == "f":
        broken = ~np.isfinite(array) | (np.rint(array) != array)
        if broken.any():
            place = tuple(np.argwhere(broken)[0])
            where = ", ".join(f"{axis} {i}" for axis, i in zip(("prompt", "layer", "expert"), place, strict=False))
            number = "NaN" if np.isnan(array[place]) else f"{array[place]:g}"
            raise ValueError(f"signatures: expected {what} to be whole numbers, got {number} at {where}")
    if array.size and array.min() < 0:
        raise ValueError(f"signatures: expected {what} of 0 or more, got {array.min()}")
    check_counts(array, what)
    return np.ascontiguousarray(array, dtype=np.uint64)
