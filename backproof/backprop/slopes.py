"""Whether an activation that is none known here is one function of Z whose derivative the gradients take.

What A is of Z need not be known for that: between two neighbouring values of Z the change of A is the integral of the
derivative, and dZ over dA is the derivative. The trapezoid rule gives that integral up to ``h³/12 |g'''|``, which the
derivatives beside it show. Its user's choice, where all intervals agree; a mistake in A or in dZ breaks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.functions import derivatives
from backproof.rounding import format_of

Array = NDArray[Any]
Tensors = Mapping[str, Array]

MOST = 400
"""Intervals that are looked at."""
FEWEST = 12
"""Intervals that have to agree before a function counts as shown."""
KINKS = 3
"""Intervals in which the derivative may jump: there A changes by something between its values on either side."""
SHARP = 0.02
"""Part of A's change that the trapezoid rule may leave open in most intervals: less tells 2 % of a mistake."""
CURVED = 4.0
"""Times the estimated error of the trapezoid rule: its second differences are those of the intervals beside."""
SMALL = 1e-3
"""Part of the largest dA below which its quotient is not looked at: it is the rounding of a product there."""
ROUNDINGS = 32.0
"""Roundings of A, dZ and dA in one interval."""
TINY = float(np.finfo(np.float64).tiny)
TURNS = 2
"""Times that an activation turns, whatever the number of points."""
KNOWN = 1e-5
"""Relative distance up to which the quotient is a known activation's derivative."""


class Slopes(Enum):
    """What the gradients say of an activation that is none known here."""

    AGREE = "the derivative that the gradients take is its own"
    OPEN = "nothing tells"
    CONTRADICT = "the gradients take the derivative of another function"


def slopes(tensors: Tensors, layer: int, depth: int, slope: float) -> Slopes:
    """Whether dZ/dA is the derivative of what A is of Z, by neighbouring values of Z.

    Args:
        slope: of leaky ReLU.
    """
    Z, A = tensors[f"Z{layer}"], tensors[f"A{layer}"]
    dZ, dA = tensors.get(f"dZ{layer}"), _handed(tensors, layer, depth)
    if dZ is None or dA is None or not (dZ.shape == dA.shape == Z.shape) or not _finite(Z, A, dZ, dA):
        return Slopes.OPEN
    told = np.abs(dA) > SMALL * np.abs(dA).max(initial=0.0)
    z, a, g = Z[told].astype(np.float64), A[told].astype(np.float64), dZ[told] / dA[told].astype(np.float64)
    if told.any() and _is_known(z, a, g, slope):
        return Slopes.CONTRADICT
    rounding = ROUNDINGS * max(format_of(array.dtype).unit_roundoff for array in (Z, A, dZ, tensors[f"dZ{layer}"]))
    free = f"dA{layer}" not in tensors and layer == depth
    return _along(*_sorted(z, a, g), rounding, free)


def is_function(Z: Array, A: Array) -> bool:
    """Whether A may be a function of Z, element by element: it turns seldom as Z grows, where noise turns at two points
    of three.
    """
    z, a, _ = _sorted(Z.ravel().astype(np.float64), A.ravel().astype(np.float64), Z.ravel())
    changes = np.diff(a)
    changes = changes[np.abs(changes) > KNOWN * float(np.abs(a).max(initial=0.0))]
    turns = int(np.count_nonzero(changes[1:] * changes[:-1] < 0))
    return z.size > FEWEST and turns <= max(TURNS, z.size // 10)


def _handed(tensors: Tensors, layer: int, depth: int) -> Array | None:
    """dA as given, or as the layer above hands it down; of the output A − Y, which is it up to a factor."""
    if (dA := tensors.get(f"dA{layer}")) is not None:
        return dA
    if layer == depth:
        A, Y = tensors[f"A{layer}"], tensors.get("Y")
        return None if Y is None or Y.shape != A.shape else np.asarray(A.astype(np.float64) - Y)
    W, dZ = tensors.get(f"W{layer + 1}"), tensors.get(f"dZ{layer + 1}")
    if W is None or dZ is None or W.shape[0] != dZ.shape[0]:
        return None
    return np.asarray(W.T.astype(np.float64) @ dZ.astype(np.float64))


def _finite(*arrays: Array) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays)


def _is_known(z: Array, a: Array, g: Array, slope: float) -> bool:
    """Whether the quotient is the derivative of a known activation, at Z or as it is made of A: then A is wrong."""
    made = [value for _, value in derivatives(z, slope)] + [a * (1 - a), 1 - a * a, np.ones_like(z)]
    near = KNOWN * float(np.abs(g).max(initial=0.0))
    return any(float(np.abs(value - g).max(initial=0.0)) <= near for value in made)


def _sorted(z: Array, a: Array, g: Array) -> tuple[Array, Array, Array]:
    """By Z, and no two that are nearer than a part of its range."""
    order = np.argsort(z, kind="stable")
    z, a, g = z[order], a[order], g[order]
    width = (z[-1] - z[0]) / MOST if z.size else 0.0
    kept = np.unique(np.floor((z - z[0]) / width), return_index=True)[1] if width > 0 else np.arange(min(z.size, 1))
    return z[kept], a[kept], g[kept]


def _along(z: Array, a: Array, g: Array, rounding: float, free: bool) -> Slopes:
    if z.size < FEWEST:
        return Slopes.OPEN
    h, changed = np.diff(z), np.diff(a)
    made, size = ((edges[1:] + edges[:-1]) / 2 * h for edges in (g, np.abs(g)))
    # A product's rounding is all of what the smallest quotients hold.
    open_ = CURVED * _curvature(z, g) * h**3 / 12 + rounding * (float(np.abs(a).max()) + size / SMALL)
    jump = (np.abs(np.diff(g)) + _beside(np.abs(np.diff(g)) / h) * h) * h / 2
    factor = 1.0
    if free:  # the loss's; it shows best where the integral is best known
        best = int(np.argmin(np.divide(open_, size, where=size > 0, out=np.full_like(size, np.inf))))
        factor = changed[best] / made[best] if made[best] else 1.0
        open_ = abs(factor) * (open_ + size * open_[best] / max(size[best], TINY))
    left = np.abs(changed - factor * made)
    smooth = left <= open_
    if not np.all(smooth | (left <= abs(factor) * jump + open_)) or np.count_nonzero(~smooth) > KINKS:
        return Slopes.CONTRADICT
    moving = size > 0
    sharp = moving.any() and np.median(open_[moving] / (abs(factor) * size[moving])) < SHARP
    return Slopes.AGREE if sharp else Slopes.OPEN


def _beside(changes: Array) -> Array:
    """Of each interval, the larger of its neighbours'."""
    padded = np.pad(changes, 1, mode="edge")
    return np.asarray(np.maximum(padded[:-2], padded[2:]))


def _curvature(z: Array, g: Array) -> Array:
    """Of each interval, the largest second difference of the derivative at its ends and at the next ones."""
    first = np.diff(g) / np.diff(z)
    second = np.abs(2 * np.diff(first) / (z[2:] - z[:-2]))
    padded = np.pad(second, 2, mode="edge")
    return np.asarray(np.max([padded[k : k + z.size - 1] for k in range(4)], axis=0))
