"""How the arrays lie: samples in columns or rows, W out x in or in x out; read off their shapes.

Each way of lying makes every shape a vote for the sizes ``n_0, ..., n_L`` and m; the way under which the fewest arrays
contradict the majority is the one that they have. X and Y may lie another way than the rest (a script that transposes
its data once inside), which their shapes tell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.training import too_narrow

Array = NDArray[Any]
Arrays = Mapping[str, Array]

LAYOUTS = ("columns", "rows")
WEIGHTS = ("out_in", "in_out")


@dataclass(frozen=True)
class Orientation:
    """One way of lying, with the sizes that follow from it.

    Attributes:
        layout: ``columns`` (features x samples) or ``rows``.
        weights: ``out_in`` (W is out x in) or ``in_out``.
        sizes: features, units of layer 1, ..., units of layer L.
        samples: m.
        misfits: arrays whose shape contradicts it.
    """

    layout: str
    weights: str
    sizes: tuple[int, ...]
    samples: int
    misfits: tuple[str, ...]

    @property
    def largest(self) -> int:
        """Elements of the largest result: a Z or a dW."""
        layers = zip(self.sizes, self.sizes[1:], strict=False)
        return max(units * max(self.samples, below) for below, units in layers)

    def canonical(self, name: str, array: Array) -> Array:
        """Features x samples, out x in, out x 1, or the scalar; as it is (but transposed) where its shape is wrong."""
        if name == "loss":
            return array.reshape(()) if array.size == 1 else array
        kind, layer = _split(name)
        n = self.sizes[layer]
        if kind == "b":
            fits = array.size == n and max(array.shape, default=1) == n
            return array.reshape(n, 1) if fits else self._turned(array)
        if kind == "W":
            return array.T if self.weights == "in_out" else array
        if array.ndim == 1 and n == 1 and array.size == self.samples:
            return array.reshape(1, self.samples)
        if array.ndim == 1 and self.samples == 1 and array.size == n:
            return array.reshape(n, 1)
        return self._turned(array)

    def _turned(self, array: Array) -> Array:
        return array.T if self.layout == "rows" else array

    def shape(self, name: str) -> tuple[int, ...]:
        """The canonical shape."""
        if name == "loss":
            return ()
        kind, layer = _split(name)
        if kind == "W":
            return self.sizes[layer], self.sizes[layer - 1]
        return self.sizes[layer], 1 if kind == "b" else self.samples


@cache
def _split(name: str) -> tuple[str, int]:
    """Kind (``W``, ``b``, or ``Z`` for whatever has samples) and layer; X and Y belong to the ends."""
    if name == "X":
        return "Z", 0
    stem = name.removesuffix("_next").removeprefix("d")
    return (stem[0] if stem[0] in "Wb" else "Z"), int(re.sub(r"\D", "", stem))


def orientations(arrays: Arrays, depth: int, layout: str | None, weights: str | None) -> list[Orientation]:
    """The ways of lying that fit the shapes best, in order of preference: columns before rows, and the weights that go
    with each (``W X`` with out x in, ``X W`` with in x out) before the others.

    Raises:
        BackproofError: for an unknown layout or orientation, and where the shapes tell no network.
    """
    for value, known, what in ((layout, LAYOUTS, "layout"), (weights, WEIGHTS, "weights")):
        if value is not None and value not in known:
            raise BackproofError(f"unknown {what} {value!r}; choose from {', '.join(known)}")
    ways = sorted(product(LAYOUTS, WEIGHTS), key=lambda way: LAYOUTS.index(way[0]) != WEIGHTS.index(way[1]))
    found = [
        orientation
        for way in ways
        if layout in (None, way[0]) and weights in (None, way[1])
        if (orientation := _orientation(arrays, depth, *way)) is not None
    ]
    if not found:
        raise BackproofError(
            "no network can be inferred: the number of samples and of outputs do not follow from the shapes; give X, "
            "and W or Z of every layer"
        )
    least = min(len(orientation.misfits) for orientation in found)
    return [orientation for orientation in found if len(orientation.misfits) == least]


def _orientation(arrays: Arrays, depth: int, layout: str, weights: str) -> Orientation | None:
    units: list[Counter[int]] = [Counter() for _ in range(depth + 1)]
    samples: Counter[int] = Counter()
    for name, array in arrays.items():
        for layer, size in _votes(name, array, layout, weights):
            (samples if layer is None else units[layer])[size] += 1
    if not samples or not units[-1]:
        return None
    # A layer of which nothing was given has no equation that its size would stand in.
    sizes = tuple(votes.most_common(1)[0][0] if votes else 1 for votes in units)
    m = samples.most_common(1)[0][0]
    guess = Orientation(layout, weights, sizes, m, ())
    misfits = tuple(name for name, array in arrays.items() if name != "Y" and not _fits(guess, name, array))
    return Orientation(layout, weights, sizes, m, misfits)


def _votes(name: str, array: Array, layout: str, weights: str) -> Iterator[tuple[int | None, int]]:
    """(layer or None for the samples, size) that a shape speaks for, if it lies as assumed."""
    if name in ("loss", "Y"):
        return
    kind, layer = _split(name)
    if kind == "W" and array.ndim == 2:
        out, into = array.shape if weights == "out_in" else array.shape[::-1]
        yield layer, out
        yield layer - 1, into
    elif kind == "b" and array.ndim >= 1 and array.size == max(array.shape):
        yield layer, array.size
    elif kind == "Z" and array.ndim == 2:
        n, m = array.shape if layout == "columns" else array.shape[::-1]
        yield layer, n
        yield None, m


def _fits(orientation: Orientation, name: str, array: Array) -> bool:
    """Whether the array has its shape; X also when it lies the other way round than the rest."""
    shape = orientation.shape(name)
    if name == "X" and array.ndim == 2 and array.shape[::-1] == shape:
        return True
    return orientation.canonical(name, array).shape == shape


def data(orientation: Orientation, X: Array) -> tuple[Array, str]:
    """X as features x samples, and what is to be said of it: empty where it lies as the rest does."""
    n, m = orientation.sizes[0], orientation.samples
    if X.ndim == 1 and X.size == n * m and 1 in (n, m):
        return X.reshape(n, m), ""
    if X.ndim != 2 or {X.shape, X.shape[::-1]}.isdisjoint({(n, m)}):
        return X, ""
    rows = X.shape == (m, n) and (n != m or orientation.layout == "rows")
    array = X.T if rows else X
    if n != m and rows != (orientation.layout == "rows"):
        return array, f"X has its samples in {'rows' if rows else 'columns'}, the rest in {orientation.layout}"
    return array, ""


def labels(orientation: Orientation, Y: Array, dtype: np.dtype[Any]) -> tuple[Array, str]:
    """Y as units x m, and its kind: ``one_hot``, ``binary`` or ``real``.

    Class numbers may be integers or whole floats, in one row or column; they become a one-hot matrix.

    Raises:
        BackproofError: for a shape that belongs to no labels, and class numbers that no output has.
    """
    n, m = orientation.sizes[-1], orientation.samples
    if Y.size == m and n > 1 and max(Y.shape, default=1) == m and _whole(Y):
        if Y.min() < 0 or Y.max() >= n:  # before the cast: a uint64 or a float may be more than an int64 holds
            outside = Y.min() if Y.min() < 0 else Y.max()
            raise BackproofError(f"Y holds the class {int(outside)}, the output has the units 0 to {n - 1}")
        classes = Y.reshape(1, m).astype(np.int64)
        return (np.arange(n)[:, None] == classes).astype(dtype), "one_hot"
    if Y.size == n * m and 1 in (n, m):
        array = Y.reshape(n, m)
    elif Y.shape == (n, m) and not (n == m and orientation.layout == "rows"):
        array = Y
    elif Y.shape == (m, n):
        array = Y.T
    else:
        why = too_narrow(Y if Y.shape[-1:] == (m,) else Y.T, n, m)
        raise BackproofError(f"Y has shape {Y.shape}; needed are {n} x {m}, {m} x {n}, or {m} class numbers{why}")
    array = array.astype(dtype) if array.dtype.kind in "iub" else array
    if not ((array == 0) | (array == 1)).all():
        return array, "real"
    return array, "one_hot" if n > 1 and (array.sum(axis=0) == 1).all() else "binary"


def _whole(Y: Array) -> bool:
    return Y.dtype.kind in "iu" or bool((np.isfinite(Y) & (np.floor(Y) == Y)).all())
