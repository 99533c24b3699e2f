"""The unit of a product, element by element, with its budget and its ceiling: what a residual is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Product
from backproof.evaluation import Context
from backproof.operands import Operands
from backproof.rounding import BUDGET, Format

Array = NDArray[Any]


@dataclass(frozen=True)
class Yardstick:
    """The unit of a product, element by element: ``u ||A_i|| ||B_j|| + u |b_i| + floor_ij / min(BUDGET, ceiling)``.

    The floor is folded into the unit: the budget always holds it, and a row of zeros divides nothing by 0. Where the
    sum is divided by d, so is the unit, and two more roundings are counted (1/d, and the product with it); where λW is
    added, ``u |λ W_ij|`` and two more.
    """

    rows: Array
    columns: Array
    row_terms: Array
    column_terms: Array
    inner: int
    ceiling: float
    floor: float
    decayed: Array | None

    @classmethod
    def of(cls, product: Product, operands: Operands, fmt: Format, context: Context) -> Yardstick:
        """The yardstick of one product of one step."""
        u, tau = fmt.unit_roundoff, fmt.smallest_normal
        inner = operands.recorded(product.left).shape[0 if product.left_transposed else 1]
        rows = operands.norms(product.left, product.left_transposed, 1)
        columns = operands.norms(product.right, product.right_transposed, 0)
        terms = inner + (product.bias is not None) + 2 * product.divided + 2 * (product.decayed is not None)
        # gamma_K over u. From K u = 1 on there is none: a sum in a low precision may stop growing altogether.
        ceiling = terms / (1 - terms * u) if terms * u < 1 else float("inf")
        floor = 2 * tau / min(BUDGET, ceiling)
        row_terms = floor * (inner + 1 + np.sqrt(inner) * rows)
        column_terms = floor * np.sqrt(inner) * columns
        largest = float(row_terms.max() + column_terms.max())
        if product.bias is not None:
            row_terms = row_terms + u * np.abs(operands.wide(product.bias)[:, 0])
        scale = u / context.divisor if product.divided else u
        decayed = None
        if product.decayed is not None:
            decayed = u * context.weight_decay * np.abs(operands.wide(product.decayed))
        return cls(scale * rows, columns, row_terms, column_terms, inner, ceiling, largest, decayed)

    def unit(self, rows: Array | slice, columns: Array | slice) -> Array:
        """Units of the outer grid of slices, or of paired index arrays."""
        if isinstance(rows, slice):
            # rows columns^T + row_terms 1^T + 1 column_terms^T, in one pass over the grid.
            left = np.stack([self.rows[rows], self.row_terms[rows], np.ones(self.rows[rows].size)], axis=1)
            unit = left @ np.stack(
                [self.columns[columns], np.ones(self.columns[columns].size), self.column_terms[columns]]
            )
        else:
            unit = self.rows[rows] * self.columns[columns] + self.row_terms[rows] + self.column_terms[columns]
        return np.asarray(unit if self.decayed is None else unit + self.decayed[rows, columns])

    def budget(self, relative: Array, u: float) -> Array:
        """``min(ceiling, 4 (1 + sqrt(K) u |exact| / unit))``, in units; ``relative = exact / unit``."""
        budget = np.abs(relative)
        budget *= BUDGET * np.sqrt(self.inner) * u
        budget += BUDGET
        # |exact| is at most unit / u: from K = 24 on no budget comes near its ceiling.
        if self.ceiling < BUDGET * (1 + 1.01 * np.sqrt(self.inner)):
            np.minimum(budget, self.ceiling, out=budget)
        return np.asarray(budget)
