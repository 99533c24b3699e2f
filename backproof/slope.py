"""Systematic error of a product: rounding has no direction, a wrong constant has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.check import doubling
from backproof.inner_products import gather
from backproof.residuals import Residuals
from backproof.rounding import Format
from backproof.second_opinion import SETTLED, Question
from backproof.verdict import Verdict

Array = NDArray[Any]

SYSTEMATIC = 8.0
"""Times u that a slope may be without being asked about: ordinary data stays under 1.3 (measured on a prototype)."""
STANDARD_ERRORS = 5.0
"""Of the fitted slope, allowed beside that: chance passes five of them once in two million fits."""
SCATTER = 3.0
"""Standard errors of an honest slope that are scatter and excuse nothing."""
LEANING = 1024
"""Elements on which the recorded slope is compared with honest ones, evenly spaced."""


def slope_verdict(question: Question, fmt: Format, residuals: Residuals) -> tuple[Verdict, str]:
    """Of a product whose elements are within their budgets, or settled: does ``recorded = (1 + δ) exact`` lean?"""
    slope = residuals.slope()
    if slope is None:
        return Verdict.ROUNDING, ""
    delta, error = slope
    u = fmt.unit_roundoff
    allowed, chance = doubling(fmt) * SYSTEMATIC, STANDARD_ERRORS * error
    if abs(delta) <= allowed * u + chance:
        return Verdict.ROUNDING, ""
    honest, sampled = _leaning(question)
    said = (
        f"recorded = (1 {delta:+.3g}) × exact, {abs(delta) / u:.3g} u, "
        f"where {allowed:.0f} u + {chance / u:.2g} u is allowed"
    )
    if abs(sampled) <= SETTLED * honest:
        return Verdict.ROUNDING, f"{said}; honest orders of summation lean as much ({honest / u:.3g} u)"
    return Verdict.SUSPECT, f"{said}; rounding has no direction, a wrong constant has"


@np.errstate(all="ignore")
def _leaning(question: Question) -> tuple[float, float]:
    """Largest |slope| of honest evaluations of :data:`LEANING` elements, and the recorded slope on the same.

    An honest slope counts only as far as it exceeds :data:`SCATTER` of its own standard errors: few elements scatter by
    several u without leaning, and three times that would excuse a wrong constant.
    """
    recorded = question.recorded
    flat = np.linspace(0, recorded.size - 1, min(recorded.size, LEANING)).astype(np.int64)
    rows, columns = np.unravel_index(flat, recorded.shape)
    width = question.at_once
    sums, orders = [], []
    for part in (slice(start, start + width) for start in range(0, len(flat), width)):
        inner = gather(question.product, question.operands, rows[part], columns[part], question.context)
        sums.append(inner.exact())
        orders.append(list(inner.honest()))
    exact = np.concatenate(sums)
    unit = question.unit(rows, columns)
    relative = exact / unit  # never exact / unit^2: the square of a float64 floor underflows
    total = float(relative @ relative)
    if total == 0:
        return 0.0, np.inf

    def lean(values: Array) -> tuple[float, float]:
        ratio = (values.astype(np.float64) - exact) / unit
        delta = float(relative @ ratio) / total
        spread = ratio - delta * relative
        return delta, float(np.sqrt(spread @ spread / max(len(flat) - 1, 1) / total))

    evaluations = [np.concatenate(values) for values in zip(*orders, strict=True)]
    honest = max(max(abs(delta) - SCATTER * error, 0.0) for delta, error in map(lean, evaluations))
    return honest, lean(recorded[rows, columns])[0]
