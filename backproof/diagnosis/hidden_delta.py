"""Mistakes of the hidden layers' deltas: dA (passed back through the weights) and dZ (through the activation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.forward import sigmoid
from backproof.network import KINKED

Array = NDArray[Any]


def passed_back(case: Case) -> Iterator[Candidate]:
    """Of ``dA_l = W_{l+1}ᵀ dZ_{l+1}``."""
    n, above = case.layer, case.layer + 1
    dA, W, dZ = case.equation.target, case[f"W{above}"], case[f"dZ{above}"]
    if W.shape[0] == W.shape[1]:
        yield Candidate("weights-not-transposed", f"the weights are not transposed: {dA} = W{above}·dZ{above}", W @ dZ)
    W_next = case.get(f"W{above}_next")
    if W_next is not None:
        yield Candidate(
            "weights-updated", f"the weights are those after the update: {dA} = W{above}_nextᵀ·dZ{above}", W_next.T @ dZ
        )
    for other in range(1, case.network.depth + 1):
        for kind in ("dZ", "dA", "A", "Z"):
            array = case.get(f"{kind}{other}")
            if array is not None and (kind, other) != ("dZ", above):
                if array.shape[0] == W.shape[0]:
                    name = "delta-before-mask" if (kind, other) == ("dA", above) else "delta-of-another-layer"
                    yield Candidate(
                        name, f"the delta is {kind}{other}, not dZ{above}: {dA} = W{above}ᵀ·{kind}{other}", W.T @ array
                    )
                if array.shape == case.exact.shape and kind.startswith("d") and (kind, other) != ("dA", n):
                    yield Candidate("delta-copied", f"{dA} is {kind}{other}: the weights are missing", array)
        V = case.get(f"W{other}")
        if V is not None and other != above and V.shape == W.shape:
            yield Candidate(
                "weights-of-another-layer",
                f"the weights are those of layer {other}: {dA} = W{other}ᵀ·dZ{above}",
                V.T @ dZ,
            )
    for derivative, array in _derivatives(case, n):
        yield Candidate(
            "derivative-already-applied", f"{dA} holds the derivative already ({derivative})", case.exact * array
        )


def candidates(case: Case) -> Iterator[Candidate]:
    """Of ``dZ_l = dA_l ⊙ g′(Z_l)``."""
    n, dZ = case.layer, case.equation.target
    dA, Z, A = case[f"dA{n}"], case[f"Z{n}"], case.get(f"A{n}")
    kinked = case.network.activations[n - 1] in KINKED
    yield Candidate("mask-missing", _missing(kinked, n), dA)
    if kinked:
        yield Candidate("mask-inverted", f"the mask has the wrong sign: {dZ} = dA{n} ⊙ (Z{n} < 0)", dA * (Z < 0))
        yield Candidate(
            "mask-of-delta", f"the mask is that of dA{n}, not of Z{n}: {dZ} = dA{n} ⊙ (dA{n} > 0)", dA * (dA > 0)
        )
    for name, derivative in _derivatives(case, n):
        yield Candidate(
            "other-derivative", f"the derivative is that of {name}: {dZ} = dA{n} ⊙ {name}′(Z{n})", dA * derivative
        )
        yield Candidate("delta-overwritten", f"dA{n} is not used: {dZ} is {name}′(Z{n}) alone", derivative)
        if name not in KINKED:
            yield Candidate(
                "derivative-twice",
                f"the derivative is applied twice: {dZ} = dA{n} ⊙ {name}′(Z{n})²",
                dA * derivative**2,
            )
    below = Z <= 0
    square = float(np.vdot(dA[below], dA[below]))
    if kinked and square:
        slope = float(np.vdot(case.recorded[below], dA[below])) / square
        array = np.where(below, slope * dA, dA)
        yield Candidate(
            "other-slope", f"the slope below 0 is {slope:.6g}: {dZ} = {slope:.6g} dA{n} there", array, free=1
        )
    for word, source in (("Z", Z), ("A", A)):
        if source is not None:
            yield Candidate(
                "derivative-of-wrong-form",
                f"{dZ} = dA{n} ⊙ {word}{n} ⊙ (1 − {word}{n}): a sigmoid's derivative in terms of {word}",
                dA * source * (1 - source),
            )
            yield Candidate(
                "derivative-of-wrong-form",
                f"{dZ} = dA{n} ⊙ (1 − {word}{n}²): a tanh's derivative in terms of {word}",
                dA * (1 - source**2),
            )
            yield Candidate(
                "derivative-incomplete", f"{dZ} = dA{n} ⊙ {word}{n}: a factor of the derivative is missing", dA * source
            )
            yield Candidate(
                "derivative-incomplete",
                f"{dZ} = dA{n} ⊙ (1 − {word}{n}): a factor of the derivative is missing",
                dA * (1 - source),
            )
    yield from _from_elsewhere(case)


def _from_elsewhere(case: Case) -> Iterator[Candidate]:
    """The derivative or the delta of another layer of the same width."""
    n, dZ, dA = case.layer, case.equation.target, case[f"dA{case.layer}"]
    own = dict(_derivatives(case, n)).get(case.network.activations[n - 1])
    for other in range(1, case.network.depth + 1):
        Z = case.get(f"Z{other}")
        if other != n and Z is not None and Z.shape == dA.shape:
            for name, derivative in _of(Z, case.context.slope):
                sentence = f"the derivative is taken at Z{other}, not Z{n}: {dZ} = dA{n} ⊙ {name}′(Z{other})"
                yield Candidate("derivative-at-another-layer", sentence, dA * derivative)
        for delta in (f"dA{other}", f"dZ{other}"):
            array = case.get(delta)
            if other != n and own is not None and array is not None and array.shape == dA.shape:
                sentence = f"the delta is {delta}, not dA{n}: {dZ} = {delta} ⊙ g′(Z{n})"
                yield Candidate("delta-of-another-layer", sentence, array * own)


def _missing(kinked: bool, n: int) -> str:
    what = "the ReLU mask is missing" if kinked else "the activation's derivative is missing"
    return f"{what}: dZ{n} = dA{n}"


def _derivatives(case: Case, n: int) -> Iterator[tuple[str, Array]]:
    yield from _of(case[f"Z{n}"], case.context.slope)


def _of(Z: Array, slope: float) -> Iterator[tuple[str, Array]]:
    s, t = sigmoid(Z), np.tanh(Z)
    yield "relu", (Z > 0).astype(np.float64)
    yield "tanh", 1 - t * t
    yield "sigmoid", s * (1 - s)
    for name, other in (
        ("leaky_relu", slope),
        *((f"leaky_relu with slope {k:g}", k) for k in (0.01, 0.001, 0.1, 0.2, 0.3)),
    ):
        yield name, np.where(Z > 0, 1.0, other)
