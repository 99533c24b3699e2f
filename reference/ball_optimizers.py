"""Optimizers in balls: what each keeps of a parameter, then the parameter, from what was kept.

The formulas are those of the papers that :mod:`reference.optimizers` names. Constants (mu, beta, epsilon, lambda) and
the bias corrections ``1 - beta^t`` are the specification's float64 numbers; ``1 - beta`` is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backproof.optimizer import Optimizer
from reference.ball_losses import Balls, each


def gradient(optimizer: Optimizer, W: Balls, dW: Balls) -> Balls:
    """``g = dW + lambda W`` where the decay is coupled, else dW."""
    return dW + optimizer.coupled * W if optimizer.coupled else dW


def moments(optimizer: Optimizer, g: Balls, state: Mapping[str, Balls], one: Any) -> Iterator[tuple[str, Balls]]:
    """``v = mu v + g``, ``m = beta1 m + (1 - beta1) g``, ``s = beta2 s + (1 - beta2) g^2``: those that it keeps.

    Args:
        one: the ball 1, from which β is taken without rounding.
    """
    for kind, before in state.items():
        if kind == "v":
            yield kind, optimizer.momentum * before + g
        elif kind == "m":
            yield kind, optimizer.betas[0] * before + (one - optimizer.betas[0]) * g
        else:
            yield kind, optimizer.second * before + (one - optimizer.second) * each(lambda x: x**2, g)


def descent(optimizer: Optimizer, W: Balls, g: Balls, kept: Mapping[str, Balls], alpha: Any, t: int) -> Balls:
    """``W - alpha`` times g, v, ``g + mu v``, ``m^ / (sqrt(s^) + eps)`` or ``g / (sqrt(s) + eps)``; AdamW's W decays.

    Args:
        kept: the state after this step. t: its number, from 1.
    """
    first, second = optimizer.corrections(t)
    if optimizer.name == "sgd":
        return W - alpha * g
    if optimizer.name == "momentum":
        return W - alpha * kept["v"]
    if optimizer.name == "nesterov":
        return W - alpha * (g + optimizer.momentum * kept["v"])
    if optimizer.name == "rmsprop":
        return W - alpha * g / _root(optimizer, kept["s"])
    return W - alpha * (kept["m"] / first / _root(optimizer, kept["s"] / second) + optimizer.decoupled * W)


def _root(optimizer: Optimizer, s: Balls) -> Balls:
    """``sqrt(s) + eps`` or ``sqrt(s + eps)``; an s is never negative, whatever its ball reaches down to."""
    if optimizer.epsilon_inside:
        return each(lambda x: (x.nonnegative_part() + optimizer.epsilon).sqrt(), s)
    return each(lambda x: x.nonnegative_part().sqrt(), s) + optimizer.epsilon
