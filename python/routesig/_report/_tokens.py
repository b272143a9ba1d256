"""The tokens of as many prompts as fit into the page, with the experts of every layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig._report._packing import packed, packed_json, size
from routesig._report._prompts import Prompts

_BYTES = 1_900_000  # of the page that tokens may take
_STEPS = 200  # of an agreement of 1
_BINS = 1 << 24  # counted in memory at once
NOWHERE_ELSE = 255  # of `agreement`: the token id occurs in no other prompt


def token_data(study: Any, prompts: Prompts) -> dict[str, Any] | None:
    """Tokens of the first prompts of every task, in turn, until the page has no room for more."""
    if study.traces is None or len(study.traces) == 0:
        return None
    traces = study.traces
    agreement = _Agreement(traces)
    entries: dict[int, dict[str, Any]] = {}
    room = _BYTES
    for place in _in_turn(prompts):
        entry = _entry(traces[int(prompts.order[place])], int(prompts.order[place]), agreement)
        room -= sum(size(part) for part in entry.values() if isinstance(part, dict))
        if room < 0 and entries:
            break
        entries[place] = entry
    return {
        "prompts": [{"prompt": place, **entries[place]} for place in sorted(entries)],
        "of": len(traces),
        "top_k": int(traces.info.top_k),
        "ranked": bool(traces.info.ranked),
        "chance": [round(float(value), 4) for value in agreement.chance],
    }


def _in_turn(prompts: Prompts) -> list[int]:
    """Places of prompts: the first of each task, the second of each task, ..."""
    turn = np.zeros(len(prompts.order), dtype=int)
    seen: dict[int, int] = {}
    for place, task in enumerate(prompts.task_of):
        turn[place] = seen[task] = seen.get(task, -1) + 1
    return [int(place) for place in np.argsort(turn, kind="stable")]


def _entry(trace: Any, index: int, agreement: "_Agreement") -> dict[str, Any]:
    experts = np.asarray(trace.experts)
    known = np.asarray(trace.valid)
    entry: dict[str, Any] = {
        "texts": None if trace.token_texts is None else packed_json(list(trace.token_texts)),
        "ids": None if trace.token_ids is None else packed(np.asarray(trace.token_ids).clip(0).astype(np.uint32)),
        "generated": packed(np.asarray(trace.token_types).astype(np.uint8)),
        # Ids are shifted by one: 0 stands for unknown routing.
        "experts": packed(np.where(known[:, :, None], experts.astype(np.uint32) + 1, 0)),
        "weights": None,
        "agreement": None if trace.token_ids is None else packed(agreement.of(trace, index)),
    }
    if trace.weights is not None:
        weights = np.nan_to_num(np.asarray(trace.weights, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(0)
        top = float(weights.max(initial=0.0)) or 1.0
        entry["weights"] = packed(np.rint(weights / top * 255).astype(np.uint8))
        entry["weight_step"] = top / 255
    return entry


class _Agreement:
    """How much of a token's experts the same token id chose in other prompts: mean |E_s & E_t| / K over them."""

    def __init__(self, traces: Any) -> None:
        info = traces.info
        self.chance = np.zeros(info.layers)
        having = [i for i, trace in enumerate(traces) if trace.token_ids is not None and len(trace)]
        lengths = [len(traces[i]) for i in having]
        self._start = dict(zip(having, np.cumsum([0, *lengths])[:-1].tolist(), strict=True))
        self._steps = np.full((info.layers, sum(lengths)), NOWHERE_ELSE, dtype=np.uint8)
        if not having:
            return
        _, word = np.unique(np.concatenate([np.asarray(traces[i].token_ids) for i in having]), return_inverse=True)
        # One place for each token id and prompt that it occurs in.
        owner = np.repeat(np.arange(len(having)), lengths)
        _, place = np.unique(word.astype(np.int64) * len(having) + owner, return_inverse=True)
        for layer in range(info.layers):
            picks = np.concatenate([np.asarray(traces[i].experts[layer]) for i in having]).astype(np.int64)
            known = np.concatenate([np.asarray(traces[i].valid[layer]) for i in having])
            self._layer(layer, picks[known], known, word[known], place[known], info.experts)

    def _layer(self, layer: int, picks: Any, known: Any, word: Any, place: Any, experts: int) -> None:
        """`picks` [known tokens, top_k]."""
        top_k = picks.shape[1]
        everyone = _occurrences(word[:, None] * experts + picks)
        mine = _occurrences(place[:, None] * experts + picks)
        others = _occurrences(word) - _occurrences(place)
        elsewhere = (everyone - mine).sum(axis=1) / (top_k * np.maximum(others, 1))
        steps = np.where(others > 0, np.rint(elsewhere * _STEPS), NOWHERE_ELSE)
        self._steps[layer, known] = steps.astype(np.uint8)
        if picks.size:
            shares = np.bincount(picks.ravel(), minlength=experts) * (top_k / picks.size)
            self.chance[layer] = (shares**2).sum() / top_k

    def of(self, trace: Any, index: int) -> NDArray[np.uint8]:
        """In steps of 1/200 [layers, tokens]; 255 where the id occurs in no other prompt, or routing is unknown."""
        start = self._start.get(index, 0)
        return self._steps[:, start : start + len(trace)]


def _occurrences(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each entry occurs among all of them; in its shape."""
    if int(keys.max(initial=0)) < _BINS:
        return np.bincount(keys.ravel())[keys]
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return counts[inverse].reshape(keys.shape)
