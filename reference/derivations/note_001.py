"""Note 001: 784-10-10, ReLU, softmax, one-hot labels; samples in columns; 1/m in dw and db.

``dz`` is m times the derivative of the mean loss. The note writes the gradients in lower case.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]


def relu(z: Array) -> Array:
    """``x`` for x > 0, 0 for x <= 0."""
    return np.where(z > 0, z, 0)


def g_prime(z: Array) -> Array:
    """Derivative of ReLU: 1 for x > 0, 0 for x <= 0."""
    return np.where(z > 0, 1.0, 0.0)


def softmax(Z: Array) -> Array:
    """``e^z_i / sum_j e^z_j`` of each column, shifted by the column's largest z against overflow."""
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0)


def forward(x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Tensors:
    """Step 1 of the note; ``x`` is (784, m).

    Returns:
        ``Z1``, ``A1``, ``Z2``, ``A2``.
    """
    A0 = x  # A[0] = X                      784 x m
    Z1 = W1 @ A0 + b1  # Z[1] = W[1] A[0] + b[1]       10 x 784, 784 x m, 10 x 1 -> 10 x m
    A1 = relu(Z1)  # A[1] = ReLU(Z[1])             10 x m
    Z2 = W2 @ A1 + b2  # Z[2] = W[2] A[1] + b[2]       10 x 10, 10 x m, 10 x 1 => 10 x m
    A2 = softmax(Z2)  # A[2] = Softmax(Z[2])          10 x m
    return {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def backward(x: Array, y: Array, W2: Array, cache: Tensors) -> Tensors:
    """Step 2 of the note; ``y`` is the one-hot code (10, m), ``cache`` what :func:`forward` returned.

    Returns:
        ``dz2``, ``dw2``, ``db2``, ``dz1``, ``dw1``, ``db1``.
    """
    m = x.shape[1]
    dz2 = cache["A2"] - y  # dz[2] = A[2] - y                  10 x m
    dw2 = 1 / m * dz2 @ cache["A1"].T  # dw[2] = 1/m dz[2] A[1]T           10 x m, m x 10
    db2 = 1 / m * np.sum(dz2, axis=1, keepdims=True)  # db[2] = 1/m sum dz[2]             10 x 1
    dz1 = W2.T @ dz2 * g_prime(cache["Z1"])  # dz[1] = W[2]T dz[2] * g'(z[1])    10 x 10, 10 x m
    dw1 = 1 / m * dz1 @ x.T  # dw[1] = 1/m dz[1] x^T             10 x m, m x 784
    db1 = 1 / m * np.sum(dz1, axis=1, keepdims=True)  # db[1] = 1/m sum dz[1]             10 x 1
    return {"dz2": dz2, "dw2": dw2, "db2": db2, "dz1": dz1, "dw1": dw1, "db1": db1}


def update(parameters: Tensors, gradients: Tensors, alpha: float) -> Tensors:
    """Step 3 of the note, ``w[1] := w[1] - alpha dw[1]`` and the rest.

    Args:
        parameters: ``W1``, ``b1``, ``W2``, ``b2``.
        gradients: what :func:`backward` returned.
        alpha: the learning rate.
    """
    return {
        "W1": parameters["W1"] - alpha * gradients["dw1"],
        "b1": parameters["b1"] - alpha * gradients["db1"],
        "W2": parameters["W2"] - alpha * gradients["dw2"],
        "b2": parameters["b2"] - alpha * gradients["db2"],
    }
