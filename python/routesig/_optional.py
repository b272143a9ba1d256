"""Packages that only some functions need."""

import importlib
from typing import Any


def need(package: str, what: str) -> Any:
    """Import `package`, or say in one sentence what needs it and which command installs it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        name = package.partition(".")[0]
        raise ImportError(f"{what} need {name}: pip install {name}") from None
