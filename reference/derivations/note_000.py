"""Note 000: 784-128-50-50-25-10, ReLU, softmax, cross-entropy; samples in columns.

The note writes ``dZ5`` for ``A5 - Y`` and keeps 1/m in dW and db, so that every dZ here is m times the
derivative of the mean loss. ``m`` is the number of samples, 60000 in the note.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]


def relu(Z: Array) -> Array:
    """``max(z, 0)``, elementwise."""
    return np.maximum(Z, 0)


def relu_back(dA: Array, Z: Array) -> Array:
    """The note's "ReLU back.": ``dA4 * dA4/dZ4``, where the derivative is 1 for z > 0 and 0 elsewhere."""
    return dA * (Z > 0)


def softmax(Z: Array) -> Array:
    """``e^z_i / (e^z_0 + ... + e^z_9)`` of each column, shifted by the column's largest z against overflow."""
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0)


def loss(A5: Array, Y: Array) -> Array:
    """``L = -y ln(A5)``, summed over the ten classes and averaged over the m samples: the origin of 1/m."""
    # 0 ln 0 is taken as 0: a wrong class may have a probability that underflows.
    ln_A5 = np.log(A5, out=np.zeros_like(A5), where=Y != 0)
    return -(Y * ln_A5).sum() / Y.shape[1]


def forward(X_train: Array, parameters: Tensors) -> Tensors:
    """Layers 1 to 5.

    Args:
        X_train: (m, 784), as the data set has it; the input layer is its transpose.
        parameters: ``W1`` (128, 784), ``b1`` (128, 1), ..., ``W5`` (10, 25), ``b5`` (10, 1).

    Returns:
        ``Z1``, ``A1``, ..., ``Z5``, ``A5``.
    """
    p = parameters
    A0 = X_train.T  # X_train.T                (784, m)
    Z1 = p["W1"] @ A0 + p["b1"]  # (128, 784) (784, m) + (128, 1) => (128, m)
    A1 = relu(Z1)  # ReLU(128, m) => A1
    Z2 = p["W2"] @ A1 + p["b2"]  # (50, 128) (128, m)       (50, m)
    A2 = relu(Z2)
    Z3 = p["W3"] @ A2 + p["b3"]  # z3 = w3 A2 + b3          (50, m)
    A3 = relu(Z3)
    Z4 = p["W4"] @ A3 + p["b4"]  # Z4 = W4 A3 + b4          (25, m)
    A4 = relu(Z4)  # A4 = Relu(Z4)            (25, m)
    Z5 = p["W5"] @ A4 + p["b5"]  # Z5 = W5 A4 + b5          (10, m)
    A5 = softmax(Z5)
    return {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "Z3": Z3, "A3": A3, "Z4": Z4, "A4": A4, "Z5": Z5, "A5": A5}


def jacobian(a: Array) -> Array:
    """``dA5/dz5`` of one sample: a_i (1 - a_i) on the diagonal, -a_i a_j off it. (10,) -> (10, 10)."""
    n = len(a)
    J = np.empty((n, n), a.dtype)
    for i in range(n):
        for j in range(n):
            J[i, j] = a[i] * (1 - a[i]) if i == j else -a[i] * a[j]
    return J


def delta_through_jacobian(A5: Array, Y: Array) -> Array:
    """``dA5/dz5 x dL/dA5`` of each sample, with ``dL/dA5 = -y/a``: multiplied out, it is ``A5 - Y``.

    Row 0 is ``-y0 (1 - a0) + a0 y1 + ... + a0 y9 = -y0 + a0 (y0 + y1 + ... + y9) = a0 - y0``, since the
    y of a sample add up to 1. Needs a > 0 at the true class, which ``A5 - Y`` does not. (10, m) -> (10, m).
    """
    product = np.empty_like(A5)
    for s in range(A5.shape[1]):
        a, y = A5[:, s], Y[:, s]
        dL_dA5 = np.divide(-y, a, out=np.zeros_like(a), where=y != 0)  # -y/a     (10,)
        product[:, s] = jacobian(a) @ dL_dA5  # (10, 10) (10,)
    return product


def backward(X_train: Array, Y: Array, parameters: Tensors, cache: Tensors) -> Tensors:
    """The steps 1 to 5 under "Back propagation", dZ cached layer by layer.

    Args:
        Y: (10, m), one-hot columns.
        cache: what :func:`forward` returned.

    Returns:
        ``dZ5``, ``dW5``, ``db5``, ``dA4``, ``dZ4``, ... , ``dZ1``, ``dW1``, ``db1``.
    """
    p, c = parameters, cache
    m = Y.shape[1]
    dZ5 = c["A5"] - Y  # dL/dz5 = A5 - y                     (10, m), cache
    dW5 = 1 / m * np.dot(dZ5, c["A4"].T)  # (A5 - y) x A4^T x 1/m               (10, m) (m, 25)
    db5 = 1 / m * dZ5.sum(axis=1, keepdims=True)  # dL/db5: (A5 - y), summed            (10, 1)

    dA4 = np.dot(p["W5"].T, dZ5)  # W5^T x (A5 - y)                     (25, 10) (10, m)
    dZ4 = relu_back(dA4, c["Z4"])  # ReLU back.(np.dot(W5^T, dZ5))       (25, m), cache
    dW4 = 1 / m * np.dot(dZ4, c["A3"].T)  # np.dot(dZ4, A3^T)                   (25, m) (m, 50)
    db4 = 1 / m * dZ4.sum(axis=1, keepdims=True)

    dA3 = np.dot(p["W4"].T, dZ4)  # dZ4/dA3 x dZ4                       (50, 25) (25, m)
    dZ3 = relu_back(dA3, c["Z3"])  # ReLU back.(np.dot(W4^T, dZ4))       (50, m), cache
    dW3 = 1 / m * np.dot(dZ3, c["A2"].T)  # np.dot(dZ3, A2^T)                   (50, m) (m, 50)
    db3 = 1 / m * dZ3.sum(axis=1, keepdims=True)

    dA2 = np.dot(p["W3"].T, dZ3)  # dZ3/dA2 x dZ3                       (50, 50) (50, m)
    dZ2 = relu_back(dA2, c["Z2"])  # relu_back(np.dot(W3^T, dZ3))        (50, m), cache
    dW2 = 1 / m * np.dot(dZ2, c["A1"].T)  # np.dot(dZ2, A1^T)                   (50, m) (m, 128)
    db2 = 1 / m * dZ2.sum(axis=1, keepdims=True)

    dA1 = np.dot(p["W2"].T, dZ2)  # dZ2/dA1 x dZ2                       (128, 50) (50, m)
    dZ1 = relu_back(dA1, c["Z1"])  # relu_back(np.dot(W2^T, dZ2))        (128, m), cache
    dW1 = 1 / m * np.dot(dZ1, X_train)  # np.dot(dZ1, X_train)                (128, m) (m, 784)
    db1 = 1 / m * dZ1.sum(axis=1, keepdims=True)
    return {
        "dZ5": dZ5, "dW5": dW5, "db5": db5, "dA4": dA4, "dZ4": dZ4, "dW4": dW4, "db4": db4,
        "dA3": dA3, "dZ3": dZ3, "dW3": dW3, "db3": db3, "dA2": dA2, "dZ2": dZ2, "dW2": dW2, "db2": db2,
        "dA1": dA1, "dZ1": dZ1, "dW1": dW1, "db1": db1,
    }  # fmt: skip


def update(parameters: Tensors, gradients: Tensors, alpha: float) -> Tensors:
    """``W5 = W5 - dL/dW5 * alpha``, and so on for each W and b."""
    return {name: array - gradients[f"d{name}"] * alpha for name, array in parameters.items()}
