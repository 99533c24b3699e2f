"""Ball arithmetic: enclosures of the exact real training step (python-flint, the extra ``balls``).

A ball ``[mid +- rad]`` contains the real number that it stands for, because every operation rounds its radius up
(Johansson, *Arb: efficient arbitrary-precision midpoint-radius interval arithmetic*, 2017). A step that is evaluated in
balls, from the floating-point parameters and data that a run was given, therefore encloses what this run would have
computed without any rounding:

    forward     Z_l = W_l A_{l-1} + b_l      A_l = g_l(Z_l)
    backward    dW_l = dZ_l A_{l-1}^T + lambda W_l      db_l = sum over samples of dZ_l      dA_{l-1} = W_l^T dZ_l
    update      W_l - alpha dW_l      b_l - alpha db_l      (or another optimizer's)

Here nothing is reformulated for the sake of rounding: losses and deltas stand as their definitions, so that they share
no cancellation with what they judge. The learning rate, lambda and the slope of leaky ReLU count as rounded in the
format of X, as everywhere.

What the next equation takes of a quantity is the caller's to say (``hand_on``): the enclosure itself (end to end), what
a run recorded (each equation from its own operands), or the enclosure widened by what rounding may do (a propagated
budget: a run whose every equation keeps its budget stays inside, by induction).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flint
import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.network import KINKED, Network
from reference import ball_losses, ball_optimizers
from reference.ball_losses import Balls, each

Array = NDArray[Any]
HandOn = Callable[[str, Balls], Balls]
"""Name of a quantity and its enclosure -> what the equations after it take for it."""

PRECISION = 128
"""Bits: 75 more than float64 has, so that the radii vanish beside a float64 run's rounding."""


def balls(array: Array) -> Balls:
    """The numbers of a floating-point or integer array, each a ball of radius 0."""
    return each(flint.arb, np.asarray(np.asarray(array, np.float64), object))


def widened(enclosure: Balls, allowance: Array) -> Balls:
    """Every ball with its radius (30 bits, rounded up) larger by an ``allowance``, finite and not negative."""
    return each(flint.arb, enclosure, np.asarray(np.asarray(allowance, np.float64), object))


def distance(values: Array, enclosure: Balls) -> Array:
    """How far each floating-point number lies outside of its ball, in float64: 0 inside.

    Raises:
        BackproofError: when the shapes differ, or a ball or a number is not finite: nothing is outside of such a ball.
    """
    if np.shape(values) != np.shape(enclosure):
        raise BackproofError(f"values of shape {np.shape(values)} have enclosures of shape {np.shape(enclosure)}")
    if not (np.isfinite(values).all() and each(lambda ball: ball.is_finite(), enclosure).astype(bool).all()):
        raise BackproofError("a value or its enclosure is not finite")
    return _floats(each(lambda value, ball: (value - ball).abs_lower(), balls(values), enclosure))


def radii(enclosure: Balls) -> Array:
    """The radius of each ball, in float64."""
    return _floats(each(lambda ball: ball.rad(), enclosure))


def enclosures(
    network: Network,
    parameters: Mapping[str, Array],
    X: Array,
    Y: Array,
    precision: int = PRECISION,
    hand_on: HandOn | None = None,
    step: int = 0,
) -> dict[str, Balls]:
    """Enclosures of every quantity of one step, canonical form: ``Z1``, ``A1``, ..., ``loss``, ``dZ1``, ``W1_next``.

    Args:
        parameters: ``W1`` (out, in), ``b1`` (out, 1), ..., and what the optimizer has kept, ``vW1``, ... (as
            ``Training.start`` has them); exact, whatever their format.
        X: features x m; its dtype is the format that the constants count as rounded in. Y: as the network's labels.
        precision: bits of the midpoints.
        hand_on: what takes the place of an enclosure in the equations after it; without it, the enclosure itself.
        step: its index in the run, from 0, which a schedule and Adam look at.

    Raises:
        BackproofError: for a ball on both sides of a kink, where the derivative has no enclosure that says anything.
    """
    with flint.ctx.workprec(precision):
        return _Step(network, parameters, X, Y, hand_on).run(step)


class _Step:
    """What is known of a step: the enclosures found, and the operands that are handed on."""

    def __init__(
        self, network: Network, parameters: Mapping[str, Array], X: Array, Y: Array, hand_on: HandOn | None
    ) -> None:
        self.network, self.hand_on, self.m = network, hand_on, X.shape[1]
        self.kind = X.dtype.type
        one_hot = np.arange(network.sizes[-1])[:, None] == Y if network.labels == "integer" else Y
        self.Y = balls(one_hot)
        self.operands = {name: balls(array) for name, array in parameters.items()} | {"A0": balls(X)}
        self.found: dict[str, Balls] = {}

    def run(self, step: int) -> dict[str, Balls]:
        """All of it, in the order of computation."""
        L = self.network.depth
        for layer in range(1, L + 1):
            self.forward(layer)
        self.put("loss", self.loss())
        for layer in range(L, 0, -1):
            self.backward(layer)
        for name in self.network.parameter_shapes():
            self.update(name, self.constant(self.network.step_size(self.m, step)), step + 1)
        return self.found

    def put(self, name: str, enclosure: Balls) -> None:
        self.found[name] = enclosure
        self.operands[name] = self.hand_on(name, enclosure) if self.hand_on else enclosure

    def constant(self, number: float) -> Any:
        return flint.arb(float(self.kind(number)))

    def forward(self, layer: int) -> None:
        W, b, A = (self.operands[name] for name in (f"W{layer}", f"b{layer}", f"A{layer - 1}"))
        self.put(f"Z{layer}", product(W, A) + b)
        name, Z = self.network.activations[layer - 1], self.operands[f"Z{layer}"]
        if name in KINKED:
            self.put(f"A{layer}", Z * self.slopes(layer))
        else:
            self.put(f"A{layer}", ACTIVATIONS[name](Z))

    def slopes(self, layer: int) -> Balls:
        """g'(Z) of a kinked activation, 1 above 0 and the lower slope elsewhere: ``A = Z g'(Z)`` too."""
        Z, name = self.operands[f"Z{layer}"], self.network.activations[layer - 1]
        straddles = each(lambda z: z.contains(0) and not z.is_zero(), Z).astype(bool)
        if straddles.any():
            row, sample = (int(i) for i in np.argwhere(straddles)[0])
            raise BackproofError(
                f"{self.network.name}: the enclosure of Z{layer} of unit {row}, sample {sample} is on both sides of "
                f"the kink at 0 ({Z[row, sample].str(3)}); take more bits, or other data"
            )
        lower = flint.arb(0) if name == "relu" else self.constant(self.network.slope)
        return each(lambda z: flint.arb(1) if z > 0 else lower, Z)

    def loss(self) -> Balls:
        network, L = self.network, self.network.depth
        operand = self.operands[f"Z{L}" if network.joint else f"A{L}"]
        terms = ball_losses.TERMS[network.loss, network.joint](operand, self.Y)
        value = terms.sum() / network.divisor(self.m) / (2 if network.half else 1)
        if network.weight_decay:
            weights = (self.operands[f"W{layer}"] for layer in range(1, L + 1))
            value += self.constant(network.weight_decay) / 2 * sum((W * W).sum() for W in weights)
        return np.array(value, object)

    def backward(self, layer: int) -> None:
        network, L = self.network, self.network.depth
        if layer < L:
            self.put(f"dA{layer}", product(self.operands[f"W{layer + 1}"].T, self.operands[f"dZ{layer + 1}"]))
        elif not network.joint:
            slopes = ball_losses.GRADIENTS[network.loss](self.operands[f"A{L}"], self.Y)
            self.put(f"dA{L}", slopes / network.divisor(self.m) / (2 if network.half else 1))
        self.put(f"dZ{layer}", self.joint_delta() if layer == L and network.joint else self.through(layer))
        dZ = self.operands[f"dZ{layer}"]
        dW = product(dZ, self.operands[f"A{layer - 1}"].T)
        if network.weight_decay:
            dW = dW + self.constant(network.weight_decay) * self.operands[f"W{layer}"]
        self.put(f"dW{layer}", dW)
        self.put(f"db{layer}", dZ.sum(axis=1, keepdims=True))

    def update(self, name: str, alpha: Any, t: int) -> None:
        optimizer, W = self.network.optimizer, self.operands[name]
        g = ball_optimizers.gradient(optimizer, W, self.operands[f"d{name}"])
        state = {kept[0]: self.operands[kept] for kept in optimizer.state(name)}
        for kind, moment in ball_optimizers.moments(optimizer, g, state, flint.arb(1)):
            self.put(f"{kind}{name}_next", moment)
        kept = {kind: self.operands[f"{kind}{name}_next"] for kind in state}
        self.put(f"{name}_next", ball_optimizers.descent(optimizer, W, g, kept, alpha, t))

    def joint_delta(self) -> Balls:
        """``(g(Z) - Y) / divisor`` of softmax with cross-entropy and sigmoid with binary cross-entropy."""
        L = self.network.depth
        A = ACTIVATIONS[self.network.activations[-1]](self.operands[f"Z{L}"])
        return (A - self.Y) / self.network.divisor(self.m)

    def through(self, layer: int) -> Balls:
        """``dZ = dA * g'``, from Z where the activation is kinked and from A where it is not."""
        dA, A, name = self.operands[f"dA{layer}"], self.operands[f"A{layer}"], self.network.activations[layer - 1]
        if name in KINKED:
            return dA * self.slopes(layer)
        if name == "softmax":
            return A * (dA - (dA * A).sum(axis=0, keepdims=True))
        return dA * DERIVATIVES[name](A)


def product(left: Balls, right: Balls) -> Balls:
    """``left right``: (p, K) (K, q) -> (p, q)."""
    found = flint.arb_mat(*left.shape, left.ravel().tolist()) * flint.arb_mat(*right.shape, right.ravel().tolist())
    result = np.empty(left.shape[0] * right.shape[1], object)
    result[:] = found.entries()
    return result.reshape(left.shape[0], right.shape[1])


def sigmoid(Z: Balls) -> Balls:
    """``1 / (1 + e^-z)``."""
    return each(lambda z: 1 / (1 + (-z).exp()), Z)


def softmax(Z: Balls) -> Balls:
    """``e^z_i / sum_j e^z_j`` of each sample (column); an exponent of a ball cannot overflow."""
    E = each(lambda z: z.exp(), Z)
    return E / E.sum(axis=0, keepdims=True)


ACTIVATIONS: dict[str, Callable[[Balls], Balls]] = {
    "tanh": lambda Z: each(lambda z: z.tanh(), Z), "sigmoid": sigmoid, "identity": lambda Z: Z, "softmax": softmax,
}  # fmt: skip
DERIVATIVES: dict[str, Callable[[Balls], Balls]] = {
    "tanh": lambda A: 1 - A * A, "sigmoid": lambda A: A * (1 - A), "identity": lambda A: A * 0 + 1,
}  # fmt: skip


def _floats(numbers: Balls) -> Array:
    return np.asarray(each(float, numbers), np.float64)
