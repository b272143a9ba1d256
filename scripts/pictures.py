"""Draws the pictures of docs from the shipped model and prompts: what `rs.plot` draws, and two by hand.

.venv/bin/python scripts/pictures.py     # writes docs/images/<picture>.png; about a minute and a half
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import routesig as rs

IMAGES = Path(__file__).resolve().parents[1] / "docs/images"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"  # Okabe and Ito
WIDE, SQUARE = (6.4, 3.6), (6.4, 5.4)

traces = rs.record(
    rs.load_model(), rs.load_prompts(), router_logits=True, rotated_routers=20, max_new_tokens=32, progress=False
)
untrained = [rs.record(rs.load_model(random_weights=seed), traces, progress=False) for seed in range(19)]
study = rs.study(traces, controls={"random weights": untrained}, progress=False)
sigs = study.signatures
tasks = np.array(sigs.tasks)


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


def comparison(ax):
    rounded = rs.record(rs.load_model(dtype="bfloat16"), traces, progress=False)
    rs.plot.comparison(rs.compare(traces, rounded), ax=ax)
    ax.set(title="The shipped model in float32 and in bfloat16")


def shortened(one: rs.RoutingTrace, length: int) -> rs.RoutingTrace:
    return rs.RoutingTrace.from_arrays(one.experts[:, :length], num_experts=sigs.experts, id=one.id, task=one.task)


random = np.random.default_rng(0)
noise = rs.SignatureSet.from_counts(random.multinomial(400, np.full(64, 1 / 64), size=(40, 16)), tasks=["a", "b"] * 20)

# Name of the picture -> how to draw it, and its size in inches.
PICTURES: dict[str, tuple[Callable[[Axes], object], tuple[float, float]]] = {
    "baselines": (lambda ax: rs.plot.baselines(study, ax=ax), WIDE),
    "bootstrap": (lambda ax: rs.plot.layers(study.bootstrap, ax=ax), WIDE),
    "category-matrix": (lambda ax: rs.plot.category_matrix(study, ax=ax), SQUARE),
    "classifier": (lambda ax: rs.plot.confusion(study, ax=ax), SQUARE),
    "co-activation": (lambda ax: rs.plot.coactivation(rs.metrics.coactivation(traces), 8, ax=ax), SQUARE),
    "comparison": (comparison, WIDE),
    "controls": (lambda ax: rs.plot.decomposition(study, ax=ax), WIDE),
    "controls-beside": (lambda ax: rs.plot.controls(study, ax=ax), WIDE),
    "debiased-similarity": (debiased_similarity, WIDE),
    "information": (lambda ax: rs.plot.evidence(study, ax=ax), WIDE),
    "layers": (lambda ax: rs.plot.layers(study, ax=ax), WIDE),
    "length": (lambda ax: rs.plot.length(study, ax=ax), WIDE),
    "load": (lambda ax: rs.plot.load(study, ax=ax), WIDE),
    "multiplicity": (multiplicity, WIDE),
    "overlap-ladder": (lambda ax: rs.plot.overlap_ladder(study, ax=ax), WIDE),
    "permutation-test": (lambda ax: rs.plot.null(study, ax=ax), WIDE),
    "projection": (lambda ax: rs.plot.pca(study, ax=ax), WIDE),
    "separation": (lambda ax: rs.plot.separation(study, ax=ax), WIDE),
    "signature": (lambda ax: rs.plot.signature(sigs[0], ax=ax), WIDE),
    "similarity": (lambda ax: rs.plot.similarity(study, ax=ax), SQUARE),
    "token-shuffle": (lambda ax: rs.plot.null(study, "token_shuffle", ax=ax), WIDE),
    "trace": (lambda ax: rs.plot.trace(traces[0], ax=ax), WIDE),
    "uncertainty": (lambda ax: rs.plot.uncertainty(rs.metrics.uncertainty(traces), sigs.tasks, ax=ax), WIDE),
}

if __name__ == "__main__":
    for name, (draw, size) in PICTURES.items():
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        figure.savefig(IMAGES / f"{name}.png", dpi=100, metadata={"Software": None})
        print(f"docs/images/{name}.png")
