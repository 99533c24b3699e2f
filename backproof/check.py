"""One equation of one step, judged; and what both kinds of rule share in judging it."""

from __future__ import annotations

from dataclasses import dataclass

from backproof.diagnosis import Explanation
from backproof.equations import Equation
from backproof.residuals import Residuals
from backproof.rounding import Format
from backproof.verdict import Verdict


@dataclass(frozen=True)
class Check:
    """One equation of one step, judged.

    Attributes:
        residuals: the worst element, the spread, the suspects.
        vacuous: elements whose operands are all zero or so small that the floor hides them; they agree for nothing.
        ceiling: units that no rounding can pass (the largest over the elements).
        slope: fitted δ of ``recorded = (1 + δ) exact`` of a product, or None where it is not fitted.
        message: one sentence; empty when rounding explains everything without a second opinion.
        explanations: mistakes that leave nothing but rounding when they are assumed, best first; they are looked for
            where an equation fails, the first time that it does; None where they were not looked for.
        bits: it is to the last bit what NumPy makes of the operands (:mod:`backproof.backprop.bitwise`); residuals and
            ceiling were not looked for.
    """

    step: int
    equation: Equation
    verdict: Verdict
    residuals: Residuals
    vacuous: int
    ceiling: float
    slope: float | None
    message: str
    explanations: tuple[Explanation, ...] | None = None
    bits: bool = False


def doubling(fmt: Format) -> float:
    """2 for a float64 recording, judged in float64: yardstick and judged may each err by the whole budget; else 1.

    It does not apply to equations that involve no rounding (:data:`backproof.evaluation.EXACT`).
    """
    return 2.0 if fmt.name == "float64" else 1.0
