"""Elementwise equations of one step, passed without keeping where their residuals are.

What involves no rounding is evaluated in the run's own format and has to agree to the last bit; so does the update,
as one rounded product and one rounded difference or as one FMA. Everything else is held against the very limits of
the dense check (:mod:`backproof.elementwise`), so that nothing is lost. What does not pass is judged densely.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.bits import FORMATS, SAME
from backproof.check import doubling
from backproof.equations import Elementwise, Equation
from backproof.evaluation import EXACT, Context
from backproof.loss_check import LossYardstick, addition
from backproof.operands import Operands
from backproof.rounding import BUDGET, Format

Array = NDArray[Any]


def fraction(
    equation: Equation, rule: Elementwise, operands: Operands, fmt: Format, context: Context, block: slice
) -> float:
    """The largest part of its budget that an element of some columns used: above 1, or NaN, they do not pass.

    Where they agree to the last bit with their evaluation in the run's own format, 0.
    """
    same = SAME.get(rule.formula) if fmt.name in FORMATS else None
    if same is not None:
        recorded = (operands.recorded(name)[:, block] for name in (equation.target, *rule.operands))
        target, *others = recorded
        if same(target, context, *others):
            return 0.0
    wide = operands.columns(equation.target, block)
    value = elementwise.FORMULAS[rule.formula](
        wide, context, *(operands.columns(name, block) for name in rule.operands)
    )
    factor = np.where(np.asarray(value.budget) == EXACT, 1.0, doubling(fmt))
    allowed = np.maximum(fmt.unit_roundoff * value.unit * (factor * value.budget) + value.floor, TINY)
    used = float(np.max(np.abs(wide - value.exact) / allowed))
    return used if np.isfinite(allowed).all() else float("nan")  # nothing passes for being small beside infinity


def fraction_of_loss(equation: Equation, rule: Elementwise, operands: Operands, fmt: Format, context: Context) -> float:
    """The part of its budget that the loss used."""
    recorded = operands.wide(equation.target)
    value = elementwise.FORMULAS[rule.formula](recorded, context, *map(operands.wide, rule.operands))
    if value.terms is None:
        raise TypeError("an evaluation of a scalar does not say of which terms it is the sum")
    residual, factor = abs(float(recorded) - value.terms.loss), doubling(fmt)
    # The unit is at least that of one order of the sum: nearly all pass by that alone, which costs less.
    chance = addition(value.terms.values, fmt.unit_roundoff) / value.terms.divisor
    least = factor * BUDGET * (fmt.unit_roundoff * abs(value.terms.loss) + chance)
    if residual <= least:
        return float(residual / max(least, TINY))
    yardstick = LossYardstick.of(value.terms, fmt)
    return float(residual / max(factor * (BUDGET * yardstick.unit + yardstick.floor), TINY))


TINY = float(np.finfo(np.float64).smallest_subnormal)
