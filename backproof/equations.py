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
from backproof.optimizer import Optimizer

ONES = "1"
"""The operand of a sum over samples: a row of m ones, so that ``db = dZ 1^T`` is a product like ``dW = dZ A^T``."""


@dataclass(frozen=True)
class Product:
    """``op(left) op(right) (/ divisor) (+ bias) (+ λ decayed)``; an operand is transposed where its flag says so.

    Attributes:
        bias: (rows x 1), added to every column.
        divided: whether the sum is divided by the loss's divisor.
        decayed: of the target's shape; λ times it is added.
    """

    left: str
    right: str
    left_transposed: bool = False
    right_transposed: bool = False
    bias: str | None = None
    divided: bool = False
    decayed: str | None = None

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the recorded arrays that the product is made of."""
        return tuple(name for name in (self.left, self.right, self.bias, self.decayed) if name not in (None, ONES))


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


AVERAGED = ("delta", "gradient", "update")
"""Where the loss's divisor (1/m of a mean) may stand: in the output's delta, in dW and db, or in the step size."""


@lru_cache(maxsize=256)
def equations(network: Network, averaged_in: str = "delta") -> tuple[Equation, ...]:
    """All equations of one training step, in the order of computation: forward, loss, backward, update.

    Args:
        averaged_in: one of :data:`AVERAGED`. Recordings have it in the delta; with the other two every dZ and dA is
            ``divisor`` times the derivative of the loss, and with ``update`` so are dW and db.
    """
    return (*_forward(network), *_backward(network, averaged_in), *_update(network, averaged_in))


def _forward(network: Network) -> Iterator[Equation]:
    for layer, activation in enumerate(network.activations, 1):
        below = "X" if layer == 1 else f"A{layer - 1}"
        W, b, Z, A = f"W{layer}", f"b{layer}", f"Z{layer}", f"A{layer}"
        yield Equation(Z, layer, Product(W, below, bias=b), f"{Z} = {W}·{below} + {b}")
        yield Equation(A, layer, Elementwise(activation, (Z,)), f"{A} = {activation}({Z})")
    L = network.depth
    formula, operand = (network.loss, f"Z{L}") if network.joint else (OF_OUTPUT[network.loss], f"A{L}")
    weights = tuple(f"W{n}" for n in range(1, L + 1)) if network.weight_decay else ()
    penalty = " + λ/2·Σ W²" if weights else ""
    rule = Elementwise(formula, (operand, "Y", *weights))
    yield Equation("loss", L, rule, f"loss = {network.loss}({operand}, Y){penalty}")


OF_OUTPUT = {
    "cross_entropy": "cross_entropy_of_output",
    "binary_cross_entropy": "binary_cross_entropy_of_output",
    "mse": "mse",
}
"""Loss -> its formula where it is a function of the output A and not of the logits."""
OF_A = ("tanh", "sigmoid", "softmax")
"""Activations whose derivative is a function of A: 1 − A², A (1 − A), the softmax Jacobian; others look at Z."""


def _output_delta(network: Network, averaged_in: str) -> Iterator[Equation]:
    L = network.depth
    if not network.joint:
        yield output_gradient(network, averaged_in)
        yield through(network, L)
        return
    rule = Elementwise(f"{network.loss}_delta", (f"Z{L}", "Y"))
    yield Equation(f"dZ{L}", L, rule, f"dZ{L} = ({network.activations[-1]}(Z{L}) − Y){_over(network, averaged_in)}")


def _over(network: Network, averaged_in: str) -> str:
    """How the divisor is written in the output's delta."""
    if averaged_in != "delta" or network.reduction == "sum":
        return ""
    return "/m" if network.divisor(1) == 1 else "/(m·n)"


def output_gradient(network: Network, averaged_in: str = "delta") -> Equation:
    """``dA_L = ∂loss/∂A_L``."""
    L, A = network.depth, f"A{network.depth}"
    slope = {
        "cross_entropy": f"−Y/{A}",
        "binary_cross_entropy": f"({A} − Y)/({A}(1 − {A}))",
        "mse": f"{'' if network.half else '2'}({A} − Y)",
    }[network.loss]
    rule = Elementwise(f"{network.loss}_gradient", (A, "Y"))
    return Equation(f"dA{L}", L, rule, f"dA{L} = {slope}{_over(network, averaged_in)}")


def through(network: Network, layer: int) -> Equation:
    """``dZ = dA ⊙ g′(Z)``, of softmax its Jacobian times dA."""
    dZ, dA, activation = f"dZ{layer}", f"dA{layer}", network.activations[layer - 1]
    of = {"identity": ()}.get(activation, (f"{'A' if activation in OF_A else 'Z'}{layer}",))
    text = {
        "identity": f"{dZ} = {dA}",
        "softmax": f"{dZ} = A{layer} ⊙ ({dA} − Σ {dA} ⊙ A{layer})",
    }.get(activation, f"{dZ} = {dA} ⊙ {activation}′(Z{layer})")
    return Equation(dZ, layer, Elementwise(f"through_{activation}", (dA, *of)), text)


def _backward(network: Network, averaged_in: str) -> Iterator[Equation]:
    L = network.depth
    divided = averaged_in == "gradient" and network.reduction != "sum"
    over = ("/m" if network.divisor(1) == 1 else "/(m·n)") if divided else ""
    for layer in range(L, 0, -1):
        dZ, dA = f"dZ{layer}", f"dA{layer}"
        if layer == L:
            yield from _output_delta(network, averaged_in)
        else:
            above = layer + 1
            product = Product(f"W{above}", f"dZ{above}", left_transposed=True)
            yield Equation(dA, layer, product, f"{dA} = W{above}ᵀ·dZ{above}")
            yield through(network, layer)
        below = "X" if layer == 1 else f"A{layer - 1}"
        W, dW, db = f"W{layer}", f"dW{layer}", f"db{layer}"
        decayed = W if network.weight_decay else None
        gradient = Product(dZ, below, right_transposed=True, divided=divided, decayed=decayed)
        yield Equation(dW, layer, gradient, f"{dW} = {dZ}·{below}ᵀ{over}{f' + λ·{W}' if decayed else ''}")
        sums = Product(dZ, ONES, right_transposed=True, divided=divided)
        yield Equation(db, layer, sums, f"{db} = Σ {dZ} over samples{over}")


def _update(network: Network, averaged_in: str) -> Iterator[Equation]:
    over = "/m" if averaged_in == "update" and network.reduction != "sum" else ""
    for layer in range(1, network.depth + 1):
        for name in (f"W{layer}", f"b{layer}"):
            if not network.optimizer.plain:
                yield from _with_state(network.optimizer, layer, name)
                continue
            rule = Elementwise("gradient_descent", (name, f"d{name}"))
            yield Equation(f"{name}_next", layer, rule, f"{name}_next = {name} − α{over}·d{name}")


def _with_state(optimizer: Optimizer, layer: int, W: str) -> Iterator[Equation]:
    """The update of one parameter: what the optimizer keeps of it, then the parameter itself, from what is kept."""
    decayed = (W,) if optimizer.coupled else ()
    dW = f"(d{W} + λ·{W})" if decayed else f"d{W}"
    state = {name[0]: f"{name}_next" for name in optimizer.state(W)}
    moments = {
        "v": ("velocity", f"μ·v{W} + {dW}"),
        "m": ("first_moment", f"β₁·m{W} + (1 − β₁)·{dW}"),
        "s": ("second_moment", f"{'ρ' if optimizer.name == 'rmsprop' else 'β₂'}·s{W} + (1 − "
              f"{'ρ' if optimizer.name == 'rmsprop' else 'β₂'})·{dW}²"),
    }  # fmt: skip
    for kind, after in state.items():
        formula, text = moments[kind]
        yield Equation(after, layer, Elementwise(formula, (f"{kind}{W}", f"d{W}", *decayed)), f"{after} = {text}")
    v, m, s = (state.get(kind, "") for kind in "vms")
    hat = f"{s}/(1 − β₂ᵗ)" if optimizer.name != "rmsprop" else s
    root = f"√({hat} + ε)" if optimizer.epsilon_inside else f"(√({hat}) + ε)"
    decay = f" − α·λ·{W}" if optimizer.decoupled else ""
    operands, step = {
        "sgd": ((W, f"d{W}"), f"α·{dW}"),
        "momentum": ((W, v), f"α·{v}"),
        "nesterov": ((W, v, f"d{W}"), f"α·({dW} + μ·{v})"),
        "adam": ((W, m, s), f"α·({m}/(1 − β₁ᵗ))/{root}"),
        "adamw": ((W, m, s), f"α·({m}/(1 − β₁ᵗ))/{root}"),
        "rmsprop": ((W, s, f"d{W}"), f"α·{dW}/{root}"),
    }[optimizer.name]
    rule = Elementwise(f"{optimizer.name}_descent", operands)
    yield Equation(f"{W}_next", layer, rule, f"{W}_next = {W}{decay} − {step}")
