"""Mistakes of ``dW``; a wrong constant is found as one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import combination, recognise


def candidates(case: Case) -> Iterator[Candidate]:
    """Of ``dW_l = dZ_l A_{l-1}ᵀ``."""
    n, below = case.layer, case.below
    dW, dZ, A, W = case.equation.target, case[f"dZ{n}"], case[below], case[f"W{n}"]
    if W.shape[0] == W.shape[1]:
        yield Candidate("transposed", f"{dW} is transposed: {below}·dZ{n}ᵀ", case.exact.T)
    for name in ("X", *(f"{kind}{k}" for k in range(1, case.network.depth + 1) for kind in "ZA")):
        array = case.get(name)
        if name != below and array is not None and array.shape == A.shape:
            kind = "input-not-activated" if name == f"Z{n - 1}" else "input-of-another-layer"
            yield Candidate(kind, f"{name} stands for {below}: {dW} = dZ{n}·{name}ᵀ", dZ @ array.T)
    for name in (f"{kind}{k}" for k in range(1, case.network.depth + 1) for kind in ("dA", "dZ", "A", "Z")):
        array = case.get(name)
        if name != f"dZ{n}" and array is not None and array.shape == dZ.shape:
            kind = "delta-before-mask" if name == f"dA{n}" else "delta-of-another-layer"
            yield Candidate(kind, f"{name} stands for dZ{n}: {dW} = {name}·{below}ᵀ", array @ A.T)
    yield from _decay(case, W)
    if case.m > 1:
        yield from _samples(case)
    top = float(np.abs(case.recorded).max())
    if top and np.count_nonzero(np.abs(case.recorded) >= top * (1 - 1e-6)) > 1:
        yield Candidate("clipped", f"{dW} is clipped at {top:.6g}", np.clip(case.exact, -top, top), free=1)
    length = float(np.linalg.norm(case.exact))
    if length:
        yield Candidate("normalised", f"{dW} is divided by its length", case.exact / length)
    yield Candidate("absolute", f"{dW} lost its signs", np.abs(case.exact))
    yield Candidate("zero", f"{dW} is zero", np.zeros_like(case.exact))


def _decay(case: Case, W: np.ndarray) -> Iterator[Candidate]:
    fitted = combination(case.recorded, case.exact, W)
    if fitted is None:
        return
    factor, decay = fitted
    plain, name = recognise(decay, case)
    name = f"{plain:.3g}" if name == f"{decay:.6g}" else name
    if abs(factor - 1) < 1e-4:
        sentence = (
            f"{name} times W{case.layer} is added (L2 weight decay): {case.equation.target} + {name}·W{case.layer}"
        )
        yield Candidate("weight-decay", sentence, case.exact + plain * W, free=1)


def _samples(case: Case) -> Iterator[Candidate]:
    dZ, A, dW = case[f"dZ{case.layer}"], case[case.below], case.equation.target
    for word, keep in (("first", 0), ("last", -1)):
        one = np.outer(dZ[:, keep], A[:, keep])
        yield Candidate("one-sample", f"only the {word} sample is used in {dW}", one)
        yield Candidate("sample-dropped", f"the {word} sample is left out of {dW}", case.exact - one)
