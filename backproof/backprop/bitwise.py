"""Equations that hold to the last bit: NumPy makes the very same array of the same operands in their own format.

What does cannot be a mistake, and needs no float64: one evaluation in the run's own format, half as wide, takes the
place of a wider one and of a dozen passes over what it makes. A step that was written in NumPy agrees so in nearly
every product. The order of summation is the library's choice and depends on how the arrays lie, so that they are
multiplied as the target lies in memory. Disagreement says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.bits import FORMATS, SAME
from backproof.check import Check
from backproof.equations import ONES, Elementwise, Equation, Product
from backproof.evaluation import Context
from backproof.operands import Operands
from backproof.parallel import threaded_blas
from backproof.residuals import Residuals
from backproof.rounding import BUDGET, NEAR, Format
from backproof.verdict import Verdict

Array = NDArray[Any]

WORTH = 1 << 20, 1 << 16
"""Multiplications of a product, and elements of any other array, from which on it pays: what is smaller is judged in
float64 within a millisecond, and then its residuals are known as well."""


def check_bits(equation: Equation, operands: Operands, fmt: Format, context: Context) -> Check | None:
    """The check of an equation that holds so; None where it does not, where it is not worth asking, and where operands
    are so small that only float64 can tell whether it holds for nothing. Target and operands must be finite.
    """
    rule, target = equation.rule, operands.recorded(equation.target)
    if fmt.name not in FORMATS or any(operands.recorded(name).dtype != target.dtype for name in rule.operands):
        return None
    if isinstance(rule, Product):
        vacuous = _product(target, rule, operands, fmt, context)
    else:
        vacuous = _elementwise(target, rule, operands, fmt, context)
    if vacuous is None:
        return None
    residuals = Residuals(target.shape, keep_columns=False)
    residuals.agree(target)
    return Check(0, equation, Verdict.ROUNDING, residuals, vacuous, 0.0, None, "", bits=True)


def _product(C: Array, product: Product, operands: Operands, fmt: Format, context: Context) -> int | None:
    """How many elements of a product that agrees have a whole row or column of zeros."""
    left, right = operands.recorded(product.left), operands.recorded(product.right)
    left, right = left.T if product.left_transposed else left, right.T if product.right_transposed else right
    total = product.right == ONES
    if product.decayed is not None or (left.size < WORTH[1] if total else C.size * left.shape[1] < WORTH[0]):
        return None
    made = left.sum(axis=1, keepdims=True) if total else _multiplied(left, right, C.flags.c_contiguous)
    if product.bias is not None:
        made += operands.recorded(product.bias)
    if product.divided:
        made /= C.dtype.type(context.divisor)
    return _zeros(C, left, right, product, fmt) if np.array_equal(C, made) else None


def _multiplied(left: Array, right: Array, row_by_row: bool) -> Array:
    with threaded_blas(len(left) * right.size):
        return left @ right if row_by_row else (right.T @ left.T).T


ZEROS = ("relu", "identity", "through_relu", "through_identity", "gradient_descent")
"""Formulas of which it is known what agrees for nothing without evaluating them in float64."""


def _elementwise(made: Array, rule: Elementwise, operands: Operands, fmt: Format, context: Context) -> int | None:
    """How many elements agree for nothing, with no more coming in than the floor hides."""
    of = rule.formula
    if made.size < WORTH[1] or of not in ZEROS:
        return None
    first, *others = (operands.recorded(name) for name in rule.operands)
    if not SAME[of](made, context, first, *others):
        return None
    small = NEAR * 4 * fmt.smallest_normal
    if of == "gradient_descent":
        # Where the result is far from the floor, so is its unit.
        return 0 if float(np.abs(made).min()) * fmt.unit_roundoff > small * (1 + context.step_size) else None
    return int(np.count_nonzero(np.abs(first) <= 4 * fmt.smallest_normal))


def _zeros(C: Array, left: Array, right: Array, product: Product, fmt: Format) -> int | None:
    """Elements that are made of a row or a column of zeros; None where others may be near the floor."""
    K, largest = left.shape[1], float(_size(left)) + float(_size(right))
    # With norms of at most sqrt(K) times the largest element, no floor of backproof.yardstick is above this.
    floor = 2 * fmt.smallest_normal * (K + 1 + K * largest)
    # An element agrees for nothing where it is no larger than its budget beside a unit of NEAR floors.
    if float(np.abs(C).min()) > 4 * BUDGET * NEAR * floor:
        return 0
    if product.bias is not None:
        return None
    rows, columns = _size(left, 1), _size(right, 0)
    some, others = rows[rows > 0], columns[columns > 0]
    if not some.size or not others.size or fmt.unit_roundoff * float(some.min()) * float(others.min()) <= NEAR * floor:
        return None
    return rows.size * columns.size - some.size * others.size


def _size(operand: Array, axis: int | None = None) -> Array:
    return np.asarray(np.maximum(operand.max(axis=axis), -operand.min(axis=axis)))
