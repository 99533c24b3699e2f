"""The recorded arrays of one step as the checks need them: as recorded, in float64, and their norms, each made once.

Arrays that have a column for each sample are widened block by block, so that a step of 60,000 samples costs no second
copy of itself in float64. The operands of the loss, the output's Z and Y, are widened whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import ONES
from backproof.parallel import blocks, in_parallel
from backproof.rounding import norms

Array = NDArray[Any]


class Operands:
    """Lazily widened operands of one step.

    Args:
        tensors: the step's quantities with X and Y.
        earlier: operands before these; of data that is the same object, what was made of it is taken over, so that a
            full-batch run measures it once.
        unchanged: nothing was changed in place since, so that this holds for every array.
    """

    def __init__(self, tensors: Mapping[str, Array], earlier: Operands | None = None, unchanged: bool = False) -> None:
        m = tensors["X"].shape[1]
        self._recorded = {**tensors, ONES: np.ones((1, m))}
        self._wide: dict[str, Array] = {}
        self._norms: dict[tuple[str, int], Array] = {}
        if earlier is not None:
            lasting = tensors if unchanged else ("X", "Y")
            same = {name for name in lasting if name in tensors and earlier._recorded.get(name) is tensors[name]}
            self._wide = {name: array for name, array in earlier._wide.items() if name in same}
            self._norms = {key: array for key, array in earlier._norms.items() if key[0] in same}

    def has(self, name: str) -> bool:
        """Whether the step has such a quantity."""
        return name in self._recorded

    def names(self) -> tuple[str, ...]:
        """Of all quantities that the step has."""
        return tuple(self._recorded)

    def recorded(self, name: str) -> Array:
        """The array as it was recorded."""
        return self._recorded[name]

    def all_recorded(self) -> Mapping[str, Array]:
        """Every array as it was recorded."""
        return self._recorded

    def wide(self, name: str) -> Array:
        """The whole array in float64, C-contiguous; integer labels stay integers."""
        if name not in self._wide:
            self._wide[name] = _widened(self._recorded[name])
        return self._wide[name]

    def columns(self, name: str, block: slice) -> Array:
        """Some columns of the array in float64, without keeping them; a view where they are float64 already."""
        if name in self._wide:
            return self._wide[name][:, block]
        return np.asarray(self._recorded[name][:, block], _kind(self._recorded[name]))

    def matrix(self, name: str, transposed: bool) -> Array:
        """The whole float64 matrix, transposed (as a view) or not."""
        return self.wide(name).T if transposed else self.wide(name)

    def norms(self, name: str, transposed: bool, axis: int) -> Array:
        """2-norms of the rows (axis 1) or columns (axis 0) of :meth:`matrix`."""
        key = name, axis ^ int(transposed)
        if key not in self._norms:
            self._norms[name, 1], self._norms[name, 0] = self._measured(name)
        return self._norms[key]

    def _measured(self, name: str) -> tuple[Array, Array]:
        def squares(block: slice) -> tuple[Array, Array]:
            part = self.columns(name, block)
            return np.einsum("ij,ij->i", part, part), np.einsum("ij,ij->j", part, part)

        parts = in_parallel(squares, blocks(*self._recorded[name].shape))
        rows = np.sum([part[0] for part in parts], axis=0)
        columns = np.concatenate([part[1] for part in parts])
        # Squares of narrower formats neither under- nor overflow in float64; a zero of float64 data may be underflow.
        array = self._recorded[name]
        if array.dtype != np.float64 or (_safe(rows, array) and _safe(columns, array.T)):
            return np.sqrt(rows), np.sqrt(columns)
        return norms(self.wide(name), 1), norms(self.wide(name), 0)

    def line(self, name: str, transposed: bool, axis: int, index: Array) -> Array:
        """Rows (axis 1) or columns (axis 0) of the recorded matrix, one for each entry of ``index``: (n, K)."""
        array = self._recorded[name]
        return np.ascontiguousarray(array[index] if (axis == 1) != transposed else array[:, index].T)


def _safe(squares: Array, rows: Array) -> bool:
    """No sum of squares has under- or overflowed: it is well within the format, or that of a row of zeros."""
    zero = squares == 0
    return bool((zero | ((squares > 1e-280) & (squares < 1e280))).all()) and not rows[zero].any()


def _widened(array: Array) -> Array:
    return np.ascontiguousarray(array, _kind(array)) if array.ndim else np.asarray(array, _kind(array))


def _kind(array: Array) -> np.dtype[Any]:
    return array.dtype if array.dtype.kind in "iu" else np.dtype(np.float64)
