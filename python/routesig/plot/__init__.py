"""Pictures of routing, drawn with matplotlib: Axes in, Axes out.

Each function takes a Study, or the result that it shows, and draws on the Axes given as `ax`; without one, on those of
a new figure. None calls `show()`. A part that a study lacks is a ValueError with the study's reason.

>>> import routesig as rs
>>> from matplotlib.figure import Figure
>>> sigs = rs.SignatureSet.from_counts([[[4, 0]], [[3, 1]], [[0, 4]], [[1, 3]]], tasks=["a", "a", "b", "b"])
>>> ax = rs.plot.similarity(sigs, ax=Figure(layout="constrained").subplots())
>>> ax.get_title()
'Similarity of routing signatures, 4 prompts'

Colours are those of Okabe and Ito and the map cividis, which colour-blind readers can tell apart; markers differ too.
"""

from routesig.plot._baselines import baselines, load_balance
from routesig.plot._classification import confusion
from routesig.plot._comparison import comparison
from routesig.plot._controls import controls
from routesig.plot._figures import save_figures
from routesig.plot._information import evidence, information
from routesig.plot._ladder import overlap_ladder
from routesig.plot._layers import decomposition, layers
from routesig.plot._load import load
from routesig.plot._null import null
from routesig.plot._pairs import length, separation
from routesig.plot._projection import pca, tsne
from routesig.plot._routing import coactivation, signature, trace, uncertainty
from routesig.plot._similarity import category_matrix, similarity

__all__ = [
    "baselines",
    "category_matrix",
    "coactivation",
    "comparison",
    "confusion",
    "controls",
    "decomposition",
    "evidence",
    "information",
    "layers",
    "length",
    "load",
    "load_balance",
    "null",
    "overlap_ladder",
    "pca",
    "save_figures",
    "separation",
    "signature",
    "similarity",
    "trace",
    "tsne",
    "uncertainty",
]
