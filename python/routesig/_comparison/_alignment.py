"""Two recordings that disagree as they are numbered, and agree once layers are shifted or experts matched anew.

An engine may count layers from another one, or number physical places instead of logical experts. Either leaves all
signatures plausible, and every comparison of expert numbers at chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._comparison._agreement import ExpertAgreement
from routesig._equality import ByValue

# Parts of the way from chance to 1: below _NEAR recordings count as unrelated, from _FOUND on as one and the same.
_NEAR, _FOUND = 0.25, 0.5
_TOKENS = 50_000  # that experts are matched on, and scored on; whole prompts
_TYPES = {"all": (0, 1), "prompt": (0,), "generation": (1,)}
NO_SCIPY = "matching experts one to one needs SciPy: pip install scipy"
ONE_PROMPT = "experts are matched on one half of the prompts and scored on the other: got one prompt"

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Alignment(ByValue):
    """Layers and expert numbers under which two recordings agree that do not agree as they are.

    Attributes
    ----------
    kind : {"layer shift", "expert permutation", "layer shift and expert permutation"}
    shift : int
        Layer l of A agrees with layer l + shift of B: -1, 0 or 1.
    permutations : int64 [layers, experts], or None
        The number in B of each expert of each layer of A, -1 in a layer without a counterpart; None where numbers are
        kept. The place of an expert that neither chose is arbitrary.
    before, after : float
        Mean of |A & B| / K as numbered, and as aligned.
    chance : float
        The latter for picks that are independent given the loads.
    fitted, scored : int
        Prompts that experts were matched on (0 where numbers are kept), and the others, which the overlaps are of.
    """

    kind: str
    shift: int
    permutations: Ids | None
    before: float
    after: float
    chance: float
    fitted: int
    scored: int

    def __repr__(self) -> str:
        return f"Alignment({self.kind!r}, shift={self.shift}, before={self.before:.4f}, after={self.after:.4f})"


def find_alignment(
    a: _core.TraceSet, b: _core.TraceSet, tokens: str, agreement: ExpertAgreement, absent: dict[str, str]
) -> Alignment | None:
    """The simplest alignment that lifts an agreement near chance far above it; None where none does."""
    if _excess(agreement.overlap, agreement.marginal_chance) >= _NEAR:
        return None
    order = sorted((prompt.id, i) for i, prompt in enumerate(agreement.prompts) if prompt.tokens)
    compared = [i for _, i in order]
    fit = _Shared(a, b, compared[::2] if len(compared) > 1 else [], tokens)
    score = _Shared(a, b, compared[1::2] if len(compared) > 1 else compared, tokens)
    before, _ = score.overlap(0, None)
    for shift, permutations in _candidates(fit, score, absent):
        after, chance = score.overlap(shift, permutations)
        if _excess(after, chance) >= _FOUND:
            kind = ["layer shift"] * (shift != 0) + ["expert permutation"] * (permutations is not None)
            fitted = 0 if permutations is None else fit.prompts
            return Alignment(" and ".join(kind), shift, permutations, before, after, chance, fitted, score.prompts)
    return None


def _candidates(fit: "_Shared", score: "_Shared", absent: dict[str, str]) -> Iterator[tuple[int, Ids | None]]:
    """Shifts, then permutations, then both."""
    shifts = (-1, 1) if score.layers > 1 else ()
    yield from ((shift, None) for shift in shifts)
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        absent["alignment"] = NO_SCIPY
        return
    if not fit.prompts:
        absent["alignment"] = ONE_PROMPT
        return
    for shift in (0, *shifts):
        permutations = np.full((fit.layers, fit.experts), -1)
        for layer, counts in fit.chosen_together(shift):
            # Among equals experts keep their numbers: half a token, spread over all of them, outweighs none.
            _, permutations[layer] = linear_sum_assignment(counts + np.eye(len(counts)) / (2 * len(counts)), True)
        yield shift, permutations


def _excess(overlap: float, chance: float) -> float:
    """The part of the way from chance to 1; 0 where chance leaves none."""
    return (overlap - chance) / (1 - chance) if chance < 1 - 1e-9 else 0.0


class _Shared:
    """The routing of tokens that two recordings share: ids [layers, tokens, top_k] of both, and which are known."""

    def __init__(self, a: _core.TraceSet, b: _core.TraceSet, prompts: Sequence[int], tokens: str) -> None:
        info = a.info
        assert info is not None
        self.layers, self.experts = info.layers, info.experts
        self.prompts = 0
        parts: tuple[list[Ids], list[Ids]] = ([], [])
        room = _TOKENS
        for i in prompts:
            if room <= 0:
                break
            self.prompts += 1
            places = _shared_tokens(a[i], b[i], tokens)
            room -= len(places[0])
            for part, trace, place in zip(parts, (a[i], b[i]), places, strict=True):
                known = np.asarray(trace.valid)[:, place, None]
                part.append(np.where(known, np.asarray(trace.experts)[:, place].astype(np.int64), -1))
        empty = np.empty((self.layers, 0, info.top_k), dtype=np.int64)
        self._ids = [np.concatenate([empty, *part], axis=1) for part in parts]

    def overlap(self, shift: int, permutations: Ids | None) -> tuple[float, float]:
        """Mean |A & B| / K, and its expectation for independent picks of these loads; 0 where no row is known."""
        common = chance = places = 0.0
        for layer, x, y in self._layers(shift):
            x = x if permutations is None else permutations[layer][x]
            common += float(np.take_along_axis(self._members(y), x, axis=1).sum())
            loads = [np.bincount(ids.ravel(), minlength=self.experts).astype(np.float64) for ids in (x, y)]
            chance += float(loads[0] @ loads[1]) / len(x)
            places += x.size
        return (common / places, chance / places) if places else (0.0, 0.0)

    def chosen_together(self, shift: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Layers of A, and how many tokens chose expert i of A and j of B: [experts, experts]."""
        for layer, x, y in self._layers(shift):
            a, b = (self._members(ids).astype(np.float32) for ids in (x, y))
            yield layer, a.T @ b

    def _layers(self, shift: int) -> Iterator[tuple[int, Ids, Ids]]:
        """A layer of A, its known rows, and those of B's layer: [rows, top_k] each."""
        for layer in range(max(0, -shift), self.layers - max(0, shift)):
            x, y = self._ids[0][layer], self._ids[1][layer + shift]
            known = _possible(x, self.experts) & _possible(y, self.experts)
            if known.any():
                yield layer, x[known], y[known]

    def _members(self, ids: Ids) -> NDArray[np.bool_]:
        members = np.zeros((len(ids), self.experts), dtype=bool)
        np.put_along_axis(members, ids, True, axis=1)
        return members


def _shared_tokens(a: _core.RoutingTrace, b: _core.RoutingTrace, tokens: str) -> list[NDArray[np.intp]]:
    """Places in A and in B of the tokens of a set, in order of position up to the first that differs."""
    places = [np.argsort(np.asarray(trace.positions), kind="stable") for trace in (a, b)]
    both = min(map(len, places))
    same = np.ones(both, dtype=bool)
    for name in ("positions", "token_ids"):
        x, y = (np.asarray(getattr(t, name))[p[:both]] for t, p in zip((a, b), places, strict=True))
        same &= x == y
    count = both if same.all() else int(same.argmin())
    of_set = np.ones(count, dtype=bool)
    for trace, place in zip((a, b), places, strict=True):
        of_set &= np.isin(np.asarray(trace.token_types)[place[:count]], _TYPES[tokens])
    return [place[:count][of_set] for place in places]


def _possible(ids: Ids, experts: int) -> NDArray[np.bool_]:
    """Rows [tokens, top_k] that are known: distinct experts that exist."""
    ordered = np.sort(ids, axis=1)
    return np.asarray((ordered[:, 0] >= 0) & (ordered[:, -1] < experts) & (np.diff(ordered, axis=1) > 0).all(axis=1))
