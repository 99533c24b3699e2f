"""Note 003: 784-10-10, ReLU, softmax, sparse integer labels; samples in rows, transposed inside.

``dZ2`` holds 1/m, so that no later line needs it. The note's superscripts become plain digits: ``A^2`` is ``A2``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]


def softmax(Z: Array) -> Array:
    """``e^z_i / sum_j e^z_j`` of each column, shifted by the column's largest z against overflow."""
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0)


def forward(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Tensors:
    """The forward pass.

    Args:
        X: (m, 784), a sample a row.
        W1: (10, 784), a neuron a row; b1: (10, 1); W2: (10, 10); b2: (10, 1).

    Returns:
        ``Z1``, ``A1``, ``Z2``, ``A2``, each 10 x m: a sample a column.
    """
    Z1 = W1 @ X.T + b1  # z' = w' x^T + b           10 x 784, 784 x m, (10 x 1) -> 10 x m
    A1 = np.maximum(0, Z1)  # A_k,i = max(0, z_k,i)     10 x m
    Z2 = W2 @ A1 + b2  # z^2 = w^2 A' + b^2        10 x 10, 10 x m, (10 x 1) -> 10 x m
    A2 = softmax(Z2)  # A(2) = softmax(z^2)       10 x m
    return {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def cost(A2: Array, y: Array) -> Array:
    """``-1/m sum_i log(A2 of sample i at its true class)``; ``y`` is (m,) integers. Needs that entry > 0."""
    m = len(y)
    return -1 / m * np.log(A2[y, np.arange(m)]).sum()


def output_delta(A2: Array, y: Array) -> Array:
    """``dC/dZ2 = 1/m (A2 - Y)`` without Y: subtract 1 at the true class's index of each column. 10 x m."""
    m = len(y)
    dZ2 = A2.copy()
    dZ2[y, np.arange(m)] -= 1
    dZ2 /= m
    return dZ2


def backward(X: Array, y: Array, W2: Array, cache: Tensors) -> Tensors:
    """The backward pass; ``y`` is (m,) integers 0..9, ``cache`` what :func:`forward` returned.

    Returns:
        ``dZ2``, ``dW2``, ``db2``, ``dA1``, ``dZ1``, ``dW1``, ``db1``.
    """
    dZ2 = output_delta(cache["A2"], y)  # dZ(2) = 1/m (A(2) - Y)        10 x m
    dW2 = dZ2 @ cache["A1"].T  # 1/m (A2 - Y) (A1)^T           10 x m, m x 10
    db2 = dZ2.sum(axis=1, keepdims=True)  # add up the cols of it         10 x m -> 10 x 1
    dA1 = W2.T @ dZ2  # dA(1) = W_2^T dZ(2)           10 x 10, 10 x m
    dZ1 = dA1 * (cache["Z1"] > 0)  # dA(1) (.) (Z(1) > 0)          10 x m
    dW1 = dZ1 @ X  # dW_1 = dz(1) X                10 x m, m x 784
    db1 = dZ1.sum(axis=1, keepdims=True)  # sum_i dz(1)_i                 10 x m -> 10 x 1
    return {"dZ2": dZ2, "dW2": dW2, "db2": db2, "dA1": dA1, "dZ1": dZ1, "dW1": dW1, "db1": db1}


def update(parameters: Tensors, gradients: Tensors, eta: float) -> Tensors:
    """``W^2,new = W^2,old - eta dC/dW^2``, and so on for each W and b."""
    return {name: array - eta * gradients[f"d{name}"] for name, array in parameters.items()}
