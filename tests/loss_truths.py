"""The losses of the output A and their derivatives in decimal arithmetic: operands, value, unit and budget of each."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
OUTPUT = np.array([
    [1e-30, 1e-3, 0.3, 0.5, 0.999, 0.25], [0.1, 0.2, 0.4, 0.6, 1 - 1e-6, 0.9], [1e-5, 0.7, 0.8, 0.01, 0.02, 0.03]
])  # fmt: skip
REAL = np.array([[0.0, 1.5, -2.0, 0.25, 3e4, 1e-3], [1.0, 0.2, 0.0, 0.5, 0.75, 0.1], [2.0, -0.7, 0.3, 1e-9, 1.0, 0.0]])
DIVISOR = 6


def _each(function: Any, *arrays: Array) -> Array:
    return np.vectorize(lambda *values: float(function(*(Decimal(float(v)) for v in values))), otypes=[float])(*arrays)


def _total(function: Any, *arrays: Array) -> Array:
    terms = (
        function(*(Decimal(float(v)) for v in values)) for values in zip(*(a.ravel() for a in arrays), strict=True)
    )
    return np.asarray(float(sum(terms, Decimal(0)) / DIVISOR))


def _jacobian(dA: Array, A: Array, absolute: bool) -> Array:
    size = abs if absolute else (lambda value: value)
    rows = []
    for d, a in zip(dA.T, A.T, strict=True):
        d, a = [Decimal(float(v)) for v in d], [Decimal(float(v)) for v in a]
        inner = sum((size(x) * y for x, y in zip(d, a, strict=True)), Decimal(0))
        rows.append([float(y * (size(x) + inner if absolute else x - inner)) for x, y in zip(d, a, strict=True)])
    return np.array(rows).T


def loss_truths(dA: Array, integers: Array, binary: Array) -> dict[str, tuple[Any, ...]]:
    """``{formula: (operands, exact, unit, budget)}``; call it with 60 digits of precision."""
    one_hot = np.eye(3)[:, integers[0]]

    def logarithm(a: Decimal, y: Decimal) -> Decimal:
        return -y * a.ln() if y else Decimal(0)

    def binary_term(a: Decimal, y: Decimal) -> Decimal:
        return -(a.ln() if y else (1 - a).ln())

    return {
        "mse": ((OUTPUT, REAL), *[_total(lambda a, y: (a - y) ** 2, OUTPUT, REAL)] * 2, 4),
        "cross_entropy_of_output": (
            (OUTPUT, integers), *[_total(logarithm, OUTPUT, one_hot)] * 2, 4
        ),
        "binary_cross_entropy_of_output": (
            (OUTPUT, binary),
            _total(binary_term, OUTPUT, binary),
            _total(lambda a, y: binary_term(a, y) + (1 - y), OUTPUT, binary),
            4,
        ),
        "output_minus_labels": (
            (OUTPUT, REAL), _each(lambda a, y: (a - y) / DIVISOR, OUTPUT, REAL),
            _each(lambda a, y: abs((a - y) / DIVISOR), OUTPUT, REAL), 4,
        ),
        "rounded_output_minus_labels": (
            (OUTPUT, REAL), _each(lambda a, y: (a - y) / DIVISOR, OUTPUT, REAL),
            _each(lambda a, y: (a * (1 + abs(a.ln())) + abs(y)) / DIVISOR, OUTPUT, REAL),
            8 + 2 * len(OUTPUT) ** 0.5,
        ),
        "mse_gradient": (
            (OUTPUT, REAL), _each(lambda a, y: 2 * (a - y) / DIVISOR, OUTPUT, REAL),
            _each(lambda a, y: abs(2 * (a - y) / DIVISOR), OUTPUT, REAL), 4,
        ),
        "cross_entropy_gradient": (
            (OUTPUT, integers), *[sign * _each(lambda a, y: y / a / DIVISOR, OUTPUT, one_hot) for sign in (-1, 1)], 4
        ),
        "binary_cross_entropy_gradient": (
            (OUTPUT, binary), _each(lambda a, y: (-1 / a if y else 1 / (1 - a)) / DIVISOR, OUTPUT, binary),
            _each(lambda a, y: (1 / a if y else 1 / (1 - a)) / DIVISOR, OUTPUT, binary), 6,
        ),
        "through_softmax": (
            (dA, OUTPUT), _jacobian(dA, OUTPUT, False), _jacobian(dA, OUTPUT, True), 6 + 2 * 3**0.5
        ),
    }  # fmt: skip
