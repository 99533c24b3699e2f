"""What the engine's tests share: small networks, their data, and a step computed with faults in it."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backproof import elementwise
from backproof.check import Check
from backproof.equation_check import EquationChecker, StepChecks, context_of
from backproof.equations import ONES, Elementwise, Equation, Product, equations
from backproof.network import HIDDEN_ACTIVATIONS, Network
from backproof.training import Step, Training
from backproof.verdict import Verdict
from reference import losses
from reference.activations import activate, sigmoid, softmax, through
from reference.initialisation import initial_parameters

Array = NDArray[Any]
Tensors = dict[str, Array]
Fault = Callable[[Array, Mapping[str, Array]], Array]
"""The right value and everything computed so far (X and Y too) -> what is recorded instead, and computed on with."""

ROOT = Path(__file__).parents[1]
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["backproof"]
SUITE = [Network.from_dict({"name": name, **values}) for name, values in TABLE["networks"].items()]
IMPLEMENTATIONS: dict[str, str] = TABLE["implementations"]
SHRUNK = {784: 12, 128: 9, 64: 8, 50: 7, 32: 6, 25: 5, 10: 4}
"""Sizes of the suite's networks -> sizes that are tested in milliseconds; equal layers stay equal."""
LABELS = [("cross_entropy", "one_hot"), ("cross_entropy", "integer"), ("binary_cross_entropy", "binary")]


def shrunk(network: Network) -> Network:
    """A suite network with narrow layers."""
    return replace(network, sizes=tuple(SHRUNK.get(n, n) for n in network.sizes))


def mixed(loss: str, labels: str, reduction: str = "mean", layout: str = "columns") -> Network:
    """A six-layer network with every hidden activation; layers 2 to 5 are square."""
    activations = (*HIDDEN_ACTIVATIONS, "softmax" if loss == "cross_entropy" else "sigmoid")
    return Network(
        f"mixed_{labels}_{reduction}", (6, 5, 5, 5, 5, 5, 3), activations, loss, labels,
        layout=layout, reduction=reduction, slope=0.1, learning_rate_over_m=reduction == "sum",
    )  # fmt: skip


SMALL = [shrunk(network) for network in SUITE] + [
    mixed(*labels, reduction) for labels in LABELS for reduction in ("mean", "sum")
]
BY_NAME = {network.name: network for network in SMALL}


def labels_of(network: Network, m: int, seed: int, dtype: Any) -> Array:
    """Random Y of the network's kind."""
    generator, n = np.random.default_rng([seed, 2]), network.sizes[-1]
    if network.labels == "binary":
        return generator.integers(0, 2, (n, m)).astype(dtype)
    if network.labels == "real":
        return generator.standard_normal((n, m)).astype(dtype)
    y = generator.integers(0, n, m)
    return y[None] if network.labels == "integer" else np.eye(n, dtype=dtype)[:, y]


def training(
    network: Network, m: int = 50, seed: int = 0, dtype: Any = "float32", batches: Any = (None,), X: Array | None = None
) -> Training:
    """A training on standard normal inputs, or on ``X``."""
    if X is None:
        X = np.random.default_rng([seed, 1]).standard_normal((network.sizes[0], m))
    Y = labels_of(network, X.shape[1], seed, dtype)
    return Training(network, initial_parameters(network, seed, dtype), X.astype(dtype), Y, batches, seed, "random")


def implementation(name: str) -> Any:
    """The configured implementation, or a skip when its framework is not installed."""
    if name in ("torch", "jax"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    return importlib.import_module(IMPLEMENTATIONS[name])


def evaluate(equation: Equation, tensors: Mapping[str, Array], network: Network) -> Array:
    """One equation in the arrays' own format, samples in columns."""
    if isinstance(equation.rule, Product):
        return product(equation.rule, tensors)
    name, operands = equation.rule.formula, [tensors[operand] for operand in equation.rule.operands]
    m = tensors["X"].shape[1]
    divisor = network.divisor(m)
    if name == "gradient_descent":
        return operands[0] - network.step_size(m) * operands[1]
    if name.startswith("through_"):
        A = tensors[f"A{equation.layer}"]
        return through(name.removeprefix("through_"), operands[0], A, network.slope).copy()
    if equation.target == f"A{network.depth}":
        return softmax(operands[0], 0) if name == "softmax" else sigmoid(operands[0])
    if name in HIDDEN_ACTIVATIONS:
        return activate(name, operands[0], network.slope).copy()
    if name == "cross_entropy":
        return np.asarray(losses.cross_entropy(*operands, 0, divisor))
    if name == "cross_entropy_delta":
        return losses.cross_entropy_delta(*operands, 0, divisor)
    return np.asarray(getattr(losses, name)(*operands, divisor))


def product(rule: Product, tensors: Mapping[str, Array]) -> Array:
    """The product in the operands' own format."""
    left = tensors[rule.left].T if rule.left_transposed else tensors[rule.left]
    if rule.right == ONES:
        return left.sum(axis=1, keepdims=True)
    right = tensors[rule.right].T if rule.right_transposed else tensors[rule.right]
    return left @ right if rule.bias is None else left @ right + tensors[rule.bias]


def one_step(given: Training, faults: Mapping[str, Fault] | None = None) -> Step:
    """A full-batch step, equation by equation; what follows a fault is computed, correctly, from the wrong value."""
    faults = faults or {}
    tensors: Tensors = {**given.parameters, "X": given.X, "Y": given.Y}
    for equation in equations(given.network):
        value = evaluate(equation, tensors, given.network)
        if equation.target in faults:
            value = np.asarray(faults[equation.target](value, tensors)).astype(given.dtype)
        tensors[equation.target] = value
    return Step(0, None, {name: array for name, array in tensors.items() if name not in "XY"})


def judge(given: Training, step: Step) -> StepChecks:
    """The step's equations, judged."""
    X, Y = given.batch(step.samples)
    return EquationChecker(given.network, given.dtype).check(step, X, Y)


def failing(found: StepChecks) -> list[str]:
    """Targets of the equations that rounding does not explain, in order of computation."""
    return [check.equation.target for check in found.checks if check.verdict is not Verdict.ROUNDING]


def check_of(found: StepChecks, target: str) -> Check:
    """The check of one equation."""
    return next(check for check in found.checks if check.equation.target == target)


def unit_scale(equation: Equation, tensors: Mapping[str, Array], network: Network) -> Array:
    """The equation's units without u: ``||A_i|| ||B_j||`` (+ ``|b_i|``) of a product, the formula's own otherwise."""
    rule = equation.rule
    m = tensors["X"].shape[1]
    wide = {name: array if array.dtype.kind in "iu" else array.astype(np.float64) for name, array in tensors.items()}
    wide[ONES] = np.ones((1, m))
    if isinstance(rule, Elementwise):
        dtype = tensors["X"].dtype
        operands = [wide[name] for name in rule.operands]
        recorded = wide.get(equation.target, np.zeros(network.shapes(m)[equation.target]))
        return np.asarray(elementwise.FORMULAS[rule.formula](recorded, context_of(network, dtype, m), *operands).unit)
    left = wide[rule.left].T if rule.left_transposed else wide[rule.left]
    right = wide[rule.right].T if rule.right_transposed else wide[rule.right]
    unit = np.linalg.norm(left, axis=1, keepdims=True) * np.linalg.norm(right, axis=0)
    return unit if rule.bias is None else unit + np.abs(wide[rule.bias])
