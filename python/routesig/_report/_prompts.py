"""The prompts of a study, in the order in which the page shows them, and what the page recomputes from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routesig._report._image import block_means, png
from routesig._report._packing import packed, packed_json, size
from routesig._signatures import signatures

COMPARED = 1_500  # prompts that the page compares pair by pair
_COUNT_BYTES = 3_200_000  # of the page that counts may take
_TEXT_CHARACTERS = 1_000_000  # of all prompts' texts together
_IMAGE_SIDE = 1_000  # of the matrix where the page does not compute it
_SKETCH_SIDE = 320  # of its picture until it is computed


@dataclass(frozen=True)
class Prompts:
    """Prompts sorted by task, unlabelled ones last; `order` are their places in the study."""

    order: NDArray[np.intp]
    tasks: list[str]
    task_of: list[int]  # -1: unlabelled

    @classmethod
    def of(cls, study: Any) -> "Prompts":
        """The study's prompts."""
        labels = study.signatures.tasks
        tasks = sorted({task for task in labels if task is not None})
        codes = [len(tasks) if task is None else tasks.index(task) for task in labels]
        order = np.argsort(np.array(codes, dtype=np.intp), kind="stable")
        return cls(order, tasks, [codes[i] if codes[i] < len(tasks) else -1 for i in order])


def prompt_data(study: Any, prompts: Prompts) -> dict[str, Any]:
    """Ids, tasks, groups (-1: none), texts and lengths, for tooltips and the panel of a pair."""
    sigs = study.signatures
    texts = _texts(study, prompts)
    names = {name: code for code, name in enumerate(dict.fromkeys(sigs.groups)) if name is not None}
    groups = [-1 if name is None else names[name] for name in sigs.groups]
    return {
        "tasks": prompts.tasks,
        "ids": [sigs.ids[i] for i in prompts.order],
        "task": prompts.task_of,
        "group": [groups[i] for i in prompts.order],
        "tokens": None if sigs.num_tokens is None else [int(sigs.num_tokens[i]) for i in prompts.order],
        "texts": texts,
        "layers": sigs.layers,
        "experts": sigs.experts,
    }


def similarity_data(study: Any, prompts: Prompts) -> dict[str, Any]:
    """A picture of the similarities, and counts from which the page computes them where they are not too many.

    `sets` are the token sets to choose from; `chosen` is that of the study. `computed` says whether the page compares
    every pair itself, `reason` why one cannot choose.
    """
    sets, reason = _counts(study, prompts)
    few = len(study.signatures) <= COMPARED
    computed = few and bool(sets)
    matrix = np.ma.filled(study.similarity, np.nan)[np.ix_(prompts.order, prompts.order)]
    return {
        "chosen": study.options.tokens,
        "sets": sets,
        "computed": computed,
        "picture": _sketch(matrix) if computed else _picture(block_means(matrix, _IMAGE_SIDE), _IMAGE_SIDE),
        "reason": reason if few else _too_many(),
    }


def _sketch(matrix: NDArray[np.float64]) -> dict[str, Any]:
    """What the page shows until it has computed the matrix, in the same colours: from the least alike pair to 1."""
    apart = ~np.eye(len(matrix), dtype=bool)
    low = min(1.0, float(np.nanmin(matrix[apart], initial=1.0)))
    return _picture(block_means(matrix, _SKETCH_SIDE), _SKETCH_SIDE, low, 1.0)


def _picture(
    means: NDArray[np.float64], side: int, low: float | None = None, high: float | None = None
) -> dict[str, Any]:
    low = float(np.nanmin(means, initial=1.0)) if low is None else low
    high = float(np.nanmax(means, initial=0.0)) if high is None else high
    return {"source": png(means, low, high), "low": low, "high": high, "side": side}


def _counts(study: Any, prompts: Prompts) -> tuple[dict[str, Any], str | None]:
    """Packed counts of token sets, as many sets as fit; and why there are not all three."""
    sigs = study.signatures
    chosen = study.options.tokens
    if sigs.counts is None:
        values = packed(sigs.values[prompts.order].astype(np.float32))
        if size(values) > _COUNT_BYTES:
            return {}, "the gate-weighted signatures of so many prompts do not fit into a page"
        return {chosen: values}, "gate weights are known for the study's own tokens alone"
    why = _only_the_chosen(study)
    if why is None:
        by_set = {name: packed(_counted(study, name)[prompts.order]) for name in ("prompt", "generation")}
        if sum(map(size, by_set.values())) <= _COUNT_BYTES:
            return by_set, None  # all tokens are their sum
        why = "the counts of other token sets do not fit into a page"
    mine = packed(sigs.counts[prompts.order])
    if size(mine) > _COUNT_BYTES:
        return {}, "the counts of so many prompts do not fit into a page"
    return {chosen: mine}, why


def _only_the_chosen(study: Any) -> str | None:
    """Why other token sets than the study's cannot be counted, if so."""
    if study.traces is None:
        return "the study was given signatures, not traces"
    if study.options.weighting != "count":
        return "the study counts the first expert of a token alone"
    if len(study.signatures) > COMPARED:
        return _too_many()
    return None


def _too_many() -> str:
    return f"with more than {COMPARED:,} prompts the page shows the study's own choice alone"


def _counted(study: Any, tokens: str) -> NDArray[np.uint64]:
    counts = signatures(study.traces, tokens=tokens, drop_invalid=study.options.drop_invalid).counts
    assert counts is not None
    return counts


def _texts(study: Any, prompts: Prompts) -> dict[str, Any] | None:
    """Every prompt's text, cut so that all fit; packed."""
    if study.traces is None:
        return None
    room = max(120, _TEXT_CHARACTERS // max(1, len(prompts.order)))
    limit = min(4_000, room)
    texts = [study.traces[int(i)].text or "" for i in prompts.order]
    if not any(texts):
        return None
    return packed_json([text if len(text) <= limit else text[: limit - 1] + "\u2026" for text in texts])
