"""Optimizers from scratch: one function for each, ``(g, W, state, ...) -> (W', state')``, element by element.

``g`` is the gradient, ``alpha`` the learning rate, ``t`` the number of the step, from 1. Everything stays in the
arrays' own format; the bias corrections alone are evaluated in float64 and rounded, for ``1 - 0.999^t`` cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.optimizer import Optimizer

Array = NDArray[Any]
State = dict[str, Array]
Rule = Callable[[Optimizer, Array, Array, State, Any, int], tuple[Array, State]]


def sgd(optimizer: Optimizer, g: Array, W: Array, state: State, alpha: Any, t: int) -> tuple[Array, State]:
    """``W - alpha g`` (Robbins and Monro, 1951)."""
    return W - alpha * g, {}


def momentum(optimizer: Optimizer, g: Array, W: Array, state: State, alpha: Any, t: int) -> tuple[Array, State]:
    """``v = mu v + g``, ``W - alpha v``: the heavy ball (Polyak, 1964, equation 9), with α outside of v."""
    v = _as(g, optimizer.momentum) * state["v"] + g
    return W - alpha * v, {"v": v}


def nesterov(optimizer: Optimizer, g: Array, W: Array, state: State, alpha: Any, t: int) -> tuple[Array, State]:
    """``v = mu v + g``, ``W - alpha (g + mu v)``.

    Sutskever et al. (2013), equations 3 and 4, take the gradient at ``W + mu v``; this is the same in terms of that
    point (Bengio et al., 2012, equation 7), as long as α does not change.
    """
    mu = _as(g, optimizer.momentum)
    v = mu * state["v"] + g
    return W - alpha * (g + mu * v), {"v": v}


def adam(optimizer: Optimizer, g: Array, W: Array, state: State, alpha: Any, t: int) -> tuple[Array, State]:
    """Kingma and Ba (2015), algorithm 1 (its v is s here)."""
    first, second = optimizer.betas
    m = _as(g, first) * state["m"] + _as(g, 1 - first) * g
    s = _as(g, second) * state["s"] + _as(g, 1 - second) * (g * g)
    m_hat, s_hat = m / _as(g, 1 - first**t), s / _as(g, 1 - second**t)
    return W - alpha * (m_hat / _root(optimizer, s_hat)), {"m": m, "s": s}


def adamw(optimizer: Optimizer, g: Array, W: Array, state: State, alpha: Any, t: int) -> tuple[Array, State]:
    """Loshchilov and Hutter (2019), algorithm 2, with ``alpha lambda`` in the place of ``eta_t lambda``, as both
    libraries have it: the decay is taken from W and does not enter the moments.
    """
    after, kept = adam(optimizer, g, W, state, alpha, t)
    return after - alpha * (_as(g, optimizer.decoupled) * W), kept


def rmsprop(optimizer: Optimizer, g: Array, W: Array, state: State, alpha: Any, t: int) -> tuple[Array, State]:
    """``s = rho s + (1 - rho) g^2``, ``W - alpha g/(sqrt(s) + eps)`` (Hinton, *Neural Networks for Machine Learning*,
    lecture 6e, 2012, which has no ε).
    """
    s = _as(g, optimizer.decay) * state["s"] + _as(g, 1 - optimizer.decay) * (g * g)
    return W - alpha * (g / _root(optimizer, s)), {"s": s}


RULES: dict[str, Rule] = {
    "sgd": sgd, "momentum": momentum, "nesterov": nesterov, "adam": adam, "adamw": adamw, "rmsprop": rmsprop,
}  # fmt: skip


def update(optimizer: Optimizer, start: State, gradients: State, alpha: Any, t: int) -> State:
    """Parameters and state after step ``t``, by name, from those before it.

    Args:
        start: ``W1``, ``vW1``, ...
        gradients: ``dW1``, ...
        alpha: in the arrays' format.
    """
    after: State = {}
    for name in (name.removeprefix("d") for name in gradients):
        W, g = start[name], gradients[f"d{name}"]
        if optimizer.coupled:
            g = g + _as(g, optimizer.coupled) * W
        state = {kept[0]: start[kept] for kept in optimizer.state(name)}
        after[name], state = RULES[optimizer.name](optimizer, g, W, state, alpha, t)
        after |= {f"{kind}{name}": array for kind, array in state.items()}
    return after


def _as(like: Array, number: float) -> Any:
    return like.dtype.type(number)


def _root(optimizer: Optimizer, s: Array) -> Array:
    epsilon = _as(s, optimizer.epsilon)
    return np.asarray(np.sqrt(s + epsilon) if optimizer.epsilon_inside else np.sqrt(s) + epsilon)
