"""Note 002: any number of layers, worked as 3-4-1; sigmoid output, binary cross-entropy; samples in columns.

1/m stands in dW and db, so every dZ is m times the derivative of the mean loss. Superscripts [l] of the note
become plain digits: ``Z[1]`` is ``Z1``. ``parameters`` holds ``W1`` (n1, n0), ``b1`` (n1, 1), ``W2``, ...
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]

LEAK = 0.001


def sigma(z: Array) -> Array:
    """``a = 1 / (1 + e^-z)``, written as ``(1 + tanh(z/2)) / 2``: the same number, and nothing overflows."""
    return (1 + np.tanh(z / 2)) / 2


def g(name: str, z: Array) -> Array:
    """The hidden activations: ``tanh``, ``relu`` (z if z >= 0), ``leaky_relu`` (0.001 z below 0), ``identity``."""
    if name == "tanh":
        return np.tanh(z)
    if name == "relu":
        return np.where(z >= 0, z, 0)
    if name == "leaky_relu":
        return np.where(z >= 0, z, LEAK * z)
    if name == "identity":
        return z
    raise ValueError(f"note 002 has no activation {name!r}")


def g_prime(name: str, z: Array) -> Array:
    """Their derivatives. At z = 0, where there is none, the left one: 0 for ReLU and 0.001 for leaky ReLU."""
    if name == "tanh":
        return 1 - np.tanh(z) ** 2  # da/dz = 1 - tanh^2(z)
    if name == "relu":
        return np.where(z > 0, 1.0, 0.0)
    if name == "leaky_relu":
        return np.where(z > 0, 1.0, LEAK)
    if name == "identity":
        return np.ones_like(z)
    raise ValueError(f"note 002 has no activation {name!r}")


def cost(A: Array, Y: Array) -> Array:
    """``L = -(y log a + (1 - y) log(1 - a))``, averaged over the m samples. Needs 0 < a < 1."""
    return -(Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum() / Y.shape[1]


def dz_through_chain(a: Array, y: Array) -> Array:
    """``dz = dL/da * da/dz`` of the output: multiplied out, it is ``a - y``. Needs 0 < a < 1."""
    dL_da = -y / a + (1 - y) / (1 - a)
    da_dz = a * (1 - a)
    return dL_da * da_dz


def forward(X: Array, parameters: Tensors, activation: str) -> Tensors:
    """``Z[l] = W[l] A[l-1] + b[l]``, ``A[l] = g[l](Z[l])``, sigmoid in the last layer. ``X`` is (n0, m)."""
    L = len(parameters) // 2
    A = X  # A[0]                          (n0, m)
    cache: Tensors = {}
    for l in range(1, L + 1):  # noqa: E741 - the note's own index of layers
        Z = parameters[f"W{l}"] @ A + parameters[f"b{l}"]  # (n[l], n[l-1]) (n[l-1], m) + (n[l], 1)
        A = sigma(Z) if l == L else g(activation, Z)  # A[l] = g[l](Z[l])             (n[l], m)
        cache |= {f"Z{l}": Z, f"A{l}": A}
    return cache


def backward(X: Array, Y: Array, parameters: Tensors, cache: Tensors, activation: str) -> Tensors:
    """The general rules on the note's last page, from ``dZ[L] = A[L] - Y`` down. ``Y`` is (n[L], m)."""
    L = len(parameters) // 2
    m = X.shape[1]
    gradients: Tensors = {}
    dZ = cache[f"A{L}"] - Y  # dz[2] = A[2] - y              (n[L], m)
    for l in range(L, 0, -1):  # noqa: E741
        A_prev = X if l == 1 else cache[f"A{l - 1}"]
        dW = 1 / m * dZ @ A_prev.T  # dW[l] = 1/m dZ[l] A[l-1]T     (n[l], n[l-1])
        db = 1 / m * np.sum(dZ, axis=1, keepdims=True)  # db[l] = 1/m np.sum(dZ[l])     (n[l], 1)
        gradients |= {f"dZ{l}": dZ, f"dW{l}": dW, f"db{l}": db}
        if l > 1:
            dA = parameters[f"W{l}"].T @ dZ  # dA[l-1] = W[l]T dZ[l]         (n[l-1], m)
            gradients[f"dA{l - 1}"] = dA
            dZ = dA * g_prime(activation, cache[f"Z{l - 1}"])  # dZ[l] = dA[l] * g'[l](Z[l])   (n[l-1], m)
    return gradients


def update(parameters: Tensors, gradients: Tensors, learning_rate: float) -> Tensors:
    """``W[l] <- W[l] - learning_rate dW[l]``, and b likewise; the note stops before it."""
    return {name: array - learning_rate * gradients[f"d{name}"] for name, array in parameters.items()}


def step_by_neuron(x: Array, Y: Array, parameters: Tensors, activation: str) -> Tensors:
    """Two layers and one output unit, worked neuron by neuron as the note's 3-4-1, one number at a time.

    Args:
        x: (n0, m).
        Y: (1, m) of 0 and 1.
        parameters: ``W1`` (n1, n0), ``b1`` (n1, 1), ``W2`` (1, n1), ``b2`` (1, 1).

    Returns:
        everything that :func:`forward` and :func:`backward` return together.
    """
    W1, b1, W2, b2 = (parameters[name] for name in ("W1", "b1", "W2", "b2"))
    n1, n0 = W1.shape
    m = x.shape[1]
    hidden = ("Z1", "A1", "dA1", "dZ1")
    q = {name: np.zeros((n1, m)) for name in hidden} | {name: np.zeros((1, m)) for name in ("Z2", "A2", "dZ2")}
    q |= {f"d{name}": np.zeros_like(array) for name, array in parameters.items()}
    for i in range(m):
        z_out = float(b2[0, 0])
        for k in range(n1):
            z = float(b1[k, 0])
            for j in range(n0):
                z += W1[k, j] * x[j, i]  # z_k[1] = w_k[1] x + b_k[1]
            a = float(g(activation, np.asarray(z)))  # a_k(z_k[1])
            q["Z1"][k, i], q["A1"][k, i] = z, a
            z_out += W2[0, k] * a  # z_1[2] = W_11 a_1 + ... + W_1n a_n + b
        a_out = 1 / (1 + math.exp(-z_out))  # a = 1 / (1 + e^-z)
        dz_out = a_out - Y[0, i]  # dz[2] = a[2] - y
        q["Z2"][0, i], q["A2"][0, i], q["dZ2"][0, i] = z_out, a_out, dz_out
        q["db2"][0, 0] += dz_out / m
        for k in range(n1):
            q["dW2"][0, k] += dz_out * q["A1"][k, i] / m
            da = W2[0, k] * dz_out  # da_k[1] = W_1k[2] dz[2]
            dz = da * float(g_prime(activation, q["Z1"][k, i]))  # dz_k[1] = da_k[1] g'(z_k[1])
            q["dA1"][k, i], q["dZ1"][k, i] = da, dz
            q["db1"][k, 0] += dz / m
            for j in range(n0):
                q["dW1"][k, j] += dz * x[j, i] / m
    return q


def collapse(W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, Array]:
    """Two layers without an activation between them are one: ``W = W[2] W[1]``, ``b = W[2] b[1] + b[2]``.

    (n1, n0), (n1, 1), (n2, n1), (n2, 1) -> (n2, n0), (n2, 1).
    """
    return W2 @ W1, W2 @ b1 + b2
