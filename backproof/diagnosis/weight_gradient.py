"""Mistakes of ``dW_l = dZ_l A_{l-1}ᵀ``; a wrong constant and a decay are found as such (:mod:`closing`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import accumulated, numeric_gradient
from backproof.diagnosis.candidate import Candidate, Case, Part, crossed
from backproof.equations import Product

Array = NDArray[Any]


def candidates(case: Case) -> Iterator[Candidate]:
    """Wrong operands, samples that are left out, and what was done to the whole."""
    yield from crossed(
        _gradient(case), list(deltas(case)), list(_inputs(case)), samples(case), _sides(case), most=case.most
    )
    yield from _of_the_whole(case)
    # The recorded gradient of the step before has its decay, as this one's own has.
    decay = case.context.weight_decay
    right = case.exact - decay * case.cut(case[f"W{case.layer}"]) if decay else case.exact
    yield from accumulated.candidates(case, right)
    yield from numeric_gradient.candidates(case)


def _gradient(case: Case) -> Any:
    """(dZ, A, samples, transposed) -> their product at the elements that are looked at."""
    divisor = divided_by(case)

    def gradient(dZ: Array, A: Array, kept: Array, turned: Array) -> Array:
        left, right = (A, dZ) if turned.all() else (dZ, A)
        left, right = left[case.rows], right[case.columns]
        if len(kept) < dZ.shape[1]:
            left, right = left[:, kept], right[:, kept]
        return np.asarray(left @ right.T / divisor)

    return gradient


def divided_by(case: Case) -> float:
    """What the equation divides its sum over the samples by."""
    rule = case.equation.rule
    return float(case.context.divisor) if isinstance(rule, Product) and rule.divided else 1.0


def deltas(case: Case) -> Iterator[Part]:
    """What may stand for dZ."""
    n, right = case.layer, case[f"dZ{case.layer}"]
    yield Part("", "", right)
    for kind, array in case.quantities("dA", "dZ", "A", "Z"):
        if kind not in ("X", f"dZ{n}") and array.shape == right.shape:
            name = "delta-before-mask" if kind == f"dA{n}" else "delta-of-another-layer"
            yield Part(name, f"{kind} stands for dZ{n} in {case.target}", array)


def _inputs(case: Case) -> Iterator[Part]:
    n, below, A = case.layer, case.below, case[case.below]
    yield Part("", "", A)
    for kind, array in case.quantities("Z", "A"):
        if kind != below and array.shape == A.shape:
            name = "input-not-activated" if kind == f"Z{n - 1}" else "input-of-another-layer"
            yield Part(name, f"{kind} stands for {below}: {case.target} = dZ{n}·{kind}ᵀ", array)
    if (A < 0).any():
        text = f"a mask is applied to the input: {case.target} = dZ{n}·({below} ⊙ ({below} > 0))ᵀ"
        yield Part("input-masked", text, np.maximum(A, 0))


def samples(case: Case) -> list[Part]:
    """Which samples the sum runs over."""
    m, target = case.m, case.target
    every = np.arange(m)
    if m == 1:
        return [Part("", "", every)]
    return [
        Part("", "", every),
        Part("sample-dropped", f"the last sample is left out of {target}", every[:-1]),
        Part("sample-dropped", f"the first sample is left out of {target}", every[1:]),
        Part("one-sample", f"only the last sample is used in {target}", every[-1:]),
        Part("one-sample", f"only the first sample is used in {target}", every[:1]),
    ]


def _sides(case: Case) -> list[Part]:
    n, (units, inputs) = case.layer, case.whole_exact().shape
    right = Part("", "", np.zeros(1, bool))
    if units != inputs:
        return [right]
    return [right, Part("transposed", f"{case.target} is transposed: {case.below}·dZ{n}ᵀ", np.ones(1, bool))]


def _of_the_whole(case: Case) -> Iterator[Candidate]:
    dW, recorded, exact = case.target, case.recorded, case.exact
    top = float(np.abs(recorded).max(initial=0.0))
    # Clipped at the same number on both sides at least twice, and not everywhere.
    clipped = int(np.count_nonzero(np.abs(recorded) >= top * (1 - 1e-6))) if top else 0
    if 1 < clipped < recorded.size:
        text = f"{dW} is clipped at {top:.6g}"
        yield Candidate("clipped", text, np.clip(exact, -top, top), free=1, numbers={"limit": top})
    whole = case.whole_exact()
    length = float(np.linalg.norm(whole))
    if length:
        yield Candidate("normalised", f"{dW} is divided by its length", exact / length)
    yield Candidate("absolute", f"{dW} lost its signs", np.abs(exact))
    yield Candidate("zero", f"{dW} is zero", np.zeros_like(exact))
