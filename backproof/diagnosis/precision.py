"""Arithmetic in a lower precision than the recording's: in the operands of a product, or in its result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case
from backproof.equations import Product
from backproof.rounding import format_of

Array = NDArray[Any]

FORMATS = {"TF32 or float16": 11, "bfloat16": 8, "float32": 24}
"""Name -> significant bits, the leading one included. TF32 and float16 differ in range only."""


def significant_bits(dtype: Any) -> int:
    """Of a format with unit roundoff u: ``-log2(u)``, the leading bit included."""
    return round(-math.log2(format_of(dtype).unit_roundoff))


def rounded(array: Array, bits: int) -> Array:
    """``array`` to so many significant bits, to nearest even; the exponent's range is left as it is."""
    mantissa, exponent = np.frexp(array)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits))


def candidates(case: Case) -> Iterator[Candidate]:
    """Operands rounded before the product, or the result rounded after it."""
    target = case.equation.target
    own = significant_bits(case.operands.recorded(target).dtype)
    for name, bits in FORMATS.items():
        if bits >= own:
            continue
        if isinstance(case.equation.rule, Product):
            sentence = f"the product is computed in {name}: its operands are rounded to {bits} significant bits"
            yield Candidate("low-precision-operands", sentence, _product(case, case.equation.rule, bits))
        # The result may have been rounded from a sum that differs in its last bits: within one unit of the format.
        close = np.abs(case.recorded - case.exact) <= 1.01 * 2.0**-bits * np.abs(case.exact)
        if np.array_equal(rounded(case.recorded, bits), case.recorded) and close.all():
            sentence = f"{target} is rounded to {name}: it has {bits} significant bits"
            yield Candidate("low-precision-result", sentence, case.recorded)


def _product(case: Case, product: Product, bits: int) -> Array:
    left = rounded(case.operands.matrix(product.left, product.left_transposed), bits)
    right = rounded(case.operands.matrix(product.right, product.right_transposed), bits)
    return np.asarray(left @ right if product.bias is None else left @ right + case[product.bias])
