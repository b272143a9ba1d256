"""Where the numbers of a study come from: model, tokens, options, versions, and hashes to recognise them by."""

import hashlib
import platform
from typing import Any, TypedDict

import numpy as np

from routesig import _core
from routesig._signatures import SignatureSet
from routesig._study._parts import StudyOptions


class Provenance(TypedDict):
    """What `provenance` gives."""

    model: str | None
    model_sha256: str | None
    model_dtype: str | None
    tokenizer_sha256: str | None
    settings: dict[str, Any] | None
    layers: int
    experts: int
    top_k: int | None
    renormalized: bool | None
    prompts: int
    tokens: int | None
    token_set: str
    weighting: str
    unknown_rows: int | None
    dropped_rows: int | None
    complete: bool | None
    traces_sha256: str | None
    signatures_sha256: str
    seed: int
    routesig: str
    numpy: str
    python: str


def provenance(given: Any, sigs: SignatureSet, options: StudyOptions) -> Provenance:
    """Plain data; unknown entries are None."""
    info = given.info if isinstance(given, _core.TraceSet) else None
    tokens = sigs.num_tokens
    return {
        "model": (info.model_name or None) if info else sigs.info.get("model"),
        "model_sha256": (info.model_sha256 or None) if info else None,
        "model_dtype": (info.model_dtype or None) if info else None,
        "tokenizer_sha256": (info.tokenizer_sha256 or None) if info else None,
        "settings": given.settings if isinstance(given, _core.TraceSet) else None,
        "layers": sigs.layers,
        "experts": sigs.experts,
        "top_k": sigs.info.get("top_k"),
        "renormalized": info.renormalized if info else None,
        "prompts": len(sigs),
        "tokens": None if tokens is None else int(tokens.sum()),
        "token_set": sigs.info.get("tokens", "all"),
        "weighting": sigs.info.get("weighting", "count"),
        "unknown_rows": sigs.info.get("unknown_rows"),
        "dropped_rows": sigs.info.get("dropped_rows"),
        "complete": given.complete if isinstance(given, _core.TraceSet) else None,
        "traces_sha256": traces_hash(given) if isinstance(given, _core.TraceSet) else None,
        "signatures_sha256": signatures_hash(sigs),
        "seed": options.seed,
        "routesig": _core.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def traces_hash(traces: _core.TraceSet) -> str:
    """SHA-256 of ids, tasks, tokens and experts, whatever file they came in."""
    digest = hashlib.sha256()
    for trace in traces:
        ids = trace.token_ids
        digest.update(repr((trace.id, trace.task, trace.group, trace.prompt_tokens, trace.experts.shape)).encode())
        digest.update(b"" if ids is None else np.ascontiguousarray(ids, dtype="<i4").tobytes())
        digest.update(np.ascontiguousarray(trace.experts, dtype="<u2").tobytes())
    return digest.hexdigest()


def signatures_hash(sigs: SignatureSet) -> str:
    """SHA-256 of ids, tasks and values: the same prompts routed alike have the same."""
    digest = hashlib.sha256(repr((sigs.ids, sigs.tasks, sigs.groups, sigs.values.shape)).encode())
    digest.update(np.ascontiguousarray(sigs.values, dtype="<f8").tobytes())
    return digest.hexdigest()
