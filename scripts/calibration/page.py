"""docs/statistics.md, from the counts of studies."""

from __future__ import annotations

from typing import Any

from calibration.studies import EFFECTS, PARTS, UNBALANCED, WITHOUT_CONTEXT, planted
from calibration.worlds import EXPERTS, LAYERS, SELECTIONS

FEW, MANY = 29, 74  # rejections of 1,000 at 5 %: the 99.9 % range
COVERAGE = (0.90, 0.98)


def rate(kind: dict[str, Any], name: str) -> str:
    return f"{100 * kind['sums'][name] / kind['studies']:.1f} %"


def rejections(kind: dict[str, Any]) -> str:
    """Rows of a table: every test and how often it rejects."""
    return "\n".join(f"| {name} | {rate(kind, name)} |" for name in kind["sums"])


def side_by_side(kinds: dict[str, dict[str, Any]]) -> str:
    """A table with a column for each kind and a row for each test that any of them has."""
    names = list(dict.fromkeys(name for kind in kinds.values() for name in kind["sums"]))
    head = f"| test | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}\n"
    cells = (" | ".join(rate(kind, name) if name in kind["sums"] else "" for kind in kinds.values()) for name in names)
    return head + "\n".join(f"| {name} | {row} |" for name, row in zip(names, cells, strict=True))


def page(counts: dict[str, dict[str, Any]]) -> str:
    studies = {kind["studies"] for kind in counts.values()}
    number = f"{max(studies):,}" if len(studies) == 1 else f"{min(studies):,} to {max(studies):,}"
    truth = planted()[1]
    covered = counts["coverage"]
    coverage = "\n".join(f"| `{name}` | {value:.4f} | {rate(covered, name)} |" for name, value in truth.items())
    power = "\n".join(f"| {effect:g} | {rate(counts['power'], f'{effect:g}')} |" for effect in EFFECTS)
    read = counts["classifier"]
    accuracy = 100 * read["sums"]["accuracy"] / read["studies"]
    lengths = {name: counts[name] for name in ("one task 10 times longer", "one task 10 times shorter")}
    templates = {name: counts[name] for name in ("templates of 5", "templates of 1 to 9")}
    tokens = {world: counts[f"tokens: {world}"] for world in WITHOUT_CONTEXT}
    bands = "\n".join(
        f"| {prompts} | {name} | {found['covers'][name]['truth']:.4f} | "
        f"{100 * found['covers'][name]['covers'] / found['studies']:.1f} % |"
        for prompts in (10, 20)
        for found in (counts[f"parts, {prompts} prompts"],)
        for name in PARTS
    )
    return f"""# What the statistics are worth

Printed by `python scripts/statistics_study.py`: {number} studies of each kind, their truth known. Signatures are drawn with
{LAYERS} layers of {EXPERTS} experts and {SELECTIONS} selections in a layer, their shares Dirichlet around those of their task.

A test at 5 % should reject in 5 % of studies where there is nothing to find; of 1,000, {FEW} to {MANY} in 99.9 of 100 cases.

## Nothing to find

All tasks are the same, of {", ".join(map(str, UNBALANCED))} prompts (a balanced design would let a wrong test pass).

| test | rejects |
|---|---|
{rejections(counts["equal tasks"])}

Pairs of prompts share prompts: taken for independent, they reject far too often. The dispersion test permutes distances to
centroids that were estimated from the same prompts. The classifier's permutation test (tasks of 20, 8, 6 and 6 prompts, 39
refits) rejects in {rate(read, "classifier, 39 refits")}; equal accuracies count against it. With four identical tasks of 10 it
names {accuracy:.1f} % of held-out prompts correctly, where chance is 25 %.

## Texts of unequal length

All tasks route the same; the texts of one task of 10 prompts are ten times as long as the others, or a tenth. That prompts are
exchangeable, *length included*, is false then, and the label permutation says so: it is no test of tasks alone. What is free of
text length has to hold its level.

{side_by_side(lengths)}

## Templates

Sixteen templates, four of each task, that differ from each other while tasks do not, with five prompts each or with 1, 3, 5 and
9. Pairs of one template do not count, and whole templates are permuted. Four templates in a task are too few for any pair of
tasks to give p <= .05 after Holm. The dispersion test is approximate, and rejects too often.

{side_by_side(templates)}

The interval of D lies above 0 in {rate(counts["28 templates of 3"], "interval of D above 0")} of studies of 28 templates of three
prompts, where tasks do not differ.

## Words without context

Traces of 30 tokens on average, 10 prompts in each of four tasks: routing follows the word of a token and, beyond that, nothing;
or the prompt; or a template of four prompts; never the task. The context test's p is the larger of two. Alone, labels permuted
on what words do not explain reject too often where words explain nearly all, and words shuffled where prompts, or templates, have
ways of their own: each is about a part of the question. An interval of 95 % may lie above 0 in 2.5 % of studies.

{side_by_side(tokens)}

## Something to find

Twenty prompts in each of four tasks, whose log shares are tilted by `effect` times a standard normal direction.

| effect | permutation test rejects |
|---|---|
{power}

## Intervals

How often 95 % bootstrap intervals cover the truth, twenty prompts in each of four tasks, tasks fixed. To be between
{COVERAGE[0]:.0%} and {COVERAGE[1]:.0%}.

| interval of | truth | covers |
|---|---|---|
{coverage}

How often the bands of the parts of D cover the mean of all studies, where three tokens of ten are routed by their task:

| prompts of a task | part | mean | covers |
|---|---|---|---|
{bands}
"""
