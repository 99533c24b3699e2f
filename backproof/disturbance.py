"""A step in which every quantity is off by one unit of its own equation: how far honest rounding carries.

The replicas of the reference share its formulas. Where those cancel (``p − y`` of a sample that is classified well, a
``db`` whose terms cancel, a loss of large logits), their errors cancel alike and the envelope is too narrow for an
implementation with other formulas. The equations' own units know better: this step takes each of them once, with a
random sign, and computes on from the disturbed values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from backproof.elementwise import FORMULAS, Context, Evaluation
from backproof.equation_check import context_of
from backproof.equations import Elementwise, Equation, Product, equations
from backproof.operands import Operands
from backproof.product_check import Yardstick
from backproof.rounding import Format, format_of
from backproof.training import Training

Array = NDArray[Any]


def disturbed(truth: Training, dtype: DTypeLike, seed: int) -> dict[str, Array]:
    """The quantities of one full-batch step in float64, each ``exact ± unit`` in the units of ``dtype``.

    Args:
        truth: the step's parameters and data, in float64.
        dtype: the format whose units are taken.
        seed: of the signs.
    """
    generator, fmt = np.random.default_rng(seed), format_of(np.dtype(dtype))
    context = context_of(truth.network, np.dtype(dtype), truth.samples)
    tensors: dict[str, Array] = {**truth.parameters, "X": truth.X, "Y": truth.Y}
    shapes = truth.network.shapes(truth.samples)
    with np.errstate(all="ignore"):
        for equation in equations(truth.network):
            exact, unit = _expected(equation, Operands(tensors), fmt, context, shapes[equation.target])
            tensors[equation.target] = np.asarray(exact + unit * generator.choice((-1.0, 1.0), np.shape(exact)))
    return tensors


def _expected(
    equation: Equation, operands: Operands, fmt: Format, context: Context, shape: tuple[int, ...]
) -> tuple[Array, Array | float]:
    rule = equation.rule
    if isinstance(rule, Product):
        left = operands.matrix(rule.left, rule.left_transposed)
        exact = left @ operands.matrix(rule.right, rule.right_transposed)
        if rule.bias is not None:
            exact = exact + operands.wide(rule.bias)
        return exact, Yardstick.of(rule, operands, fmt).unit(slice(None), slice(None))
    value = _evaluation(rule, operands, context, np.zeros(shape))
    if rule.formula in ("relu", "identity", "through_relu", "through_identity"):
        return value.exact, 0.0  # no rounding: nothing is disturbed
    return value.exact, fmt.unit_roundoff * value.unit


def _evaluation(rule: Elementwise, operands: Operands, context: Context, recorded: Array) -> Evaluation:
    return FORMULAS[rule.formula](recorded, context, *map(operands.wide, rule.operands))
