"""Arrays of a wrong shape: what they are instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case, as_far_as_known
from backproof.diagnosis.constants import ratio, recognised
from backproof.diagnosis.explanation import Explanation
from backproof.diagnosis.functions import sigmoid, softmax
from backproof.diagnosis.remaining import MARGIN
from backproof.diagnosis.weight_gradient import divided_by
from backproof.rounding import Format

Array = NDArray[Any]


def explain_shape(case: Case, fmt: Format) -> list[Explanation]:
    """Explanations of an array (``case.recorded``) whose shape is not its equation's, best first.

    A candidate may be off by MARGIN times the largest unit of the equation (``case.unit``, of the right shape).
    """
    found = []
    recorded = np.atleast_2d(case.recorded)
    with np.errstate(all="ignore"):
        for candidate in as_far_as_known(_candidates(case)):
            array = np.atleast_2d(candidate.array())
            for turned in (array, array.T):
                if turned.shape == recorded.shape and (explanation := _fit(case, candidate, turned, recorded, fmt)):
                    found.append(explanation)
                    break
    return sorted(found, key=lambda explanation: explanation.assumed)


def _fit(case: Case, candidate: Candidate, array: Array, recorded: Array, fmt: Format) -> Explanation | None:
    """The candidate as it is, or times a constant that the problem has."""
    named = recognised(ratio(recorded, array), case)
    constants = [(1.0, "")] + ([named] if named else [])
    terms = np.sqrt(array.size)
    for constant, name in constants:
        allowed = MARGIN * (
            case.unit.max() * max(1.0, abs(constant)) + fmt.unit_roundoff * terms * np.abs(constant * array)
        )
        left = float((np.abs(recorded - constant * array) / (allowed + 8 * fmt.smallest_normal)).max())
        if left <= 1:
            factor = f"; and the result is {name} times that" if name else ""
            full = candidate.name + (" + factor" if name else "")
            return Explanation(full, candidate.sentence + factor, left, constant, int(constant != 1))
    return None


def _candidates(case: Case) -> Iterator[Candidate]:
    target, kind = case.equation.target, case.equation.target.rstrip("0123456789")
    if kind == "db":
        yield from _bias_gradient(case)
    elif kind == "dW":
        yield from _weight_gradient(case)
    elif target == "loss":
        yield from _loss(case)
    elif kind == "dZ" and case.layer == case.network.depth:
        yield from _output_delta(case)
    elif target.startswith("b") and target.endswith("_next"):
        yield from _bias_update(case)
    yield Candidate("transposed", f"{target} is transposed", case.exact.T)


def _bias_gradient(case: Case) -> Iterator[Candidate]:
    db, dZ = case.equation.target, case[f"dZ{case.layer}"] / divided_by(case)
    name = f"dZ{case.layer}"
    yield Candidate("not-summed", f"{db} is {name} itself: it was never summed over the samples", dZ)
    yield Candidate(
        "summed-over-everything", f"{db} is summed over units and samples: one number for all units", dZ.sum()
    )
    yield Candidate("wrong-axis", f"{db} is summed over the units, not the samples", dZ.sum(axis=0))
    dW = case.get(f"dW{case.layer}")
    if dW is not None:
        text = f"{db} is made of the weight gradient: the sum of dW{case.layer} over its units"
        yield Candidate("from-weight-gradient", text, dW.sum(axis=0))
        yield Candidate("from-weight-gradient", f"{db} is dW{case.layer} itself", dW)


def _weight_gradient(case: Case) -> Iterator[Candidate]:
    dZ, A = case[f"dZ{case.layer}"], case[case.below]
    if dZ.shape == A.shape:
        sentence = f"{case.equation.target} is the elementwise product dZ{case.layer} ⊙ {case.below}, not dZ·Aᵀ"
        yield Candidate("elementwise-product", sentence, dZ * A)


def _output_delta(case: Case) -> Iterator[Candidate]:
    """An output of one unit as (m, 1) minus labels as (m,)."""
    A, Y, dZ = case.get(f"A{case.layer}"), case.one_hot, case.target
    if A is not None and len(A) == 1:
        scale = (2.0 if case.network.loss == "mse" and not case.context.half else 1.0) / case.context.delta_divisor
        text = f"(m, 1) minus (m,) broadcasts to m x m: {dZ} holds every output minus every label"
        outer = (A.T - Y) * scale
        yield Candidate("broadcast", text, outer)
        if case.network.loss == "mse" and case.network.activations[-1] == "sigmoid":
            yield Candidate("broadcast", text, outer * (A * (1 - A)).T)


def _loss(case: Case) -> Iterator[Candidate]:
    operand, Y = case[case.equation.rule.operands[0]], case.one_hot
    name = case.network.loss
    if name == "mse":
        terms = (operand - Y) ** 2 * (0.5 if case.context.half else 1.0)
    else:
        logits = case.equation.rule.operands[0].startswith("Z")
        p = (softmax(operand) if name == "cross_entropy" else sigmoid(operand)) if logits else operand
        terms = np.where(Y == 0, 0.0, -Y * np.log(p))
        if name == "binary_cross_entropy":
            terms = terms + np.where(Y == 1, 0.0, -(1 - Y) * np.log1p(-p))
    yield Candidate("not-reduced", "the loss holds one number for each sample: it is not reduced", terms.sum(axis=0))
    yield Candidate("not-reduced", "the loss holds one number for each output of each sample: it is not reduced", terms)


def _bias_update(case: Case) -> Iterator[Candidate]:
    name = case.equation.target.removesuffix("_next")
    b, db = case[name], case[f"d{name}"]
    sentence = f"{name} (n x 1) minus d{name} (n,) broadcasts to n x n: the gradient's axis was squeezed away"
    yield Candidate("squeezed", sentence, b - case.context.step_size * db.T)
