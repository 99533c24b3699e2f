"""Mistakes of the deltas passed back through the weights: ``dA_l = W_{l+1}ᵀ dZ_{l+1}``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import overwritten
from backproof.diagnosis.candidate import Candidate, Case, Part, crossed
from backproof.diagnosis.functions import derivatives

Array = NDArray[Any]


def candidates(case: Case) -> Iterator[Candidate]:
    """Wrong weights, a wrong delta, a derivative that is in it already."""
    deltas, ones = list(_deltas(case)), np.ones(1)
    applied = [Part("", "", ones), *_applied(case)]
    weights = list(_weights(case))
    yield from crossed(lambda W, dZ, g: (W.T @ dZ) * g, weights, deltas, applied, most=case.most)
    yield from overwritten.candidates(case, case[f"dZ{case.layer + 1}"], f"W{case.layer + 1}")
    for kind, array in case.quantities("dZ", "dA"):
        # Its own dZ is made of it: after the identity they are the same.
        if case.fits(array) and kind not in (f"dA{case.layer}", f"dZ{case.layer}"):
            yield Candidate("delta-copied", f"{case.target} is {kind}: the weights are missing", array)


def _weights(case: Case) -> Iterator[Part]:
    above, dA = case.layer + 1, case.target
    W = case[f"W{above}"]
    yield Part("", "", W)
    if W.shape[0] == W.shape[1]:
        text = f"the weights are not transposed: {dA} = W{above}·dZ{above}"
        yield Part("weights-not-transposed", text, W.T)
    after = case.get(f"W{above}_next")
    if after is not None and after.shape == W.shape:
        text = f"the weights are those after the update: {dA} = W{above}_nextᵀ·dZ{above}"
        yield Part("weights-updated", text, after)
    for other in range(1, case.network.depth + 1):
        V = case.get(f"W{other}")
        if V is not None and other != above and V.shape == W.shape:
            text = f"the weights are those of layer {other}: {dA} = W{other}ᵀ·dZ{above}"
            yield Part("weights-of-another-layer", text, V)


def _deltas(case: Case) -> Iterator[Part]:
    above = case.layer + 1
    right = case[f"dZ{above}"]
    yield Part("", "", right)
    for kind, array in case.quantities("dZ", "dA", "A", "Z"):
        if kind != f"dZ{above}" and kind != case.target and array.shape == right.shape:
            name = "delta-before-mask" if kind == f"dA{above}" else "delta-of-another-layer"
            yield Part(name, f"{kind} stands for dZ{above}: {case.target} = W{above}ᵀ·{kind}", array)


def _applied(case: Case) -> Iterator[Part]:
    Z = case.get(f"Z{case.layer}")
    if Z is None:
        return
    for name, array in derivatives(Z, case.context.slope):
        text = f"{case.target} holds the derivative already ({name}′)"
        yield Part("derivative-already-applied", text, array)
