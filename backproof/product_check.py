"""Products: Z, dA, dW and db, each against the units, budget, ceiling and floor of :mod:`backproof.rounding`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.check import Check, doubling
from backproof.equations import Equation, Product
from backproof.inner_products import gather
from backproof.operands import Operands
from backproof.parallel import BLOCK, blocks, in_parallel
from backproof.residuals import Residuals
from backproof.rounding import BUDGET, Format
from backproof.second_opinion import REFUTED, SETTLED, Opinion, Question, chunk, consult
from backproof.verdict import Verdict

Array = NDArray[Any]

LEANING = 1024
"""Elements on which the recorded slope is compared with honest ones, evenly spaced."""
ROUND = 16
"""Blocks of samples whose partial products are held at once."""


@dataclass(frozen=True)
class Yardstick:
    """The unit of a product, element by element: ``u ||A_i|| ||B_j|| + u |b_i| + floor_ij / min(BUDGET, ceiling)``.

    The floor is folded into the unit: the budget always holds it, and a row of zeros divides nothing by 0.
    """

    rows: Array
    columns: Array
    row_terms: Array
    column_terms: Array
    inner: int
    ceiling: float
    floor: float
    unbiased: Array

    @classmethod
    def of(cls, product: Product, operands: Operands, fmt: Format) -> Yardstick:
        """The yardstick of one product of one step."""
        u, tau = fmt.unit_roundoff, fmt.smallest_normal
        inner = operands.recorded(product.left).shape[0 if product.left_transposed else 1]
        rows = operands.norms(product.left, product.left_transposed, 1)
        columns = operands.norms(product.right, product.right_transposed, 0)
        terms = inner + (product.bias is not None)
        # gamma_K over u. From K u = 1 on there is none: a sum in a low precision may stop growing altogether.
        ceiling = terms / (1 - terms * u) if terms * u < 1 else float("inf")
        floor = 2 * tau / min(BUDGET, ceiling)
        row_terms = floor * (inner + 1 + np.sqrt(inner) * rows)
        column_terms = floor * np.sqrt(inner) * columns
        largest = float(row_terms.max() + column_terms.max())
        if product.bias is not None:
            row_terms = row_terms + u * np.abs(operands.wide(product.bias)[:, 0])
        unbiased = np.ones(len(rows), bool) if product.bias is None else operands.wide(product.bias)[:, 0] == 0
        return cls(u * rows, columns, row_terms, column_terms, inner, ceiling, largest, unbiased)

    def unit(self, rows: Array | slice, columns: Array | slice) -> Array:
        """Units of the outer grid of slices, or of paired index arrays."""
        if isinstance(rows, slice):
            unit = self.rows[rows, None] * self.columns[None, columns]
            unit += self.row_terms[rows, None]
            unit += self.column_terms[None, columns]
            return np.asarray(unit)
        return np.asarray(self.rows[rows] * self.columns[columns] + self.row_terms[rows] + self.column_terms[columns])

    def budget(self, relative: Array, u: float) -> Array:
        """``min(ceiling, 4 (1 + sqrt(K) u |exact| / unit))``, in units; ``relative = exact / unit``."""
        budget = np.abs(relative)
        budget *= BUDGET * np.sqrt(self.inner) * u
        budget += BUDGET
        return np.asarray(np.minimum(budget, self.ceiling, out=budget))

    @property
    def vacuous(self) -> int:
        """Elements with a zero row or a zero column, unless a bias other than 0 is there to get right."""
        nonzero = int(np.count_nonzero(self.rows[self.unbiased])) * int(np.count_nonzero(self.columns))
        return int(np.count_nonzero(self.unbiased)) * self.columns.size - nonzero


def check_product(equation: Equation, product: Product, operands: Operands, fmt: Format, step: int) -> Check:
    """Judge a product; target and operands must be finite and of the right shape."""
    yardstick = Yardstick.of(product, operands, fmt)
    shape = operands.recorded(equation.target).shape
    residuals = Residuals(shape, keep_columns=product.right_transposed)
    if not np.isfinite(yardstick.rows.max() * yardstick.columns.max()):
        message = "its operands are so large that their norms overflow float64; it cannot be judged"
        return Check(step, equation, Verdict.SUSPECT, residuals, residuals.rows.size, yardstick.ceiling, None, message)
    exact_of = _summed(product, operands) if product.right_transposed else _sample_by_sample(product, operands)

    def judge(block: slice) -> Residuals:
        recorded = operands.columns(equation.target, block)
        return _judged(recorded, exact_of(block), yardstick, block, fmt, product.right_transposed)

    parts = blocks(*shape)
    for block, part in zip(parts, in_parallel(judge, parts), strict=True):
        residuals.merge(part, block.start)
    verdict, message = _product_verdict(equation, product, operands, fmt, yardstick, residuals)
    slope = residuals.slope()
    return Check(step, equation, verdict, residuals, yardstick.vacuous, yardstick.ceiling, slope and slope[0], message)


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


def _summed(product: Product, operands: Operands) -> Callable[[slice], Array]:
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
    return lambda block: total[:, block]


def _judged(
    recorded: Array, exact: Array, yardstick: Yardstick, block: slice, fmt: Format, keep_columns: bool
) -> Residuals:
    u, factor = fmt.unit_roundoff, doubling(fmt)
    residuals = Residuals(recorded.shape, keep_columns)
    unit = yardstick.unit(slice(None), block)
    # Subnormal noise has no slope worth fitting.
    normal = unit > 8 * BUDGET * yardstick.floor if unit.min() <= 8 * BUDGET * yardstick.floor else None
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
    residuals.add(recorded, exact, ratio, np.divide(ratio, allowed, out=allowed), factor * yardstick.ceiling)
    return residuals


def _product_verdict(
    equation: Equation, product: Product, operands: Operands, fmt: Format, yardstick: Yardstick, residuals: Residuals
) -> tuple[Verdict, str]:
    u, factor = fmt.unit_roundoff, doubling(fmt)
    if residuals.beyond:
        return Verdict.BUG, (
            f"{residuals.ratio:.4g} units of rounding where {factor * yardstick.ceiling:.0f} are the most that any "
            f"order of summation can reach ({residuals.beyond} of {residuals.elements} elements)"
        )
    if residuals.over:
        recorded = operands.recorded(equation.target)

        def budget(exact: Array, unit: Array) -> Array:
            return yardstick.budget(exact / unit, u)

        question = Question(product, operands, recorded, yardstick.unit, yardstick.ceiling, budget)
        worst = residuals.suspects[:, 1:].astype(np.int64)
        opinion = consult(question, worst, residuals.spaced, residuals.over)
        verdict, message = _opinion_verdict(opinion, residuals)
        if verdict is not Verdict.ROUNDING:
            return verdict, message
        leaning = _slope_verdict(equation, product, operands, fmt, yardstick, residuals)
        return leaning if leaning[0] is not Verdict.ROUNDING else (verdict, message)
    return _slope_verdict(equation, product, operands, fmt, yardstick, residuals)


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


def _slope_verdict(
    equation: Equation, product: Product, operands: Operands, fmt: Format, yardstick: Yardstick, residuals: Residuals
) -> tuple[Verdict, str]:
    slope = residuals.slope()
    if slope is None:
        return Verdict.ROUNDING, ""
    delta, error = slope
    u = fmt.unit_roundoff
    allowed = doubling(fmt) * 8
    if abs(delta) <= allowed * u + 5 * error:
        return Verdict.ROUNDING, ""
    honest, sampled = _leaning(equation, product, operands, yardstick)
    said = (
        f"recorded = (1 {delta:+.3g}) × exact, {abs(delta) / u:.3g} u, "
        f"where {allowed:.0f} u + {5 * error / u:.2g} u is allowed"
    )
    if abs(sampled) <= SETTLED * honest:
        return Verdict.ROUNDING, f"{said}; honest orders of summation lean as much ({honest / u:.3g} u)"
    return Verdict.SUSPECT, f"{said}; rounding has no direction, a wrong constant has"


@np.errstate(all="ignore")
def _leaning(equation: Equation, product: Product, operands: Operands, yardstick: Yardstick) -> tuple[float, float]:
    """Largest |slope| of honest evaluations of :data:`LEANING` elements, and the recorded slope on the same.

    An honest slope counts only as far as it exceeds 3 of its own standard errors: few elements scatter by several u
    without leaning, and three times that would excuse a wrong constant.
    """
    recorded = operands.recorded(equation.target)
    flat = np.linspace(0, recorded.size - 1, min(recorded.size, LEANING)).astype(np.int64)
    rows, columns = np.unravel_index(flat, recorded.shape)
    width = chunk(yardstick.inner)
    sums, orders = [], []
    for part in (slice(start, start + width) for start in range(0, len(flat), width)):
        inner = gather(product, operands, rows[part], columns[part])
        sums.append(inner.exact())
        orders.append(list(inner.honest()))
    exact = np.concatenate(sums)
    unit = yardstick.unit(rows, columns)
    relative = exact / unit  # never exact / unit^2: the square of a float64 floor underflows
    total = float(relative @ relative)
    if total == 0:
        return 0.0, np.inf

    def lean(values: Array) -> tuple[float, float]:
        ratio = (values.astype(np.float64) - exact) / unit
        delta = float(relative @ ratio) / total
        spread = ratio - delta * relative
        return delta, float(np.sqrt(spread @ spread / max(len(flat) - 1, 1) / total))

    evaluations = [np.concatenate(values) for values in zip(*orders, strict=True)]
    honest = max(max(abs(delta) - 3 * error, 0.0) for delta, error in map(lean, evaluations))
    return honest, lean(recorded[rows, columns])[0]
