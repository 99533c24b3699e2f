"""Mistakes of the forward pass: Z and A."""

from __future__ import annotations

from collections.abc import Iterator
from math import erf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case

Array = NDArray[Any]


def sigmoid(Z: Array) -> Array:
    """``1 / (1 + e^-z)``."""
    return np.asarray(1 / (1 + np.exp(-np.clip(Z, -700, 700))))


def softmax(Z: Array, axis: int = 0) -> Array:
    """Along an axis: 0 are the classes, 1 are the samples."""
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return np.asarray(E / E.sum(axis=axis, keepdims=True))


def activations(Z: Array, slope: float) -> Iterator[tuple[str, Array]]:
    """Every activation that somebody may have taken instead, by name."""
    cube = Z + 0.044715 * Z**3
    yield "relu", np.maximum(Z, 0)
    yield "tanh", np.tanh(Z)
    yield "sigmoid", sigmoid(Z)
    yield "identity", Z
    for other in dict.fromkeys((slope, 0.01, 0.001, 0.1, 0.2, 0.3)):
        yield f"leaky_relu with slope {other:g}", np.where(Z > 0, Z, other * Z)
    yield "softplus", np.logaddexp(0, Z)
    yield "elu", np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0)))
    yield "gelu (erf)", 0.5 * Z * (1 + np.vectorize(erf)(Z / sqrt(2))) if Z.size <= 1 << 18 else np.full_like(Z, np.nan)
    yield "gelu (tanh)", 0.5 * Z * (1 + np.tanh(sqrt(2 / np.pi) * cube))
    yield "silu", Z * sigmoid(Z)
    yield "abs", np.abs(Z)
    yield "relu6", np.clip(Z, 0, 6)


def candidates(case: Case) -> Iterator[Candidate]:
    """Of ``Z = W A + b`` or ``A = g(Z)``."""
    if case.equation.target.startswith("Z"):
        yield from _affine(case)
    elif case.layer == case.network.depth:
        yield from _output(case)
    else:
        yield from _hidden(case)


def _affine(case: Case) -> Iterator[Candidate]:
    n, below = case.layer, case.below
    Z, W, b, A, product = f"Z{n}", case[f"W{n}"], case[f"b{n}"], case[below], case.exact - case[f"b{n}"]
    yield Candidate("bias-missing", f"the bias is missing: {Z} = W{n}·{below}", product)
    yield Candidate("bias-subtracted", f"the bias is subtracted: {Z} = W{n}·{below} − b{n}", product - b)
    yield Candidate("bias-twice", f"the bias is added twice: {Z} = W{n}·{below} + 2 b{n}", product + 2 * b)
    if b.shape[0] == A.shape[1]:
        sentence = f"the bias is broadcast along the samples: {Z} = W{n}·{below} + b{n}ᵀ"
        yield Candidate("bias-wrong-axis", sentence, product + b.T)
    if W.shape[0] == W.shape[1]:
        yield Candidate("weights-transposed", f"the weights are transposed: {Z} = W{n}ᵀ·{below} + b{n}", W.T @ A + b)
    for other in _inputs(case):
        array = case[other]
        word = "before its activation" if other.startswith("Z") else "of another layer"
        name = "input-not-activated" if other == f"Z{n - 1}" else "input-of-another-layer"
        yield Candidate(name, f"the input is {other}, {word}: {Z} = W{n}·{other} + b{n}", W @ array + b)
    for constant, word in ((255.0, "255"), (1 / 255, "1/255"), (255 / 256, "255/256"), (256 / 255, "256/255")):
        yield Candidate(
            "input-scaled", f"the input is scaled by {word}: {Z} = W{n}·({word} {below}) + b{n}", constant * product + b
        )
    W_next, b_next = case.get(f"W{n}_next"), case.get(f"b{n}_next")
    if W_next is not None and b_next is not None:
        yield Candidate(
            "weights-updated",
            f"the weights are those after the update: {Z} = W{n}_next·{below} + b{n}_next",
            W_next @ A + b_next,
        )
    for g, array in activations(case.exact, case.context.slope):
        if g != "identity":
            yield Candidate("overwritten", f"{Z} was overwritten by its activation ({g}), in place", array)


def _inputs(case: Case) -> Iterator[str]:
    for name in ("X", *(f"{kind}{n}" for n in range(1, case.network.depth) for kind in "ZA")):
        array = case.get(name)
        if name != case.below and array is not None and array.shape == case[case.below].shape:
            yield name


def _hidden(case: Case) -> Iterator[Candidate]:
    Z, own = case[f"Z{case.layer}"], case.network.activations[case.layer - 1]
    A = case.equation.target
    for name, array in activations(Z, case.context.slope):
        if name != own:
            yield Candidate(
                "other-activation", f"the activation is {name}, not {own}: {A} = {name}(Z{case.layer})", array
            )
    negative = Z < 0
    if own == "leaky_relu" and negative.any():
        slope = float(np.vdot(case.recorded[negative], Z[negative]) / np.vdot(Z[negative], Z[negative]))
        array = np.where(negative, slope * Z, Z)
        yield Candidate("other-slope", f"the slope is {slope:.6g}, not {case.context.slope:.6g}", array, free=1)
    yield from _softmaxes(case, Z)


def _output(case: Case) -> Iterator[Candidate]:
    Z, own = case[f"Z{case.layer}"], case.network.activations[-1]
    yield from _softmaxes(case, Z)
    for name, array in activations(Z, case.context.slope):
        if name != own:
            yield Candidate("other-activation", f"the output activation is {name}, not {own}", array)


def _softmaxes(case: Case, Z: Array) -> Iterator[Candidate]:
    A, own = case.equation.target, case.network.activations[case.layer - 1]
    E = np.exp(Z - Z.max(axis=0, keepdims=True))
    p = softmax(Z)
    if own != "softmax":
        yield Candidate("other-activation", f"the activation is softmax, not {own}", p)
    yield Candidate(
        "softmax-over-samples",
        f"softmax runs over the samples, not the classes: each row of {A} sums to 1",
        softmax(Z, 1),
    )
    yield Candidate(
        "softmax-divided-by-max", "softmax is divided by its largest entry, not by its sum: the largest is 1", E
    )
    yield Candidate("softmax-not-normalised", "softmax is not divided by its sum: A = e^Z", np.exp(Z))
    total = np.exp(Z - Z.max())
    yield Candidate(
        "softmax-over-everything", "softmax is divided by the sum over classes and samples", total / total.sum()
    )
    if Z.shape[0] == Z.shape[1]:
        yield Candidate(
            "softmax-keepdims",
            "the softmax's sum lost its axis (keepdims): column j is divided by row j's sum",
            (E.T / E.sum(axis=0)).T,
        )
    yield Candidate("softmax-twice", f"softmax is applied twice: {A} = softmax(softmax(Z))", softmax(p))
    yield Candidate("log-softmax", f"{A} is the logarithm of softmax", np.log(p))
