"""What all pictures share: colours, markers, sizes of text, where to draw."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from routesig._text import harmless

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito, which colour-blind readers tell apart; markers differ too, so that colour is never the only sign.
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
GREY, LIGHT, BLACK, OLIVE = "#888888", "#D9D9D9", "#000000", "#8F8500"
TASK_COLOURS = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK, OLIVE)
TASK_MARKERS = "os^DvPX*p"  # 8 colours and 9 markers: 72 tasks that differ; those after them are hollow
MAP = "cividis"
WIDE = (6.4, 3.8)  # inches
SQUARE = (6.4, 5.4)


def axes(ax: "Axes | None", size: tuple[float, float] = WIDE) -> "Axes":
    """The caller's Axes, or those of a new figure, which pyplot knows and notebooks show."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("rs.plot needs matplotlib: pip install matplotlib") from None
    return plt.subplots(figsize=size, layout="constrained")[1]


def slot(ax: "Axes") -> tuple[float, float]:
    """Width and height of the Axes in points, before its layout."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return 72 * box.width / dpi, 72 * box.height / dpi


def text_size(ax: "Axes") -> float:
    """In points: small in a column of 3.3 inches."""
    return 7.0 if slot(ax)[0] < 250 else 9.0


def dress(ax: "Axes", title: str, x: str | None = None, y: str | None = None) -> "Axes":
    """Write title and labels, wrapped to the place there is; all text in the size that fits."""
    size = text_size(ax)
    width, height = slot(ax)
    room, label_room = 1.15 * width, 1.15 * width
    spec = ax.get_subplotspec()
    if spec is not None and spec.get_gridspec().nrows * spec.get_gridspec().ncols == 1:
        # Alone in its figure: matplotlib wraps at the figure's edges itself.
        room, label_room = 0.85 * 72 * ax.figure.bbox.width / ax.figure.dpi, math.inf
    ax.set_title(wrapped(title, room, size + 1), fontsize=size + 1, wrap=True)
    if x is not None:
        ax.set_xlabel(wrapped(x, label_room, size), fontsize=size, wrap=True)
    if y is not None:
        ax.set_ylabel(wrapped(y, height, size), fontsize=size)
    ax.tick_params(labelsize=size - 0.5)
    return ax


def wrapped(text: str, width: float, size: float) -> str:
    """Lines of at most `width` points; a letter takes half its size."""
    columns = int(min(1e6, max(12.0, width / (0.5 * size))))
    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, columns) or [""])


def marker_size(ax: "Axes", along: int = 1) -> float:
    """In points; smaller where many stand in a line."""
    return min(0.5 * text_size(ax) + 0.5, max(1.5, 0.8 * slot(ax)[0] / along))


def legend(ax: "Axes", **options: Any) -> None:
    """A legend inside."""
    ax.legend(**{"fontsize": text_size(ax) - 0.5, "framealpha": 0.8, "edgecolor": "none"} | options)


def legend_beside(ax: "Axes") -> None:
    """A legend right of the Axes, in as many columns and as small as its entries need."""
    entries, height = len(ax.get_legend_handles_labels()[1]), slot(ax)[1]
    columns = 1 + int(1.65 * 5.0 * (entries - 1) / height)  # no smaller than 5 points
    size = min(text_size(ax) - 0.5, max(5.0, height * columns / (1.65 * max(entries, 1))))
    place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2, "frameon": False}
    legend(ax, fontsize=size, ncols=columns, handletextpad=0.1, columnspacing=0.5, handlelength=1.5, **place)


def legend_above(ax: "Axes", *others: "Axes", **options: Any) -> None:
    """A legend at the top of the Axes, and room for it: what is drawn there is covered by nothing."""
    handles, labels = ax.get_legend_handles_labels()
    rows = -(-len(options.get("labels", labels)) // options.get("ncols", 1)) + ("title" in options)
    share = min(0.7, (1.5 * text_size(ax) * rows + 8) / (0.85 * slot(ax)[1]))
    for one in (ax, *others):
        low, high = one.get_ylim()
        one.set_ylim(low, low + (high - low) / (1 - share))
        one.set_yticks([tick for tick in one.get_yticks() if low <= tick <= high])  # none beside the legend
    legend(ax, **({"handles": handles, "labels": labels, "loc": "upper left"} | options))


def named_rows(ax: "Axes", names: Sequence[str]) -> None:
    """Rows 0, 1, 2, ... from top to bottom, their names, and below them room for the legend."""
    labels, names = ax.get_legend_handles_labels()[1], ["\n".join(map(plain, name.split("\n"))) for name in names]
    size, (width, height) = text_size(ax) - 0.5, slot(ax)
    longest = max(len(line) for name in names for line in name.split("\n"))
    room = max(0.4 * width, 1.1 * width - 0.55 * size * longest)  # right of the names
    columns = int(room / (0.55 * size * max(len(label) for label in labels) + 24))
    columns = max(1, min(len(labels), columns))
    share = min(0.6, (1.6 * size * -(-len(labels) // columns) + 8) / (0.8 * height))
    ax.set_ylim(-0.5 + len(names) / (1 - share), -0.5)
    legend(ax, loc="lower center", ncols=columns, columnspacing=1.0, handletextpad=0.3)
    ax.locator_params(axis="x", nbins=7 if text_size(ax) > 8 else 5)
    row = 0.8 * height * (1 - share) / len(names) / max(name.count("\n") + 1 for name in names)
    ax.set_yticks(range(len(names)), names, fontsize=min(size, max(4.5, 0.85 * row)))


def colours(name: str = MAP) -> Any:
    """A map of colours in which what is absent is grey."""
    import matplotlib as mpl

    return mpl.colormaps[name].with_extremes(bad=LIGHT)


def colorbar(ax: "Axes", image: Any, label: str) -> Any:
    """A bar beside the map, with the map's sizes of text."""
    size = text_size(ax)
    bar = ax.figure.colorbar(image, ax=ax)
    bar.set_label(wrapped(label, 1.1 * slot(ax)[1], size), fontsize=size)
    bar.ax.tick_params(labelsize=size - 0.5)
    return bar


def on_map(image: Any, value: float) -> str:
    """The colour of text that is read on the map's colour of `value`."""
    red, green, blue, _ = image.cmap(image.norm(value))
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.45 else "black"


def whole_numbers(axis: Any) -> None:
    """Ticks at whole numbers alone: layers and experts have no halves."""
    axis.get_major_locator().set_params(integer=True)


def task_styles(tasks: Iterable[str | None]) -> "dict[str | None, dict[str, Any]]":
    """What `plot` draws every task with, by name: no two alike up to 144; unlabelled prompts first, small and grey."""
    present = set(tasks)
    styles: dict[str | None, dict[str, Any]] = {}
    if None in present:
        styles[None] = {"color": GREY, "marker": ".", "label": "no task"}
    for i, task in enumerate(sorted(str(task) for task in present if task is not None)):
        colour, marker = TASK_COLOURS[i % len(TASK_COLOURS)], TASK_MARKERS[i % len(TASK_MARKERS)]
        styles[task] = {"color": colour, "marker": marker, "label": plain(task)}
        if i >= len(TASK_COLOURS) * len(TASK_MARKERS):
            styles[task] |= {"mfc": "none", "mec": colour, "mew": 0.8}
    return styles


def spaced(places: Iterable[float], room: float) -> list[int]:
    """Which of ascending places stand at least `room` apart, from the first on."""
    shown: list[int] = []
    last = -math.inf
    for i, place in enumerate(places):
        if place - last >= room:
            shown.append(i)
            last = place
    return shown


def plain(name: str, longest: int = 32) -> str:
    """A name as matplotlib draws it letter by letter: no formula between dollars, nothing hidden, on one line."""
    short = harmless(" ".join(name.split()))  # an SVG file with control characters cannot be read
    short = short if len(short) <= longest else short[: longest - 1] + "…"
    return (" " if short.startswith("_") else "") + short.replace("$", r"\$")


def p_text(p: Any) -> str:
    """A p-value with its floor."""
    return f"p = {float(p):.2g}, smallest possible {p.floor:.2g}"
