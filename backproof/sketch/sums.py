"""What a step's arrays that have a column for each sample come to when ±1 vectors are multiplied to both sides of them.

The samples are taken in blocks: each array is read once from memory, and used for everything while it lies in the
cache. Both kinds of product need the same few sums over a block of samples, of an array Q (rows x samples):

    left of Q        Tᵀ·Q, and (Tᵀ·M)·Q for each product C = M·Q of which Q is the right operand
    right of Q       Q·S, and Q·(Tᵀ·P)ᵀ for each product C = Q·Pᵀ or P·Qᵀ that is summed over samples

T has a row of ±1 for each row of an array, S one for each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import ONES, Equation, Product

Array = NDArray[Any]

BLOCK = 4096
"""Samples that are held in the cache at once."""
RUN = 512
"""Samples that are added up in the run's own format; beyond it sums are added in float64. The sketch's own rounding
grows as the square root of this."""


@dataclass(frozen=True)
class Uses:
    """What one array with a column for each sample is needed for.

    Attributes:
        through: targets of the products ``C = M·Q (+ b)`` of which it is the right operand.
        partners: target of each product ``Q·Pᵀ`` or ``P·Qᵀ``, and its P.
        totalled: whether it is summed over all samples (``db``).
    """

    through: tuple[str, ...]
    partners: tuple[tuple[str, str], ...]
    totalled: bool

    @property
    def operand(self) -> bool:
        """Whether some product is made of it."""
        return bool(self.through or self.partners or self.totalled)


def uses(products: Sequence[tuple[Equation, Product]]) -> dict[str, Uses]:
    """Of every array that has a column for each sample, backwards: what is multiplied with each other stands close."""
    names: dict[str, None] = {}
    for equation, rule in reversed(products):
        names |= dict.fromkeys((rule.left if rule.right_transposed else equation.target, rule.right))
    return {name: _uses(name, products) for name in names if name != ONES}


def _uses(name: str, products: Sequence[tuple[Equation, Product]]) -> Uses:
    through, partners, totalled = [], [], False
    for equation, rule in products:
        if not rule.right_transposed:
            through += [equation.target] * (rule.right == name)
        elif rule.right == ONES:
            totalled |= rule.left == name
        elif name in (rule.left, rule.right):
            partners.append((equation.target, rule.right if rule.left == name else rule.left))
    return Uses(tuple(through), tuple(partners), totalled)


def times(left: Array, Q: Array) -> Array:
    """``left·Q`` by whichever of its two forms BLAS is faster at for an array that lies as Q does."""
    return left @ Q if Q.strides[0] >= Q.strides[1] else (Q.T @ left.T).T


def summed(Q: Array, right: Array) -> Array:
    """``Q·right``: runs of :data:`RUN` samples in the arrays' own format, what they come to in float64."""
    whole = Q.shape[1] // RUN
    if whole < 1 or Q.shape[1] == RUN:
        return Q @ right
    head = whole * RUN
    runs = Q[:, :head].reshape(len(Q), whole, RUN).transpose(1, 0, 2)
    total = np.matmul(runs, right[:head].reshape(whole, RUN, -1)).sum(axis=0, dtype=np.float64)
    return np.asarray(total if head == Q.shape[1] else total + Q[:, head:] @ right[head:])


def squares(Q: Array) -> tuple[Array, Array]:
    """Sums of squares of each row and each column."""
    if Q.size < SMALL:
        return np.einsum("ij,ij->i", Q, Q), np.einsum("ij,ij->j", Q, Q)
    square = Q * Q
    return square @ np.ones(Q.shape[1], Q.dtype), np.ones(len(Q), Q.dtype) @ square


SMALL = 1 << 14
"""Elements below which one call is faster than the fewer operations of three."""
