"""Pictures of routing, drawn with matplotlib: Axes in, Axes out."""

from routesig.plot._comparison import comparison
from routesig.plot._similarity import similarity

__all__ = ["comparison", "similarity"]
