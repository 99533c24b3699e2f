"""Activations and their derivatives, by hand. ``Z`` and ``A`` have any shape; both functions are elementwise.

Derivatives are written in terms of ``A = g(Z)`` wherever the textbook does (tanh' = 1 - A^2,
sigma' = A (1 - A)); for the kinked ones ``A > 0`` holds exactly where ``Z > 0`` does. So a backward pass
needs no ``Z``, and the forward pass may overwrite it. Constants are of the arrays' format: with a Python number some
releases of ml_dtypes widen bfloat16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.formats import total

Array = NDArray[Any]


def sigmoid(Z: Array, out: Array | None = None) -> Array:
    """``1 / (1 + e^-z)`` as ``e^-max(-z,0) / (1 + e^-|z|)``: neither exponential can overflow."""
    small, one = np.exp(-np.abs(Z)), Z.dtype.type(1)
    return np.divide(np.where(Z < 0, small, one), one + small, out=out)


def softmax(Z: Array, axis: int) -> Array:
    """``e^z_i / sum_j e^z_j`` along ``axis``, shifted by the largest z of each sample so that no e^z overflows."""
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    E /= total(E, axis)
    return E


def activate(name: str, Z: Array, slope: float, out: Array | None = None) -> Array:
    """``A = g(Z)`` of a hidden layer.

    Args:
        name: ``relu`` (max(z, 0)), ``leaky_relu`` (z, or slope z below 0), ``tanh``, ``sigmoid``, ``identity``.
        out: where to write A; may be Z itself.
    """
    if name == "relu":
        return np.maximum(Z, Z.dtype.type(0), out=out)
    if name == "leaky_relu":
        # max(z, slope z) is z above 0 and slope z below, for a slope in (0, 1).
        return np.maximum(Z, Z.dtype.type(slope) * Z, out=out)
    if name == "tanh":
        return np.tanh(Z, out=out)
    if name == "sigmoid":
        return sigmoid(Z, out=out)
    if name == "identity":
        return Z
    raise ValueError(f"unknown activation {name!r}")


def through(name: str, dA: Array, A: Array, slope: float, out: Array | None = None) -> Array:
    """``dZ = dA * g'(Z)``, with g' taken from ``A``.

    ReLU's derivative at 0 is 0, leaky ReLU's is its slope (as PyTorch has both).

    Args:
        out: where to write dZ; may be dA itself.
    """
    one = A.dtype.type(1)
    if name == "relu":
        return np.multiply(dA, A > 0, out=out)
    if name == "leaky_relu":
        return np.multiply(dA, np.where(A > 0, one, A.dtype.type(slope)), out=out)
    if name == "tanh":
        return np.multiply(dA, one - A * A, out=out)
    if name == "sigmoid":
        return np.multiply(dA, A * (one - A), out=out)
    if name == "identity":
        return dA
    raise ValueError(f"unknown activation {name!r}")


def through_softmax(dA: Array, A: Array, axis: int) -> Array:
    """``dZ = a (dA - sum_j dA_j a_j)``: the softmax Jacobian ``diag(a) - a a^T`` times dA, sample by sample."""
    return A * (dA - (dA * A).sum(axis=axis, keepdims=True))
