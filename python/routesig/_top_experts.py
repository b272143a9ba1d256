"""The experts that each task uses most, as a table."""

from typing import TYPE_CHECKING, Any

import numpy as np

from routesig import _core
from routesig._optional import need
from routesig._options import whole_number

if TYPE_CHECKING:
    from routesig._signatures import SignatureSet


def of_traces(traces: _core.TraceSet, count: int, tokens: str) -> Any:
    """See TraceSet.top_experts."""
    from routesig._signatures import signatures

    return of_signatures(signatures(traces, tokens=tokens), count)


def of_signatures(sigs: "SignatureSet", count: int) -> Any:
    """See SignatureSet.top_experts."""
    pandas = need("pandas", "data frames")
    count = min(whole_number("top_experts", "count", count, least=1), sigs.experts)
    tables = []
    for task in sorted({task for task in sigs.tasks if task is not None}):
        inside = np.array([one == task for one in sigs.tasks], dtype=bool)
        shares = sigs.values[inside].mean(axis=0)
        elsewhere = sigs.values[~inside].mean(axis=0) if not inside.all() else np.full_like(shares, np.nan)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :count]
        tables.append(
            pandas.DataFrame(
                {
                    "task": task,
                    "layer": np.repeat(np.arange(sigs.layers), count),
                    "rank": np.tile(np.arange(1, count + 1), sigs.layers),
                    "expert": best.ravel(),
                    "share": np.take_along_axis(shares, best, axis=1).ravel(),
                    "elsewhere": np.take_along_axis(elsewhere, best, axis=1).ravel(),
                }
            )
        )
    if not tables:
        raise ValueError("top_experts: expected prompts with a task, got none")
    return pandas.concat(tables, ignore_index=True)
