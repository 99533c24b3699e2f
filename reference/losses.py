"""Losses and their derivatives by hand: of the logits, ``dZ_L = dL/dZ_L``, where loss and output activation are one
function of them; else of the output A, ``dA_L = dL/dA_L``.

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
    """``-sum_i y_i log softmax(z)_i / divisor``: the sum of its terms, over the divisor."""
    return cross_entropy_terms(Z, Y, axis).sum() / divisor


def cross_entropy_terms(Z: Array, Y: Array, axis: int) -> Array:
    """``logsumexp(z) - z_true``, one for each sample.

    Both terms are taken relative to the largest z of the sample, so that max, which cancels, costs no digits.
    ``Y`` has Z's shape (one-hot) or length 1 along ``axis`` (integer labels; no one-hot matrix is built).
    """
    shifted, log_sum = shifted_log_sum(Z, axis)
    if np.issubdtype(Y.dtype, np.integer):
        true = np.take_along_axis(shifted, Y, axis=axis)
    else:
        true = (shifted * Y).sum(axis=axis, keepdims=True)
    return log_sum - true


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
    """The sum of its terms, over the divisor."""
    return binary_cross_entropy_terms(Z, Y).sum() / divisor


def binary_cross_entropy_terms(Z: Array, Y: Array) -> Array:
    """``-(y log a + (1 - y) log(1 - a))`` with ``a = sigma(z)``, as ``max(z, 0) - z y + log(1 + e^-|z|)``."""
    return np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z)))


def binary_cross_entropy_delta(Z: Array, Y: Array, divisor: int) -> Array:
    """``(A - Y) / divisor`` with ``A = sigma(Z)``."""
    return (sigmoid(Z) - Y) / divisor


def mean_squared_error(A: Array, Y: Array, divisor: int, half: bool) -> Array:
    """``sum (a - y)^2 / divisor``, times 1/2 if ``half``."""
    total = mean_squared_error_terms(A, Y).sum() / divisor
    return total / 2 if half else total


def mean_squared_error_terms(A: Array, Y: Array) -> Array:
    """``(a - y)^2``."""
    difference = A - Y
    return difference * difference


def mean_squared_error_gradient(A: Array, Y: Array, divisor: int, half: bool) -> Array:
    """``dA = 2 (a - y) / divisor``; the 2 goes with the 1/2."""
    return (A - Y) * ((1 if half else 2) / divisor)


def cross_entropy_of_output(A: Array, Y: Array, axis: int, divisor: int) -> Array:
    """``-sum y log a / divisor`` of any output A."""
    return cross_entropy_of_output_terms(A, Y, axis).sum() / divisor


def cross_entropy_of_output_terms(A: Array, Y: Array, axis: int) -> Array:
    """``-y log a``; integer labels pick the true class's a."""
    if np.issubdtype(Y.dtype, np.integer):
        return -np.log(np.take_along_axis(A, Y, axis=axis))
    return -(Y * np.log(np.where(Y == 0, np.ones((), A.dtype), A)))


def cross_entropy_gradient(A: Array, Y: Array, axis: int, divisor: int) -> Array:
    """``dA = -y / a / divisor``, 0 where y is 0."""
    if np.issubdtype(Y.dtype, np.integer):
        dA = np.zeros_like(A)
        np.put_along_axis(dA, Y, -1 / np.take_along_axis(A, Y, axis=axis) / divisor, axis=axis)
        return dA
    return -(Y / np.where(Y == 0, np.ones((), A.dtype), A)) / divisor


def binary_cross_entropy_of_output(A: Array, Y: Array, divisor: int) -> Array:
    """``-sum (y log a + (1 - y) log(1 - a)) / divisor`` of any output A in (0, 1)."""
    return binary_cross_entropy_of_output_terms(A, Y).sum() / divisor


def binary_cross_entropy_of_output_terms(A: Array, Y: Array) -> Array:
    """``-(y log a + (1 - y) log(1 - a))``."""
    return -(Y * np.log(A) + (1 - Y) * np.log1p(-A))


def binary_cross_entropy_gradient(A: Array, Y: Array, divisor: int) -> Array:
    """``dA = (a - y) / (a (1 - a)) / divisor``."""
    return (A - Y) / (A * (1 - A)) / divisor
