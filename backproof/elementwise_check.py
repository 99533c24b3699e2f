"""Elementwise equations and losses, each against its formula of :mod:`backproof.elementwise`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.check import Check, doubling
from backproof.equations import Elementwise, Equation
from backproof.evaluation import CEILING, EXACT, Context, Evaluation
from backproof.loss_check import check_loss
from backproof.operands import Operands
from backproof.parallel import blocks, in_parallel
from backproof.residuals import Residuals
from backproof.rounding import NEAR, Format
from backproof.verdict import Verdict

Array = NDArray[Any]


def check_elementwise(
    equation: Equation, rule: Elementwise, operands: Operands, fmt: Format, context: Context, step: int
) -> Check:
    """Judge an elementwise equation or a loss; target and operands must be finite and of the right shape."""
    formula = elementwise.FORMULAS[rule.formula]
    shape = operands.recorded(equation.target).shape
    if not shape:
        return _loss(equation, rule, operands, fmt, context, step)
    keep_columns = equation.target.endswith("_next")

    def judge(block: slice) -> tuple[Residuals, float]:
        recorded = operands.columns(equation.target, block)
        value = formula(recorded, context, *(operands.columns(name, block) for name in rule.operands))
        return _judged(recorded, value, fmt, Residuals(recorded.shape, keep_columns, block.start, shape[1]))

    cut = blocks(*shape)
    parts, ceilings = zip(*in_parallel(judge, cut), strict=True)
    residuals, ceiling = Residuals.of_blocks(shape, keep_columns, list(zip(cut, parts, strict=True))), max(ceilings)
    verdict, message = _elementwise_verdict(residuals)
    return Check(step, equation, verdict, residuals, residuals.vacuous, ceiling, None, message)


def _loss(equation: Equation, rule: Elementwise, operands: Operands, fmt: Format, context: Context, step: int) -> Check:
    value = elementwise.FORMULAS[rule.formula](
        operands.wide(equation.target), context, *map(operands.wide, rule.operands)
    )
    if value.terms is None:
        raise TypeError(f"{rule.formula} makes a scalar and does not say of which terms")
    return check_loss(equation, operands.recorded(equation.target), value.terms, fmt, step)


def _judged(recorded: Array, value: Evaluation, fmt: Format, residuals: Residuals) -> tuple[Residuals, float]:
    """The residuals of one block, filled in, and its highest ceiling."""
    exact, scale = np.reshape(value.exact, recorded.shape), np.reshape(value.unit, recorded.shape)
    # What involves no rounding is exact in float64 too: the yardstick needs no allowance of its own.
    exactly = np.asarray(value.budget) == EXACT
    budget = np.where(exactly, 1.0, doubling(fmt)) * value.budget
    ceiling = np.where(exactly, 1.0, CEILING) * budget
    u = fmt.unit_roundoff
    residuals.vacuous = _vacuous(exact, u * budget, scale, value.floor) if value.vacuous is None else value.vacuous
    error = recorded - exact
    if error.any():
        np.abs(error, out=error)
        unit = u * scale
        allowed = unit * budget
        allowed += value.floor
        unit += value.floor / CEILING
        residuals.add(recorded, exact, error / unit, np.divide(error, allowed, out=allowed), ceiling)
    else:
        residuals.agree(recorded)
    return residuals, float(np.max(ceiling))


def _vacuous(exact: Array, budget: Array, scale: Array, floor: Array | float) -> int:
    """Elements near the floor whose exact value is less than what is allowed; ``budget`` has its factor u."""
    if float(scale.min()) * float(np.min(budget)) > (NEAR - 1) * float(np.max(floor)):
        return 0
    allowed = scale * budget + floor
    return int(np.count_nonzero((allowed <= NEAR * floor) & (np.abs(exact) <= allowed)))


def _elementwise_verdict(residuals: Residuals) -> tuple[Verdict, str]:
    if not residuals.over:
        return Verdict.ROUNDING, ""
    said = (
        f"{residuals.over} of {residuals.elements} elements are above the budget, "
        f"the worst at {residuals.ratio:.4g} units ({residuals.fraction:.3g} budgets)"
    )
    return (Verdict.BUG if residuals.beyond else Verdict.SUSPECT), said
