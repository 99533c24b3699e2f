"""Losses from logits and their deltas ``dZ_L = dL/dZ_L``, by hand, for one-hot, integer and binary labels.

``axis`` is the class axis: 0 with samples in columns, 1 with samples in rows. ``divisor`` is what the
reduction divides by: m for the mean over m samples, 1 for the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.activations import sigmoid, softmax

Array = NDArray[Any]


def shifted_log_sum(Z: Array, axis: int) -> tuple[Array, Array]:
    """``z - max`` and ``log sum_j e^(z_j - max)`` along ``axis``: no e^z overflows."""
    shifted = Z - Z.max(axis=axis, keepdims=True)
    return shifted, np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def cross_entropy(Z: Array, Y: Array, axis: int, divisor: int) -> Array:
    """``-sum_i y_i log softmax(z)_i / divisor`` = sum of ``logsumexp(z) - z_true``, over the divisor.

    Both terms are taken relative to the largest z of the sample, so that max, which cancels, costs no digits.
    ``Y`` has Z's shape (one-hot) or length 1 along ``axis`` (integer labels; no one-hot matrix is built).
    """
    shifted, log_sum = shifted_log_sum(Z, axis)
    if np.issubdtype(Y.dtype, np.integer):
        true = np.take_along_axis(shifted, Y, axis=axis)
    else:
        true = (shifted * Y).sum(axis=axis, keepdims=True)
    return (log_sum - true).sum() / divisor


def cross_entropy_delta(Z: Array, Y: Array, axis: int, divisor: int) -> Array:
    """``(A - Y) / divisor`` with ``A = softmax(Z)``; for integer labels, 1 is subtracted at the true class."""
    dZ = softmax(Z, axis)
    if np.issubdtype(Y.dtype, np.integer):
        np.put_along_axis(dZ, Y, np.take_along_axis(dZ, Y, axis=axis) - 1, axis=axis)
    else:
        dZ -= Y
    dZ /= divisor
    return dZ


def binary_cross_entropy(Z: Array, Y: Array, divisor: int) -> Array:
    """``-(y log a + (1 - y) log(1 - a))`` with ``a = sigma(z)``, as ``max(z, 0) - z y + log(1 + e^-|z|)``."""
    return (np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z)))).sum() / divisor


def binary_cross_entropy_delta(Z: Array, Y: Array, divisor: int) -> Array:
    """``(A - Y) / divisor`` with ``A = sigma(Z)``."""
    return (sigmoid(Z) - Y) / divisor
