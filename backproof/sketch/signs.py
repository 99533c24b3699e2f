"""Random vectors of ±1: what a sketch multiplies both sides of a product by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

VECTORS = 8
"""On each side of a product. One ±1 vector misses half of all equal-and-opposite pairs of errors in a row, eight of
them one pair in 2^8, and the eight on the other side see that pair in two different columns."""


def signs(generator: np.random.Generator, count: int, dtype: np.dtype[Any]) -> Array:
    """Independent ±1, each with probability 1/2: count x :data:`VECTORS`."""
    bits = np.unpackbits(np.frombuffer(generator.bytes(count), np.uint8))
    return (2 * bits.astype(dtype) - 1).reshape(count, VECTORS)
