"""What is wrong with routing before it is studied: one sentence per kind of fault."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One kind of fault in traces or in what is made of them.

    Attributes
    ----------
    rule : str
    severity : {"error", "warning", "note"}
    count : int
    places : list of str
        At most five.
    cause, remedy : str
    """

    rule: str
    severity: Literal["error", "warning", "note"]
    count: int
    places: list[str] = field(default_factory=list)
    cause: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.cause}{'; ' if self.remedy else ''}{self.remedy}"


def trace_findings(traces: Any) -> list[Finding]:
    return []
