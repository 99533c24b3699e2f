"""Products and sums in the format of their operands: what float32 and float64 do by themselves and bfloat16 does not.

NumPy multiplies two bfloat16 matrices in float32 and leaves float32; it adds bfloat16 in bfloat16, where a sum of ones
stops at 256. Here both are accumulated in float32 and rounded once, as processors with bfloat16 units do it. In float32
and float64 nothing is converted and no bit is another one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The format that sums of ``dtype`` are kept in: its own, but float32 for a narrower one."""
    return np.promote_types(dtype, np.float32)


def wide(array: Array) -> Array:
    """The array in the format of its sums; itself where that is its own."""
    return array.astype(accumulator(array.dtype), copy=False)


def product(left: Array, right: Array) -> Array:
    """``left right``: (p, K) (K, q) -> (p, q), rounded to their format."""
    return (left @ right).astype(left.dtype, copy=False)


def total(array: Array, axis: int) -> Array:
    """The sum along ``axis``, which stays with length 1, rounded to the array's format."""
    return np.asarray(array.sum(axis=axis, keepdims=True, dtype=accumulator(array.dtype)), array.dtype)
