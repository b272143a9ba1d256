"""Tasks and groups of prompts as numbers, which is what the core takes."""

from collections.abc import Sequence
from typing import Literal

from routesig._text import as_labels

Tasks = Sequence[str | None] | None
Groups = Sequence[str | None] | Literal[False] | None
Sources = Groups


def numbered_tasks(tasks: Sequence[str | None]) -> tuple[list[str], list[int]]:
    """The tasks in alphabetical order, and the number of each prompt's; -1 where it has none."""
    given = as_labels(tasks, "statistics", "tasks")
    names = sorted({task for task in given if task is not None})
    number = {name: i for i, name in enumerate(names)}
    return names, [-1 if task is None else number[task] for task in given]


def numbered_groups(
    given: Groups, own: Sequence[str | None], names: Sequence[str], codes: Sequence[int], who: str
) -> list[int]:
    """The number of each prompt's group, -1 where it is alone; empty where prompts are independent.

    `given` are the groups that were asked for, `own` those that the prompts carry; used where any holds two prompts.
    `names` and `codes` are those of `numbered_tasks`.
    """
    if given is False:
        return []
    groups = as_labels(own if given is None else given, who, "groups")
    if given is not None and len(groups) != len(codes):
        raise ValueError(f"{who}: expected groups for {len(codes)} prompts, got {len(groups)}")
    home: dict[str, int] = {}
    number: dict[str, int] = {}
    found = []
    for group, task in zip(groups, codes, strict=True) if groups else []:
        if group is None or task < 0:
            found.append(-1)
            continue
        if home.setdefault(group, task) != task:
            raise ValueError(
                f"{who}: expected every group within one task, got group {group!r} in {names[home[group]]!r} "
                f"and {names[task]!r}; groups=False treats prompts as independent"
            )
        found.append(number.setdefault(group, len(number)))
    members = sum(code >= 0 for code in found)
    return found if members > len(number) else []


def numbered_sources(given: Sources, own: Sequence[str | None], codes: Sequence[int], who: str) -> list[int]:
    """The number of each prompt's source, -1 where it has none; empty where labels are permuted among all prompts.

    `given` are the sources that were asked for, `own` those that the prompts carry, used where any has prompts of two
    tasks. `codes` are the tasks' numbers, -1 where unlabelled.
    """
    if given is False:
        return []
    sources = as_labels(own if given is None else given, who, "sources")
    if given is not None and len(sources) != len(codes):
        raise ValueError(f"{who}: expected sources for {len(codes)} prompts, got {len(sources)}")
    number: dict[str, int] = {}
    found = [-1 if source is None else number.setdefault(source, len(number)) for source in sources]
    if not number:
        return []
    tasks_of = {(source, task) for source, task in zip(found, codes, strict=True) if source >= 0 and task >= 0}
    crosses = len(tasks_of) > len({source for source, _ in tasks_of})
    return found if crosses or given is not None else []
