"""What a formula says of an equation: the exact value, the unit of its rounding, the budget; and what it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.optimizer import SGD, Optimizer
from backproof.rounding import BUDGET

Array = NDArray[Any]

CEILING = 8.0
"""Budgets from which an elementwise residual is called a bug."""
EXACT = 0.5
"""Budget of an equation that involves no rounding: less than one unit in the last place."""


@dataclass(frozen=True)
class Context:
    """The numbers that a formula needs besides its operands.

    Attributes:
        divisor: of the loss.
        slope, step_size: as rounded in the format.
        tau: the format's smallest normal number.
        half: mean squared error has a factor 1/2.
        averaged_late: 1/divisor is applied to dW and db and not in the output's delta, so that every dZ is
            ``divisor`` times the derivative of the loss.
        weight_decay: λ, as rounded in the format.
        optimizer: whose constants the update takes, as they are specified.
        t: number of the step, from 1, as the optimizer counts.
        unit_roundoff: u of the format.
    """

    divisor: int
    slope: float
    step_size: float
    tau: float
    half: bool = False
    averaged_late: bool = False
    weight_decay: float = 0.0
    optimizer: Optimizer = SGD
    t: int = 1
    unit_roundoff: float = 2.0**-53

    @property
    def delta_divisor(self) -> int:
        """What the output's delta is divided by."""
        return 1 if self.averaged_late else self.divisor


@dataclass(frozen=True)
class Terms:
    """The K terms that a loss is the sum of, before the division, sample by sample.

    Attributes:
        values: in float64.
        scales: what each term errs by, without the factor u.
        units: the output unit (class) that each belongs to.
        samples: the sample that each belongs to, ascending.
        divisor: of the sum.
        penalty: ``λ/2 w^2`` of every weight, added after the division; empty without weight decay.
    """

    values: Array
    scales: Array
    units: Array
    samples: Array
    divisor: int
    penalty: Array = field(default_factory=lambda: np.empty(0))

    @property
    def loss(self) -> float:
        """``sum values / divisor + sum penalty``."""
        return float(self.values.sum() / self.divisor + self.penalty.sum())


@dataclass(frozen=True)
class Evaluation:
    """What one formula says of a block.

    Attributes:
        exact: in float64.
        unit: without its factor u.
        budget: in units.
        floor: absolute.
        vacuous: elements that agree for nothing, where the exact value does not tell (ReLU's exact zeros).
        terms: of a loss; :mod:`backproof.loss_check` judges it by these, with a unit and a budget of the sum's own.
    """

    exact: Array
    unit: Array
    budget: Array | float
    floor: Array | float
    vacuous: int | None = None
    terms: Terms | None = None


Formula = Callable[..., Evaluation]


def summed(values: Array, scales: Array, units: Array, samples: Array, context: Context) -> Evaluation:
    """A loss by its terms; the evaluation's own unit is that of all of them erring by one unit the same way."""
    terms = Terms(values, scales, units, samples, context.divisor)
    unit = np.asarray(scales.sum() / context.divisor)
    return Evaluation(np.asarray(terms.loss), unit, BUDGET, 4 * context.tau, terms=terms)
