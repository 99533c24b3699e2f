"""The rounding arithmetic: formats, the unit of a product, its budget, its ceiling and its floor.

**The unit.** For a product ``C = A B`` with inner dimension K, evaluated in a format of unit roundoff u in any
order of summation, with or without fused multiply-add,

    |fl(C) - C| <= gamma_K |A| |B|,    gamma_K = K u / (1 - K u)        (Higham, ASNA 2002, section 3.5)

and by Cauchy-Schwarz ``(|A| |B|)_ij <= ||A_i||_2 ||B_j||_2``. A residual is therefore measured in

    unit_ij = u (||A_i||_2 ||B_j||_2 + |b_i|)

**The ceiling**, gamma_K / u = K / (1 - K u) units (K + 1 for K with a bias): no order of summation can pass it. Beyond
it is a bug, with proof. For K = 60,000 in float32 it is 60,215; from K u = 1 on there is no ceiling.

**The budget**, what rounding does to operands that do not conspire. Rounding errors of one inner product are close
to independent with mean zero, so they add up as sqrt(K) (Higham and Mary 2019; Ipsen and Zhou 2019). Each partial
sum s_k contributes about u |s_k|: the partial sums wander to about ||A_i|| ||B_j|| by chance and to |C_ij| by drift,

    budget_ij = min(ceiling, 4 (1 + sqrt(K) u |C_ij| / unit_ij)) units

The drift term is what lets a saturated or all-positive product through without blinding the others.

**The floor**: operands below the smallest normal number tau may be flushed to zero (XLA does so), which costs at
most tau for each term and each operand: ``2 tau (K + 1 + ||A_i||_1 + ||B_j||_1)``, where ``||x||_1 <= sqrt(K) ||x||_2``
is used for the one-norms. It is folded into the unit (:class:`backproof.yardstick.Yardstick`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from backproof.errors import BackproofError

Array = NDArray[Any]

BUDGET = 4.0
"""Units of the budget; see ``docs/rounding.md`` for how it was measured."""
NEAR = 32.0
"""Floors up to which an allowed error is near the floor: what it allows is then no measure of rounding."""


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Attributes:
        unit_roundoff: u, half the distance from 1 to the next number (round to nearest).
        smallest_normal: tau.
        largest: the largest finite number.
    """

    name: str
    unit_roundoff: float
    smallest_normal: float
    largest: float


FORMATS = {
    "float64": Format("float64", 2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max)),
    "float32": Format("float32", 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max)),
    "bfloat16": Format("bfloat16", 2.0**-8, 2.0**-126, (2 - 2.0**-7) * 2.0**127),
    "float16": Format("float16", 2.0**-11, 2.0**-14, 65504.0),
}


@cache
def format_of(dtype: Any) -> Format:
    """The format of a NumPy dtype (or of its name).

    Raises:
        BackproofError: when the dtype is not one of :data:`FORMATS`.
    """
    name = getattr(dtype, "name", str(dtype))
    if name not in FORMATS:
        raise BackproofError(f"no rounding arithmetic for dtype {name!r}; known are {', '.join(FORMATS)}")
    return FORMATS[name]


def rounded(array: Array, dtype: DTypeLike) -> Array:
    """The array in another format, each element rounded once, to nearest; itself where it is of the format already.

    ml_dtypes rounds a float64 to float32 first and then to bfloat16, which may end a unit away. Here the float32 is
    rounded to odd (Boldo and Melquiond 2008): with two more bits than the format, the second rounding is then right.
    """
    kind = np.dtype(dtype)
    if array.dtype == kind:
        return array
    if array.dtype != np.float64 or kind.name != "bfloat16":
        return array.astype(kind)
    single = array.astype(np.float32)
    beyond = np.abs(single) > np.abs(array)
    toward = np.where(beyond, np.nextafter(single, np.float32(0)), single)
    inexact = np.isfinite(array) & (toward != array)
    return np.asarray((toward.view(np.uint32) | inexact).view(np.float32).astype(kind))


def norms(matrix: Array, axis: int) -> Array:
    """2-norms of a float64 matrix along ``axis``, safe from underflow and overflow of the squares.

    Args:
        axis: 1 for the norm of each row, 0 for each column.
    """
    squares = np.einsum("ij,ij->i" if axis == 1 else "ij,ij->j", matrix, matrix)
    safe = (squares > 1e-280) & (squares < 1e280)
    if safe.all():
        return np.asarray(np.sqrt(squares))
    # Only float64 data gets here: scale what is not zero by its largest entry first.
    top = np.abs(matrix).max(axis=axis)
    scale = np.where(top > 0, top, 1.0)
    scaled = matrix / (scale[:, None] if axis == 1 else scale[None, :])
    return np.asarray(scale * np.sqrt(np.square(scaled).sum(axis=axis)))


def ulps(first: Array, second: Array) -> Array:
    """Distance of two arrays of one format in units in the last place: numbers between them, plus one.

    Finite numbers are mapped to integers in their own order (the sign-magnitude bits turned into two's
    complement); the distance of x to itself is 0 and 0.0 and -0.0 coincide.

    Raises:
        BackproofError: when the dtypes differ or are not one of :data:`FORMATS`.
    """
    if first.dtype != second.dtype or first.dtype.name not in FORMATS:
        raise BackproofError(f"ULPs need two arrays of one format, not {first.dtype} and {second.dtype}")
    kind = np.dtype(f"int{8 * first.dtype.itemsize}")

    def ordered(array: Array) -> Array:
        bits = np.ascontiguousarray(array).view(kind)
        return np.asarray(np.where(bits < 0, np.iinfo(kind).min - bits, bits))

    a, b = ordered(first).astype(np.int64), ordered(second).astype(np.int64)
    # The distance of two int64 needs 64 bits without a sign; unsigned subtraction has it exactly.
    return np.asarray((np.maximum(a, b).view(np.uint64) - np.minimum(a, b).view(np.uint64)).astype(np.float64))
