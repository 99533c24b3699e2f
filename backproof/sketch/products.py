"""Freivalds' check of the products of one step: both sides times the same ±1 vectors, ``C·x`` against ``A·(B·x)``.

A product ``C = A·B`` (p x K times K x q) costs p·K·q; the sketch reads C, A and B once and costs V (p·q + K·q + p·K)
with V vectors (Freivalds, "Probabilistic machines can use less running time", IFIP 1977). From the right it sees row
i of C - A·B, from the left column j:

    right   |((C - A·B)·x)_i|  against  LIMIT · unit_i,   unit_i = u ||A_i|| ||B||_F        x in {-1, 1}^q
    left    |(yᵀ·(C - A·B))_j| against  LIMIT · unit_j,   unit_j = u ||A||_F ||B_j||        y in {-1, 1}^p

An honest element is off by about a unit ``u ||A_i|| ||B_j||``, so that a row of them, added with random signs, comes
to about ``unit_i``, whatever q is. An error e in one element of a row is seen when ``|e| > LIMIT unit_i``: in the
units of the dense check (:mod:`backproof.rounding`) that is LIMIT √q where the columns of B are alike, and more
vectors do not move it. For a row of errors E, with θ = LIMIT unit_i / ||E_i||, Paley and Zygmund's inequality gives
each vector a chance of ``(1 - θ²)² / 3`` at least to see it (the fourth moment of a sum of random signs is at most
three times the square of the second), so that V of them miss with ``(1 - (1 - θ²)²/3)^V`` at most;
``docs/rounding.md`` has what was measured.

What exceeds the limit is no verdict: the equation is then judged densely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from operator import add
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import ONES, Equation, Product
from backproof.parallel import in_parallel, processors
from backproof.rounding import Format
from backproof.sketch.signs import VECTORS, signs
from backproof.sketch.sums import BLOCK, Uses, squares, summed, times

Array = NDArray[Any]
Tensors = Mapping[str, Array]
Products = Sequence[tuple[Equation, Product]]
Generator = np.random.Generator

LIMIT = 16.0
"""Units. Honest products of a training step reach 9 in float32, the sketch's own rounding included; long sums of
operands of one sign, and of very few terms, go beyond and are then judged densely (``benchmarks/sketch.py``)."""


class Residuals:
    """Rows of residuals with their units, of several products; :meth:`largest` is one pass over all of them."""

    def __init__(self) -> None:
        self._targets: list[str] = []
        self._errors: list[Array] = []
        self._units: list[Array] = []

    def add(self, target: str, errors: Array, unit: Array) -> None:
        """Residuals of one product: a row of V for each row or column of it, and the unit of each."""
        self._targets.append(target)
        self._errors.append(errors)
        self._units.append(unit)

    def largest(self) -> dict[str, float]:
        """Target -> its largest residual in units; NaN where one is not a number, or its unit overflowed."""
        starts = np.cumsum([0, *map(len, self._errors[:-1])])
        units = np.concatenate(self._units)
        ratios = np.abs(np.concatenate(self._errors)).max(axis=1) / units
        ratios[~np.isfinite(units)] = np.nan  # nothing passes for being small beside infinity
        return worst(zip(self._targets, np.maximum.reduceat(ratios, starts).tolist(), strict=True))


def worst(found: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The largest number of each target; NaN where one of them is. (For a few numbers NumPy's own maximum is slow.)"""
    largest: dict[str, float] = {}
    for target, ratio in found:
        before = largest.setdefault(target, ratio)
        if before == before and not ratio <= before:
            largest[target] = ratio
    return largest


@dataclass(frozen=True)
class Sums:
    """Of one array, over some samples.

    Attributes:
        right: ``Q·S``, and ``Q·(Tᵀ·P)ᵀ`` of each partner P, side by side.
        squares: of each row, summed; empty where no product needs it.
        ones: sum of each row; empty where no product needs it.
    """

    right: Array
    squares: Array
    ones: Array

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.right + other.right, self.squares + other.squares, self.ones + other.ones)


class ProductSketch:
    """The products of one step, sketched.

    Args:
        products: of the step, with their rules.
        roles: :func:`backproof.sketch.sums.uses` of them.
        tensors: the step's arrays, of the right shapes, finite or not.
        generator: of the signs.
        known: :func:`backproof.sketch.sums.squares` of arrays that were measured before.
    """

    def __init__(
        self,
        products: Products,
        roles: Mapping[str, Uses],
        tensors: Tensors,
        fmt: Format,
        generator: Generator,
        known: Mapping[str, tuple[Array, Array]] = MappingProxyType({}),
    ) -> None:
        self._known = known
        self._products, self._roles, self._tensors = products, roles, tensors
        self._u, self._tau = fmt.unit_roundoff, fmt.smallest_normal
        self._dtype = np.dtype(np.float64 if fmt.name == "float64" else np.float32)
        self._m = m = tensors["X"].shape[1]
        sizes = sorted({len(tensors[name]) for name in roles})
        drawn = signs(generator, m + sum(sizes), self._dtype)
        self._S = drawn[:m]
        self._T = dict(zip(sizes, np.split(drawn[m:], np.cumsum(sizes)[:-1]), strict=True))
        self._matrix = {e.target: self._operand(r) for e, r in products if not r.right_transposed}
        self._lefts = {name: self._left(name) for name in roles}
        self._columns = {e.target: self._of_columns(e, r) for e, r in products if not r.right_transposed}

    def fractions(self) -> dict[str, float]:
        """Target of each product -> the largest part of :data:`LIMIT` that a row or column used; NaN if not finite."""
        starts = range(0, self._m, BLOCK)
        blocks = [slice(start, min(start + BLOCK, self._m)) for start in starts]
        share = -(-len(blocks) // processors())
        parts = in_parallel(self._over, [blocks[i : i + share] for i in range(0, len(blocks), share)])
        sums = {name: reduce(add, (part[name] for part, _ in parts)) for name in self._roles}
        for name, (rows, _) in self._known.items():
            sums[name] = replace(sums[name], squares=rows)
        residuals = Residuals()
        for equation, rule in self._products:
            if rule.right == ONES:
                self._total(equation.target, sums[rule.left], residuals)
            elif rule.right_transposed:
                self._sum(equation.target, rule, sums, residuals)
            else:
                self._rows(equation.target, rule, sums, residuals)
        found = (residuals.largest(), *(columns for _, columns in parts))
        return {target: ratio / LIMIT for target, ratio in worst(chain(*(each.items() for each in found))).items()}

    def _array(self, name: str, block: slice = slice(None)) -> Array:
        return np.asarray(self._tensors[name][:, block], self._dtype)

    def _operand(self, rule: Product) -> Array:
        return self._array(rule.left).T if rule.left_transposed else self._array(rule.left)

    def _left(self, name: str) -> Array:
        """All that is multiplied to an array from the left, stacked: ``Tᵀ``, and ``Tᵀ·M`` for each product M·Q."""
        own, through = self._T[len(self._tensors[name])].T, self._roles[name].through
        return np.concatenate([own, *map(self._through, through)]) if through else own

    def _through(self, target: str) -> Array:
        M = self._matrix[target]
        return times(self._T[len(M)].T, M)

    def _of_columns(self, equation: Equation, rule: Product) -> tuple[Array | float, float, float]:
        """``Tᵀ·b``, and of the unit of a column what stands beside its norm: ``u ||M||_F`` and ``u ||b||``."""
        M = self._matrix[equation.target]
        norm = self._u * _norm(M)
        if rule.bias is None:
            return 0.0, norm, self._tau
        b = self._array(rule.bias)
        return self._T[len(M)].T @ b, norm, self._u * _norm(b) + self._tau

    def _over(self, blocks: Sequence[slice]) -> tuple[dict[str, Sums], dict[str, float]]:
        """Sums over some blocks, and of each product ``C = M·Q`` the largest column, in units."""
        found = [self._block(block) for block in blocks]
        sums = {name: reduce(add, (each[name] for each, _ in found)) for name in self._roles}
        return sums, worst(chain(*(columns.items() for _, columns in found)))

    def _block(self, block: slice) -> tuple[dict[str, Sums], dict[str, float]]:
        arrays = {name: self._array(name, block) for name in self._roles}
        # Backwards, so that what was read last here is still in the cache below.
        lefts = {name: times(self._lefts[name], arrays[name]) for name in reversed(arrays)}
        S, sums, residuals = self._S[block], {}, Residuals()
        for name, Q in arrays.items():
            role = self._roles[name]
            partners = [lefts[partner][:VECTORS].T for _, partner in role.partners]
            right = summed(Q, np.concatenate([S, *partners], axis=1) if partners else S)
            if name in self._known:
                rows, columns = EMPTY, self._known[name][1][block]
            else:
                rows, columns = squares(Q) if role.operand else (EMPTY, EMPTY)
            sums[name] = Sums(right, rows, Q.sum(axis=1) if role.totalled else EMPTY)
            for place, target in enumerate(role.through, 1):
                bias, slope, constant = self._columns[target]
                error = lefts[target][:VECTORS] - lefts[name][place * VECTORS : (place + 1) * VECTORS]
                residuals.add(target, (error - bias).T, slope * np.sqrt(columns) + constant)
        return sums, residuals.largest()

    def _rows(self, target: str, rule: Product, sums: Mapping[str, Sums], residuals: Residuals) -> None:
        """``(C - M·R - b·1ᵀ)·S``, a row for each row of C."""
        M, right = self._matrix[target], sums[rule.right]
        error = sums[target].right[:, :VECTORS] - M @ right.right[:, :VECTORS]
        unit = np.sqrt(np.einsum("ij,ij->i", M, M) * right.squares.sum())
        if rule.bias is not None:
            b = self._array(rule.bias)
            error -= b * self._S.sum(axis=0)
            unit += np.abs(b[:, 0]) * self._m**0.5
        residuals.add(target, error, self._u * unit + self._tau)

    def _sum(self, target: str, rule: Product, sums: Mapping[str, Sums], residuals: Residuals) -> None:
        """``(C - L·Rᵀ)·T``, a row for each row of C, and ``(C - L·Rᵀ)ᵀ·T``, one for each column."""
        C, left, right = self._array(target), sums[rule.left], sums[rule.right]
        p, q = C.shape
        rows = C @ self._T[q] - self._pair(left, rule.left, target)
        columns = C.T @ self._T[p] - self._pair(right, rule.right, target)
        residuals.add(target, rows, self._u * np.sqrt(left.squares * right.squares.sum()) + self._tau)
        residuals.add(target, columns, self._u * np.sqrt(right.squares * left.squares.sum()) + self._tau)

    def _total(self, target: str, left: Sums, residuals: Residuals) -> None:
        """``C - L·1``: one number for each row, which is looked at as it is."""
        error = self._array(target)[:, 0] - left.ones
        residuals.add(target, error[:, None] + np.zeros(VECTORS), self._u * np.sqrt(left.squares * self._m) + self._tau)

    def _pair(self, sums: Sums, name: str, target: str) -> Array:
        place = 1 + [t for t, _ in self._roles[name].partners].index(target)
        return sums.right[:, place * VECTORS : (place + 1) * VECTORS]


def _norm(matrix: Array) -> float:
    return float(np.sqrt(np.vdot(matrix, matrix)))


EMPTY = np.empty(0)
