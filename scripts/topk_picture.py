"""Draws the picture of docs/concepts/topk.md: which lane of a warp holds which logits.

.venv/bin/python scripts/topk_picture.py     # writes docs/images/topk.png
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

IMAGE = Path(__file__).resolve().parents[1] / "docs/images/topk.png"
LANES, VALUES, RUN = 8, 8, 8  # of a row of up to 64 experts, as src/cuda/topk_tile.hpp has them
COLOURS = plt.get_cmap("tab10").colors


def column(lane: int, value: int) -> int:
    """Return the expert that a lane's value belongs to."""
    return (value // RUN * LANES + lane) * RUN + value % RUN


def cell(axes: plt.Axes, x: float, y: float, text: str, lane: int, width: float = 1) -> None:
    """Draw one register."""
    colour = (*COLOURS[lane], 0.35)
    axes.add_patch(plt.Rectangle((x, y), width, 0.9, facecolor=colour, edgecolor="white"))
    axes.text(x + width / 2, y + 0.45, text, ha="center", va="center", fontsize=7)


figure, ax = plt.subplots(figsize=(6.4, 3.9), layout="constrained")
for lane in range(LANES):
    ax.text(-0.3, -lane + 0.45, f"lane {lane}", ha="right", va="center", fontsize=8)
    for value in range(VALUES):
        cell(ax, value, -lane, str(column(lane, value)), lane)
    cell(ax, VALUES + 5.6, -lane, f"rank {lane}", lane, 2)
for step, distance in enumerate((1, 2, 4)):
    x = VALUES + 1.2 + 1.5 * step
    for lane in range(LANES):
        y = -lane + 0.45
        if lane & distance == 0:
            ax.annotate("", (x, y - distance), (x, y), arrowprops={"arrowstyle": "<->", "color": "#555555", "lw": 0.8})
            x += 0.22 if distance > 1 and (lane + 1) % distance else 0
        if (lane + 1) % (2 * distance) == 0:
            x = VALUES + 1.2 + 1.5 * step
for x, text in (
    (VALUES / 2, "8 logits a lane:\n16-byte loads, sorted"),
    (VALUES + 2.8, "three merges\nof the best k"),
    (VALUES + 6.6, "stored"),
):
    ax.text(x, 1.3, text, ha="center", va="bottom", fontsize=8)
ax.set(xlim=(-1.8, VALUES + 7.8), ylim=(-LANES + 0.8, 2.6))
ax.axis("off")
figure.savefig(IMAGE, dpi=110, metadata={"Software": None})
print(IMAGE.relative_to(IMAGE.parents[2]))
