"""What a picture is drawn from: a result, or the part of a Study that holds it."""

from typing import Any, TypeGuard, TypeVar

from routesig._kinds import named
from routesig._study import Study

T = TypeVar("T")


def is_study(given: Any) -> TypeGuard[Study]:
    """Whether the result is a whole study."""
    return isinstance(given, Study)


def part(given: Any, field: str, who: str, kind: type[T]) -> T:
    """`given` itself, a `kind`, or `field` of a Study ("debiased.reliability": of its debiased part).

    Raises
    ------
    ValueError, TypeError
        Where the study has no such part, with its reason; where something else was given.
    """
    if not is_study(given):
        expect(isinstance(given, kind), who, f"a Study or {kind.__name__}", given)
        return given  # type: ignore[no-any-return]
    found: Any = given
    for name in field.split("."):
        holder, found = found, getattr(found, name)
        if found is None or (isinstance(found, (dict, list)) and not found):
            raise ValueError(f"plot.{who}: the study has no {field}: {_why(given, holder, field, name)}")
    return found  # type: ignore[no-any-return]


def _why(study: Study, holder: Any, field: str, name: str) -> str:
    """The study's own reason: for the field, for what holds it, or for the first of its entries."""
    own = getattr(holder, "absent", {}).get(name)
    keys = [field, field.partition(".")[0], *(key for key in study.absent if key.startswith(f"{field}["))]
    return own or next((study.absent[key] for key in keys if key in study.absent), "it was not computed")


def expect(ok: bool, who: str, what: str, given: Any) -> None:
    """TypeError unless the result is one that this picture can show."""
    if not ok:
        raise TypeError(f"plot.{who}: expected {what}, got {named(given)}")


def tasks_of(study: Study) -> list[str | None]:
    """The task of every prompt."""
    return [prompt.task for prompt in study.prompts]


def needed(value: Any, who: str, field: str, absent: dict[str, str]) -> Any:
    """A field of a result; ValueError with the result's own reason where it is None."""
    if value is None:
        raise ValueError(f"plot.{who}: nothing to draw: {absent.get(field, 'it was not computed')}")
    return value
