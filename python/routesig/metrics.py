"""Descriptions of routing other than similarity, each beside its chance level.

`load`: how evenly experts are used. `coactivation`: which are chosen together. `uncertainty`: how sure the router is.
`domain_specialization`, `vocabulary_specialization`: which tasks and which tokens an expert serves.
"""

from routesig._coactivation import Coactivation, coactivation
from routesig._load import Load, LoadMeasures, load
from routesig._specialization import Specialization, domain_specialization, vocabulary_specialization
from routesig._uncertainty import Uncertainty, uncertainty

__all__ = [
    "Coactivation",
    "Load",
    "LoadMeasures",
    "Specialization",
    "Uncertainty",
    "coactivation",
    "domain_specialization",
    "load",
    "uncertainty",
    "vocabulary_specialization",
]
