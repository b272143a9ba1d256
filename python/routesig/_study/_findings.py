"""What a reader has to know before the numbers: about the data, the design, and what the tests could have shown."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from routesig import _core
from routesig._classification import Classification
from routesig._findings import Finding, trace_findings
from routesig._p_value import PValue
from routesig._permutation import PermutationTest
from routesig._signatures import SignatureSet
from routesig._study._parts import Control, Debiased

LONG_PREFIX = 8  # first tokens that a prompt shares with another of its task; fewer are everyday language
_ALPHA = 0.05
_PLACES = 5


def study_findings(
    traces: "_core.TraceSet | None",
    sigs: SignatureSet,
    groups: bool,
    test: PermutationTest,
    debiased: Debiased | None,
    read: Classification,
    controls: dict[str, Control],
) -> list[Finding]:
    """All of them, those about the data first."""
    found: list[Finding | None] = [*trace_findings(traces)] if traces is not None else []
    found += [
        missing_layers(sigs),
        None if traces is None else common_prefix(traces, groups),
        above_one(debiased),
        source_is_task(sigs),
        unscored(read),
        floors(test, read, controls),
    ]
    return [finding for finding in found if finding is not None]


def missing_layers(sigs: SignatureSet) -> Finding | None:
    """Layers in which a prompt has no token with known routing: left out of its similarities."""
    missing: NDArray[np.bool_] = np.asarray(~(sigs.values != 0).any(axis=2))
    if not missing.any():
        return None
    prompts = np.flatnonzero(missing.any(axis=1))
    layers = np.flatnonzero(missing.any(axis=0))
    return Finding(
        "missing-layers",
        "warning",
        int(missing.sum()),
        _places(f'prompt "{sigs.ids[p]}": {int(missing[p].sum())} of {sigs.layers} layers' for p in prompts),
        f"{len(prompts)} of {len(sigs)} prompts have no known routing in some layer ({len(layers)} layers in all); "
        "such layers are left out of their similarities",
        "look at where the engine lost them, or study the layers that all prompts have",
    )


def common_prefix(traces: _core.TraceSet, groups: bool) -> Finding | None:
    """Prompts of a task that begin with the same tokens, and not those of other tasks."""
    by_ids, own, foreign = _core.common_prefixes(traces, groups)
    pairs = enumerate(zip(own, foreign, strict=True))
    long = [i for i, (mine, theirs) in pairs if mine >= LONG_PREFIX and mine > theirs]
    if not long:
        return None
    what = "tokens" if by_ids else "identically routed tokens"
    return Finding(
        "common-prefix",
        "warning",
        len(long),
        _places(f'prompt "{traces[i].id}": {own[i]} tokens' for i in long),
        f"{len(long)} of {len(traces)} prompts begin with {LONG_PREFIX} {what} or more (up to "
        f"{max(own[i] for i in long)}) that another prompt of their task begins with and no other task does, which "
        "routes alike whatever the task",
        'see the control "without common prefix"',
    )


def above_one(debiased: Debiased | None) -> Finding | None:
    """Prompts of one task that are more alike than two samples of the same routing: they share text."""
    if debiased is None or debiased.within is None or debiased.within <= 1.0:
        return None
    return Finding(
        "debiased-above-1",
        "warning",
        1,
        [],
        f"free of text length, prompts of one task are more alike ({debiased.within:.3f}) than two samples of the same "
        "routing are (1)",
        "prompts that share text, or texts under some 12 tokens, do that",
    )


def source_is_task(sigs: SignatureSet) -> Finding | None:
    """Sources that each have prompts of one task: what comes from the source cannot be told from the task."""
    tasks_of: dict[str, set[str]] = {}
    for source, task in zip(sigs.sources, sigs.tasks, strict=True):
        if source is not None and task is not None:
            tasks_of.setdefault(source, set()).add(task)
    if len(tasks_of) < 2 or any(len(tasks) > 1 for tasks in tasks_of.values()):
        return None
    return Finding(
        "source-is-task",
        "warning",
        len(tasks_of),
        _places(f'source "{source}": task "{min(tasks)}"' for source, tasks in tasks_of.items()),
        f"each of the {len(tasks_of)} sources has prompts of one task only, so that a difference between tasks may be "
        "one between sources",
        "take prompts of several tasks from each source, and labels are permuted within sources",
    )


def unscored(read: Classification) -> Finding | None:
    """Tasks that the classifier was not asked about."""
    if not read.not_scored or read.accuracy is None:
        return None
    return Finding(
        "not-scored",
        "note",
        len(read.not_scored),
        _places(f'task "{task}"' for task in read.not_scored),
        f"{len(read.not_scored)} task{'s' * (len(read.not_scored) != 1)} of a single prompt or group cannot be learned "
        "while held out, and are not scored by the classifier",
        "record more prompts of them, from other templates",
    )


def floors(test: PermutationTest, read: Classification, controls: dict[str, Control]) -> Finding | None:
    """Tests that could not have given p <= .05, whatever the data."""
    smallest: dict[str, PValue | None] = {"the label permutation": test.p_value, "the classifier": read.p_value}
    layers = [layer.adjusted for layer in test.layers if layer.adjusted is not None]
    pairs = [pair.adjusted for pair in test.pairs if pair.adjusted is not None]
    smallest["any layer, adjusted"] = min(layers, key=lambda p: p.floor, default=None)
    smallest["any pair of tasks, adjusted"] = min(pairs, key=lambda p: p.floor, default=None)
    smallest |= {f'the control "{name}"': one.p_value for name, one in controls.items()}
    powerless = {name: p.floor for name, p in smallest.items() if p is not None and p.floor > _ALPHA}
    if not powerless:
        return None
    return Finding(
        "floor",
        "note",
        len(powerless),
        _places(f"{name}: {floor:.2g} at the least" for name, floor in powerless.items()),
        f"{'one test' if len(powerless) == 1 else f'{len(powerless)} tests'} could not have given p <= .05",
        "more prompts, or more draws, would be needed",
    )


def _places(all_of_them: Iterable[str]) -> list[str]:
    return [place for place, _ in zip(all_of_them, range(_PLACES), strict=False)]
