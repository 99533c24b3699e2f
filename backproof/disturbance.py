"""A step in which every quantity is off by about one unit of its own equation: how far honest rounding carries.

The replicas of the reference share its formulas. Where those cancel (``p − y`` of a sample that is classified well, a
``db`` whose terms cancel, a loss of large logits), their errors cancel alike and the envelope is too narrow for an
implementation with other formulas. The equations' own units know better: this step takes each of them once, with a
random sign, and computes on from the disturbed values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from backproof.equation_check import context_of, expected
from backproof.equations import Product, equations
from backproof.evaluation import Context
from backproof.operands import Operands
from backproof.replicas import in_float64
from backproof.rounding import BUDGET, Format, format_of
from backproof.training import Training
from backproof.yardstick import Yardstick

Array = NDArray[Any]
WITHOUT_ROUNDING = ("relu", "identity", "through_relu", "through_identity")


def disturbed(truth: Training, dtype: DTypeLike, seed: int) -> dict[str, Array]:
    """The quantities of one full-batch step in float64, each ``exact ± unit`` in the units of ``dtype``
    (of a product, a quarter of its budget where that is more).

    Args:
        truth: the step's parameters and data, in float64.
        dtype: the format whose units are taken.
        seed: of the signs.
    """
    generator, fmt = np.random.default_rng(seed), format_of(np.dtype(dtype))
    context = context_of(truth.network, np.dtype(dtype), truth.samples, step=truth.first)
    tensors: dict[str, Array] = {**truth.start, "X": truth.X, "Y": truth.Y}
    shapes = truth.network.shapes(truth.samples)
    with np.errstate(all="ignore"):
        for equation in equations(truth.network):
            operands = Operands(tensors)
            exact, unit = expected(equation, operands, fmt, context, np.zeros(shapes[equation.target]))
            if isinstance(equation.rule, Product):
                unit = _with_drift(equation.rule, operands, fmt, context, exact, unit)
            rounds = isinstance(equation.rule, Product) or equation.rule.formula not in WITHOUT_ROUNDING
            off = unit * generator.choice((-1.0, 1.0), np.shape(exact))
            tensors[equation.target] = np.asarray(exact + off if rounds else exact)
    return tensors


class DisturbedRun:
    """A free run of which each step is disturbed: how far honest formulas may carry a whole trajectory.

    It is made only where the replicas do not say enough, and catches up with the runs then.

    Args:
        training: what the runs are given.
        seed: of the signs.
    """

    def __init__(self, training: Training, seed: int) -> None:
        self._training, self._seed = training, seed
        self._after: dict[str, Array] = training.start
        self._steps = 0

    def after(self, step: int) -> dict[str, Array]:
        """Parameters and state after a step, which is not before one that was asked for earlier."""
        for index in range(self._steps, step + 1):
            X, Y = self._training.batch(self._training.batches[index])
            here = in_float64(replace(self._training, X=X, Y=Y, batches=(None,)))
            tensors = disturbed(here.at(index, self._after), self._training.dtype, self._seed + 2 * index)
            self._after = {n.removesuffix("_next"): array for n, array in tensors.items() if n.endswith("_next")}
        self._steps = step + 1
        return self._after


def _with_drift(
    product: Product, operands: Operands, fmt: Format, context: Context, exact: Array, unit: Array
) -> Array:
    """A quarter of the budget, and a unit at least: equal terms drift, in one library further than in another."""
    budget = Yardstick.of(product, operands, fmt, context).budget(exact / unit, fmt.unit_roundoff)
    return np.asarray(unit * np.maximum(budget / BUDGET, 1.0))
