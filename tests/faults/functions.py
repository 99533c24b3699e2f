"""What the faults are made of, in the arrays' own format."""

from __future__ import annotations

import numpy as np


def softmax(Z, axis=0):
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def below(q, layer):
    return q["X"] if layer == 1 else q[f"A{layer - 1}"]


def derivative(case, layer, Z, A):
    return {
        "relu": lambda: (Z > 0) + 0 * Z,
        "leaky_relu": lambda: np.where(Z > 0, 1, case.slope) + 0 * Z,
        "tanh": lambda: 1 - A**2,
        "sigmoid": lambda: A * (1 - A),
        "identity": lambda: 1 + 0 * Z,
    }[case.activations[layer - 1]]()


def over(case):
    """The divisor in the output's delta."""
    return case.divisor if case.averaged_in == "delta" else 1


def within(case):
    """The divisor in dW and db."""
    return case.divisor if case.averaged_in == "gradient" else 1


def dropped(q, share, scale):
    """A dropout mask of A1's shape, always the same."""
    return (np.random.default_rng(7).random(q["Z1"].shape) >= share) * scale


def other_than(case, activation):
    return next(name for name in ("tanh", "relu", "sigmoid") if name != activation)


def step(case):
    """What multiplies a gradient in the update."""
    return case.learning_rate / (case.divisor if case.averaged_in == "update" else 1)
