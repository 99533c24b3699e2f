"""Losses: a sum of K terms, one for each sample (or element), and one division.

    loss = sum_k t_k / divisor  (+ a penalty: the sum of lambda/2 w^2, whose additions err like the others)

**The unit** is what the sum and its terms err by, taken as independent errors:

    unit = hypot(addition, terms) / divisor + u |loss|

- ``addition``: front to back, the k-th addition rounds to the grid of the partial sum s_k and errs by at most half a
  grid step, ``h_k = u 2^floor(log2 |s_k|)``. Uniform errors of mean zero have the standard deviation
  ``sqrt(sum h_k^2 / 3)``. Of the terms front to back and back to front, and column by column and row by row, the
  largest counts; orders that cut the sum into parts err less.
- ``terms``: a term errs by a unit of its own, ``e_k``. Terms of equal value have operands alike and err alike, and so
  do terms too small for the grid that they are computed on, which are lost altogether. Equal is what the terms'
  own unit cannot tell apart: the units of those with the same ``round(t_k / e_k)`` are added up, and the groups are
  added as independent errors, ``sqrt(sum_groups (sum_k e_k)^2)``.
- ``u |loss|``: the division, and what a mathematical library's function errs by in one direction.

**The budget** is :data:`backproof.rounding.BUDGET` units, as of products. **The ceiling** is a proof for the sum: no
order of K - 1 additions and two divisions passes ``gamma_(K+1) sum |t_k|`` (Higham, ASNA 2002, section 4.2); for the
terms it is ``CEILING`` budgets of each, in the same direction.

**The second opinion**: where terms repeat, rounding has a direction. The same sum, of the terms rounded to the format,
is evaluated in the orders of :mod:`backproof.inner_products`, divided before or after; of the largest error of these
what exceeds :data:`CHANCE` standard deviations of ``addition`` is drift, and :data:`SETTLED` times the drift is allowed
beside the budget. Chance is in the budget already: three times a sequential sum's would hide a dropped sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.check import Check, doubling
from backproof.equations import Equation
from backproof.evaluation import CEILING, Terms
from backproof.inner_products import InnerProducts
from backproof.residuals import Residuals
from backproof.rounding import BUDGET, NEAR, Format, norms
from backproof.second_opinion import REFUTED, SETTLED
from backproof.verdict import Verdict

Array = NDArray[Any]

CHANCE = 3.0
"""Standard deviations of its additions that an order may be off by without drifting."""


@dataclass(frozen=True)
class LossYardstick:
    """What rounding may do to one loss, all of it divided by the divisor.

    Attributes:
        unit: absolute, u included.
        chance: standard deviation of the additions, front to back or back to front.
        ceiling: absolute.
        floor: terms and partial results below the smallest normal number may be flushed to zero.
    """

    unit: float
    chance: float
    ceiling: float
    floor: float

    @classmethod
    def of(cls, terms: Terms, fmt: Format) -> LossYardstick:
        """The yardstick of a loss that is a sum of these terms."""
        u, K = fmt.unit_roundoff, terms.values.size
        errors = u * terms.scales
        chance = max(addition(v, u) for values in orders(terms) for v in (values, values[::-1])) / terms.divisor
        chance = float(np.hypot(chance, max(addition(v, u) for v in (terms.penalty, terms.penalty[::-1]))))
        own = together(terms.values, errors) / terms.divisor
        unit = float(np.hypot(chance, own)) + u * abs(terms.loss)
        gamma = (K + 1) * u / (1 - (K + 1) * u) if (K + 1) * u < 1 else float("inf")
        sizes, worst = np.abs(terms.values).sum() / terms.divisor, BUDGET * CEILING * errors.sum() / terms.divisor
        ceiling = gamma * sizes + (1 + gamma) * worst if np.isfinite(gamma) else float("inf")
        ceiling += _penalty_ceiling(terms, u)
        return cls(unit, chance, float(ceiling), 2 * fmt.smallest_normal * (K + 1))


def _penalty_ceiling(terms: Terms, u: float) -> float:
    """``gamma_(K+3) sum penalty`` and a rounding of the loss: a square, a product with λ/2, K additions."""
    K = terms.penalty.size + 3
    if not terms.penalty.size:
        return 0.0
    total = float(terms.penalty.sum())
    return K * u / (1 - K * u) * total + u * abs(terms.loss) if K * u < 1 else float("inf")


def addition(values: Array, u: float) -> float:
    """Standard deviation of the rounding errors of a sum from front to back, uniform within half a grid step each."""
    partial = np.cumsum(values)[1:]
    steps = np.frexp(partial[partial != 0])[1] - 1
    if not steps.size:
        return 0.0
    top = steps.max()  # squares of a power of two overflow early
    return float(np.ldexp(u * np.sqrt(np.ldexp(1.0, 2 * (steps - top)).sum() / 3), top))


def together(values: Array, errors: Array) -> float:
    """Errors of the terms added up: one by one where terms are alike, as independent errors otherwise."""
    nonzero = errors > 0
    alike = np.rint(values[nonzero] / errors[nonzero])
    if not alike.size:
        return 0.0
    groups = np.unique(alike, return_inverse=True)[1]
    return float(norms(np.bincount(groups, errors[nonzero])[None], 1)[0])


def orders(terms: Terms) -> list[Array]:
    """The terms sample by sample and, where that is another order, unit by unit."""
    by_sample = terms.values
    if not terms.units.any():
        return [by_sample]
    return [by_sample, by_sample[np.argsort(terms.units, kind="stable")]]


@np.errstate(all="ignore")
def check_loss(equation: Equation, recorded: Array, terms: Terms, fmt: Format, step: int) -> Check:
    """Judge a loss, as recorded (finite), that is a sum of ``terms``."""
    yardstick, factor = LossYardstick.of(terms, fmt), doubling(fmt)
    residuals, floor = Residuals((1, 1), keep_columns=False), yardstick.floor / BUDGET
    unit = yardstick.unit + floor
    ceiling = factor * yardstick.ceiling / unit
    if not np.isfinite([terms.loss, unit]).all():
        message = "its terms are so large that they overflow float64; it cannot be judged"
        return Check(step, equation, Verdict.SUSPECT, residuals, 1, ceiling, None, message)
    residual, allowed = abs(float(recorded) - terms.loss), factor * BUDGET
    residuals.vacuous = int(unit <= NEAR * floor and abs(terms.loss) <= allowed * unit)
    exact, ratio = np.full((1, 1), terms.loss), np.full((1, 1), residual / unit)
    residuals.add(np.full((1, 1), float(recorded)), exact, ratio, ratio / allowed, ceiling)
    verdict, message = Verdict.ROUNDING, ""
    if residuals.over:
        verdict, message = _opinion(residuals, terms, yardstick, allowed * unit, residual, recorded.dtype)
    return Check(step, equation, verdict, residuals, residuals.vacuous, ceiling, None, message)


def _opinion(
    residuals: Residuals, terms: Terms, yardstick: LossYardstick, allowed: float, residual: float, dtype: Any
) -> tuple[Verdict, str]:
    said = f"{residuals.ratio:.4g} units of rounding ({residuals.fraction:.3g} budgets)"
    if residuals.beyond:
        return Verdict.BUG, f"{said}; no order of summation can reach that"
    drift = max(honest_error(terms, dtype) - CHANCE * yardstick.chance, 0.0)
    if residual <= allowed + SETTLED * drift:
        return Verdict.ROUNDING, f"{said}; honest orders of summation drift as far ({residual / drift:.2g} times)"
    times = residual / (allowed + drift)
    verdict = Verdict.BUG if times >= REFUTED else Verdict.SUSPECT
    return verdict, f"{said}; {times:.3g} times what the budget and the drift of honest orders of summation come to"


@np.errstate(all="ignore")
def honest_error(terms: Terms, dtype: np.dtype[Any]) -> float:
    """Largest error of the loss over the orders of summation, from terms rounded to the format.

    An order whose sum overflows says nothing and is left out.
    """
    loss, penalty = terms.loss - float(terms.penalty.sum()), float(terms.penalty.sum())
    total = _largest_error(honest(terms, dtype), loss)
    if not terms.penalty.size:
        return total
    row = terms.penalty.astype(dtype)[None]
    sums = (value[0] for value in InnerProducts(row, np.ones_like(row), None).honest(fusing=(False,)))
    return total + _largest_error(sums, penalty)


def _largest_error(values: Iterator[Array], exact: float) -> float:
    errors = np.abs(np.array([float(value) for value in values]) - exact)
    return float(errors[np.isfinite(errors)].max(initial=0.0))


def honest(terms: Terms, dtype: np.dtype[Any]) -> Iterator[Array]:
    """Values of the loss in the format: of single terms and of each sample's sum, divided before or after."""
    every = orders(terms)
    if (np.diff(terms.samples) == 0).any():
        every.append(np.bincount(terms.samples, terms.values))
    for values in every:
        for before, after in {(1, terms.divisor), (terms.divisor, 1)}:
            row = (values / before).astype(dtype)[None]
            for value in InnerProducts(row, np.ones_like(row), None).honest(fusing=(False,)):
                yield value[0] / dtype.type(after)
