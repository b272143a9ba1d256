"""What a picture is drawn from: a result, or the part of a Study that holds it."""

from typing import Any


def is_study(given: Any) -> bool:
    """Whether it is a Study: the one result that says what it does not claim."""
    return hasattr(given, "absent") and hasattr(given, "not_claimed")


def part(given: Any, field: str, who: str) -> Any:
    """`given` itself, or `field` of a Study ("debiased.reliability" inside another); ValueError where absent."""
    if not is_study(given):
        return given
    found = given
    for name in field.split("."):
        found = getattr(found, name)
        if found is None or (isinstance(found, (dict, list, tuple)) and not found):
            raise ValueError(f"plot.{who}: the study has no {field}: {why(given, field)}")
    return found


def why(study: Any, field: str) -> str:
    """The study's own reason for the absence of a field, or of what holds it."""
    names = field.split(".")
    for end in range(len(names), 0, -1):
        reason = study.absent.get(".".join(names[:end]))
        if reason:
            return str(reason)
    return "it was not computed"


def expect(ok: bool, who: str, what: str, given: Any) -> None:
    """TypeError unless the result is one that this picture can show."""
    if not ok:
        raise TypeError(f"plot.{who}: expected a Study or {what}, got {type(given).__name__}")


def needed(value: Any, who: str, field: str, absent: dict[str, str]) -> Any:
    """A field of a result; ValueError with the result's own reason where it is None."""
    if value is None:
        raise ValueError(f"plot.{who}: nothing to draw: {absent.get(field, 'it was not computed')}")
    return value
