"""Length, vocabulary and context: where the difference of similarities comes from, as far as that can be told."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from routesig import _core
from routesig._kinds import traces_of
from routesig._left_out import LeftOut
from routesig._options import number_of_draws
from routesig._progress import progress_bar
from routesig.controls._shuffle import checked_draws, left_out, no_difference, token_table

LEAST_CROSSING = 0.5  # with a smaller share of tokens that can cross tasks the split means nothing


class Part(NamedTuple):
    """A part of D: its value, and its 95 % bootstrap band (low, high) or None."""

    value: float
    band: tuple[float, float] | None

    def __repr__(self) -> str:
        band = "" if self.band is None else f" [{self.band[0]:.4f}, {self.band[1]:.4f}]"
        return f"{self.value:.4f}{band}"


class Parts(NamedTuple):
    """D and what it is made of: length + vocabulary + context = total."""

    total: Part
    length: Part
    vocabulary: Part
    context: Part


@dataclass(frozen=True)
class Decomposition:
    """Result of `decomposition`.

    Attributes
    ----------
    overall : Parts or None
        Mean over layers; None where fewer than half of the tokens can cross tasks.
    layers : list of (Parts or None)
    crossing : Parts or None
        The same of those tokens alone that can cross tasks: their word (and kind of place) occurs in two tasks or more.
    tokens, across_tasks : int
        Tokens of the analysis, and those that can cross tasks.
    left_out : list of LeftOut
    absent : dict
        Name of a field that is None ("overall", "band") -> why.
    """

    overall: Parts | None
    layers: list[Parts | None]
    crossing: Parts | None
    tokens: int
    across_tasks: int
    left_out: list[LeftOut]
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def crossing_share(self) -> float | None:
        """Share of tokens that can cross tasks; None without tokens."""
        return self.across_tasks / self.tokens if self.tokens else None

    def __repr__(self) -> str:
        if self.overall is None:
            return f"Decomposition(absent: {self.absent['overall']})"
        parts = ", ".join(f"{name}={part!r}" for name, part in self.overall._asdict().items())
        return f"Decomposition({parts}, layers={len(self.layers)})"


def decomposition(
    traces: _core.TraceSet,
    *,
    length: ArrayLike | None = None,
    shuffles: int = 200,
    bootstrap: int = 2000,
    groups: bool = True,
    seed: int = 0,
    tokens: str = "all",
    drop_invalid: bool = False,
    progress: bool = False,
) -> Decomposition:
    """Split D = mean within-task minus mean across-task similarity into length, vocabulary and context.

    length = D under load balance (every token draws its experts uniformly); vocabulary = mean D under the same-token
    shuffle minus length; context = D minus the mean under the shuffle. Tokens whose word occurs in one task only keep
    the routing of their task under the shuffle, whatever made it: vocabulary is the most that words can account for,
    context the least. Where fewer than half of the tokens can cross tasks there is no split, and `crossing` alone tells
    something.

    Parameters
    ----------
    traces : TraceSet
        With token ids. Unlabelled prompts are left out.
    length : array of floats [layers] or one number for all, optional
        D under load balance as simulated. Default: the closed form, expected cosine
        1 / sqrt((1 + r / T_a) (1 + r / T_b)), r = experts / top_k - 1, good to .004 from 8 tokens on.
    shuffles : int
    bootstrap : int
        Resamples of prompts for the bands (n - 1 draws from the n prompts of each task, and a shuffle within what was
        drawn; quantiles around the value); 0: no bands. No bands where a task has fewer than five prompts (or groups).
    groups : bool
        Pairs of prompts of one group (template) do not count, and whole groups are drawn for the bands. False: prompts
        count as independent.
    seed, tokens, drop_invalid, progress
        As for `token_shuffle`, whose draws these are.

    Returns
    -------
    Decomposition

    Raises
    ------
    ValueError
        As `token_shuffle`, and on a `length` that does not fit.

    References
    ----------
    Load balance: arXiv 2603.11114, section 5, with every token's experts distinct.

    Examples
    --------
    One word, routed by its task alone: all of D is context.

    >>> import routesig as rs
    >>> def prompt(task, expert, i):
    ...     return rs.RoutingTrace.from_arrays([[[expert]]], num_experts=2, token_ids=[7], task=task, id=f"{task}{i}")
    >>> traces = rs.TraceSet([prompt("a", 0, i) for i in range(8)] + [prompt("b", 1, i) for i in range(8)])
    >>> parts = rs.controls.decomposition(traces, shuffles=500, bootstrap=0).overall
    >>> parts.total.value, abs(parts.length.value) < 1e-12, abs(parts.vocabulary.value) < 0.05
    (1.0, True, True)
    """
    shuffles, seed = checked_draws("decomposition", shuffles, seed)
    bootstrap = number_of_draws("decomposition", "bootstrap", bootstrap)
    traces = traces_of("decomposition", traces)
    table = token_table("decomposition", traces, tokens, drop_invalid, groups)
    given: list[float] = []
    if length is not None and traces.info is not None:
        per_layer = np.asarray(length, dtype=np.float64)
        if per_layer.ndim > 1:
            raise ValueError(f"decomposition: expected length as one number or [layers], got {per_layer.ndim} axes")
        given = (np.full(traces.info.layers, per_layer) if per_layer.ndim == 0 else per_layer).tolist()
    with progress_bar("decomposition", progress) as told:
        overall, layers, no_bands = _core.decompose(table, given, shuffles, bootstrap, seed, told)
    with progress_bar("decomposition of crossing tokens", progress) as told:
        crossing, _, no_crossing_bands = _core.decompose(table.crossing(), given, shuffles, bootstrap, seed, told)
    absent: dict[str, str] = {}
    share = table.across_tasks / max(1, len(table))
    if overall is None:
        absent["overall"] = no_difference(traces, table)
    elif share < LEAST_CROSSING:
        absent["overall"] = (
            f"{share:.0%} of the tokens can cross tasks, fewer than half: the split would call vocabulary what it "
            "cannot tell"
        )
        overall, layers = None, []
    elif no_bands:
        absent["band"] = no_bands
    if crossing is None:
        absent["crossing"] = "no tokens that can cross tasks, or too few prompts with such"
    elif no_crossing_bands:
        absent["crossing.band"] = no_crossing_bands
    return Decomposition(
        overall=_parts(overall),
        layers=[_parts(layer) for layer in layers],
        crossing=_parts(crossing),
        tokens=len(table),
        across_tasks=table.across_tasks,
        left_out=left_out(traces, table),
        absent=absent,
    )


def _parts(found: Any) -> Parts | None:
    return None if found is None else Parts(*(Part(*part) for part in found))
