"""What `routesig info` says of a model folder."""

import json
from pathlib import Path
from typing import Any

from routesig._checkpoint import checkpoint_summary


def info(path: Path, as_json: bool) -> None:
    summary = checkpoint_summary(path)
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))
        return
    obstacle, absent = summary.pop("obstacle"), summary.pop("absent")
    for name, value in summary.items():
        print(f"{name:<14}{_shown(name, value, absent.get(name), obstacle)}")


def _shown(name: str, value: Any, reason: str | None, obstacle: str | None) -> str:
    if name == "load_model":
        return "yes" if value else f"no: {obstacle}"
    if value is None:
        return "unknown" if reason is None else f"unknown ({reason})"
    return f"{value:,}" if name in ("parameters", "bytes") else str(value)
