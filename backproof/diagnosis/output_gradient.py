"""Mistakes of ``dA_L = ∂loss/∂A_L``, where the output's activation and the loss are two functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case, crossed
from backproof.diagnosis.classes import weighted
from backproof.diagnosis.constants import written
from backproof.diagnosis.epsilon import HARMLESS
from backproof.diagnosis.functions import derivatives
from backproof.diagnosis.labels import LOSSES, coefficient, gradient, labels, outputs
from backproof.rounding import format_of

Array = NDArray[Any]


def candidates(case: Case) -> Iterator[Candidate]:
    """Wrong labels or output, another loss, a derivative that is in it already, an ε."""
    own, dA, scale = case.network.loss, case.target, coefficient(case)
    taken = list(outputs(case, dA))
    yield from crossed(lambda A, Y: scale * gradient(own, A, Y), taken, list(labels(case, dA)), most=case.most)
    A, Y = case[f"A{case.layer}"], case.one_hot
    for other, word in LOSSES.items():
        if other != own:
            text = f"{dA} is the derivative of {word}, not of {LOSSES[own]}"
            yield Candidate("other-loss", text, gradient(other, A, Y) * coefficient(case, other))
    Z = case.get(f"Z{case.layer}")
    if Z is not None:
        yield from _already(case, Z)
    yield from _epsilon(case, A, Y)
    yield from weighted(case)


def _already(case: Case, Z: Array) -> Iterator[Candidate]:
    for name, derivative in derivatives(Z, case.context.slope):
        text = f"{case.target} holds the derivative already ({name}′)"
        yield Candidate("derivative-already-applied", text, case.exact * derivative)


def _epsilon(case: Case, A: Array, Y: Array) -> Iterator[Candidate]:
    """``−y/(a + ε)``: ε is the same for every element that has a label."""
    own, scale = case.network.loss, coefficient(case)
    if own == "mse":
        return
    true = (Y == 1) & (case.recorded != 0)
    if np.count_nonzero(true) < 2:
        return
    fitted = float(np.median(-scale / case.recorded[true] - A[true]))
    u = format_of(case.operands.recorded(case.target).dtype).unit_roundoff
    epsilon = written(fitted - 4 * u, fitted + 4 * u)
    short = epsilon is not None or fitted <= 8 * u
    epsilon = fitted if epsilon is None else epsilon
    if not 0 < epsilon < 1:
        return
    array = -Y / (A + epsilon) * scale
    if own == "binary_cross_entropy":
        array = array + (1 - Y) / (1 - A + epsilon) * scale
    there = case.exact != 0
    change = float(np.abs(array[there] / case.exact[there] - 1).max())
    harmless = short and max(change, epsilon) <= HARMLESS
    text = f"an ε of {epsilon:.3g} is in a denominator of {case.target}: it moves it by up to {change:.2g} of itself"
    text += ", which is harmless" if harmless else ""
    numbers = {"epsilon": epsilon, "relative change": change}
    yield Candidate("epsilon", text, array, free=1, numbers=numbers, harmless=harmless)
