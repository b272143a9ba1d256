"""Traces and signatures as pandas data frames and xarray arrays."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._optional import need
from routesig._tables import TYPES, grid, joined, repeated, token_ids, token_texts

if TYPE_CHECKING:
    from routesig._signatures import SignatureSet


def traces_to_pandas(traces: _core.TraceSet) -> Any:
    """See TraceSet.to_pandas."""
    pandas = need("pandas", "data frames")
    lengths = [len(trace) for trace in traces]
    groups = [trace.group for trace in traces]
    token, absent = token_ids(traces)
    columns = {
        "prompt": _categories(*repeated(traces.ids, lengths)),
        "task": _categories(*repeated(traces.tasks, lengths)),
        "group": _categories(*repeated(groups, lengths)),
        "position": joined([trace.positions for trace in traces]),
        "type": _categories(joined([trace.token_types for trace in traces]), TYPES),
        "token": pandas.arrays.IntegerArray(token, absent),
        "token_text": pandas.array(token_texts(traces), dtype="string"),
        "experts": _token_arrays(traces, "experts"),
    }
    if any(trace.weights is not None for trace in traces):
        columns["weights"] = _token_arrays(traces, "weights")
    return pandas.DataFrame(columns)


def signatures_to_pandas(sigs: "SignatureSet") -> Any:
    """See SignatureSet.to_pandas."""
    pandas = need("pandas", "data frames")
    cells = sigs.layers * sigs.experts
    columns = {
        "prompt": _categories(*repeated(sigs.ids, cells)),
        "task": _categories(*repeated(sigs.tasks, cells)),
        "group": _categories(*repeated(sigs.groups, cells)),
        **grid(sigs),
    }
    return pandas.DataFrame(columns)


def signatures_to_xarray(sigs: "SignatureSet") -> Any:
    """See SignatureSet.to_xarray."""
    xarray = need("xarray", "labelled arrays")
    labels = {"id": sigs.ids, "task": sigs.tasks, "group": sigs.groups}
    coordinates: dict[str, Any] = {name: ("prompt", np.array(column, object)) for name, column in labels.items()}
    if sigs.num_tokens is not None:
        coordinates["num_tokens"] = ("prompt", sigs.num_tokens)
    coordinates |= {"layer": np.arange(sigs.layers), "expert": np.arange(sigs.experts)}
    return xarray.DataArray(
        sigs.values, coordinates, ("prompt", "layer", "expert"), name="signature", attrs=dict(sigs.info)
    )


def _categories(codes: NDArray[np.int32], texts: list[str]) -> Any:
    """A number per row and the texts that they count; missing for -1."""
    return need("pandas", "data frames").Categorical.from_codes(codes, texts)


def _token_arrays(traces: _core.TraceSet, name: str) -> NDArray[np.object_]:
    """Each token's [layers, top_k], None where its trace has none."""
    out = np.empty(sum(map(len, traces)), dtype=object)
    row = 0
    for trace in traces:
        array = getattr(trace, name)
        for token in range(len(trace)):
            out[row] = None if array is None else array[:, token]
            row += 1
    return out
