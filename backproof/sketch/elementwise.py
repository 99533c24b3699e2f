"""Elementwise equations of one step, passed without keeping where their residuals are.

What involves no rounding is evaluated in the run's own format and has to agree to the last bit; so does the update,
as one rounded product and one rounded difference or as one FMA. Everything else is held against the very limits of
the dense check (:mod:`backproof.elementwise`), so that nothing is lost. What does not pass is judged densely.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
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
    same = SAME.get(rule.formula) if fmt.name in ("float32", "float64") else None
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


def _relu(A: Array, context: Context, Z: Array) -> bool:
    return bool((np.maximum(Z, 0) == A).all())


def _leaky_relu(A: Array, context: Context, Z: Array) -> bool:
    return bool((np.where(Z > 0, Z, Z * Z.dtype.type(context.slope)) == A).all())


def _identity(A: Array, context: Context, Z: Array) -> bool:
    return bool((A == Z).all())


def _through_relu(dZ: Array, context: Context, dA: Array, Z: Array) -> bool:
    return bool((dA * (Z > 0) == dZ).all())


def _through_leaky_relu(dZ: Array, context: Context, dA: Array, Z: Array) -> bool:
    # At Z = 0 a derivative may be either: what is taken here need not be theirs, and the dense check decides.
    return bool((np.where(Z >= 0, dA, dA * dA.dtype.type(context.slope)) == dZ).all())


def _gradient_descent(after: Array, context: Context, W: Array, dW: Array) -> bool:
    if after.flags.f_contiguous:
        after, W, dW = after.T, W.T, dW.T  # so that raveling copies nothing
    rounded = W.dtype.type(context.step_size) * dW
    np.subtract(W, rounded, out=rounded)
    others = np.flatnonzero(rounded != after)
    if not others.size:
        return True
    W, dW, after = W.ravel()[others], dW.ravel()[others], after.ravel()[others]
    # The product of two float32 numbers is exact in float64, so that this rounds as an FMA does (but for one case in
    # 2^29 that is rounded twice).
    return W.dtype == np.float32 and bool(
        (np.subtract(W, context.step_size * dW.astype(np.float64), dtype=np.float64).astype(np.float32) == after).all()
    )


SAME: dict[str, Callable[..., bool]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "identity": _identity,
    "through_relu": _through_relu,
    "through_leaky_relu": _through_leaky_relu,
    "through_identity": _identity,
    "gradient_descent": _gradient_descent,
}
"""Formula -> whether an array is, to the last bit, what the run's own format makes of the operands."""
