"""Where a run leaves the finite numbers: because its values grew out of the format, or because of a mistake."""

from __future__ import annotations

import numpy as np

from backproof.equations import ONES, equations
from backproof.rounding import format_of
from backproof.structure import Flaw
from backproof.training import Step, Training


def overflowed(flaw: Flaw, training: Training, step: Step) -> bool:
    """Whether growth may explain the first quantity of a step that is not finite.

    It does where the exact value is beyond the format (the flaw is an ``overflow``), or where a partial result may
    have been: a sum of n products of two numbers below M stays below ``n M²`` in every order, and so do the squares
    and steps of the elementwise equations. Where that is within the format, nothing overflowed on the way.
    """
    equation = next((e for e in equations(training.network) if e.target == flaw.quantity), None)
    if flaw.kind == "overflow" or equation is None:
        return True
    X, Y = training.batch(step.samples)
    known = {**step.tensors, "X": X, "Y": Y}
    operands = [known[name].astype(np.float64) for name in equation.rule.operands if name != ONES]
    terms, largest = max(array.size for array in operands), max(float(np.abs(array).max()) for array in operands)
    return not max(largest, 1.0) ** 2 * terms < format_of(training.dtype).largest
