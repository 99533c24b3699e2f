"""Whether an activation that is none of those that are known has the derivative that its layer uses.

``A = g(Z)`` and ``dZ = dA * h(Z)``: with the elements in order of z, the mean of h over two neighbours times their
distance has to be the difference of their a, wherever g is smooth (the trapezoidal rule, which is off by the cube of
the distance), and no element of h may be far from the slopes of a beside it. Then g is the author's choice and h its
derivative, and there is nothing to blame. Where dA is 0, so is dZ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.rounding import format_of

Array = NDArray[Any]

NEAR = 4.0
"""Times the median distance up to which neighbours are compared: of two that are far apart the rule says little."""
FEWEST = 50
"""Elements, without which the values of z are too far apart to tell."""
LEFT = 0.01
"""Of all differences of a, what may be left. Of 720 layers with four such activations the rule left 0.0052 at most, and
where the derivative was 2 % off 0.0159 at least."""
SLACK, FAR = 0.4, 0.9
"""Parts of h by which a slope may be beyond the two beside it, of neighbours and of elements that are far apart: less
than a wrong sign is off."""
END = 5.0
"""Times the only slope beside them that the first and the last h may be."""
SMALL = 0.1
"""Of the middle h: what is smaller may be anything."""


def own_derivative(tensors: Mapping[str, Array], layer: int) -> bool:
    """Of a layer whose Z, A, dA and dZ are all there, in one shape and finite."""
    names = [f"{name}{layer}" for name in ("Z", "A", "dA", "dZ")]
    if any(name not in tensors or tensors[name].shape != tensors[names[0]].shape for name in names):
        return False
    Z, A, dA, dZ = (tensors[name].astype(np.float64).ravel() for name in names)
    there = dA != 0
    if np.count_nonzero(there) < FEWEST or not all(np.isfinite(array).all() for array in (Z, A, dA, dZ)):
        return False
    if dZ[~there].any():
        return False
    order = np.argsort(Z[there], kind="stable")
    z, a, h = (array[there][order] for array in (Z, A, dZ / np.where(there, dA, 1.0)))
    u = max(format_of(tensors[name].dtype).unit_roundoff for name in names)
    return _on_the_whole(z, a, h) and _everywhere(z, a, h, u)


def _on_the_whole(z: Array, a: Array, h: Array) -> bool:
    apart = np.diff(z)
    near = apart <= NEAR * np.median(apart)
    risen, expected = np.diff(a)[near], (apart * (h[1:] + h[:-1]) / 2)[near]
    total = float(np.abs(risen).sum())
    return 0 < total < np.inf and float(np.abs(risen - expected).sum()) <= LEFT * total


def _everywhere(z: Array, a: Array, h: Array, u: float) -> bool:
    """Whether each slope of a is between the h at its ends, and each h between the slopes beside it, nearly."""
    keep = np.flatnonzero(np.append(True, np.diff(z) > 64 * u * np.abs(z).max()))
    z, a, h = z[keep], a[keep], h[keep]
    if len(z) < FEWEST // 2:
        return False
    apart = np.diff(z)
    slope = np.diff(a) / apart
    slack = np.where(apart <= NEAR * np.median(apart), SLACK, FAR)
    small = 8 * u * np.maximum(np.abs(a[1:]), np.abs(a[:-1])) / apart + SMALL * float(np.median(np.abs(h)))
    inner = np.maximum(slack[1:], slack[:-1]), np.maximum(small[1:], small[:-1])
    # The first and the last have one slope beside them only, and may be far out where h grows fast.
    ends = all(
        abs(h[end]) <= END * abs(slope[end]) + small[end] and h[end] * slope[end] >= -small[end] * abs(slope[end])
        for end in (0, -1)
    )
    return ends and _between(slope, h[:-1], h[1:], slack, small) and _between(h[1:-1], slope[1:], slope[:-1], *inner)


def _between(value: Array, one: Array, other: Array, slack: Array, small: Array) -> bool:
    wide = slack * np.maximum(np.abs(one), np.abs(other)) + small
    return bool(((value >= np.minimum(one, other) - wide) & (value <= np.maximum(one, other) + wide)).all())
