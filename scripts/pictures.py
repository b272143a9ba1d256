"""Draws the pictures of docs/concepts from the shipped model and prompts.

.venv/bin/python scripts/pictures.py     # writes docs/images/<page>.png; about half a minute
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np

import routesig as rs

mpl.use("Agg")
import matplotlib.pyplot as plt

IMAGES = Path(__file__).resolve().parents[1] / "docs/images"
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"  # Okabe and Ito
COLOURS = (BLUE, ORANGE, GREEN, PINK)

traces = rs.record(
    rs.load_model(), rs.load_prompts(), router_logits=True, rotated_routers=20, max_new_tokens=32, progress=False
)
sigs = rs.signatures(traces)
tasks = np.array(sigs.tasks)
test = rs.statistics.permutation_test(sigs)


def signature(ax):
    image = ax.imshow(sigs.values[0], aspect="auto", cmap="cividis", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="share of the layer's picks")
    ax.set(xlabel="expert", ylabel="layer", title=f"The signature of prompt {sigs.ids[0]}")


def trace(ax):
    best = traces[0].experts[:, :, 0]
    image = ax.imshow(best, aspect="auto", cmap="twilight", interpolation="nearest")
    ax.axvline(traces[0].prompt_tokens - 0.5, color="white", linewidth=2)
    ax.figure.colorbar(image, ax=ax, label="best expert")
    ax.set(xlabel="token (generated ones right of the line)", ylabel="layer", title=f"Best experts, {traces[0].id}")


def separation(ax):
    matrix, same = rs.similarity(sigs), tasks[:, None] == tasks[None, :]
    upper = np.triu(np.ones_like(same), 1)
    bins = np.linspace(matrix[upper].min(), 1, 45)
    for label, pairs, colour in (("across tasks", ~same & upper, ORANGE), ("within a task", same & upper, BLUE)):
        ax.hist(matrix[pairs], bins, density=True, alpha=0.7, color=colour, label=label)
    ax.legend(frameon=False)
    ax.set(xlabel="similarity of two prompts", yticks=[], title=f"d = {rs.separation(sigs).cohens_d:.2f}")


def permutation_test(ax):
    ax.hist(test.null, 60, color=GREY)
    ax.axvline(test.difference, color=BLUE, linewidth=2)
    ax.annotate(
        "observed", (test.difference, ax.get_ylim()[1] * 0.9), ha="right", xytext=(-6, 0), textcoords="offset points"
    )
    ax.set(
        xlabel="within minus across", ylabel="labellings", title=f"{test.permutations:,} labellings, groups kept whole"
    )


def bootstrap(ax):
    found = rs.statistics.bootstrap(sigs)
    middle = [layer.cohens_d for layer in rs.statistics.layer_separation(sigs)]
    low, high = np.array([[layer.interval.low, layer.interval.high] for layer in found.layers]).T
    ax.fill_between(range(len(middle)), low, high, color=BLUE, alpha=0.25, linewidth=0)
    ax.plot(middle, color=BLUE, marker="o", markersize=4)
    ax.set(xlabel="layer", ylabel="Cohen's d", title="95 % intervals, resampling groups of prompts", ylim=(0, None))


def multiplicity(ax):
    raw = [float(layer.p_value) for layer in rs.statistics.permutation_test(noise).layers]
    ax.plot(sorted(raw), color=GREY, marker="o", markersize=4, label="raw p")
    for name, adjust, colour in (
        ("Holm", rs.statistics.holm, BLUE),
        ("Benjamini-Hochberg", rs.statistics.benjamini_hochberg, ORANGE),
    ):
        ax.plot(sorted(adjust(raw)), color=colour, marker="o", markersize=4, label=name)
    ax.axhline(0.05, color="black", linewidth=0.8, linestyle=":")
    ax.legend(frameon=False)
    ax.set(xlabel="layer, by p", ylabel="p", title="Sixteen layers of routing that follows no task", ylim=(0, 1.05))


def baselines(ax):
    names = ("permutation", "load_balance", "marginal", "token_pool")
    found = [getattr(rs.baselines, name)(traces, repetitions=200) for name in names]
    for i, one in enumerate(found):
        ax.errorbar(one.within.mean, i - 0.1, xerr=2 * one.within.sd, fmt="o", color=BLUE)
        ax.errorbar(one.across.mean, i + 0.1, xerr=2 * one.across.sd, fmt="s", color=ORANGE)
    for value, colour, label in (
        (found[0].observed.within.mean, BLUE, "within"),
        (found[0].observed.across.mean, ORANGE, "across"),
    ):
        ax.axvline(value, color=colour, linewidth=1.5, label=f"observed, {label}")
    ax.legend(frameon=False, loc="lower left")
    ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    ax.set(xlabel="mean similarity (± 2 sd over repetitions)", title="Four worlds in which routing follows no task")
    ax.invert_yaxis()


def token_shuffle(ax):
    found = rs.controls.token_shuffle(traces)
    ax.hist(found.draws, 30, color=GREY)
    ax.axvline(found.difference.observed, color=BLUE, linewidth=2)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set(
        xlabel="within minus across",
        ylabel="shuffles",
        title=f"Lexical share {found.lexical_share:.2f}: words keep it up, context adds the rest",
    )


def overlap_ladder(ax):
    found = rs.controls.overlap_ladder(traces)
    ax.bar(range(4), list(found.overlap.values()), color=COLOURS)
    ax.axhline(found.chance, color="black", linewidth=0.8, linestyle=":")
    ax.set_xticks(range(4), [name.replace(", ", ",\n") for name in found.overlap])
    ax.set(ylabel="shared experts of two tokens", title="From different prompts (dotted: chance)")


def controls(ax):
    layers = rs.controls.decomposition(traces).layers
    parts = [[getattr(layer, name).value for layer in layers] for name in ("length", "vocabulary", "context")]
    ax.stackplot(
        range(len(layers)),
        np.maximum(parts, 0),
        labels=("length", "vocabulary", "context"),
        colors=(GREY, ORANGE, BLUE),
    )
    ax.legend(frameon=False, loc="lower right")
    ax.set(
        xlabel="layer", ylabel="within minus across", title="What the difference is made of", xlim=(0, len(layers) - 1)
    )


def classifier(ax):
    found = rs.classify(sigs)
    ax.imshow(found.confusion, cmap="Blues")
    for (i, j), count in np.ndenumerate(np.asarray(found.confusion)):
        ax.text(j, i, int(count), ha="center", va="center", color="white" if count > 10 else "black")
    ax.set_xticks(range(len(found.classes)), found.classes)
    ax.set_yticks(range(len(found.classes)), found.classes)
    ax.set(xlabel="predicted", ylabel="task", title=f"{found.hits} of {found.trials} held-out prompts")


def projection(ax):
    found = rs.pca(sigs)
    for task, colour in zip(dict.fromkeys(sigs.tasks), COLOURS, strict=True):
        ax.scatter(*found.points[tasks == task].T, s=18, color=colour, label=task)
    ax.legend(frameon=False)
    first, second = found.explained_variance_ratio[:2]
    ax.set(xlabel=f"component 1 ({first:.0%} of variance)", ylabel=f"component 2 ({second:.0%})", title="80 prompts")


def debiased_similarity(ax):
    lengths, plain, free = range(8, 25, 2), [], []
    for length in lengths:
        cut = rs.TraceSet([shortened(one, length) for one in traces])
        same = (tasks[:, None] == tasks[None, :]) & np.triu(np.ones((len(tasks),) * 2, dtype=bool), 1)
        plain.append(rs.similarity(rs.signatures(cut))[same].mean())
        free.append(rs.debiased_similarity(cut).means(list(tasks))[0].within)
    ax.plot(lengths, plain, color=ORANGE, marker="o", label="cosine")
    ax.plot(lengths, free, color=BLUE, marker="o", label="debiased")
    ax.legend(frameon=False)
    ax.set(
        xlabel="first tokens of each prompt", ylabel="mean within-task similarity", title="The cosine grows with length"
    )


def load(ax):
    found = rs.metrics.load(sigs)
    ax.plot(found.entropy[0], color=BLUE, marker="o", markersize=4, label="observed")
    ax.plot(found.chance.entropy[0], color=GREY, linestyle="--", label="uniform routing")
    ax.legend(frameon=False)
    ax.set(
        xlabel="layer",
        ylabel="entropy of the load, bits",
        title=f"{sigs.experts} experts: {np.log2(sigs.experts):.0f} bits where even",
    )


def co_activation(ax):
    found = rs.metrics.coactivation(traces)
    image = ax.imshow(found.conditional[8], cmap="cividis", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=f"P(j | i), chance {found.chance:.2f}")
    ax.set(xlabel="expert j", ylabel="expert i", title="Layer 8")


def uncertainty(ax):
    found = rs.metrics.uncertainty(traces)
    for task, colour in zip(dict.fromkeys(sigs.tasks), COLOURS, strict=True):
        ax.plot(
            np.asarray(found.entropy)[tasks == task].mean(axis=0), color=colour, marker="o", markersize=4, label=task
        )
    ax.legend(frameon=False)
    ax.set(xlabel="layer", ylabel="entropy of the router, bits", title="How sure the router is, by task")


def information(ax):
    found = rs.information.evidence_over_tokens(traces)
    for (name, bits), colour in zip(found.bits.items(), COLOURS, strict=False):
        ax.plot(found.prefixes, bits, color=colour, marker="o", markersize=4, label=name)
    ax.axhline(found.entropy_bits, color="black", linewidth=0.8, linestyle=":")
    ax.legend(frameon=False)
    ax.set(
        xlabel="tokens seen",
        ylabel="bits about the task, at least",
        title="Evidence over tokens (dotted: all there is)",
    )


def comparison(ax):
    rounded = rs.record(rs.load_model(dtype="bfloat16"), traces, progress=False)
    rs.plot.comparison(rs.compare(traces, rounded), ax=ax)
    ax.set(title="The shipped model in float32 and in bfloat16")


def shortened(one: rs.RoutingTrace, length: int) -> rs.RoutingTrace:
    return rs.RoutingTrace.from_arrays(one.experts[:, :length], num_experts=sigs.experts, id=one.id, task=one.task)


random = np.random.default_rng(0)
noise = rs.SignatureSet.from_counts(random.multinomial(400, np.full(64, 1 / 64), size=(40, 16)), tasks=["a", "b"] * 20)

PAGES: list[Callable[[plt.Axes], None]] = [
    *(
        signature,
        trace,
        separation,
        permutation_test,
        bootstrap,
        multiplicity,
        baselines,
        token_shuffle,
        overlap_ladder,
    ),
    *(controls, classifier, projection, debiased_similarity, load, co_activation, uncertainty, information),
    comparison,
]

if __name__ == "__main__":
    for draw in PAGES:
        name = draw.__name__.replace("_", "-")
        _, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        draw(axes)
        axes.figure.savefig(IMAGES / f"{name}.png", dpi=110, metadata={"Software": None})
        plt.close(axes.figure)
        print(f"docs/images/{name}.png")
