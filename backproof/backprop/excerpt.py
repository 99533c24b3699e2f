"""Whether an equation holds on a few of its elements: enough to choose between conventions, for little.

Products are cut to a grid of rows and columns, whole inner dimension; what has a column for each sample to some of the
samples; sums over all (losses) are not cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equation_check import check_equation
from backproof.equations import ONES, Equation, Product
from backproof.evaluation import Context
from backproof.operands import Operands
from backproof.rounding import Format
from backproof.verdict import Verdict

Array = NDArray[Any]

GRID = 12
"""Rows and columns of a product that are looked at."""
SAMPLES = 64
"""Samples of an elementwise equation that are looked at."""


def holds(equation: Equation, tensors: Mapping[str, Array], fmt: Format, context: Context) -> bool:
    """Whether rounding explains the excerpt; target and operands must be there, finite and of their shapes."""
    cut = (
        _product(equation, equation.rule, tensors)
        if isinstance(equation.rule, Product)
        else _columns(equation, tensors)
    )
    return check_equation(equation, Operands(cut), fmt, context).verdict is Verdict.ROUNDING


def _some(size: int, most: int) -> Array:
    return np.unique(np.linspace(0, size - 1, min(size, most)).astype(np.int64))


def _product(equation: Equation, product: Product, tensors: Mapping[str, Array]) -> dict[str, Array]:
    target = tensors[equation.target]
    rows, columns = (_some(size, GRID) for size in target.shape)
    left, right = tensors[product.left], tensors.get(product.right)
    cut = {"X": left[:1] if product.right_transposed else np.zeros((1, len(columns)))}
    cut[product.left] = left[:, rows] if product.left_transposed else left[rows]
    if right is not None and product.right != ONES:
        cut[product.right] = right[columns] if product.right_transposed else right[:, columns]
    if product.bias is not None:
        cut[product.bias] = tensors[product.bias][rows]
    grid = np.ix_(rows, columns)
    if product.decayed is not None:
        cut[product.decayed] = tensors[product.decayed][grid]
    return {**cut, equation.target: target[grid]}


def _columns(equation: Equation, tensors: Mapping[str, Array]) -> dict[str, Array]:
    target = tensors[equation.target]
    names = (equation.target, *equation.rule.operands)
    if not target.ndim:
        return {"X": np.zeros((1, 1)), **{name: tensors[name] for name in names}}
    columns = _some(target.shape[1], SAMPLES)
    return {"X": np.zeros((1, len(columns))), **{name: tensors[name][:, columns] for name in names}}
