"""Tries the explanations of a failing equation and keeps those that leave nothing but rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import (
    bias_gradient,
    forward,
    hidden_delta,
    loss,
    output_delta,
    precision,
    update,
    weight_gradient,
)
from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import ratio, recognise
from backproof.equations import Product
from backproof.rounding import Format

Array = NDArray[Any]

DISTINCT = 8
"""Elements from which a constant without a name is believed: one number is always some multiple of another."""
MARGIN = 8.0
"""Units that a candidate may be off by, in those of its own size: twice a product's budget."""


@dataclass(frozen=True)
class Explanation:
    """A mistake that leaves nothing but rounding when it is assumed.

    Attributes:
        name: stable: ``mask-missing``; ``mask-missing + factor`` when two were needed.
        sentence: plain words with the formula.
        left: the largest residual that is left, as a part of what rounding may leave.
        factor: the constant that was needed beside it, 1 when none was.
        assumed: constants that were fitted for it; explanations that assume as many cannot be told apart by the data.
    """

    name: str
    sentence: str
    left: float
    factor: float = 1.0
    assumed: int = 0

    def __str__(self) -> str:
        return self.sentence

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name, "sentence": self.sentence, "left": float(f"{self.left:.3g}"), "factor": self.factor,
            "assumed": self.assumed,
        }  # fmt: skip


def explain(case: Case, fmt: Format, unit: Array) -> list[Explanation]:
    """The explanations of a failing equation, best first; empty when none is known.

    Fewer fitted constants go first, then the order in which a family lists them (the commonest mistake first).

    Args:
        unit: of the equation itself, element by element, u included.
    """
    found: list[tuple[int, int, Explanation]] = []
    with np.errstate(all="ignore"):
        for place, candidate in enumerate(_candidates(case)):
            if not np.isfinite(candidate.array).all():
                continue
            for scaled, explanation in _attempts(case, candidate):
                left = _left(case, scaled, fmt, unit)
                if left <= 1:
                    assumptions = candidate.free + (explanation.factor != 1)
                    found.append((assumptions, place, replace(explanation, left=left, assumed=assumptions)))
                    break
    return [explanation for *_, explanation in sorted(found, key=lambda item: item[:2])]


Family = Callable[[Case], Iterator[Candidate]]


def _candidates(case: Case) -> Iterator[Candidate]:
    name, output = case.equation.target, case.layer == case.network.depth
    family: Family
    if name == "loss":
        family = loss.candidates
    elif name.endswith("_next"):
        family = update.candidates
    elif name.startswith("dZ"):
        family = output_delta.candidates if output else hidden_delta.candidates
    elif name.startswith("dA"):
        family = hidden_delta.passed_back
    elif name.startswith("dW"):
        family = weight_gradient.candidates
    elif name.startswith("db"):
        family = bias_gradient.candidates
    else:
        family = forward.candidates
    if not name.endswith("_next"):
        yield Candidate("factor", f"{name} is right but for a constant", case.exact)
    for candidate in chain(family(case), precision.candidates(case)):
        if case.fits(candidate.array):
            yield candidate


def _attempts(case: Case, candidate: Candidate) -> Iterator[tuple[Array, Explanation]]:
    """The candidate as it is, then times a fitted constant."""
    plain = candidate.name == "factor"
    if not plain:
        yield candidate.array, Explanation(candidate.name, candidate.sentence, 0.0)
    if case.equation.target.endswith("_next"):
        return
    fitted = ratio(case.recorded, candidate.array)
    if fitted is None or fitted == 0:
        return
    constant, name = recognise(fitted, case)
    target = case.equation.target
    recognised = name != f"{fitted:.6g}"
    if plain and (recognised or case.exact.size >= DISTINCT):
        sentence = f"{target} is {name} times what it should be"
        yield constant * candidate.array, Explanation("factor", sentence, 0.0, constant)
    elif not plain and recognised and case.exact.size >= DISTINCT:
        sentence = f"{candidate.sentence}; and the result is {name} times that"
        yield constant * candidate.array, Explanation(f"{candidate.name} + factor", sentence, 0.0, constant)


def _left(case: Case, array: Array, fmt: Format, unit: Array) -> float:
    """Largest ``|recorded − array|`` over what rounding may leave of an array of that size."""
    size = float(np.abs(array).max(initial=0.0))
    exact = float(np.abs(case.exact).max(initial=0.0))
    scale = max(1.0, size / exact) if exact else 1.0
    terms = 1.0
    if isinstance(case.equation.rule, Product):
        inner = case.equation.rule
        terms = np.sqrt(case.operands.matrix(inner.left, inner.left_transposed).shape[1])
    allowed = MARGIN * (unit * scale + fmt.unit_roundoff * terms * np.abs(array)) + 8 * fmt.smallest_normal
    return float((np.abs(case.recorded - array) / allowed).max(initial=0.0))
