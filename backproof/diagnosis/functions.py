"""The functions that somebody may have taken instead, and their derivatives, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import erf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SLOPES = (0.01, 0.001, 0.1, 0.2, 0.3)
"""Of leaky ReLU, as people take them."""


def sigmoid(Z: Array) -> Array:
    """``1 / (1 + e^-z)``."""
    return np.asarray(1 / (1 + np.exp(-np.clip(Z, -700, 700))))


def softmax(Z: Array, axis: int = 0) -> Array:
    """Along an axis: 0 are the classes, 1 are the samples."""
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return np.asarray(E / E.sum(axis=axis, keepdims=True))


def activated(name: str, Z: Array, slope: float) -> Array:
    """The activation of a network, by name."""
    functions: dict[str, Callable[[], Array]] = {
        "relu": lambda: np.maximum(Z, 0),
        "leaky_relu": lambda: np.where(Z > 0, Z, slope * Z),
        "tanh": lambda: np.tanh(Z),
        "sigmoid": lambda: sigmoid(Z),
        "identity": lambda: Z,
        "softmax": lambda: softmax(Z),
    }
    return functions[name]()


def activations(Z: Array, slope: float) -> Iterator[tuple[str, Array]]:
    """Every activation that somebody may have taken instead, by name."""
    cube = Z + 0.044715 * Z**3
    yield "relu", np.maximum(Z, 0)
    yield "tanh", np.tanh(Z)
    yield "sigmoid", sigmoid(Z)
    yield "identity", Z
    for other in dict.fromkeys((slope, *SLOPES)):
        yield f"leaky_relu with slope {other:g}", np.where(Z > 0, Z, other * Z)
    yield "softplus", np.logaddexp(0, Z)
    yield "elu", np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0)))
    yield "gelu (erf)", 0.5 * Z * (1 + np.vectorize(erf, otypes=[np.float64])(Z / sqrt(2)))
    yield "gelu (tanh)", 0.5 * Z * (1 + np.tanh(sqrt(2 / np.pi) * cube))
    yield "silu", Z * sigmoid(Z)
    yield "abs", np.abs(Z)
    yield "relu6", np.clip(Z, 0, 6)


def derivatives(Z: Array, slope: float) -> Iterator[tuple[str, Array]]:
    """Elementwise derivatives at Z, by name."""
    s, t = sigmoid(Z), np.tanh(Z)
    yield "relu", (Z > 0).astype(np.float64)
    yield "tanh", 1 - t * t
    yield "sigmoid", s * (1 - s)
    yield "leaky_relu", np.where(Z > 0, 1.0, slope)
    for other in SLOPES:
        if other != slope:
            yield f"leaky_relu with slope {other:g}", np.where(Z > 0, 1.0, other)


def derived(name: str, Z: Array, slope: float) -> Array:
    """The derivative of a hidden activation, by name."""
    return np.ones_like(Z) if name == "identity" else dict(derivatives(Z, slope))[name]
