"""Similarity that does not depend on the number of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._absent import Masked
from routesig._equality import ByValue
from routesig._kinds import either_of
from routesig._options import whole_number
from routesig._signatures import SignatureSet, experts_a_token
from routesig._tasks import Groups, numbered_groups, numbered_tasks

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DebiasedMeans:
    """Within-task and across-task means of the debiased similarity; None where there is no pair.

    Attributes
    ----------
    within, across, difference : float or None
        Ratios of means: the sum of inner products over the sum of norm products.
    within_pairs, across_pairs : int
        Pairs that were used.
    """

    within: float | None
    across: float | None
    difference: float | None
    within_pairs: int
    across_pairs: int


@dataclass(frozen=True, eq=False)
class DebiasedSimilarity(ByValue):
    """Debiased cosines and what they rest on.

    Attributes
    ----------
    values : masked float64 [prompts of a, prompts of b]
        Mean over layers; masked where a layer of either prompt is absent, and on the diagonal of one set. The value of
        equal routing is 1, single ones may exceed it.
    layers : masked float64 [layers, prompts of a, prompts of b]
        Computed when asked for.
    squared_norms : masked float64 [prompts of a, layers]
        Mean number of experts that two different tokens have in common.
    num_tokens : uint64 [prompts of a, layers]
    window : int
        Pairs of tokens at most this many positions apart were left out.
    ids, tasks : list
        Of the prompts of a.
    absent : dict
        Prompt id -> why it has no value.
    groups : list
        Of the prompts of a.
    """

    values: Masked
    squared_norms: Masked
    num_tokens: NDArray[np.uint64]
    window: int
    ids: list[str]
    tasks: list[str | None]
    absent: dict[str, str]
    groups: list[str | None]
    _rows: Any = field(repr=False)
    _other: Any = field(repr=False)  # of b; None for one set

    @cached_property
    def layers(self) -> Masked:
        known = _known(self._rows)
        known_b = known if self._other is None else _known(self._other)
        mask = ~(known.T[:, :, None] & known_b.T[:, None, :])
        if self._other is None:
            mask |= np.eye(len(known), dtype=bool)
        return np.ma.MaskedArray(_core.debiased_layers(self._rows, self._other), mask)

    def means(
        self, tasks: Sequence[str | None] | None = None, groups: Groups = None
    ) -> tuple[DebiasedMeans, list[DebiasedMeans]]:
        """Within-task and across-task means, over all layers and layer by layer.

        Parameters
        ----------
        tasks : sequence of str or None, optional
            One per prompt; default: the prompts' own. None where unlabelled (left out).
        groups : sequence of str, False, or None
            As in `separation`: pairs of prompts of one group do not count. Default: the prompts' own, where tasks are
            too.

        Returns
        -------
        DebiasedMeans, list of DebiasedMeans
            The mean over layers (None where a layer has none), and one per layer.
        """
        if self._other is not None:
            raise ValueError("debiased: expected the similarity of one set with itself, got that of two sets")
        names, task_of = numbered_tasks(self.tasks if tasks is None else list(tasks))
        own = self.groups if tasks is None else []
        group_of = numbered_groups(groups, own, names, task_of, "debiased")
        overall, layers = _core.debiased_means(self._rows, task_of, group_of)
        return DebiasedMeans(*overall), [DebiasedMeans(*layer) for layer in layers]

    def __repr__(self) -> str:
        a, b = self.values.shape
        return f"DebiasedSimilarity({a} x {b} prompts, window={self.window}, {len(self.absent)} prompts absent)"


def debiased_similarity(
    a: SignatureSet | _core.TraceSet,
    b: SignatureSet | _core.TraceSet | None = None,
    *,
    tokens: str = "all",
    window: int | None = None,
    drop_invalid: bool = False,
) -> DebiasedSimilarity:
    """Cosines of signatures without the bias of finite texts.

    The inner product of two prompts' shares is unbiased; their squared norms are not. Here a squared norm is the mean
    number of experts in common over pairs of different tokens, so that two samples of the same routing have
    similarity 1 on average, however short they are.

    Parameters
    ----------
    a, b : TraceSet, or SignatureSet with counts
        One: every pair of its prompts. Two: every prompt of one with every prompt of the other, which should share no
        prompt (a text is not a sample independent of itself).
    tokens : {"all", "prompt", "generation"}
        Of traces: which tokens count. A SignatureSet has chosen already.
    window : int, optional
        Of traces: leave out pairs of tokens at most this many positions apart, which repeat experts (default 4).
        Counts know no positions: 0, which overstates the norms of real text.
    drop_invalid : bool
        Of traces: leave impossible rows out instead of refusing them.

    Returns
    -------
    DebiasedSimilarity

    Raises
    ------
    ValueError
        On gate-weighted signatures, and where the experts per token are unknown.

    Notes
    -----
    With counts c of T tokens and K experts per token, the squared norm is (sum c^2 - T K) / (T (T - 1)). A layer with
    fewer than 8 tokens, or whose squared norm is not above 0, has no value.

    Examples
    --------
    >>> sigs = SignatureSet.from_counts([[[6, 3, 3]], [[5, 5, 2]]], top_k=1)
    >>> round(float(debiased_similarity(sigs).values[0, 1]), 4)
    1.1131
    """
    a, b = either_of("debiased_similarity", a), None if b is None else either_of("debiased_similarity", b)
    rows, width = _rows(a, tokens, window, drop_invalid)
    other, other_width = (None, width) if b is None else _rows(b, tokens, window, drop_invalid)
    if width != other_width:
        raise ValueError(f"debiased: expected two sets of one kind, got windows {width} and {other_width}")
    known = _known(rows)
    whole = np.all(known, axis=1)
    mask = ~(whole[:, None] & (whole if other is None else np.all(_known(other), axis=1)))
    if b is None:
        np.fill_diagonal(mask, True)
    matrix = _core.debiased_matrix(rows) if other is None else _core.debiased_matrix(rows, other)
    reasons = ((name, rows.absence(i)) for i, name in enumerate(a.ids))
    return DebiasedSimilarity(
        values=np.ma.MaskedArray(matrix, mask),
        squared_norms=np.ma.MaskedArray(rows.squared_norms, ~known),
        num_tokens=rows.tokens,
        window=width,
        ids=list(a.ids),
        tasks=list(a.tasks),
        absent={name: reason for name, reason in reasons if reason is not None},
        groups=[trace.group for trace in a] if isinstance(a, _core.TraceSet) else list(a.groups),
        _rows=rows,
        _other=other,
    )


def _known(rows: "_core.DebiasedRows") -> NDArray[np.bool_]:
    """Whether a layer of a prompt has a similarity: [prompts, layers]."""
    return np.array(rows.known, dtype=bool).reshape(rows.squared_norms.shape)


def _rows(one: SignatureSet | _core.TraceSet, tokens: str, window: int | None, drop_invalid: bool) -> tuple[Any, int]:
    if isinstance(one, _core.TraceSet):
        width = 4 if window is None else whole_number("debiased", "window", window, most=2**31 - 1)
        return _core.debiased_traces(one, tokens, width, drop_invalid), width
    if window:
        raise ValueError(f"debiased: expected window 0 for counts, which know no positions, got {window}")
    if tokens != "all":
        raise ValueError(
            "debiased: expected tokens to be chosen when the signatures were made (signatures(tokens=...))"
        )
    if one.counts is None:
        raise ValueError('debiased: expected counts, got gate-weighted signatures (use weighting="count", or traces)')
    return _core.debiased_counts(np.ascontiguousarray(one.counts), experts_a_token(one)), 0
