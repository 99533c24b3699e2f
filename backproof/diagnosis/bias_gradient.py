"""Mistakes of ``db_l = Σ dZ_l`` over the samples; a wrong constant (a mean for a sum) and a decay are found as such."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import accumulated, numeric_gradient
from backproof.diagnosis.candidate import Candidate, Case, Part, crossed
from backproof.diagnosis.weight_gradient import deltas, divided_by, samples

Array = NDArray[Any]


def candidates(case: Case) -> Iterator[Candidate]:
    """Another delta, other samples, another axis."""
    yield from crossed(
        partial(_sum, divided_by(case)), list(deltas(case)), samples(case), list(_axes(case)), most=case.most
    )
    n, dW = case.layer, case.get(f"dW{case.layer}")
    if dW is not None and len(dW) == len(case.exact):
        text = f"{case.target} is made of the weight gradient: the sum of dW{n} over its inputs"
        yield Candidate("from-weight-gradient", text, dW.sum(axis=1, keepdims=True))
    yield from accumulated.candidates(case, case.exact)
    yield from numeric_gradient.candidates(case)
    yield Candidate("zero", f"{case.target} is zero", np.zeros_like(case.exact))
    yield Candidate("absolute", f"{case.target} lost its signs", np.abs(case.exact))
    sizes = np.abs(case[f"dZ{n}"]).sum(axis=1, keepdims=True) / divided_by(case)
    yield Candidate("absolute", f"{case.target} is the sum of absolute values: Σ |dZ{n}|", sizes)


def _sum(divisor: float, dZ: Array, kept: Array, axis: Array) -> Array:
    array = dZ if len(kept) == dZ.shape[1] else dZ[:, kept]
    ones = np.ones((len(dZ), 1))
    if axis == 0:
        return np.asarray(array.sum(axis=1, keepdims=True) / divisor)
    if axis == 1:
        return np.asarray(array.sum(axis=0)[:, None] / divisor)
    return np.asarray(ones * array.sum() / divisor / (len(dZ) if axis == 3 else 1))


def _axes(case: Case) -> Iterator[Part]:
    db, n = case.target, len(case.exact)
    yield Part("", "", np.array(0))
    if n > 1:
        text = f"{db} is summed over units and samples: one number for all units"
        yield Part("summed-over-everything", text, np.array(2))
        yield Part("averaged-over-units", f"{db} is averaged over the units: one number for all of them", np.array(3))
    if n == case.m:
        yield Part("wrong-axis", f"{db} is summed over the units, not the samples", np.array(1))
