"""Skinny products of a block of samples, in pieces that BLAS multiplies without packing them first.

OpenBLAS has kernels for small matrices that read their operands where they lie; beyond 10⁶ multiplications it packs
them, which costs as much as the product where one side is eight vectors wide: 110 GFLOP/s against 50 to 80, one thread
of an EPYC (OpenBLAS 0.3.30, ``kernel/x86_64/sgemm_small_kernel_permit_skylakex.c``). A piece has a power of two of
samples, so that arrays lie as they are, features x samples or samples x features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK = 1024
"""Samples that are held in the cache at once."""
PIECE = 256
"""Samples of a piece at most: so many are added up one after the other, and the sketch's own rounding grows as the
square root of that."""
SMALL = 10**6
"""Multiplications of one piece."""


def blocks(m: int) -> list[slice]:
    """Slices of :data:`BLOCK` samples."""
    return [slice(start, min(start + BLOCK, m)) for start in range(0, m, BLOCK)]


def from_left(Q: Array, left: Array, out: Array) -> None:
    """``Qᵀ·left`` of an array Q (rows x samples), a row for each sample."""
    n, width = Q.shape[1], _width(left.size)
    head = n // width * width
    if n > width:
        pieces = _pieces(Q[:, :head], width).transpose(0, 2, 1)
        np.matmul(pieces, left, out=out[:head].reshape(-1, width, left.shape[1]))
        Q, out = Q[:, head:], out[head:]
    if Q.shape[1]:
        np.matmul(Q.T, left, out=out)


def from_right(Q: Array, right: Array, out: Array) -> None:
    """``Q·right``, a row for each row of Q."""
    n, width = Q.shape[1], _width(len(Q) * right.shape[1])
    head = n // width * width
    if n <= width:
        np.matmul(Q, right, out=out)
        return
    np.matmul(_pieces(Q[:, :head], width), right[:head].reshape(-1, width, right.shape[1])).sum(axis=0, out=out)
    if head < n:
        out += Q[:, head:] @ right[head:]


def _width(multiplications: int) -> int:
    """The largest power of two of samples, each of so many multiplications, that is one small product."""
    width = PIECE
    while width * multiplications > SMALL and width > 1:
        width //= 2
    return width


def _pieces(Q: Array, width: int) -> Array:
    """A view: pieces x rows x width."""
    rows, n = Q.shape
    if Q.T.flags.c_contiguous:
        return Q.T.reshape(n // width, width, rows).transpose(0, 2, 1)
    return Q.reshape(rows, n // width, width).transpose(1, 0, 2)
