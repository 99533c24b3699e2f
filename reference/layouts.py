"""Where the samples stand: the four products of a dense layer, once with samples in columns, once in rows.

Columns (notes 000, 001, 002): ``Z = W A + b``, W out x in, b out x 1, A in x m.
Rows (notes 003, 004): ``Z = A W + b``, W in x out, b 1 x out, A m x in; every product is the transpose
of its partner, so ``A`` moves to the other side: ``(W A)^T = A^T W^T``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.formats import accumulator, product, total, wide

Array = NDArray[Any]


class Columns:
    """Samples in columns."""

    class_axis = 0

    @staticmethod
    def to_native(array: Array) -> Array:
        """From the canonical form (features x samples) to this layout."""
        return array

    to_canonical = to_native

    @staticmethod
    def affine(W: Array, A: Array, b: Array) -> Array:
        """``Z = W A + b``: (out, in) (in, m) + (out, 1) -> (out, m)."""
        Z = product(W, A)
        Z += b
        return Z

    @staticmethod
    def back(W: Array, dZ: Array) -> Array:
        """``dA = W^T dZ``: (in, out) (out, m) -> (in, m)."""
        return product(W.T, dZ)

    @staticmethod
    def weight_gradient(dZ: Array, A: Array) -> Array:
        """``dW = dZ A^T``: (out, m) (m, in) -> (out, in)."""
        return product(dZ, A.T)

    @staticmethod
    def bias_gradient(dZ: Array) -> Array:
        """``db = sum over samples of dZ``: (out, m) -> (out, 1)."""
        return total(dZ, axis=1)


class Rows:
    """Samples in rows."""

    class_axis = 1

    @staticmethod
    def to_native(array: Array) -> Array:
        """From the canonical form (features x samples) to this layout, stored row by row."""
        return np.ascontiguousarray(array.T)

    @staticmethod
    def to_canonical(array: Array) -> Array:
        """Back to features x samples, as a view."""
        return array.T

    @staticmethod
    def affine(W: Array, A: Array, b: Array) -> Array:
        """``Z = A W + b``: (m, in) (in, out) + (1, out) -> (m, out)."""
        Z = product(A, W)
        Z += b
        return Z

    @staticmethod
    def back(W: Array, dZ: Array) -> Array:
        """``dA = dZ W^T``: (m, out) (out, in) -> (m, in)."""
        return product(dZ, W.T)

    @staticmethod
    def weight_gradient(dZ: Array, A: Array) -> Array:
        """``dW = A^T dZ``: (in, m) (m, out) -> (in, out)."""
        return product(A.T, dZ)

    @staticmethod
    def bias_gradient(dZ: Array) -> Array:
        """``db = sum over samples of dZ``: (m, out) -> (1, out)."""
        return total(dZ, axis=0)


class SequentialColumns(Columns):
    """Samples in columns, sums taken front to back: the honest evaluation with the largest rounding.

    Products are accumulated over blocks of the inner dimension, bias gradients over single samples.
    """

    block = 16

    @classmethod
    def _blocks(cls, inner: int) -> Iterator[slice]:
        size = max(cls.block, -(-inner // 16))  # at most 16 passes over the output
        return (slice(start, start + size) for start in range(0, inner, size))

    @classmethod
    def _product(cls, left: Array, right: Array) -> Array:
        result = np.zeros((left.shape[0], right.shape[1]), accumulator(left.dtype))
        part = np.empty_like(result)
        for block in cls._blocks(left.shape[1]):
            result += np.matmul(left[:, block], right[block], out=part)
        return result.astype(left.dtype, copy=False)

    @classmethod
    def affine(cls, W: Array, A: Array, b: Array) -> Array:  # type: ignore[override]
        """As :meth:`Columns.affine`, front to back."""
        return cls._product(W, A) + b

    @classmethod
    def back(cls, W: Array, dZ: Array) -> Array:  # type: ignore[override]
        """As :meth:`Columns.back`, front to back."""
        return cls._product(W.T, dZ)

    @classmethod
    def weight_gradient(cls, dZ: Array, A: Array) -> Array:  # type: ignore[override]
        """As :meth:`Columns.weight_gradient`, front to back."""
        return cls._product(dZ, A.T)

    @staticmethod
    def bias_gradient(dZ: Array) -> Array:
        """As :meth:`Columns.bias_gradient`, one sample after the other."""
        return np.add.accumulate(wide(dZ), axis=1)[:, -1:].astype(dZ.dtype, copy=False)


Layout = type[Columns] | type[Rows]
LAYOUTS: dict[str, Layout] = {"columns": Columns, "rows": Rows}
