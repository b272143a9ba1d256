"""Pictures of routing, drawn with matplotlib: Axes in, Axes out."""

from routesig.plot._similarity import similarity

__all__ = ["similarity"]
