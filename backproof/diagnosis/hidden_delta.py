"""Mistakes of the hidden layers' deltas through the activation: ``dZ_l = dA_l ⊙ g′(Z_l)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case, Part, crossed
from backproof.diagnosis.functions import derivatives, derived
from backproof.network import KINKED

Array = NDArray[Any]

FEWEST = 8
"""Elements that a mask keeps where Z is not positive, before it is called another."""


def candidates(case: Case) -> Iterator[Candidate]:
    """A wrong derivative, a wrong delta, both."""
    own = derived(case.activation, case[f"Z{case.layer}"], case.context.slope)
    # The right value from Z: where A is wrong, the recorded one may have been made from Z.
    yield Candidate("", "", case[f"dA{case.layer}"] * own)
    slopes = [Part("", "", own), *_of_output(case), *derivative_parts(case)]
    yield from crossed(np.multiply, list(_deltas(case)), slopes, most=case.most)
    if case.activation in KINKED:
        yield from _other_mask(case)


def _of_output(case: Case) -> Iterator[Part]:
    """The right derivative in terms of the recorded A, as the equation has it."""
    A = case.get(f"A{case.layer}")
    if A is not None and case.activation in ("tanh", "sigmoid"):
        yield Part("", "", 1 - A * A if case.activation == "tanh" else A * (1 - A))


def derivative_parts(case: Case) -> Iterator[Part]:
    """What may stand for the elementwise derivative of the layer's activation, the commonest first."""
    n, dZ, activation = case.layer, case.target, case.activation
    Z, kinked = case.get(f"Z{n}"), activation in KINKED
    if Z is None:
        return
    if activation != "identity":
        name = "mask-missing" if kinked else "derivative-missing"
        yield Part(name, _missing(activation, n), np.ones_like(Z))
    if kinked:
        yield Part("mask-inverted", f"the mask has the wrong sign: {dZ} = dA{n} ⊙ (Z{n} < 0)", (Z < 0) + 0.0)
        yield Part("mask-of-delta", f"the mask is that of dA{n}, not of Z{n}: {dZ} = dA{n} ⊙ (dA{n} > 0)",
                   (case[f"dA{n}"] > 0) + 0.0)  # fmt: skip
    for name, derivative in derivatives(Z, case.context.slope):
        if name != activation:
            text = f"the derivative is that of {name}, not of {activation}: {dZ} = dA{n} ⊙ {name}′(Z{n})"
            yield Part("other-derivative", text, derivative)
        elif name not in KINKED:
            text = f"the derivative is applied twice: {dZ} = dA{n} ⊙ {name}′(Z{n})²"
            yield Part("derivative-twice", text, derivative**2)
    yield from _wrong_forms(case)
    yield from _at_another_layer(case)
    if kinked:
        yield from _slope(case, Z)


def _other_mask(case: Case) -> Iterator[Candidate]:
    """Zeros and ones that are not those of Z, read off: whose they are shows where they are the same for every unit."""
    n, dA, recorded = case.layer, case[f"dA{case.layer}"], case.recorded
    told, kept, own = dA != 0, recorded != 0, case[f"Z{case.layer}"] > 0
    differ = int(np.count_nonzero(told & kept & ~own))
    # Whatever is kept is kept by Z's own mask: that is a mask beside it, as dropout's is.
    if differ < FEWEST or kept[told].all():
        return
    text = f"the mask is another than that of Z{n}: {differ} elements of {case.target} are dA{n} where Z{n} is not > 0"
    name = "other-mask"
    if (of := _unit_of(case, told, kept)) is not None:
        name, text = (
            "mask-of-another-layer",
            f"the mask is that of {of}, for every unit: {case.target} = dA{n} ⊙ ({of} > 0)",
        )
    yield Candidate(name, text, np.where(kept, dA, 0.0), free=1, numbers={"elements": differ})


def _unit_of(case: Case, told: Array, kept: Array) -> str | None:
    """The unit of some Z that is positive for the samples that are kept, and for no other: ``Z2[0]``."""
    if np.any(np.any(kept & told, axis=0) & np.any(told & ~kept, axis=0)):
        return None
    samples = np.any(told, axis=0)
    mask = np.any(kept & told, axis=0)[samples]
    for name, Z in case.quantities("Z"):
        for unit, row in enumerate(Z):
            if np.array_equal(row[samples] > 0, mask):
                return f"{name}[{unit}]"
    return None


def _slope(case: Case, Z: Array) -> Iterator[Part]:
    n, dA = case.layer, case[f"dA{case.layer}"]
    below = Z <= 0
    square = float(np.vdot(dA[below], dA[below]))
    if square:
        slope = float(np.vdot(case.recorded[below], dA[below])) / square
        text = f"the slope below 0 is {slope:.6g}: {case.target} = {slope:.6g} dA{n} there"
        yield Part("other-slope", text, np.where(below, slope, 1.0))


def _wrong_forms(case: Case) -> Iterator[Part]:
    n, dZ = case.layer, case.target
    for word, source in (("Z", case.get(f"Z{n}")), ("A", case.get(f"A{n}"))):
        if source is None:
            continue
        S = f"{word}{n}"
        text = f"{dZ} = dA{n} ⊙ {S} ⊙ (1 − {S}): a sigmoid's derivative in terms of {word}"
        yield Part("derivative-of-wrong-form", text, source * (1 - source))
        text = f"{dZ} = dA{n} ⊙ (1 − {S}²): a tanh's derivative in terms of {word}"
        yield Part("derivative-of-wrong-form", text, 1 - source**2)
        text = f"{dZ} = dA{n} ⊙ {S}: a factor of the derivative is missing"
        yield Part("derivative-incomplete", text, source)
        text = f"{dZ} = dA{n} ⊙ (1 − {S}): a factor of the derivative is missing"
        yield Part("derivative-incomplete", text, 1 - source)
        for name, derivative in derivatives(source, case.context.slope) if word == "A" else ():
            text = f"the derivative is taken at A{n}, not at Z{n}: {dZ} = dA{n} ⊙ {name}′(A{n})"
            yield Part("derivative-at-activation", text, derivative)


def _at_another_layer(case: Case) -> Iterator[Part]:
    n, dZ = case.layer, case.target
    for other, Z in case.quantities("Z"):
        if other != f"Z{n}" and case.fits(Z):
            for name, derivative in derivatives(Z, case.context.slope):
                text = f"the derivative is taken at {other}, not Z{n}: {dZ} = dA{n} ⊙ {name}′({other})"
                yield Part("derivative-at-another-layer", text, derivative)


def _deltas(case: Case) -> Iterator[Part]:
    n, dZ = case.layer, case.target
    yield Part("", "", case[f"dA{n}"])
    yield Part("delta-overwritten", f"dA{n} is not used: {dZ} is the derivative alone", np.ones_like(case.exact))
    for kind, array in case.quantities("dA", "dZ"):
        if kind not in (f"dA{n}", dZ) and case.fits(array):
            text = f"the delta is {kind}, not dA{n}: {dZ} = {kind} ⊙ g′(Z{n})"
            yield Part("delta-of-another-layer", text, array)


def _missing(activation: str, n: int) -> str:
    word = {"relu": "the ReLU mask", "leaky_relu": "the leaky ReLU's mask"}
    return f"{word.get(activation, f'the derivative of {activation}')} is missing: dZ{n} = dA{n}"
