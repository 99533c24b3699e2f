"""The optimizers' formulas in decimal arithmetic, with the constants that an optimizer has by default, in step 1."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
ALPHA, MU, BETA1, BETA2, EPSILON = map(Decimal, (0.1, 0.9, 0.9, 0.999, 1e-8))


def _each(function: Callable[..., Decimal], *arrays: Array) -> Array:
    return np.vectorize(lambda *values: float(function(*map(Decimal, map(float, values)))), otypes=[float])(*arrays)


def _adam(W: Decimal, m: Decimal, s: Decimal) -> Decimal:
    return ALPHA * (m / (1 - BETA1)) / ((s / (1 - BETA2)).sqrt() + EPSILON)


def _rmsprop(W: Decimal, s: Decimal, g: Decimal) -> Decimal:
    return ALPHA * g / (s.sqrt() + EPSILON)


def optimizer_truths(Z: Array, dA: Array, A: Array) -> dict[str, tuple[tuple[Array, ...], Array, Array, float]]:
    """``{formula: (operands, exact, unit, budget)}``; call it with 60 digits of precision."""
    squares = dA * dA

    def kept(keep: Decimal, new: Decimal, kept_units: Decimal, new_units: Decimal, power: int = 1) -> tuple[Any, ...]:
        def exact(old: Decimal, g: Decimal) -> Decimal:
            return keep * old + new * g**power

        def unit(old: Decimal, g: Decimal) -> Decimal:
            return kept_units * abs(old) + new_units * abs(g) ** power + abs(exact(old, g))

        return (Z, dA), _each(exact, Z, dA), _each(unit, Z, dA), 1.5

    def stepped(step: Callable[..., Decimal], units: Callable[..., Decimal], *operands: Array) -> tuple[Any, ...]:
        exact = _each(lambda W, *rest: W - step(W, *rest), Z, *operands)
        unit = _each(lambda W, *rest: units(W, *rest) + abs(W - step(W, *rest)), Z, *operands)
        return (Z, *operands), exact, unit, 1.5

    def ahead(W: Decimal, v: Decimal, g: Decimal) -> Decimal:
        return g + MU * v

    adam = stepped(_adam, lambda *values: 9 * abs(_adam(*values)), dA, squares)
    descended = stepped(lambda W, d: ALPHA * d, lambda W, d: 2 * abs(ALPHA * d), dA)
    return {
        "velocity": kept(MU, Decimal(1), 2 * MU, Decimal(0)),
        "first_moment": kept(BETA1, 1 - BETA1, 2 * BETA1, 3 * (1 - BETA1)),
        "second_moment": kept(BETA2, 1 - BETA2, 2 * BETA2, 3 * (1 - BETA2), 2),
        "sgd_descent": descended,
        "momentum_descent": descended,
        "nesterov_descent": stepped(
            lambda *values: ALPHA * ahead(*values),
            lambda W, v, g: ALPHA * (3 * abs(ahead(W, v, g)) + 2 * abs(MU * v)), A, dA,
        ),
        "adam_descent": adam,
        "adamw_descent": adam,
        "rmsprop_descent": stepped(_rmsprop, lambda *values: 5 * abs(_rmsprop(*values)), squares, dA),
    }  # fmt: skip
