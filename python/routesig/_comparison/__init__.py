"""Two recordings, or two models, on the same prompts: where they agree and how they differ."""

from routesig._comparison._agreement import ExpertAgreement
from routesig._comparison._alignment import Alignment
from routesig._comparison._matrix_correlation import MatrixCorrelation
from routesig._comparison._paired_bootstrap import PairedEstimate
from routesig._comparison._result import Comparison, compare

__all__ = ["Alignment", "Comparison", "ExpertAgreement", "MatrixCorrelation", "PairedEstimate", "compare"]
