"""The recorded arrays of one step as the checks need them: as recorded, in float64, and their norms, each made once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import ONES
from backproof.rounding import norms

Array = NDArray[Any]


class Operands:
    """Lazily widened operands of one step.

    Args:
        tensors: the step's quantities with X and Y.
        earlier: the operands of an earlier step; what it holds of X and Y is taken over when they are the same
            arrays, so that a full-batch run widens its data once.
    """

    def __init__(self, tensors: Mapping[str, Array], earlier: Operands | None = None) -> None:
        m = tensors["X"].shape[1]
        self._recorded = {**tensors, ONES: np.ones((1, m))}
        self._wide: dict[str, Array] = {}
        self._norms: dict[tuple[str, int], Array] = {}
        if earlier is not None:
            kept = {name for name in ("X", "Y") if earlier.recorded(name) is tensors[name]}
            self._wide = {name: array for name, array in earlier._wide.items() if name in kept}
            self._norms = {key: array for key, array in earlier._norms.items() if key[0] in kept}

    def recorded(self, name: str) -> Array:
        """The array as it was recorded."""
        return self._recorded[name]

    def wide(self, name: str) -> Array:
        """The array in float64, C-contiguous; integer labels stay integers."""
        if name not in self._wide:
            array = self._recorded[name]
            kind = array.dtype if array.dtype.kind in "iu" else np.float64
            self._wide[name] = np.ascontiguousarray(array, dtype=kind) if array.ndim else np.asarray(array, kind)
        return self._wide[name]

    def matrix(self, name: str, transposed: bool) -> Array:
        """The float64 matrix, transposed (as a view) or not."""
        return self.wide(name).T if transposed else self.wide(name)

    def norms(self, name: str, transposed: bool, axis: int) -> Array:
        """2-norms of the rows (axis 1) or columns (axis 0) of :meth:`matrix`."""
        key = name, axis ^ int(transposed)
        if key not in self._norms:
            self._norms[key] = norms(self.wide(name), key[1])
        return self._norms[key]

    def line(self, name: str, transposed: bool, axis: int, index: Array) -> Array:
        """Rows (axis 1) or columns (axis 0) of the recorded matrix, one for each entry of ``index``: (n, K)."""
        array = self._recorded[name]
        return np.ascontiguousarray(array[index] if (axis == 1) != transposed else array[:, index].T)
