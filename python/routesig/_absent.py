"""What a result lacks, and why."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

Masked = Annotated[Any, "numpy.ma.MaskedArray of float64: absent entries are masked"]


def by_reason(absent: Mapping[str, str], name: Callable[[str], str] = str) -> dict[str, list[str]]:
    """Reason -> the fields that are absent for it, as `name` writes them, each once.

    >>> by_reason({"a": "no task", "b.ci": "few prompts", "b": "no task"}, str.upper)
    {'no task': ['A', 'B'], 'few prompts': ['B.CI']}
    """
    reasons: dict[str, list[str]] = {}
    for field, reason in absent.items():
        fields = reasons.setdefault(reason, [])
        if (text := name(field)) not in fields:
            fields.append(text)
    return reasons
