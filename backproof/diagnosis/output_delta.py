"""Mistakes of the output's delta ``dZ_L``; a wrong constant (−1, 2, m, 1/m, the classes) is found as one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.forward import sigmoid, softmax


def candidates(case: Case) -> Iterator[Candidate]:
    """Of ``dZ_L = (A_L − Y) / divisor``."""
    Z, Y, scale = case[f"Z{case.layer}"], case.one_hot, 1 / case.context.divisor
    softmaxed = case.network.loss == "cross_entropy"
    p = softmax(Z) if softmaxed else sigmoid(Z)
    dZ, slope = case.equation.target, p * (1 - p)
    yield Candidate("labels-missing", f"the labels are not subtracted: {dZ} = A", p * scale)
    yield Candidate(
        "squared-error-delta",
        f"{dZ} = (A − Y) ⊙ A ⊙ (1 − A): the derivative of a squared error through a sigmoid",
        (p - Y) * slope * scale,
    )
    if softmaxed:
        yield Candidate(
            "jacobian-diagonal",
            f"only the diagonal of the softmax Jacobian is used: {dZ} = −Y ⊙ (1 − A)",
            -Y * (1 - p) * scale,
        )
        inner = (p - Y) * p
        through = p * ((p - Y) - inner.sum(axis=0, keepdims=True))
        yield Candidate(
            "squared-error-softmax", f"{dZ} is the derivative of a squared error through softmax", through * scale
        )
        yield Candidate(
            "softmax-twice",
            f"softmax is applied twice before the labels are subtracted: {dZ} = softmax(A) − Y",
            (softmax(p) - Y) * scale,
        )
        again = softmax(p)
        twice = p * ((again - Y) - ((again - Y) * p).sum(axis=0, keepdims=True))
        yield Candidate(
            "softmax-twice-differentiated", f"{dZ} is the derivative of a loss that takes softmax twice", twice * scale
        )
        yield Candidate(
            "softmax-over-samples",
            f"softmax runs over the samples: {dZ} = softmax over samples − Y",
            (softmax(Z, 1) - Y) * scale,
        )
        label = np.arange(len(Y)) @ Y
        yield Candidate(
            "labels-not-one-hot",
            f"the label's number is subtracted from every class: {dZ} = A − y",
            (p - label) * scale,
        )
        yield Candidate(
            "true-class-only",
            f"only the true class has a delta: {dZ} = (A − 1) where Y is 1, else 0",
            (p - 1) * Y * scale,
        )
        E = np.exp(Z - Z.max(axis=0, keepdims=True))
        yield Candidate(
            "softmax-not-normalised", f"softmax is not divided by its sum: {dZ} = e^(Z − max) − Y", (E - Y) * scale
        )
    else:
        yield Candidate(
            "sigmoid-derivative-extra",
            f"the sigmoid's derivative is applied once more: {dZ} = (A − Y) ⊙ A ⊙ (1 − A)",
            (p - Y) * slope * scale,
        )
    yield Candidate(
        "activation-derivative-missing",
        f"{dZ} = dL/dA: the output activation's derivative is missing",
        (-Y / p if softmaxed else (p - Y) / slope) * scale,
    )
    yield Candidate(
        "logits-for-probabilities", f"the logits stand for the probabilities: {dZ} = Z − Y", (Z - Y) * scale
    )
    A = case.get(f"A{case.layer}")
    if A is not None:
        yield Candidate(
            "from-recorded-output",
            f"{dZ} = A − Y with the recorded A, which is not the activation of Z",
            (A - Y) * scale,
        )
    if case.m > 1:
        yield Candidate(
            "labels-shifted", "the labels are those of the next sample", (p - np.roll(Y, -1, axis=1)) * scale
        )
        yield Candidate(
            "labels-shifted", "the labels are those of the sample before", (p - np.roll(Y, 1, axis=1)) * scale
        )
