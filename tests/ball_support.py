"""What the tests of the enclosures share: networks with every activation and loss, and what rounding may do to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from backproof import elementwise
from backproof.equation_check import context_of
from backproof.equations import Equation, Product, equations
from backproof.evaluation import Context
from backproof.loss_check import LossYardstick
from backproof.network import Network
from backproof.operands import Operands
from backproof.optimizer import Optimizer
from backproof.rounding import BUDGET, Format, format_of
from backproof.training import Training
from backproof.yardstick import Yardstick
from tests.support import LABELS, Array, mixed, training

LOSSES = [
    ("mse", "identity", "real", "mean", True), ("mse", "tanh", "real", "mean_over_samples", False),
    ("mse", "relu", "real", "sum", True), ("mse", "leaky_relu", "real", "mean", False),
    ("mse", "softmax", "one_hot", "mean", True), ("mse", "sigmoid", "binary", "mean_over_samples", False),
    ("cross_entropy", "sigmoid", "integer", "mean", False), ("cross_entropy", "sigmoid", "one_hot", "sum", False),
    ("cross_entropy", "softmax", "real", "mean", False), ("binary_cross_entropy", "sigmoid", "real", "mean", False),
    ("binary_cross_entropy", "softmax", "binary", "mean_over_samples", False),
]  # fmt: skip
"""Loss, output, labels, reduction and half that the networks with all hidden activations do not have."""
OPTIMIZERS = [
    Optimizer("sgd", weight_decay=0.01), Optimizer("momentum", weight_decay=0.01), Optimizer("nesterov"),
    Optimizer("adam", weight_decay=0.01), Optimizer("adam", epsilon=1e-4, epsilon_inside=True), Optimizer("adamw"),
    Optimizer("rmsprop", weight_decay=0.01), Optimizer("rmsprop", epsilon=1e-4, epsilon_inside=True),
]  # fmt: skip
NETWORKS = [
    *(mixed(*labels, reduction) for labels in LABELS for reduction in ("mean", "sum")),
    replace(mixed("cross_entropy", "one_hot"), name="decayed", weight_decay=0.01),
    *(
        Network(
            f"{loss}-{output}-{labels}", (7, 6, 5, 4), ("leaky_relu", "tanh", output), loss, labels, half=half,
            reduction=reduction, weight_decay=0.01 if half else 0.0, slope=0.1, layout="rows" if half else "columns",
        )
        for loss, output, labels, reduction, half in LOSSES
    ),
    *(
        Network(f"{rule.name}-{place}", (4, 5, 3), ("tanh", "softmax"), optimizer=rule, learning_rate=0.01)
        for place, rule in enumerate(OPTIMIZERS)
    ),
]  # fmt: skip


def given_to(network: Network, m: int = 20, seed: int = 3, dtype: Any = "float64") -> Training:
    """A training on random data, with dyadic probabilities where labels are real and the loss takes probabilities; with
    an optimizer's state it goes on at the fifth step.
    """
    generator = np.random.default_rng(seed)
    kept = {name: generator.standard_normal(shape) / 10 for name, shape in network.state_shapes().items()}
    state = {name: (np.abs(array) if name[0] == "s" else array).astype(dtype) for name, array in kept.items()}
    if network.labels != "real" or network.loss == "mse":
        return replace(training(network, m, seed, dtype), state=state, first=4)
    one_hot = replace(network, labels="one_hot" if network.loss == "cross_entropy" else "binary")
    made = training(one_hot, m, seed, dtype)
    return replace(made, network=network, Y=((3 * made.Y + np.roll(made.Y, 1, axis=0)) / 4).astype(dtype))


def judged_by(given: Training, tensors: Mapping[str, Array]) -> tuple[tuple[Equation, ...], Operands, Context]:
    """The equations of a full-batch step, their operands and their constants."""
    context = context_of(given.network, given.dtype, given.samples, step=given.first)
    return equations(given.network), Operands({**tensors, "X": given.X, "Y": given.Y}), context


def allowance(equation: Equation, operands: Operands, context: Context, fmt: Format) -> Array:
    """What a format's rounding may do to a target: its budget, not doubled in float64, for the judge is exact here."""
    rule, recorded = equation.rule, operands.wide(equation.target)
    if isinstance(rule, Product):
        yardstick = Yardstick.of(rule, operands, fmt, context)
        unit = yardstick.unit(slice(None), slice(None))
        return unit * yardstick.budget(recorded / unit, fmt.unit_roundoff)
    value = elementwise.FORMULAS[rule.formula](recorded, context, *map(operands.wide, rule.operands))
    if value.terms is not None:
        loss = LossYardstick.of(value.terms, fmt)
        return np.asarray(BUDGET * loss.unit + loss.floor)
    return np.asarray(fmt.unit_roundoff * value.unit * value.budget + value.floor)


def allowances(given: Training, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Of every equation of a step, in the step's own format."""
    listed, operands, context = judged_by(given, tensors)
    fmt = format_of(given.dtype)
    return {equation.target: allowance(equation, operands, context, fmt) for equation in listed}
