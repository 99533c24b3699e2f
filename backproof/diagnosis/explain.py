"""Tries the explanations of a failing equation and keeps those that leave nothing but rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import (
    activation,
    bias_gradient,
    hidden_delta,
    loss,
    optimizer,
    output_delta,
    output_gradient,
    passed_back,
    pre_activation,
    precision,
    update,
    weight_gradient,
)
from backproof.diagnosis.candidate import JOIN, Candidate, Case, as_far_as_known
from backproof.diagnosis.closing import closings
from backproof.diagnosis.explanation import Explanation
from backproof.diagnosis.remaining import remaining
from backproof.diagnosis.screen import screened, screened_pairs
from backproof.rounding import Format

Array = NDArray[Any]

SPARSE = 4
"""Elements from which two wrong operands at once are believed."""


def explain(case: Case, fmt: Format) -> list[Explanation]:
    """The explanations of a failing equation, best first; empty when none is known.

    Those with fewer mistakes and fitted constants go first, then the order in which a family lists them (the commonest
    mistake first). Two wrong operands at once are tried only where no single one explains it, alone or with a constant.
    """
    if not np.isfinite(case.unit).all():
        return []  # what may be off by anything is explained by anything
    with np.errstate(all="ignore"):
        found = list(_fitting(case, screened(case, _singles(case), fmt), fmt))
        if not found and case.exact.size >= SPARSE:
            found = list(_fitting(case, screened_pairs(case, _pairs, fmt), fmt))
        return sorted(_unique(found), key=lambda explanation: explanation.assumed)


def _singles(case: Case) -> list[Candidate]:
    return [candidate for candidate in _ordered(replace(case, most=1)) if candidate.mistakes <= 1]


def _pairs(case: Case) -> list[Candidate]:
    return [candidate for candidate in _ordered(case) if candidate.mistakes > 1]


def _ordered(case: Case) -> list[Candidate]:
    """The right value (which a constant may spoil), then every wrong one, those with fewer mistakes first."""
    right = Candidate("", "", case.exact)
    found = chain([right], as_far_as_known(family(case)(case)), precision.candidates(case))
    return sorted(found, key=lambda item: item.mistakes)


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
        return update.candidates if case.network.optimizer.plain else optimizer.candidates
    if name.startswith("dZ"):
        return output_delta.candidates if output else hidden_delta.candidates
    if name.startswith("dA"):
        return output_gradient.candidates if output else passed_back.candidates
    if name.startswith("dW"):
        return weight_gradient.candidates
    if name.startswith("db"):
        return bias_gradient.candidates
    return pre_activation.candidates if name.startswith("Z") else activation.candidates
