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
    from routesig import baselines, controls, information, metrics, plot, statistics
    from routesig._classification import Classification, classify
    from routesig._classifier import LogisticRegression, NearestCentroid
    from routesig._comparison import Comparison, compare
    from routesig._core import (
        RoutingInfo,
        RoutingTrace,
        Separation,
        TraceRecorder,
        TraceSet,
        __version__,
        num_threads,
    )
    from routesig._debiased import DebiasedMeans, DebiasedSimilarity, debiased_similarity
    from routesig._model import Model, load_model
    from routesig._p_value import PValue
    from routesig._projection import Pca, Tsne, pca, tsne
    from routesig._prompts import Prompt, load_prompts
    from routesig._recording import record
    from routesig._reliability import Reliability, reliability
    from routesig._signatures import Signature, SignatureSet, read_signatures, signatures
    from routesig._similarity import separation, similarity
    from routesig._study import Study, read_study, study
    from routesig._threads import set_num_threads
    from routesig._traces import read_traces
    from routesig._transformer import SignatureTransformer

    class FormatError(ValueError):
        """A file that cannot be read as what it claims to be. The message begins with the place."""


__all__ = [
    "Classification",
    "Comparison",
    "DebiasedMeans",
    "DebiasedSimilarity",
    "FormatError",
    "LogisticRegression",
    "Model",
    "NearestCentroid",
    "PValue",
    "Pca",
    "Prompt",
    "Reliability",
    "RoutingInfo",
    "RoutingTrace",
    "Separation",
    "Signature",
    "SignatureSet",
    "SignatureTransformer",
    "Study",
    "TraceRecorder",
    "TraceSet",
    "Tsne",
    "__version__",
    "baselines",
    "classify",
    "compare",
    "controls",
    "debiased_similarity",
    "information",
    "load_model",
    "load_prompts",
    "metrics",
    "num_threads",
    "pca",
    "plot",
    "read_signatures",
    "read_study",
    "read_traces",
    "record",
    "reliability",
    "separation",
    "set_num_threads",
    "signatures",
    "similarity",
    "statistics",
    "study",
    "tsne",
]

# Modules that users reach as rs.statistics and so on.
_NAMESPACES = ("baselines", "controls", "information", "metrics", "plot", "statistics")

_HOME = {
    "DebiasedMeans": "_debiased",
    "DebiasedSimilarity": "_debiased",
    "Classification": "_classification",
    "Comparison": "_comparison",
    "LogisticRegression": "_classifier",
    "Model": "_model",
    "NearestCentroid": "_classifier",
    "PValue": "_p_value",
    "Pca": "_projection",
    "Prompt": "_prompts",
    "Reliability": "_reliability",
    "Signature": "_signatures",
    "SignatureSet": "_signatures",
    "debiased_similarity": "_debiased",
    "SignatureTransformer": "_transformer",
    "Tsne": "_projection",
    "classify": "_classification",
    "compare": "_comparison",
    "load_model": "_model",
    "load_prompts": "_prompts",
    "pca": "_projection",
    "read_signatures": "_signatures",
    "read_study": "_study",
    "read_traces": "_traces",
    "record": "_recording",
    "reliability": "_reliability",
    "separation": "_similarity",
    "set_num_threads": "_threads",
    "signatures": "_signatures",
    "similarity": "_similarity",
    "Study": "_study",
    "study": "_study",
    "tsne": "_projection",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'routesig' has no attribute {name!r}")
    if name in _NAMESPACES:
        value: Any = importlib.import_module(f"routesig.{name}")
    else:
        value = getattr(importlib.import_module(f"routesig.{_HOME.get(name, '_core')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
