"""The equations of a training step, as data: what was produced, from which recorded operands, by which rule.

An equation knows no arrays. ``Product`` rules share one unit (see :mod:`backproof.rounding`); the elementwise rules
name a formula of :mod:`backproof.elementwise`, which has its own. A convolution, a normalisation or an optimizer with
state is a further equation, not a further mechanism.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from backproof.network import Network

ONES = "1"
"""The operand of a sum over samples: a row of m ones, so that ``db = dZ 1^T`` is a product like ``dW = dZ A^T``."""


@dataclass(frozen=True)
class Product:
    """``op(left) op(right) (+ bias)``; an operand is transposed where its flag says so."""

    left: str
    right: str
    left_transposed: bool = False
    right_transposed: bool = False
    bias: str | None = None

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the recorded arrays that the product is made of."""
        names = (self.left, self.right) if self.bias is None else (self.left, self.right, self.bias)
        return tuple(name for name in names if name != ONES)


@dataclass(frozen=True)
class Elementwise:
    """A formula of :mod:`backproof.elementwise` applied to recorded arrays (a loss is one with one element)."""

    formula: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Equation:
    """One equation of a step.

    Attributes:
        target: the quantity that it produces, such as ``dW3``; also the equation's name.
        layer: the layer that it belongs to (the loss belongs to the output layer).
        rule: how the target follows from its operands.
        text: the equation as one writes it.
    """

    target: str
    layer: int
    rule: Product | Elementwise
    text: str


@lru_cache(maxsize=64)
def equations(network: Network) -> tuple[Equation, ...]:
    """All equations of one training step, in the order of computation: forward, loss, backward, update."""
    return (*_forward(network), *_backward(network), *_update(network))


def _forward(network: Network) -> Iterator[Equation]:
    for layer, activation in enumerate(network.activations, 1):
        below = "X" if layer == 1 else f"A{layer - 1}"
        W, b, Z, A = f"W{layer}", f"b{layer}", f"Z{layer}", f"A{layer}"
        yield Equation(Z, layer, Product(W, below, bias=b), f"{Z} = {W}·{below} + {b}")
        yield Equation(A, layer, Elementwise(activation, (Z,)), f"{A} = {activation}({Z})")
    L = network.depth
    yield Equation("loss", L, Elementwise(network.loss, (f"Z{L}", "Y")), f"loss = {network.loss}(Z{L}, Y)")


def _backward(network: Network) -> Iterator[Equation]:
    L = network.depth
    for layer in range(L, 0, -1):
        dZ, dA, A = f"dZ{layer}", f"dA{layer}", f"A{layer}"
        if layer == L:
            divisor = {"sum": "", "mean": "/m" if network.loss == "cross_entropy" else "/(m·n)"}[network.reduction]
            rule = Elementwise(f"{network.loss}_delta", (f"Z{L}", "Y"))
            yield Equation(dZ, L, rule, f"{dZ} = ({network.activations[-1]}(Z{L}) − Y){divisor}")
        else:
            above = layer + 1
            product = Product(f"W{above}", f"dZ{above}", left_transposed=True)
            yield Equation(dA, layer, product, f"{dA} = W{above}ᵀ·dZ{above}")
            activation = network.activations[layer - 1]
            # The smooth derivatives are functions of A (1 − A², A(1 − A)); the kinked ones of the side of Z.
            of = {"tanh": (A,), "sigmoid": (A,), "identity": ()}.get(activation, (f"Z{layer}",))
            text = f"{dZ} = {dA}" if activation == "identity" else f"{dZ} = {dA} ⊙ {activation}′(Z{layer})"
            yield Equation(dZ, layer, Elementwise(f"through_{activation}", (dA, *of)), text)
        below = "X" if layer == 1 else f"A{layer - 1}"
        dW, db = f"dW{layer}", f"db{layer}"
        yield Equation(dW, layer, Product(dZ, below, right_transposed=True), f"{dW} = {dZ}·{below}ᵀ")
        yield Equation(db, layer, Product(dZ, ONES, right_transposed=True), f"{db} = Σ {dZ} over samples")


def _update(network: Network) -> Iterator[Equation]:
    for layer in range(1, network.depth + 1):
        for name in (f"W{layer}", f"b{layer}"):
            rule = Elementwise("gradient_descent", (name, f"d{name}"))
            yield Equation(f"{name}_next", layer, rule, f"{name}_next = {name} − α·d{name}")
