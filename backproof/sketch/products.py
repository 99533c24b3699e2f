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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Product
from backproof.rounding import Format
from backproof.sketch.blocks import from_left, from_right
from backproof.sketch.layout import Layout
from backproof.sketch.signs import VECTORS, signs

Array = NDArray[Any]
Tensors = Mapping[str, Array]
Generator = np.random.Generator

LIMIT = 16.0
"""Units. Honest products of a training step reach 9 in float32, the sketch's own rounding included; long sums of
operands of one sign, and of very few terms, go beyond and are then judged densely (``benchmarks/sketch.py``)."""


@dataclass(frozen=True)
class Sums:
    """Of all arrays, over some samples.

    Attributes:
        right: each array times S and times its partner's ``Pᵀ·T``, side by side; 0 where no product needs it.
        squares: of each row, summed; 0 where no product needs it.
        totals: sum of each row; 0 where no product needs it.
        columns: of each product ``C = M·Q`` the largest column, in units.
    """

    right: Array
    squares: Array
    totals: Array
    columns: Array

    def __add__(self, other: Sums) -> Sums:
        """In float64, whatever the format."""
        return Sums(
            np.add(self.right, other.right, dtype=np.float64),
            np.add(self.squares, other.squares, dtype=np.float64),
            np.add(self.totals, other.totals, dtype=np.float64),
            np.maximum(self.columns, other.columns),
        )


class ProductSketch:
    """The products of one step, sketched: :meth:`sums` over blocks of samples, and what they say together.

    Args:
        layout: of the network's products.
        tensors: the step's arrays, of the right shapes, finite or not.
        generator: of the signs.
        known: sums of squares of the rows and of the columns of arrays that were measured before.
    """

    def __init__(
        self,
        layout: Layout,
        tensors: Tensors,
        fmt: Format,
        generator: Generator,
        known: Mapping[str, tuple[Array, Array]] = MappingProxyType({}),
    ) -> None:
        self._layout, self._tensors, self._known = layout, tensors, known
        self._u, self._tau = fmt.unit_roundoff, fmt.smallest_normal
        self._dtype = np.dtype(np.float64 if fmt.name == "float64" else np.float32)
        self._draw(generator)
        self._matrices = [self._operand(rule) for _, rule in layout.through]
        self._measure()
        self._multiply()

    def sums(self, block: slice) -> Sums:
        """Over one block of samples."""
        layout, n = self._layout, block.stop - block.start
        arrays = {name: self._array(name, block) for name in layout.sizes}
        squares = np.zeros(layout.height, self._dtype)
        columns = np.empty((len(layout.operands), n), self._dtype)
        # Of each array S, what T came to and what its product's M and T came to. Backwards, so that what was read last
        # here is still in the cache below.
        groups = {name: self._grouped(name, arrays[name], block) for name in reversed(layout.sizes)}
        for column, name in zip(columns, layout.operands, strict=True):
            self._square(name, arrays[name], block, squares[layout.rows[name]], column)
        totals = np.zeros(layout.height, self._dtype)
        ones = np.ones(n, self._dtype)
        for _, rule in layout.totals:
            np.matmul(arrays[rule.left], ones, out=totals[layout.rows[rule.left]])
        right = np.zeros((layout.height, 2 * VECTORS), self._dtype)
        for name, Q in arrays.items():
            partner = layout.partners.get(name)
            have = slice(0 if name in layout.signed else VECTORS, 2 * VECTORS if partner else VECTORS)
            from_right(Q, groups[partner or name][:, have], right[layout.rows[name], have])
        return Sums(right, squares, totals, self._columns(groups, columns))

    def fractions(self, sums: Sums) -> dict[str, float]:
        """Target of each product -> the largest part of :data:`LIMIT` that a row or column used; NaN if not finite.

        Args:
            sums: over all samples.
        """
        squares = sums.squares.copy()
        for name, (known, _) in self._known.items():
            squares[self._layout.rows[name]] = known
        rows = self._rows(sums.right, squares)
        columns = zip((equation.target for equation, _ in self._layout.through), sums.columns.tolist(), strict=True)
        found = worst(chain(rows, columns, self._totals(sums.totals, squares)))
        return {target: ratio / LIMIT for target, ratio in found.items()}

    def _draw(self, generator: Generator) -> None:
        m, sizes = self._tensors["X"].shape[1], sorted(set(self._layout.sizes.values()))
        drawn = signs(generator, m + sum(sizes), self._dtype)
        self._S, self._T, first = drawn[:m], {}, m
        for size in sizes:
            self._T[size] = drawn[first : first + size]
            first += size

    def _measure(self) -> None:
        """Norms of each M; of the unit of a column what stands beside its own norm, ``u ||M||_F`` and ``u ||b||``."""
        layout = self._layout
        self._norms = np.concatenate([np.einsum("ij,ij->i", M, M) for M in self._matrices])
        self._slopes = self._u * np.sqrt(np.add.reduceat(self._norms, layout.first[: len(self._matrices)]))[:, None]
        self._constants = np.full(self._slopes.shape, self._tau)
        biases = [self._array(rule.bias or "") for _, rule in layout.through[: layout.biased]]
        self._b = np.concatenate(biases) if biases else np.empty((0, 1), self._dtype)
        first = layout.first[: layout.biased]
        signed = self._b * np.concatenate([self._T[len(b)] for b in biases]) if biases else self._b
        self._signed_b = np.add.reduceat(signed, first)
        self._constants[: layout.biased] += self._u * np.sqrt(np.add.reduceat(self._b * self._b, first))

    def _multiply(self) -> None:
        """What is multiplied from the left to each array: T, and ``Mᵀ·T`` where it has a product M·Q."""
        self._lefts = {name: self._T[size] for name, size in self._layout.sizes.items()}
        for (_, rule), M in zip(self._layout.through, self._matrices, strict=True):
            self._lefts[rule.right] = np.concatenate([self._lefts[rule.right], M.T @ self._T[len(M)]], axis=1)

    def _array(self, name: str, block: slice = slice(None)) -> Array:
        return np.asarray(self._tensors[name][:, block], self._dtype)

    def _operand(self, rule: Product) -> Array:
        return self._array(rule.left).T if rule.left_transposed else self._array(rule.left)

    def _grouped(self, name: str, Q: Array, block: slice) -> Array:
        left = self._lefts[name]
        groups = np.empty((Q.shape[1], VECTORS + left.shape[1]), self._dtype)
        groups[:, :VECTORS] = self._S[block]
        from_left(Q, left, groups[:, VECTORS:])
        return groups

    def _square(self, name: str, Q: Array, block: slice, rows: Array, columns: Array) -> None:
        if name in self._known:
            columns[:] = self._known[name][1][block]
        else:
            measure(Q, rows, columns)

    def _columns(self, groups: Tensors, columns: Array) -> Array:
        """Of each product ``C = M·Q`` the largest column of ``C - M·Q - b``, in units."""
        layout, n = self._layout, columns.shape[1]
        errors = np.empty((n, len(layout.through), VECTORS), self._dtype)
        for i, (equation, rule) in enumerate(layout.through):
            own, made = groups[equation.target], groups[rule.right]
            np.subtract(own[:, VECTORS : 2 * VECTORS], made[:, 2 * VECTORS :], out=errors[:, i])
        errors[:, : layout.biased] -= self._signed_b
        np.abs(errors, out=errors)
        # For NumPy eight long rows are quicker to go through than many of eight.
        largest = np.ascontiguousarray(errors.reshape(n, -1).T).reshape(-1, VECTORS, n).max(axis=1)
        units = self._slopes * np.sqrt(columns[layout.columns]) + self._constants
        return in_units((largest / units).max(axis=1), units.max(axis=1))

    def _rows(self, right: Array, squares: Array) -> Iterable[tuple[str, float]]:
        """The largest row of ``(C - M·Q - b·1ᵀ)·S``, of ``(C - L·Rᵀ)·T`` and of ``(C - L·Rᵀ)ᵀ·T``, in units."""
        layout = self._layout
        errors = right.reshape(-1, VECTORS)[layout.held]
        against = np.empty_like(errors)
        parts = iter(layout.residuals)
        for (_, rule), M in zip(layout.through, self._matrices, strict=True):
            np.matmul(M, right[layout.rows[rule.right], :VECTORS], out=against[next(parts)])
        for C in (self._array(equation.target) for equation, _ in layout.summed):
            np.matmul(C, self._T[C.shape[1]], out=against[next(parts)])
        for C in (self._array(equation.target).T for equation, _ in layout.summed):
            np.matmul(C, self._T[C.shape[1]], out=against[next(parts)])
        against[: len(self._b)] += self._b * self._S.sum(axis=0)
        errors -= against
        # For NumPy eight long rows are quicker to go through than many of eight.
        errors = np.abs(np.ascontiguousarray(errors.T)).max(axis=0)
        sides = (rule.left for _, rule in layout.summed), (rule.right for _, rule in layout.summed)
        norms = np.concatenate([self._norms, *(squares[layout.rows[name]] for name in chain(*sides))])
        whole = np.add.reduceat(squares, layout.starts)
        units = self._u * np.sqrt(norms * whole[layout.others]) + self._tau
        units[: len(self._b)] += self._u * len(self._S) ** 0.5 * np.abs(self._b[:, 0])
        return zip(layout.judged, _largest(errors, units, layout.first), strict=True)

    def _totals(self, totals: Array, squares: Array) -> Iterable[tuple[str, float]]:
        """``C - L·1``: one number for each row, which is looked at as it is."""
        layout = self._layout
        if not layout.totals:
            return ()
        C = np.concatenate([self._array(equation.target)[:, 0] for equation, _ in layout.totals])
        units = self._u * np.sqrt(squares[layout.totalled] * len(self._S)) + self._tau
        found = _largest(np.abs(C - totals[layout.totalled]), units, layout.first_totals)
        return zip((equation.target for equation, _ in layout.totals), found, strict=True)


def measure(Q: Array, rows: Array, columns: Array) -> None:
    """Sums of squares of each row and each column, into the arrays given."""
    np.einsum("ij,ij->i", Q, Q, out=rows)
    np.einsum("ij,ij->j", Q, Q, out=columns)


def in_units(ratios: Array, units: Array) -> Array:
    """The ratios; NaN where the unit overflowed, for nothing passes for being small beside infinity."""
    return np.where(np.isfinite(units), ratios, np.nan)


def _largest(errors: Array, units: Array, first: Array) -> list[float]:
    """In units, of each product, whose rows begin at ``first``."""
    ratios = np.maximum.reduceat(errors / units, first)
    return list(in_units(ratios, np.maximum.reduceat(units, first)).tolist())


def worst(found: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The largest number of each target; NaN where one of them is. (For a few numbers NumPy's own maximum is slow.)"""
    largest: dict[str, float] = {}
    for target, ratio in found:
        before = largest.setdefault(target, ratio)
        if before == before and not ratio <= before:
            largest[target] = ratio
    return largest
