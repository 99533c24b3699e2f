"""Tries the explanations of a failing equation and keeps those that leave nothing but rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import (
    activation,
    bias_gradient,
    hidden_delta,
    loss,
    output_delta,
    output_gradient,
    passed_back,
    pre_activation,
    precision,
    update,
    weight_gradient,
)
from backproof.diagnosis.candidate import JOIN, Candidate, Case
from backproof.diagnosis.closing import closings
from backproof.diagnosis.explanation import Explanation
from backproof.equations import Elementwise, Product
from backproof.rounding import Format

Array = NDArray[Any]

MARGIN = 8.0
"""Units that a candidate may be off by, in those of its own size: twice a product's budget."""
CANCELLING = ("through_tanh", "through_sigmoid")
SPARSE = 4
"""Elements from which two wrong operands at once are believed."""


def explain(case: Case, fmt: Format) -> list[Explanation]:
    """The explanations of a failing equation, best first; empty when none is known.

    Those with fewer mistakes and fitted constants go first, then the order in which a family lists them (the commonest
    mistake first). Two wrong operands at once are tried only where no single one explains it, alone or with a constant.
    """
    with np.errstate(all="ignore"):
        for mistakes, candidates in groupby(_ordered(case), key=lambda candidate: max(candidate.mistakes, 1)):
            if mistakes > 1 and case.exact.size < SPARSE:
                break
            if found := list(_fitting(case, candidates, fmt)):
                return sorted(_unique(found), key=lambda explanation: explanation.assumed)
    return []


def _ordered(case: Case) -> list[Candidate]:
    """The right value (which a constant may spoil), then every wrong one, those with fewer mistakes first."""
    right = Candidate("", "", case.exact)
    return sorted(chain([right], family(case)(case), precision.candidates(case)), key=lambda item: item.mistakes)


def _fitting(case: Case, candidates: Iterable[Candidate], fmt: Format) -> Iterator[Explanation]:
    for candidate in candidates:
        array = candidate.array()
        if not case.fits(array) or not np.isfinite(array).all():
            continue
        for closing in closings(case, array, candidate.name):
            name = JOIN.join(filter(None, (candidate.name, closing.name)))
            if not name or not np.isfinite(closing.array).all():
                continue
            left = remaining(case, closing.array, fmt)
            if left <= 1:
                sentence = "; ".join(filter(None, (candidate.sentence, closing.text)))
                numbers = {**candidate.numbers, **closing.numbers}
                assumed = candidate.free + closing.free + max(candidate.mistakes - 1, 0)
                harmless = candidate.harmless and not closing.name
                yield Explanation(name, sentence, left, closing.factor, assumed, numbers, harmless)
                break


def _unique(found: list[Explanation]) -> Iterator[Explanation]:
    """Without what says the same again."""
    seen = set()
    for explanation in found:
        if explanation.sentence not in seen:
            seen.add(explanation.sentence)
            yield explanation


Family = Callable[[Case], Iterator[Candidate]]


def family(case: Case) -> Family:
    """The mistakes of the equation's kind."""
    name, output = case.target, case.layer == case.network.depth
    if name == "loss":
        return loss.candidates
    if name.endswith("_next"):
        return update.candidates
    if name.startswith("dZ"):
        return output_delta.candidates if output else hidden_delta.candidates
    if name.startswith("dA"):
        return output_gradient.candidates if output else passed_back.candidates
    if name.startswith("dW"):
        return weight_gradient.candidates
    if name.startswith("db"):
        return bias_gradient.candidates
    return pre_activation.candidates if name.startswith("Z") else activation.candidates


def remaining(case: Case, array: Array, fmt: Format) -> float:
    """Largest ``|recorded − array|`` over what rounding may leave of an array of that size."""
    size = float(np.abs(array).max(initial=0.0))
    exact = float(np.abs(case.exact).max(initial=0.0))
    scale = max(1.0, size / exact) if exact else 1.0
    terms = 1.0
    if isinstance(case.equation.rule, Product):
        inner = case.equation.rule
        terms = np.sqrt(case.operands.matrix(inner.left, inner.left_transposed).shape[1])
    allowed = MARGIN * (case.unit * scale + fmt.unit_roundoff * terms * np.abs(array)) + 8 * fmt.smallest_normal
    if isinstance(case.equation.rule, Elementwise) and case.equation.rule.formula in CANCELLING:
        # 1 − a² and a (1 − a) of another delta cancel elsewhere than those of the right one.
        allowed = allowed + MARGIN * fmt.unit_roundoff * size
    return float((np.abs(case.recorded - array) / allowed).max(initial=0.0))
