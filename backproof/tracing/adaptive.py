"""Optimizers that divide by a running mean of squares (Adam, RMSprop, Adagrad): seen by what they keep, under any name.

``s = a·s_before + c·dW²`` for two arrays of W's shape, or ``s = c·dW²`` where there was none before. No step makes such
an array for another purpose; what its update does with it is not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backproof.tracing.ledger import Pass
from backproof.tracing.momentum import FITS, fitted, gradients_of
from backproof.tracing.movement import moved_by
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step


def without_adaptive(step: Step, passed: Pass) -> set[str]:
    """The parameters after an update that keeps squares, which are not to be checked; it is said."""
    labels = []
    for layer in range(1, step.network.depth + 1):
        moved = moved_by(step, layer)
        if moved is None or moved.size <= 2:
            continue
        alike = [s for s in passed.strangers if _may_be_squares(s.value, moved.shape)]
        for gradient in gradients_of(step, layer, moved):
            labels += _kept(alike, np.square(gradient.astype(np.float64)))
    if not labels:
        return set()
    step.notes.append(f"the update was not taken: it keeps squares of the gradients, by value ({labels[0]})")
    return {key for key in step.quantities if key.endswith("_next")}


def _may_be_squares(value: Array, shape: tuple[int, ...]) -> bool:
    return value.shape == shape and bool(np.all(value >= 0)) and bool(np.any(value))


def _kept(alike: list[Sighting], squares: Array) -> list[str]:
    """The name of the last array that is a running mean (or sum) of squares."""
    for place in reversed(range(len(alike))):
        s = alike[place]
        for beside in ([squares], *([earlier.value, squares] for earlier in alike[:place])):
            parts, left = fitted(s.value, beside)
            if left < FITS and all(np.any(part > 0) for part in parts):
                return [s.label]
    return []
