"""The output's activation where neither it nor its result was given: the one that the output's delta was made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.functions import activated, derived

Array = NDArray[Any]
Tensors = Mapping[str, Array]

APART = 1e-3
"""Relative distance up to which an array is a multiple of another: a delta in float16 is that far from its formula, and
another activation's is not that near."""


def behind_the_delta(
    tensors: Tensors, L: int, names: Sequence[str], slope: float, joint: Sequence[str]
) -> Iterator[str]:
    """Activations g for which dZ_L, or dW_L or db_L where it is absent, is a multiple of what ``g(Z_L) − Y`` gives:
    of itself (those that may be ``joint`` with the loss), or through g (mean squared error). The multiple is left to
    the convention.
    """
    Z, Y = tensors.get(f"Z{L}"), tensors.get("Y")
    if Z is None or Y is None or Y.shape != Z.shape:
        return
    Z, Y = Z.astype(np.float64), Y.astype(np.float64)
    for name in names:
        error = activated(name, Z, slope) - Y
        deltas = [error] if name in joint else []
        deltas.append(_through(name, Z, error, slope))
        if any(_shows(tensors, L, delta) for delta in deltas):
            yield name


def _through(name: str, Z: Array, dA: Array, slope: float) -> Array:
    if name == "softmax":
        p = activated(name, Z, slope)
        return np.asarray(p * (dA - (p * dA).sum(axis=0, keepdims=True)))
    return dA * derived(name, Z, slope)


def _shows(tensors: Tensors, L: int, delta: Array) -> bool:
    """Whether the first of dZ_L, dW_L and db_L that is there is a multiple of what the delta makes."""
    below = tensors.get("X" if L == 1 else f"A{L - 1}")
    for name in ("dZ", "dW", "db"):
        seen = tensors.get(f"{name}{L}")
        if seen is None or (name == "dW" and below is None):
            continue
        made = delta
        if name == "dW" and below is not None:
            made = delta @ below.astype(np.float64).T
        if name == "db":
            made = delta.sum(axis=1, keepdims=True)
        return (
            seen.shape == made.shape and seen.size > 1 and _apart(made.ravel(), seen.astype(np.float64).ravel()) < APART
        )
    return False


def _apart(made: Array, seen: Array) -> float:
    length, norm = float(np.linalg.norm(seen)), float(made @ made)
    if not (length > 0 and norm > 0 and np.isfinite(length) and np.isfinite(norm)):
        return 1.0
    return float(np.linalg.norm(seen - (made @ seen) / norm * made)) / length
