"""Products: Z, dA, dW and db, each against the units, budget, ceiling and floor of :mod:`backproof.rounding`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.check import Check, doubling
from backproof.equations import Equation, Product
from backproof.evaluation import Context
from backproof.operands import Operands
from backproof.parallel import BLOCK, blocks, in_parallel
from backproof.residuals import Residuals
from backproof.rounding import NEAR, Format
from backproof.second_opinion import REFUTED, SETTLED, Opinion, Question, consult
from backproof.slope import slope_verdict
from backproof.verdict import Verdict
from backproof.yardstick import Yardstick

Array = NDArray[Any]

ROUND = 16
"""Blocks of samples whose partial products are held at once."""


def check_product(
    equation: Equation, product: Product, operands: Operands, fmt: Format, context: Context, step: int
) -> Check:
    """Judge a product; target and operands must be finite and of the right shape."""
    yardstick = Yardstick.of(product, operands, fmt, context)
    shape = operands.recorded(equation.target).shape
    if not np.isfinite(yardstick.rows.max() * yardstick.columns.max()):
        message = "its operands are so large that their norms overflow float64; it cannot be judged"
        residuals = Residuals(shape, keep_columns=product.right_transposed)
        return Check(step, equation, Verdict.SUSPECT, residuals, residuals.rows.size, yardstick.ceiling, None, message)
    exact_of = _summed(product, operands, context) if product.right_transposed else _sample_by_sample(product, operands)

    def judge(block: slice) -> Residuals:
        recorded = operands.columns(equation.target, block)
        return _judged(recorded, exact_of(block), yardstick, block, fmt, product.right_transposed)

    cut = blocks(*shape)
    parts = list(zip(cut, in_parallel(judge, cut), strict=True))
    residuals = Residuals.of_blocks(shape, product.right_transposed, parts)
    question = _question(equation, product, operands, fmt, context, yardstick)
    verdict, message = _product_verdict(question, fmt, residuals)
    slope = residuals.slope()
    ceiling, leaning = yardstick.ceiling, slope and slope[0]
    return Check(step, equation, verdict, residuals, residuals.vacuous, ceiling, leaning, message)


def _sample_by_sample(product: Product, operands: Operands) -> Callable[[slice], Array]:
    """Z and dA: each column of the product needs one column of its right operand."""
    left = operands.matrix(product.left, product.left_transposed)
    bias = None if product.bias is None else operands.wide(product.bias)

    def exact(block: slice) -> Array:
        value = left @ operands.columns(product.right, block)
        if bias is not None:
            value += bias
        return value

    return exact


def _summed(product: Product, operands: Operands, context: Context) -> Callable[[slice], Array]:
    """dW and db: the inner dimension is the samples, and their blocks are summed."""
    rows, m = operands.recorded(product.left).shape
    columns = operands.recorded(product.right).shape[0]

    def part(block: slice) -> Array:
        return operands.columns(product.left, block) @ operands.columns(product.right, block).T

    total = np.zeros((rows, columns))
    # 1,024 samples a block, however wide the layer: each block costs a whole matrix of partial sums.
    parts = blocks(BLOCK // 1024, m)
    for start in range(0, len(parts), ROUND):
        for value in in_parallel(part, parts[start : start + ROUND]):
            total += value
    if product.divided:
        total /= context.divisor
    if product.decayed is not None:
        total += context.weight_decay * operands.wide(product.decayed)
    return lambda block: total[:, block]


def exact_product(product: Product, operands: Operands, context: Context) -> Array:
    """The whole product in float64."""
    exact = operands.matrix(product.left, product.left_transposed) @ operands.matrix(
        product.right, product.right_transposed
    )
    if product.divided:
        exact /= context.divisor
    if product.decayed is not None:
        exact += context.weight_decay * operands.wide(product.decayed)
    return np.asarray(exact if product.bias is None else exact + operands.wide(product.bias))


def _judged(
    recorded: Array, exact: Array, yardstick: Yardstick, block: slice, fmt: Format, keep_columns: bool
) -> Residuals:
    u, factor = fmt.unit_roundoff, doubling(fmt)
    residuals = Residuals(recorded.shape, keep_columns, block.start, yardstick.columns.size)
    unit = yardstick.unit(slice(None), block)
    # Subnormal noise has no slope worth fitting, and a value that it may hide agrees for nothing.
    normal = unit > NEAR * yardstick.floor if unit.min() <= NEAR * yardstick.floor else None
    ratio = recorded - exact
    ratio /= unit
    relative = np.divide(exact, unit, out=unit)
    if normal is None:
        residuals.lean(ratio, relative)
    elif normal.any():
        residuals.lean(ratio[normal], relative[normal])
    np.abs(ratio, out=ratio)
    allowed = yardstick.budget(relative, u)
    allowed *= factor
    if normal is not None:
        residuals.vacuous = int(np.count_nonzero(~normal & (np.abs(relative) <= allowed)))
    residuals.add(recorded, exact, ratio, np.divide(ratio, allowed, out=allowed), factor * yardstick.ceiling)
    return residuals


def _question(
    equation: Equation, product: Product, operands: Operands, fmt: Format, context: Context, yardstick: Yardstick
) -> Question:
    def budget(exact: Array, unit: Array) -> Array:
        return yardstick.budget(exact / unit, fmt.unit_roundoff)

    recorded = operands.recorded(equation.target)
    return Question(product, operands, recorded, yardstick.unit, yardstick.ceiling, budget, context)


def _product_verdict(question: Question, fmt: Format, residuals: Residuals) -> tuple[Verdict, str]:
    if residuals.beyond:
        return Verdict.BUG, (
            f"{residuals.ratio:.4g} units of rounding where {doubling(fmt) * question.ceiling:.0f} are the most that "
            f"any order of summation can reach ({residuals.beyond} of {residuals.elements} elements)"
        )
    if residuals.over:
        worst = residuals.suspects[:, 1:].astype(np.int64)
        opinion = consult(question, worst, residuals.spaced, residuals.over)
        verdict, message = _opinion_verdict(opinion, residuals)
        if verdict is not Verdict.ROUNDING:
            return verdict, message
        leaning = slope_verdict(question, fmt, residuals)
        return leaning if leaning[0] is not Verdict.ROUNDING else (verdict, message)
    return slope_verdict(question, fmt, residuals)


def _opinion_verdict(opinion: Opinion, residuals: Residuals) -> tuple[Verdict, str]:
    said = (
        f"{residuals.over} of {residuals.elements} elements are above the budget, "
        f"the worst at {residuals.ratio:.4g} units"
    )
    if opinion.ceiling_broken:
        return Verdict.BUG, f"{said}; evaluated exactly, no order of summation can reach that"
    if opinion.settled == residuals.over:
        return Verdict.ROUNDING, f"{said}; honest orders of summation err as much (at most {opinion.worst:.2g} times)"
    if opinion.speaks_for_the_rest:
        return Verdict.ROUNDING, (
            f"{said}; of the worst {opinion.asked}, honest orders of summation err as much (at most "
            f"{opinion.worst:.2g} times), and as much as {opinion.sampled} of all, evenly spaced, are off by; "
            f"the other {residuals.over - opinion.asked} have smaller residuals"
        )
    if opinion.worst >= REFUTED:
        return Verdict.BUG, f"{said}; {opinion.worst:.3g} times what the worst honest order of summation errs"
    if opinion.worst > SETTLED:
        return Verdict.SUSPECT, f"{said}; {opinion.worst:.3g} times what the worst honest order of summation errs"
    if opinion.unjudged:
        return Verdict.SUSPECT, f"{said}; {opinion.unjudged} overflow when they are re-evaluated and cannot be judged"
    return Verdict.SUSPECT, f"{said}; only {opinion.settled} were re-evaluated, all of them explained"
