"""A study as plain data. docs/formats.md describes the schema; a change of meaning raises its version."""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routesig import _core
from routesig._files import atomic_write
from routesig._p_value import PValue

if TYPE_CHECKING:
    from routesig._study._result import Study

VERSION = 2

# Single draws and what grows with the square of the prompts: the seed makes them again.
_LEFT_OUT = {
    *("traces", "signatures", "similarity"),
    *("null", "draws", "layer_draws", "values", "detail", "probabilities", "test"),
}


def study_to_dict(study: "Study") -> dict[str, Any]:
    """See Study.to_dict."""
    sigs = study.signatures
    tokens = [None] * len(sigs) if sigs.num_tokens is None else [int(n) for n in sigs.num_tokens]
    predicted = study.classification.predictions
    columns = zip(sigs.ids, sigs.tasks, sigs.groups, sigs.sources, tokens, predicted, strict=True)
    return {
        "format": "routesig-study",
        "version": VERSION,
        "headline": study.headline,
        "not_claimed": list(study.not_claimed),
        "prompts": [
            dict(zip(("id", "task", "group", "source", "tokens", "predicted"), row, strict=True)) for row in columns
        ],
        **_fields(study),
    }


def write_json(study: "Study", path: str | os.PathLike[str]) -> Path:
    """See Study.to_json."""
    text = json.dumps(study_to_dict(study), ensure_ascii=False, allow_nan=False, indent=1)
    with atomic_write(path) as file:
        file.write(text.encode() + b"\n")
    return Path(path)


def plain(value: Any) -> Any:
    """Numbers, text, lists and dicts; null where absent."""
    if isinstance(value, PValue):
        return {"value": float(value), "floor": value.floor}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, np.ma.MaskedArray):
        return plain(value.tolist())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, _core.Separation):
        return {"within": _moments(value.within), "across": _moments(value.across), "cohens_d": value.cohens_d}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"study: expected finite numbers, got {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.to_dict() if hasattr(value, "to_dict") else str(value)


def _fields(value: Any) -> dict[str, Any]:
    return {
        field.name: plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.name not in _LEFT_OUT and not field.name.startswith("_")
    }


def _moments(moments: Any) -> dict[str, Any]:
    return {"mean": moments.mean, "sd": moments.sd, "pairs": moments.pairs}
