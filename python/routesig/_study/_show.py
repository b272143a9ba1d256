"""Study.show: what a notebook displays when it is asked for more than a line of facts."""

import importlib
import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routesig._study._result import Study


def show(study: "Study") -> None:
    """See Study.show."""
    if not _in_notebook():
        print(study)
        return
    display = importlib.import_module("IPython.display")

    from routesig._html import study_page

    display.display(display.HTML(study_page(study, _pictures(study))))


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")  # in a notebook it is there already
    return shell is not None and shell.get_ipython() is not None


def _pictures(study: "Study") -> dict[str, bytes]:
    """The similarity of prompts and the controls as PNG, as far as they can be drawn."""
    from matplotlib.figure import Figure

    from routesig import plot

    drawn = {}
    for name, draw in (("similarity of prompts", plot.similarity), ("controls", plot.controls)):
        figure = Figure(figsize=(6.4, 5.0), layout="constrained")
        try:
            draw(study, ax=figure.subplots())
        except ValueError:  # the study says why in its text
            continue
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
        drawn[name] = file.getvalue()
    return drawn
