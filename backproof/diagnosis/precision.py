"""Arithmetic in a lower precision than the recording's: in the operands of a product, or in its result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case
from backproof.equations import ONES, Product
from backproof.rounding import format_of

Array = NDArray[Any]

FORMATS = {"TF32 or float16": 11, "bfloat16": 8, "float32": 24}
"""Name -> significant bits, the leading one included. TF32 and float16 differ in range only."""
FLOAT32 = 24
RESULT = 8.0
"""Roundings of the lower format, of the largest element, that a result computed in it may be off by, for each √K."""
FEWEST = 8
"""Elements other than zero from which it is no chance that all of them have so few bits."""


def significant_bits(dtype: Any) -> int:
    """Of a format with unit roundoff u: ``-log2(u)``, the leading bit included."""
    return round(-math.log2(format_of(dtype).unit_roundoff))


def rounded(array: Array, bits: int) -> Array:
    """``array`` to so many significant bits, to nearest even; the exponent's range is left as it is."""
    mantissa, exponent = np.frexp(array)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits))


def candidates(case: Case) -> Iterator[Candidate]:
    """Operands rounded before the product, the result rounded after it, or all of it computed in a lower format."""
    own = significant_bits(case.operands.recorded(case.target).dtype)
    for name, bits in sorted(FORMATS.items(), key=lambda item: item[1]):
        if bits < own:
            yield from _of_format(case, name, bits)


def _of_format(case: Case, name: str, bits: int) -> Iterator[Candidate]:
    target, exact, recorded, u = case.target, case.exact, case.recorded, 2.0**-bits
    numbers = {"significant bits": float(bits)}
    product = None
    if isinstance(case.equation.rule, Product):
        text = f"the product is computed in {name}: its operands are rounded to {bits} significant bits"
        product = _product(case, case.equation.rule, bits)
        yield Candidate("low-precision-operands", text, product, numbers=numbers)
    if not np.array_equal(rounded(recorded, bits), recorded):
        return
    held = "held-in-float32" if bits == FLOAT32 else "low-precision-result"
    # The result may have been rounded from a sum that differs in its last bits: within one unit of the format.
    for source in (exact, product):
        if source is not None and (np.abs(recorded - source) <= 1.01 * u * np.abs(source)).all():
            text = f"{target} is rounded to {name}: it has {bits} significant bits"
            yield Candidate(held, text, recorded, numbers=numbers)
            return
    scale = float(np.abs(exact).max(initial=0.0)) * math.sqrt(max(_terms(case), 1))
    if np.count_nonzero(recorded) >= FEWEST and (np.abs(recorded - exact) <= RESULT * u * scale).all():
        text = f"{target} is computed in {name}: all of it has {bits} significant bits, and it is right to as many"
        yield Candidate(held, text, recorded, numbers=numbers)


def _terms(case: Case) -> int:
    rule = case.equation.rule
    return case.operands.matrix(rule.left, rule.left_transposed).shape[1] if isinstance(rule, Product) else 1


def _product(case: Case, rule: Product, bits: int) -> Array:
    """At the elements that are looked at."""
    left = rounded(case.operands.matrix(rule.left, rule.left_transposed), bits)[case.rows]
    right = case.operands.matrix(rule.right, rule.right_transposed)
    right = right if rule.right == ONES else rounded(right, bits)
    # Samples are thinned in the operands already, the columns of a gradient are not.
    value = left @ (right[:, case.columns] if rule.right_transposed else right)
    if rule.divided:
        value = value / case.context.divisor
    if rule.decayed is not None:
        value = value + case.context.weight_decay * case.cut(case[rule.decayed])
    return np.asarray(value if rule.bias is None else value + case[rule.bias])
