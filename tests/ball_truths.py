"""A step in mpmath, at 240 digits: the textbook's forward pass, and every derivative as a central difference of it.

No rule of differentiation is used, so that nothing is shared with the enclosures. With a step of 1e-60 a difference is
off by h^2/6 f''' (1e-120) and by 240 digits over h (1e-180).
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from backproof.network import Network
from backproof.training import Training
from tests.support import Array

DIGITS = 240
ERROR = 1e-100
"""Far above the difference's own error, far below a ball's radius at 128 bits."""


def each(function: Any, *arrays: Array) -> Array:
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def number(value: Any) -> Any:
    return mpmath.mpf(float(value))


def softmax(Z: Array) -> Array:
    E = each(mpmath.exp, Z)
    return E / E.sum(axis=0)


def activate(network: Network, name: str, Z: Array) -> Array:
    one, slope = mpmath.mpf(1), number(network.slope)
    return {
        "relu": lambda: each(lambda z: max(z, 0 * one), Z),
        "leaky_relu": lambda: each(lambda z: max(z, slope * z), Z),
        "tanh": lambda: each(mpmath.tanh, Z),
        "sigmoid": lambda: each(lambda z: one / (1 + mpmath.exp(-z)), Z),
        "identity": lambda: Z,
        "softmax": lambda: softmax(Z),
    }[name]()


def loss(network: Network, A: Array, Y: Array) -> Any:
    terms = {
        "cross_entropy": lambda a, y: -y * mpmath.log(a),
        "binary_cross_entropy": lambda a, y: -y * mpmath.log(a) - (1 - y) * mpmath.log(1 - a),
        "mse": lambda a, y: (a - y) ** 2,
    }[network.loss]
    m = {"sum": 1, "mean_over_samples": A.shape[1], "mean": A.shape[1] if network.loss == "cross_entropy" else A.size}
    return each(terms, A, Y).sum() / m[network.reduction] / (2 if network.half else 1)


class Truth:
    """A network's step from exact operands."""

    def __init__(self, given: Training) -> None:
        network, Y = given.network, given.Y
        self.given, self.network, self.parameters = (
            given,
            network,
            {name: each(number, W) for name, W in given.parameters.items()},
        )
        self.X = each(number, given.X)
        self.Y = each(number, np.arange(network.sizes[-1])[:, None] == Y if network.labels == "integer" else Y)
        self.alpha = number(network.learning_rate / (given.samples if network.learning_rate_over_m else 1))

    def forward(self, at: str = "", index: tuple[int, int] = (0, 0), change: Any = 0) -> dict[str, Array]:
        """Z, A and the loss, with one element of a parameter, a Z or an A changed."""

        def nudged(name: str, value: Array) -> Array:
            if name == at:
                value = value.copy()
                value[index] += change
            return value

        found, A, penalty = {}, self.X, mpmath.mpf(0)
        for layer, name in enumerate(self.network.activations, 1):
            W, b = (nudged(key, self.parameters[key]) for key in (f"W{layer}", f"b{layer}"))
            found[f"Z{layer}"] = Z = nudged(f"Z{layer}", W.dot(A) + b)
            found[f"A{layer}"] = A = nudged(f"A{layer}", activate(self.network, name, Z))
            penalty += (W * W).sum()
        value = loss(self.network, A, self.Y) + number(self.network.weight_decay) / 2 * penalty
        return found | {"loss": np.array(value, object)}

    def derivative(self, name: str) -> Array:
        """Of the loss, with respect to each element of a parameter, a Z or an A."""
        shape, h = (self.parameters | self.forward())[name].shape, mpmath.mpf(10) ** -60

        def element(*index: int) -> Any:
            above, below = (self.forward(name, index, change)["loss"][()] for change in (h, -h))
            return (above - below) / (2 * h)

        return each(element, *np.indices(shape).astype(object))

    def step(self, names: list[str]) -> dict[str, Array]:
        """The quantities of these names."""
        found = self.forward()
        found |= {name: self.derivative(name[1:]) for name in names if name.startswith("d")}
        for name in self.parameters:
            found |= self.update(name, found[f"d{name}"])
        return found

    def update(self, name: str, g: Array) -> dict[str, Array]:
        """The optimizers of the papers, one sum after the other."""
        rule, W, t = self.network.optimizer, self.parameters[name], self.given.first + 1
        mu, beta, second, eps = map(number, (rule.momentum, rule.betas[0], rule.second, rule.epsilon))
        first_correction, second_correction = map(number, rule.corrections(t))
        before = {kept[0]: each(number, self.given.state[kept]) for kept in rule.state(name)}
        g = g + number(rule.coupled) * W
        after = {
            "v": lambda: mu * before["v"] + g,
            "m": lambda: beta * before["m"] + (1 - beta) * g,
            "s": lambda: second * before["s"] + (1 - second) * g * g,
        }
        kept = {kind: after[kind]() for kind in before}

        def over_root(value: Array, s: Array) -> Array:
            return value / (each(mpmath.sqrt, s + eps) if rule.epsilon_inside else each(mpmath.sqrt, s) + eps)

        def adam() -> Array:
            return over_root(kept["m"] / first_correction, kept["s"] / second_correction)

        steps = {
            "sgd": lambda: g, "momentum": lambda: kept["v"], "nesterov": lambda: g + mu * kept["v"],
            "adam": adam, "adamw": lambda: adam() + number(rule.decoupled) * W,
            "rmsprop": lambda: over_root(g, kept["s"]),
        }  # fmt: skip
        return {f"{k}{name}_next": x for k, x in kept.items()} | {f"{name}_next": W - self.alpha * steps[rule.name]()}
