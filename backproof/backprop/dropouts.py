"""Dropout in training: ``A_l = g(Z_l) ⊙ mask``, a mask of zeros and one constant, that the gradients pass as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import functions

Array = NDArray[Any]

FEWEST = 8
"""Elements that have to be kept, and one to be dropped, for a mask to be no coincidence."""


class Dropout(NamedTuple):
    """The activation, and what was dropped, in words."""

    activation: str
    text: str


def dropout_of(
    tensors: Mapping[str, Array], layer: int, names: Sequence[str], slope: float, alike: float
) -> Dropout | None:
    """The dropout under which A is what Z gives, if dZ, where it is given, has the same mask: forgotten on the way
    back, it is a mistake.

    Args:
        names: activations that the layer may have.
        alike: relative distance up to which two arrays are one.
    """
    Z, A = (tensors[f"{kind}{layer}"].astype(np.float64) for kind in "ZA")
    for name in names:
        mask = _mask(functions.activated(name, Z, slope), A, alike)
        if mask is None:
            continue
        through = mask * functions.derived(name, Z, slope)
        dZ = tensors.get(f"dZ{layer}")
        handed = list(_handed(tensors, layer, mask))
        if dZ is not None and handed and not any(_near(dA * through, dZ, alike) for dA in handed):
            return None
        dropped = float(np.mean(mask == 0))
        return Dropout(name, f"{dropped:.0%} of A{layer} are zero, the others {name}(Z{layer}) times {mask.max():.6g}")
    return None


def _mask(value: Array, A: Array, alike: float) -> Array | None:
    """What the activation was multiplied by, of zeros and one constant; None where that is not what was done."""
    near = alike * float(np.abs(A).max(initial=0.0))
    told = np.abs(value) > 100 * near
    kept = told & (np.abs(A) > near)
    if np.count_nonzero(kept) < FEWEST or not np.any(told & (A == 0)):
        return None
    factor = float(np.median(A[kept] / value[kept]))
    mask = np.where(A == 0, 0.0, factor)
    return mask if factor > 0 and np.abs(mask * value - A).max() <= near else None


def _handed(tensors: Mapping[str, Array], layer: int, mask: Array) -> Iterator[Array]:
    """What the layer above hands down, or the given dA, with the mask or before it."""
    W, dZ, dA = (tensors.get(name) for name in (f"W{layer + 1}", f"dZ{layer + 1}", f"dA{layer}"))
    if W is not None and dZ is not None and W.shape[0] == dZ.shape[0]:
        yield W.T.astype(np.float64) @ dZ.astype(np.float64)
    elif dA is not None:
        yield dA.astype(np.float64)
        if not np.any(dA[mask == 0]):
            yield dA / mask.max()


def _near(made: Array, seen: Array, alike: float) -> bool:
    size = float(np.abs(seen).max(initial=0.0))
    return made.shape == seen.shape and float(np.abs(made - seen).max(initial=0.0)) <= 10 * alike * size
