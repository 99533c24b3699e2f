"""What the residuals of one equation add up to: the worst one, where, how they are spread, which way they lean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import error_map

Array = NDArray[Any]

UNJUDGED = 1e300
"""Stands for a residual that is not a number."""
SUSPECTS = 4096
"""Elements above the budget that are kept, the worst: as many as a second opinion re-evaluates."""
SPACED = 64
"""Elements above the budget that are kept besides, evenly spaced over all of them. A mistake in a tenth of the suspects
is missed by all of these with a probability of 0.9^64 = 0.1 %, one in a hundredth with 53 %."""
SAMPLE = 512
"""Residuals kept of each block for the histogram: evenly spaced, so that a report is deterministic."""
WORST = 8
"""Elements that a report shows of an equation."""


@dataclass
class Residuals:
    """The residuals of one equation, or of a block of its columns.

    Attributes:
        ratio: the largest ``|recorded − exact| / unit``.
        fraction: the largest part of the budget that an element used.
        index, recorded, exact: the element that used it.
        rows: the largest fraction in each row (unit of the layer).
        columns: the largest fraction in each column, where columns are not samples.
        start, of: where the block begins, and how many columns the whole array has (None: the block is the whole).
        cells: the map of the largest fractions (:mod:`backproof.error_map`), of the whole array.
        worst: (fraction, row, column, recorded, exact) of the elements that used most; at most :data:`WORST`.
        beyond: how many elements are above the ceiling, and above the budget with its floor.
        suspects: (fraction, row, column) of the elements above the budget; at most :data:`SUSPECTS`, the worst.
        spread: (row, column) of evenly spaced elements above the budget, of each block.
        over: how many elements are above the budget.
        vacuous: how many agree for nothing: near the floor, with an exact value that is less than what is allowed.
    """

    shape: tuple[int, int]
    keep_columns: bool
    start: int = 0
    of: int | None = None
    ratio: float = 0.0
    fraction: float = 0.0
    index: tuple[int, int] = (0, 0)
    recorded: float = 0.0
    exact: float = 0.0
    elements: int = 0
    over: int = 0
    beyond: int = 0
    vacuous: int = 0
    rows: Array = field(init=False)
    columns: Array | None = field(init=False)
    cells: Array = field(init=False)
    worst: Array = field(init=False)
    suspects: Array = field(init=False)
    spread: list[Array] = field(default_factory=list)
    samples: list[Array] = field(default_factory=list)
    slope_sums: Array = field(default_factory=lambda: np.zeros(4))

    def __post_init__(self) -> None:
        self.rows = np.zeros(self.shape[0])
        self.columns = np.zeros(self.shape[1]) if self.keep_columns else None
        self.cells = error_map.empty(self.shape[0], self.of or self.shape[1])
        self.worst = np.empty((0, 5))
        self.suspects = np.empty((0, 3))

    def add(self, recorded: Array, exact: Array, ratio: Array, fraction: Array, ceiling: Array | float) -> None:
        """Take in all elements at once, each array of this shape.

        ``ratio`` is ``|recorded − exact|`` over the unit, ``fraction`` over the allowed error.
        """
        self.elements += ratio.size
        self.rows = fraction.max(axis=1)
        if not np.isfinite(self.rows).all():
            # The yardstick itself overflowed (float64 recordings near the end of the format): fail, do not pass.
            ratio, fraction = (np.nan_to_num(x, nan=UNJUDGED, posinf=UNJUDGED) for x in (ratio, fraction))
            self.rows = fraction.max(axis=1)
        if self.columns is not None:
            self.columns = fraction.max(axis=0)
        row = int(self.rows.argmax())
        column = int(fraction[row].argmax())
        self.ratio, self.fraction = float(ratio.max()), float(self.rows[row])
        self.index = (row, column)
        self.recorded, self.exact = float(recorded[row, column]), float(exact[row, column])
        self.cells = error_map.of_block(fraction, self.start, self.of or self.shape[1])
        if self.fraction > 0:
            self.worst = self._used_most(recorded, exact, fraction)
        if self.fraction > 1:
            self._collect(ratio, fraction, ceiling)
        flat = fraction.ravel()
        self.samples.append(flat[:: max(1, flat.size // SAMPLE)][:SAMPLE].astype(np.float32))

    def _used_most(self, recorded: Array, exact: Array, fraction: Array) -> Array:
        """Those that used most stand in the rows whose largest used most."""
        rows = np.argsort(-self.rows, kind="stable")[:WORST]
        few = fraction[rows]
        places = np.argpartition(few.ravel(), -min(WORST, few.size))[-WORST:]
        row, column = rows[places // few.shape[1]], places % few.shape[1]
        where = (row, column)
        return _first(np.column_stack([fraction[where], row, column, recorded[where], exact[where]]))

    def agree(self, recorded: Array) -> None:
        """Take in elements of which every one is exact to the last bit."""
        self.elements += recorded.size
        self.recorded = self.exact = float(recorded[0, 0])
        self.samples.append(np.zeros(min(recorded.size, SAMPLE), np.float32))

    def _collect(self, ratio: Array, fraction: Array, ceiling: Array | float) -> None:
        over = fraction > 1
        rows, columns = np.nonzero(over)
        self.over = len(rows)
        # The floor is no part of the ceiling: an element within its allowed error breaks nothing.
        self.beyond = int(np.count_nonzero(over & (ratio > ceiling)))
        self.suspects = _worst(np.column_stack([fraction[rows, columns], rows, columns]))
        self.spread = [_evenly(np.column_stack([rows, columns]))]

    @classmethod
    def of_blocks(
        cls, shape: tuple[int, int], keep_columns: bool, parts: Sequence[tuple[slice, Residuals]]
    ) -> Residuals:
        """Of an array whose blocks of columns were judged one by one."""
        if len(parts) == 1:
            return parts[0][1]
        whole = cls(shape, keep_columns)
        for block, part in parts:
            whole.merge(part, block.start)
        return whole

    def merge(self, other: Residuals, start: int) -> None:
        """Take in the residuals of a block of columns that begins at column ``start``."""
        if other.fraction > self.fraction or not self.elements:
            self.fraction, self.recorded, self.exact = other.fraction, other.recorded, other.exact
            self.index = (other.index[0], start + other.index[1])
        self.ratio = max(self.ratio, other.ratio)
        self.elements += other.elements
        self.over += other.over
        self.beyond += other.beyond
        self.vacuous += other.vacuous
        np.maximum(self.rows, other.rows, out=self.rows)
        if self.columns is not None and other.columns is not None:
            self.columns[start : start + len(other.columns)] = other.columns
        np.maximum(self.cells, other.cells, out=self.cells)
        if len(other.worst):
            self.worst = _first(np.concatenate([self.worst, other.worst + np.array([0, 0, start, 0, 0])]))
        if len(other.suspects):
            self.suspects = _worst(np.concatenate([self.suspects, other.suspects + np.array([0, 0, start])]))
        self.spread += [places + np.array([0, start]) for places in other.spread]
        self.samples += other.samples
        self.slope_sums += other.slope_sums

    @property
    def spaced(self) -> Array:
        """(n, 2) rows and columns of :data:`SPACED` elements above the budget, from all blocks; all where fewer are."""
        return _evenly(np.concatenate(self.spread))

    def lean(self, ratio: Array, relative: Array) -> None:
        """Add to the sums of the slope fit: ``ratio = residual/unit`` against ``relative = exact/unit``."""
        r, e = ratio.ravel(), relative.ravel()
        self.slope_sums += (r @ e, e @ e, r @ r, r.size)

    def slope(self) -> tuple[float, float] | None:
        """The least-squares δ of ``recorded = (1 + δ) exact``, weighted 1/unit², and its standard error.

        The spread is taken after the fit: a planted scale would otherwise inflate its own threshold. None with fewer
        than 64 elements, or none of them different from zero.
        """
        re, ee, rr, count = self.slope_sums
        if count < 64 or ee == 0:
            return None
        delta = re / ee
        return float(delta), float(np.sqrt(max(rr - delta * re, 0.0) / (count - 1) / ee))


def _worst(suspects: Array) -> Array:
    if len(suspects) > SUSPECTS:  # ordering them all costs more than judging them did
        least = np.partition(suspects[:, 0], -SUSPECTS)[-SUSPECTS]
        suspects = suspects[suspects[:, 0] >= least]
    return suspects[np.argsort(-suspects[:, 0], kind="stable")[:SUSPECTS]]


def _first(elements: Array) -> Array:
    """The :data:`WORST` that used most, in order, by place where they used as much; what used nothing is none."""
    order = np.lexsort((elements[:, 2], elements[:, 1], -elements[:, 0]))[:WORST]
    return np.asarray(elements[order][elements[order, 0] > 0])


def _evenly(places: Array) -> Array:
    return places[np.unique(np.linspace(0, len(places) - 1, SPACED).astype(np.int64))]
