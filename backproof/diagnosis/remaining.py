"""What a candidate leaves of the recorded array, against what rounding may leave of an array of that size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Case
from backproof.equations import Elementwise, Product
from backproof.rounding import Format

Array = NDArray[Any]

MARGIN = 8.0
"""Units that a candidate may be off by, in those of its own size: twice a product's budget."""
CANCELLING = ("through_tanh", "through_sigmoid")


def remaining(case: Case, array: Array, fmt: Format) -> float:
    """Largest ``|recorded − array|`` over what rounding may leave of an array of that size."""
    size = np.abs(array).max(initial=0.0)
    return float((np.abs(case.recorded - array) / allowed(case, size, np.abs(array), fmt, case.unit)).max(initial=0.0))


def allowed(case: Case, size: Array, magnitude: Array, fmt: Format, unit: Array) -> Array:
    """What rounding may leave of an array, element by element.

    Args:
        size: its largest element; of several arrays, one for each, to be broadcast against ``magnitude``.
        magnitude: the sizes of the elements.
        unit: of the equation at these elements, u included.
    """
    exact = float(np.abs(case.exact).max(initial=0.0))
    scale = np.maximum(1.0, size / exact) if exact else 1.0
    terms, rule = 1.0, case.equation.rule
    if isinstance(rule, Product):
        terms = np.sqrt(case.operands.matrix(rule.left, rule.left_transposed).shape[1])
    left = MARGIN * (unit * scale + fmt.unit_roundoff * terms * magnitude) + 8 * fmt.smallest_normal
    if isinstance(rule, Elementwise) and rule.formula in CANCELLING:
        # 1 − a² and a (1 − a) of another delta cancel elsewhere than those of the right one.
        left = left + MARGIN * fmt.unit_roundoff * size
    return np.asarray(left)
