"""Whether an array is what one of the usual activations makes of another: told by value, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backproof.tracing.sightings import Array
from backproof.tracing.unpatched import np

FITS = 1e-5
"""Relative distance up to which two arrays are one: float32's rounding of a sum, and far from any coincidence."""
SLOPES = (0.01, 0.1, 0.2, 0.3, 0.001)
"""Of leaky ReLU, that people take."""


def apart(first: Array, second: Array) -> float:
    """Relative distance, in the norm of the second; 1 where that is nothing."""
    norm = float(np.linalg.norm(second))
    distance = float(np.linalg.norm(first - second))
    return distance / norm if norm > 0 and np.isfinite(distance) else 1.0


def is_activation(Z: Array, A: Array) -> bool:
    """Whether A is what one of the usual functions makes of the sums (the identity makes the sums themselves)."""
    return activated_with(Z, [np.zeros(1)], A) is not None


def activated_with(Z: Array, shifts: Sequence[Array], A: Array) -> int | None:
    """With which of the biases A is what a usual function makes of the sums.

    Two rows are looked at first, of all biases at once: where they are further apart than the whole may be, nothing
    else is computed.
    """
    near, few = FITS * float(np.linalg.norm(A)), np.stack([Z[:FEW] + shift for shift in shifts])
    for g in (*ELEMENTWISE, _softmax) if Z.ndim == 2 else ELEMENTWISE:
        distances = np.linalg.norm((g(few) - A[:FEW]).reshape(len(few), -1), axis=1)
        for place in np.flatnonzero(distances < near).tolist():
            if apart(g(Z + shifts[place]), A) < FITS:
                return place
    if Z.ndim == 2 and float(np.abs(A.sum(axis=0) - 1).max()) < SUM:
        wanted = (place for place, shift in enumerate(shifts) if apart(_softmax((Z + shift).T).T, A) < FITS)
        return next(wanted, None)
    return None


def _softmax(Z: Array) -> Array:
    exponential = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=-1, keepdims=True))


def _sigmoid(Z: Array) -> Array:
    return np.where(Z >= 0, 1 / (1 + np.exp(-Z)), np.exp(Z) / (1 + np.exp(Z)))


def _leaky(slope: float) -> Callable[[Array], Array]:
    return lambda Z: np.where(Z > 0, Z, slope * Z)


ELEMENTWISE: tuple[Callable[[Array], Array], ...] = (
    lambda Z: np.maximum(Z, 0),
    _sigmoid,
    np.tanh,
    *map(_leaky, SLOPES),
)
FEW = 2
"""Rows that are looked at first."""
SUM = 1e-2
"""How far from 1 the columns of a softmax may sum up, in float16."""
