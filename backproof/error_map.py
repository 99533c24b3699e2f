"""Where in an array the residuals are: a small map of the largest fraction of the budget in each of its cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CELLS = 64
"""Rows, and columns, that a map has at most: an array of more is cut into so many even parts."""
LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"
"""One character a cell: ``0`` is exactly 0, every further one half an octave more, from :data:`LOWEST` on."""
LOWEST = -10
"""log2 of the fraction at which level 1 ends; level 63 stands for 2^21 budgets and all that is above."""


def empty(rows: int, columns: int) -> Array:
    """The map of an array of this shape, all zero: at most 64 x 64."""
    return np.zeros((min(rows, CELLS), min(columns, CELLS)))


def of_block(fraction: Array, start: int, columns: int) -> Array:
    """The map of a block of columns, which begins at column ``start`` of an array with ``columns`` of them."""
    whole = empty(len(fraction), columns)
    if whole.shape == fraction.shape:
        return fraction.copy()
    places = (start + np.arange(fraction.shape[1])) * whole.shape[1] // columns
    first = np.flatnonzero(np.diff(places, prepend=-1))
    # Columns first: along them NumPy reduces ten times as fast, and few are left for the rows.
    narrow = np.maximum.reduceat(fraction, first, axis=1)
    rows, parts = len(fraction), len(whole)
    if rows > parts:
        # The first row of each part: the least i with i * parts // rows == k.
        narrow = np.maximum.reduceat(narrow, -(-np.arange(parts) * rows // parts), axis=0)
    whole[:, places[first]] = narrow
    return whole


def merged(one: Array | None, other: Array) -> Array:
    """The larger of each cell; where a step was made of fewer samples, its map has fewer columns."""
    if one is None or one.shape == other.shape:
        return other if one is None else np.maximum(one, other)
    whole = np.zeros(np.maximum(one.shape, other.shape))
    for part in (one, other):
        corner = whole[: part.shape[0], : part.shape[1]]
        np.maximum(corner, part, out=corner)
    return whole


def encoded(cells: Array) -> list[str]:
    """One string a row, one character a cell: 4 kB where the numbers would be 25."""
    with np.errstate(divide="ignore"):
        steps = np.ceil(2 * (np.log2(cells) - LOWEST)) + 1
    levels = np.where(cells > 0, np.clip(steps, 1, len(LEVELS) - 1), 0).astype(int)
    return ["".join(LEVELS[level] for level in row) for row in levels.tolist()]


def decoded(rows: Sequence[str]) -> list[list[float]]:
    """The upper end of each cell's level: at most half an octave above the fraction; 0 is 0.

    Raises:
        ValueError: for what is no map: another character, rows of unequal length, more than 64 x 64 cells.
    """
    if not 0 < len(rows) <= CELLS or len({len(row) for row in rows}) != 1 or not 0 < len(rows[0]) <= CELLS:
        raise ValueError("a map has 1 to 64 rows of as many characters each")
    return [[_fraction(LEVELS.index(character)) for character in row] for row in rows]


def _fraction(level: int) -> float:
    return math.ldexp(2.0 ** (((level - 1) % 2) / 2), LOWEST + (level - 1) // 2) if level else 0.0
