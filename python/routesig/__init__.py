"""Record which experts a mixture-of-experts model picks, and ask whether routing follows the task.

>>> import routesig as rs
>>> traces = rs.record(rs.load_model(), rs.load_prompts()[:2], max_new_tokens=4, progress=False)
>>> rs.signatures(traces).values.shape
(2, 16, 64)

Everything is loaded when it is first used: `import routesig` itself needs neither NumPy nor PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routesig import plot
    from routesig._classification import Classification, classify
    from routesig._classifier import LogisticRegression, NearestCentroid
    from routesig._core import (
        RoutingInfo,
        RoutingTrace,
        Separation,
        TraceRecorder,
        TraceSet,
        __version__,
        num_threads,
        set_num_threads,
    )
    from routesig._model import Model, load_model
    from routesig._projection import Pca, Tsne, pca, tsne
    from routesig._prompts import Prompt, load_prompts
    from routesig._recording import record
    from routesig._signatures import Signature, SignatureSet, read_signatures, separation, signatures, similarity
    from routesig._traces import read_traces
    from routesig._transformer import SignatureTransformer

    class FormatError(ValueError):
        """A file that cannot be read as what it claims to be. The message begins with the place."""


__all__ = [
    "Classification",
    "FormatError",
    "LogisticRegression",
    "Model",
    "NearestCentroid",
    "Pca",
    "Prompt",
    "RoutingInfo",
    "RoutingTrace",
    "Separation",
    "Signature",
    "SignatureSet",
    "SignatureTransformer",
    "TraceRecorder",
    "TraceSet",
    "Tsne",
    "__version__",
    "classify",
    "load_model",
    "load_prompts",
    "num_threads",
    "pca",
    "plot",
    "read_signatures",
    "read_traces",
    "record",
    "separation",
    "set_num_threads",
    "signatures",
    "similarity",
    "tsne",
]

_HOME = {
    "Classification": "_classification",
    "LogisticRegression": "_classifier",
    "Model": "_model",
    "NearestCentroid": "_classifier",
    "Pca": "_projection",
    "Prompt": "_prompts",
    "Signature": "_signatures",
    "SignatureSet": "_signatures",
    "SignatureTransformer": "_transformer",
    "Tsne": "_projection",
    "classify": "_classification",
    "load_model": "_model",
    "load_prompts": "_prompts",
    "pca": "_projection",
    "read_signatures": "_signatures",
    "read_traces": "_traces",
    "record": "_recording",
    "separation": "_signatures",
    "signatures": "_signatures",
    "similarity": "_signatures",
    "tsne": "_projection",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'routesig' has no attribute {name!r}")
    if name == "plot":
        value: Any = importlib.import_module("routesig.plot")
    else:
        value = getattr(importlib.import_module(f"routesig.{_HOME.get(name, '_core')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
