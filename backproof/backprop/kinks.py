"""Exactly at a kink any one-sided derivative, or a value between, is right: which one was taken is worth a note."""

from __future__ import annotations

import numpy as np

from backproof.equations import Elementwise, Equation
from backproof.operands import Operands

FRAMEWORKS = {0.0: "as torch.relu and jax.nn.relu have it", 0.5: "as jax.numpy.maximum(z, 0) has it",
              1.0: "as clamp and a mask z >= 0 have it"}  # fmt: skip
ALIKE = 1e-3
"""Up to which the derivatives at 0 are called one."""


def kink_note(equation: Equation, operands: Operands, slope: float) -> str:
    """The convention seen where Z is exactly 0 and dA is not, if it is not the usual one; empty otherwise."""
    rule, target = equation.rule, equation.target
    if not isinstance(rule, Elementwise) or rule.formula not in ("through_relu", "through_leaky_relu"):
        return ""
    dA, Z, dZ = (operands.recorded(name) for name in (*rule.operands, target))
    kink = (Z == 0) & (dA != 0)
    if not kink.any():
        return ""
    usual = slope if rule.formula == "through_leaky_relu" else 0.0
    taken = dZ[kink].astype(np.float64) / dA[kink]
    if np.abs(taken - usual).max() <= ALIKE:
        return ""
    middle = float(np.median(taken))
    one = np.abs(taken - middle).max() <= ALIKE
    word = f"{middle:.3g}" if one else f"values from {taken.min():.3g} to {taken.max():.3g}"
    known = FRAMEWORKS.get(round(middle, 3), "") if one else ""
    name = "leaky ReLU" if usual else "ReLU"
    said = f" ({known})" if known else ""
    return (
        f"{target}: at Z{equation.layer} = 0 exactly ({taken.size} elements) the derivative of {name} is taken as "
        f"{word}{said}, where {usual:g} is usual; any value between the one-sided derivatives is right"
    )
