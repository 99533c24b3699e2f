"""Inner products as recorded, and their honest evaluations in the recording's own format.

An inner product is evaluated in many orders of summation (sequential, reversed, pairwise, contiguous blocks, strided
lanes), with rounded products and with fused multiply-add. What these are off by is what an implementation may be off
by: where operands repeat (dead units, constants, saturated pixels) or sums run front to back, honest errors do not
average out, and these evaluations show it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Product
from backproof.evaluation import Context
from backproof.operands import Operands

Array = NDArray[Any]

LANES = (8, 16, 32, 64, 128, 256, 512)
BLOCKS = (*LANES, 96, 192, 240, 320, 384, 448, 640, 768)
"""Block sizes: powers of two, and those into which matrix libraries cut a long inner dimension."""
PARTS = (2, 3, 4)
"""Libraries also cut what is left into equal parts: 2 parts, fused, give PyTorch's product at K = 384 and OpenBLAS's at
K = 841 bit for bit. With powers of two alone, three honest products of repeated operands were at up to 6.8 times
the worst order."""
SPLITTING = 2.0**990
"""From 2^996 on, Veltkamp's factor overflows."""


@dataclass(frozen=True)
class InnerProducts:
    """``n`` inner products of length K as recorded: ``sum_k left[i, k] right[i, k] / divisor + bias[i]``.

    Attributes:
        left, right: (n, K) in the recording's format.
        bias: (n,) or None.
        divisor: of the sums.
    """

    left: Array
    right: Array
    bias: Array | None
    divisor: int = 1

    @np.errstate(over="ignore", under="ignore")
    def exact(self) -> Array:
        """The n sums, exact for float64 operands (two-product and ``math.fsum``), float64 otherwise.

        Products of float32 numbers are exact in float64, so only their sum rounds, 2^29 times finer than float32.
        """
        left, right = self.left.astype(np.float64), self.right.astype(np.float64)
        # Exact but for the division itself: once more than u of the quotient.
        bias = np.zeros(len(left)) if self.bias is None else self.bias.astype(np.float64)
        if self.divisor != 1:
            return np.asarray(InnerProducts(self.left, self.right, None).exact() / self.divisor + bias)
        if self.left.dtype != np.float64:
            return np.asarray(np.einsum("nk,nk->n", left, right) + bias)
        # Powers of two bring the largest factors, and a larger bias, to 1: nothing but the result itself overflows.
        e_left, e_right = (np.frexp(np.abs(x).max(axis=1))[1] for x in (left, right))
        shift = np.maximum(e_left + e_right, np.frexp(bias)[1])
        high, low = two_product(np.ldexp(left, -e_left[:, None]), np.ldexp(right, (e_left - shift)[:, None]))
        terms = zip(high, low, np.ldexp(bias, -shift), strict=True)
        return np.asarray(np.ldexp([math.fsum([*h, *e, b]) for h, e, b in terms], shift))

    def only(self, index: Array) -> InnerProducts:
        """Some of the n."""
        bias = None if self.bias is None else self.bias[index]
        return InnerProducts(self.left[index], self.right[index], bias, self.divisor)

    def honest(self, fusing: tuple[bool, ...] = (False, True)) -> Iterator[Array]:
        """Values of the n sums in the recording's format, one array of n for each order of summation.

        Args:
            fusing: without and with fused multiply-add; a plain sum has no products to fuse.
        """
        for fused in fusing:
            yield self._finish(_sequential(self.left, self.right, fused))
            yield self._finish(_sequential(self.left[:, ::-1], self.right[:, ::-1], fused))
            for lanes in LANES:
                if lanes < self.left.shape[1]:
                    yield self._finish(_strided(self.left, self.right, lanes, fused))
            for size in block_sizes(self.left.shape[1]):
                yield self._finish(_blocks(self.left, self.right, size, fused))
        yield self._finish(_tree(self.left * self.right))

    def _finish(self, sums: Array) -> Array:
        sums = sums if self.divisor == 1 else sums / sums.dtype.type(self.divisor)
        return sums if self.bias is None else sums + self.bias.astype(sums.dtype)

    def envelope(self, exact: Array) -> Array:
        """(n,) the largest error of the honest evaluations."""
        return np.asarray(np.max([np.abs(value.astype(np.float64) - exact) for value in self.honest()], axis=0))


def block_sizes(K: int) -> list[int]:
    """Sizes of contiguous blocks, each smaller than the inner dimension K and none of them twice."""
    return sorted(size for size in {*BLOCKS, *(-(-K // parts) for parts in PARTS)} if size < K)


PLAIN = Context(1, 0.0, 0.0, 0.0)
"""Of products that are neither divided nor decayed."""


def gather(
    product: Product, operands: Operands, rows: Array, columns: Array, context: Context = PLAIN
) -> InnerProducts:
    """The recorded operands of the elements (rows[i], columns[i]) of a product; ``λ W`` counts as a bias."""
    left = operands.line(product.left, product.left_transposed, 1, rows)
    right = operands.line(product.right, product.right_transposed, 0, columns).astype(left.dtype, copy=False)
    bias = None if product.bias is None else operands.recorded(product.bias)[rows, 0]
    if product.decayed is not None:
        decayed = context.weight_decay * operands.wide(product.decayed)[rows, columns]
        bias = decayed if bias is None else bias + decayed
    return InnerProducts(left, right, bias, context.divisor if product.divided else 1)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """``a b = high + low`` exactly, in float64 (Dekker 1971 with Veltkamp's splitting by 2^27 + 1).

    Not exact where the product overflows or its last bits underflow.
    """
    high = a * b
    a1, b1 = _leading(a), _leading(b)
    a2, b2 = a - a1, b - b1
    return high, a2 * b2 - (((high - a1 * b1) - a2 * b1) - a1 * b2)


def _leading(x: Array) -> Array:
    """The upper half of each significand."""
    if x.size and max(x.max(), -x.min()) > SPLITTING:
        scale = np.where(np.abs(x) > SPLITTING, 2.0**-28, 1.0)
        return np.asarray(_leading(x * scale) / scale)
    return np.asarray(134217729.0 * x - (134217729.0 * x - x))


def _fused_multiply_add(total: Array, a: Array, b: Array) -> Array:
    if total.dtype != np.float64:
        # The product of two float32 numbers is exact in float64; one rounding of the sum back to float32 remains.
        wide = a.astype(np.float64) * b.astype(np.float64) + total.astype(np.float64)
        return wide.astype(total.dtype)
    # Product and sum as unevaluated pairs (two-product; two-sum, Knuth, TAOCP 4.2.2), added in the end: their last
    # addition rounds once more than a fused one would, a part in 2^53 of what is being measured.
    high, low = two_product(a, b)
    sum_ = total + high
    part = sum_ - total
    return np.asarray(sum_ + ((total - (sum_ - part)) + (high - part) + low))


def _accumulate(a: Array, b: Array, fused: bool) -> Array:
    """(n, steps, lanes) -> (n, lanes): every lane is summed front to back."""
    if not fused:
        return np.asarray(np.add.accumulate(a * b, axis=1)[:, -1])
    total = np.zeros((a.shape[0], a.shape[2]), a.dtype)
    for k in range(a.shape[1]):
        total = _fused_multiply_add(total, a[:, k], b[:, k])
    return total


def _sequential(a: Array, b: Array, fused: bool) -> Array:
    return _accumulate(a[:, :, None], b[:, :, None], fused)[:, 0]


def _padded(a: Array, lanes: int) -> Array:
    short = -a.shape[1] % lanes
    return np.pad(a, ((0, 0), (0, short))) if short else a


def _strided(a: Array, b: Array, lanes: int, fused: bool) -> Array:
    """Lane j sums the terms j, j + lanes, ...; the lanes are added pairwise (a SIMD register's order)."""
    a, b = (_padded(x, lanes).reshape(len(x), -1, lanes) for x in (a, b))
    return _tree(_accumulate(a, b, fused))


def _blocks(a: Array, b: Array, size: int, fused: bool) -> Array:
    """Blocks of ``size`` neighbouring terms are summed, then the blocks front to back (a blocked kernel's order)."""
    a, b = (_padded(x, size).reshape(len(x), -1, size).transpose(0, 2, 1) for x in (a, b))
    return np.asarray(np.add.accumulate(_accumulate(a, b, fused), axis=1)[:, -1])


def _tree(terms: Array) -> Array:
    while terms.shape[1] > 1:
        if terms.shape[1] % 2:
            terms = np.pad(terms, ((0, 0), (0, 1)))
        half = terms.shape[1] // 2
        terms = terms[:, :half] + terms[:, half:]
    return np.asarray(terms[:, 0])
