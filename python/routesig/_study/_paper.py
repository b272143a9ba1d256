"""What arXiv 2603.11114 reports (abstract and section 5), and which studies its numbers may stand beside."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routesig._study._result import Study

PAPER = {"within": "0.8435 ± 0.0879", "across": "0.6225 ± 0.1687", "d": "1.44", "accuracy": "92.5 % ± 6.1 %"}
_SHAPE = {"layers": 16, "experts": 64, "top_k": 8}
_TASKS = 4


def comparable(study: "Study") -> bool:
    """Whether a study has the paper's routing, 16 layers x 64 experts x top-8, and its number of tasks, 4.

    Similarities depend on all of these, and accuracies on the number of tasks: beside another study the paper's
    numbers would say nothing, and are left out.
    """
    shape = {name: value for name, value in study.provenance.items() if name in _SHAPE}
    return shape == _SHAPE and len(study.category_matrix.tasks) == _TASKS
