"""The study: every result about one set of prompts, and where the separation comes from."""

from routesig._study._compose import study
from routesig._study._json import read_study
from routesig._study._parts import (
    Control,
    ControlSummary,
    Debiased,
    Depth,
    Group,
    Information,
    LayerRow,
    StudyOptions,
    StudyPrompt,
)
from routesig._study._result import Study

__all__ = [
    "Control",
    "ControlSummary",
    "Debiased",
    "Depth",
    "Group",
    "Information",
    "LayerRow",
    "Study",
    "StudyOptions",
    "StudyPrompt",
    "read_study",
    "study",
]
