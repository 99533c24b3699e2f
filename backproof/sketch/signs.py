"""Random vectors of ±1: what a sketch multiplies both sides of a product by."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

VECTORS = 8
"""On each side of a product. One ±1 vector misses half of all equal-and-opposite pairs of errors in a row, eight of
them one pair in 2^8, and the eight on the other side see that pair in two different columns."""


def signs(generator: np.random.Generator, count: int, dtype: np.dtype[Any]) -> Array:
    """Independent ±1, each with probability 1/2: count x :data:`VECTORS`."""
    return np.asarray(_table(dtype)[np.frombuffer(generator.bytes(count), np.uint8)])


@cache
def _table(dtype: np.dtype[Any]) -> Array:
    """Of each byte its bits as ±1: looked up, for the arithmetic takes several times as long."""
    return 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(dtype) - 1
