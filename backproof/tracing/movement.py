"""What an update added to the weights, beside the products of deltas and inputs that it may be made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step

ALONG = 1e-4
"""Part of a gradient that may stand across its product for it to count as used: activations' derivatives vary more."""


def along(moved: Array, product: Array, before: Sighting | None) -> bool:
    """Whether one is a multiple of the other; the difference of two weights carries their rounding."""
    first, second = moved.ravel().astype(np.float64), product.ravel().astype(np.float64)
    with np.errstate(all="ignore"):
        length, norm = float(np.linalg.norm(first)), float(second @ second)
        if not (length > 0 and norm > 0):
            return False
        rest = float(np.linalg.norm(first - (first @ second) / norm * second)) / length
        rounding = 0.0 if before is None else float(np.linalg.norm(before.value)) / length
        return rest < ALONG + 4 * float(np.finfo(moved.dtype).eps) * rounding


def moved_by(step: Step, layer: int) -> Array | None:
    """What the update added to W."""
    before, after = step.quantities.get(f"W{layer}"), step.quantities.get(f"W{layer}_next")
    if before is None or after is None or before.value.shape != after.value.shape:
        return None
    return np.asarray(after.value - before.value)


def product_of(step: Step, layer: int, delta: Sighting, moved: Array) -> Array | None:
    """The product of a delta with the layer's inputs that has the shape of W; of several orientations (as many samples
    as units) the one that W moves along most.
    """

    def turned_away(product: Array) -> float:
        norm = float(np.linalg.norm(product) * np.linalg.norm(moved))
        return -abs(float(np.vdot(product, moved))) / norm if norm > 0 else 0.0

    return min(_products(step, layer, delta, moved.shape), key=turned_away, default=None)


def _products(step: Step, layer: int, delta: Sighting, shape: tuple[int, ...]) -> Iterator[Array]:
    lower = step.quantities.get(f"A{layer - 1}" if layer > 1 else "X")
    if lower is None or delta.value.ndim != 2:
        return
    for left in (lower.value, lower.value.T):
        for right in (delta.value, delta.value.T):
            if left.shape[-1] == right.shape[0] and left.ndim == right.ndim == 2:
                product = left @ right
                yield from (turned for turned in (product, product.T) if turned.shape == shape)


def movement(step: Step, layer: int, delta: Sighting | None) -> tuple[Array, Array] | None:
    """What the update added to W, and dW: as recorded, or from A and a delta where the script gave it no name."""
    moved = moved_by(step, layer)
    if moved is None:
        return None
    if (recorded := step.quantities.get(f"dW{layer}")) is not None:
        gradient: Array | None = recorded.value
    else:
        gradient = None if delta is None else product_of(step, layer, delta, moved)
    return None if gradient is None or gradient.shape != moved.shape else (moved, gradient)


def movements(step: Step) -> list[tuple[Array, Array]]:
    """:func:`_movement` of every layer that has one."""
    layers = range(1, step.network.depth + 1)
    return [pair for n in layers if (pair := movement(step, n, step.quantities.get(f"dZ{n}"))) is not None]
