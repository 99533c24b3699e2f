"""Elementwise equations and losses, each against its formula of :mod:`backproof.elementwise`."""

from __future__ import annotations

import numpy as np

from backproof import elementwise
from backproof.check import Check, blocks, doubling
from backproof.equations import Elementwise, Equation
from backproof.operands import Operands
from backproof.residuals import Residuals
from backproof.rounding import Format
from backproof.verdict import Verdict


def check_elementwise(
    equation: Equation, rule: Elementwise, operands: Operands, fmt: Format, context: elementwise.Context, step: int
) -> Check:
    formula = elementwise.FORMULAS[rule.formula]
    recorded = operands.wide(equation.target)
    scalar = recorded.ndim == 0
    target = recorded.reshape(1, 1) if scalar else recorded
    residuals = Residuals(target.shape, keep_columns=rule.formula == "gradient_descent")
    vacuous, ceiling = 0, 0.0
    u, factor = fmt.unit_roundoff, doubling(fmt)
    for block in blocks(*target.shape):
        columns = [operands.wide(name) if scalar else operands.wide(name)[:, block] for name in rule.operands]
        value = formula(recorded if scalar else target[:, block], context, *columns)
        shape = target[:, block].shape
        exact, scale = np.reshape(value.exact, shape), np.reshape(value.unit, shape)
        error = target[:, block] - exact
        # What involves no rounding is exact in float64 too: the yardstick needs no allowance of its own.
        exactly = np.asarray(value.budget) == elementwise.EXACT
        budget = np.where(exactly, 1.0, factor) * value.budget
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(error == 0, 0.0, error / (u * scale + value.floor / elementwise.CEILING))
        fraction = np.abs(error) / (u * scale * budget + value.floor)
        top = np.where(exactly, 1.0, elementwise.CEILING) * budget
        ceiling = max(ceiling, float(np.max(top)))
        vacuous += int(np.count_nonzero(scale == 0)) if value.vacuous is None else value.vacuous
        residuals.add(block.start, target[:, block], exact, ratio, fraction, top)
    verdict, message = _elementwise_verdict(residuals)
    return Check(step, equation, verdict, residuals, vacuous, ceiling, None, message)


def _elementwise_verdict(residuals: Residuals) -> tuple[Verdict, str]:
    if not residuals.over:
        return Verdict.ROUNDING, ""
    said = (
        f"{residuals.over} of {residuals.elements} elements are above the budget, "
        f"the worst at {residuals.ratio:.4g} units ({residuals.fraction:.3g} budgets)"
    )
    return (Verdict.BUG if residuals.beyond else Verdict.SUSPECT), said
