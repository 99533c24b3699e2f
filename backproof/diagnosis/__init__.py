"""Names the mistake: the recorded operands are still at hand, so the explanations are tried on them.

One family a file. An explanation is a :class:`~backproof.diagnosis.candidate.Candidate`: a stable name, a sentence with
the formula, and the array that the equation would have produced under that mistake. The one that brings the residual
down to rounding is the mistake.
"""

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.explain import explain
from backproof.diagnosis.explanation import Explanation
from backproof.diagnosis.shape_of_residual import shape_of_residual
from backproof.diagnosis.thinned import samples_of, thinned

__all__ = ["Candidate", "Case", "Explanation", "explain", "samples_of", "shape_of_residual", "thinned"]
