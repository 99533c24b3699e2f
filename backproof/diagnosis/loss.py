"""Mistakes of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.forward import sigmoid, softmax

Array = NDArray[Any]

EPSILONS = (1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)


def candidates(case: Case) -> Iterator[Candidate]:
    """Of the cross-entropies; a wrong divisor is found as a constant."""
    Z, Y = case[f"Z{case.layer}"], case.one_hot
    softmaxed = case.network.loss == "cross_entropy"
    p = softmax(Z) if softmaxed else sigmoid(Z)
    scale = 1 / case.context.divisor

    def total(array: Array) -> Array:
        return np.asarray(array.sum() * scale)

    cross, binary = -Y * np.log(p), -(Y * np.log(p) + (1 - Y) * np.log1p(-p))
    if softmaxed:
        again = softmax(p)
        yield Candidate(
            "softmax-twice",
            "the loss takes probabilities for logits: softmax is applied twice",
            total(-Y * np.log(again)),
        )
        yield Candidate("log-missing", "the logarithm is missing: the loss is −Σ p_true", total(-Y * p))
        yield Candidate("binary-cross-entropy", "the loss is the binary cross-entropy of every class", total(binary))
        yield Candidate(
            "softmax-over-samples", "the loss takes softmax over the samples", total(-Y * np.log(softmax(Z, 1)))
        )
    else:
        yield Candidate("positive-term-only", "only −y log a is summed; (1 − y) log(1 − a) is missing", total(cross))
        yield Candidate(
            "sigmoid-twice",
            "the loss takes probabilities for logits: the sigmoid is applied twice",
            total(-(Y * np.log(sigmoid(p)) + (1 - Y) * np.log1p(-sigmoid(p)))),
        )
    yield Candidate("squared-error", "the loss is the squared error: Σ (a − y)²", total((p - Y) ** 2))
    yield Candidate("log-base-2", "the logarithm is to base 2", total((cross if softmaxed else binary) / np.log(2)))
    yield Candidate("log-base-10", "the logarithm is to base 10", total((cross if softmaxed else binary) / np.log(10)))
    for epsilon in EPSILONS:
        clipped = np.clip(p, epsilon, 1 - epsilon)
        for word, q in (("added to p", p + epsilon), ("a clip of p", clipped)):
            value = (
                -Y * np.log(q)
                if softmaxed
                else -(Y * np.log(q) + (1 - Y) * np.log(1 - p + (q - p if q is not clipped else p - q)))
            )
            yield Candidate("epsilon", f"an ε of {epsilon:g} stands in the logarithm ({word})", total(value))
    for layer in range(1, case.network.depth + 1):
        W = case.get(f"W{layer}")
        gap = float(case.recorded - case.exact)
        if W is not None and layer == 1:
            weights = [case[f"W{n}"] for n in range(1, case.network.depth + 1)]
            squares = sum(float(np.vdot(w, w)) for w in weights)
            for word, half in (("λ/2", 0.5), ("λ", 1.0), ("λ/(2m)", 0.5 / case.m)):
                decay = gap / (half * squares)
                if any(abs(decay - known) <= 1e-3 * known for known in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 5e-4)):
                    value = np.asarray(float(case.exact) + gap)
                    yield Candidate(
                        "regularised", f"{word} Σ W² with λ = {decay:.3g} is added to the loss", value, free=1
                    )
