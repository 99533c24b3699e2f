"""Mistakes of ``A_l = g_l(Z_l)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.functions import activated, activations, sigmoid, softmax

Array = NDArray[Any]


def candidates(case: Case) -> Iterator[Candidate]:
    """Another function of Z, a softmax that is wrong, probabilities that the backward pass overwrote."""
    Z, own, A = case[f"Z{case.layer}"], case.activation, case.target
    for name, array in activations(Z, case.context.slope):
        if name != own:
            text = f"the activation is {name}, not {own}: {A} = {name}(Z{case.layer})"
            yield Candidate("other-activation", text, array)
    yield from _slope(case, Z)
    yield from _softmaxes(case, Z)
    if case.layer == case.network.depth:
        yield from _overwritten(case, Z)
    yield from _twice(case, Z)
    yield from _of_another_layer(case)


def _slope(case: Case, Z: Array) -> Iterator[Candidate]:
    negative = Z < 0
    if case.activation == "leaky_relu" and negative.any():
        slope = float(np.vdot(case.recorded[negative], Z[negative]) / np.vdot(Z[negative], Z[negative]))
        text = f"the slope is {slope:.6g}, not {case.context.slope:.6g}"
        yield Candidate("other-slope", text, np.where(negative, slope * Z, Z), free=1, numbers={"slope": slope})


def _softmaxes(case: Case, Z: Array) -> Iterator[Candidate]:
    A, own = case.target, case.activation
    E = np.exp(Z - Z.max(axis=0, keepdims=True))
    p = softmax(Z)
    if own != "softmax":
        yield Candidate("other-activation", f"the activation is softmax, not {own}", p)
    if len(Z) == 1 and own != "softmax":
        return
    whole = case.whole.wide(f"Z{case.layer}")
    text = f"softmax runs over the samples, not the classes: over the samples each unit of {A} sums to 1"
    yield Candidate("softmax-over-samples", text, lambda: case.cut(softmax(whole, 1)))
    text = "softmax is divided by its largest entry, not by its sum: the largest is 1"
    yield Candidate("softmax-divided-by-max", text, E)
    yield Candidate("softmax-not-normalised", f"softmax is not divided by its sum: {A} = e^Z", np.exp(Z))
    total = np.exp(Z - whole.max())
    text = "softmax is divided by the sum over classes and samples"
    yield Candidate("softmax-over-everything", text, lambda: total / np.exp(whole - whole.max()).sum())
    if whole.shape[0] == whole.shape[1]:
        text = "the softmax's sum lost its axis (keepdims): the sums of the samples divide the classes"
        yield Candidate("softmax-keepdims", text, (E.T / E.sum(axis=0)).T)
    yield Candidate("softmax-twice", f"softmax is applied twice: {A} = softmax(softmax(Z))", softmax(p))
    yield Candidate("log-softmax", f"{A} is the logarithm of softmax", np.log(p))
    yield Candidate("softmin", f"{A} is the softmax of −Z", softmax(-Z))


def _overwritten(case: Case, Z: Array) -> Iterator[Candidate]:
    """The output's delta made in place of the probabilities."""
    if case.get("Y") is None:
        return
    A, m = activated(case.activation, Z, case.context.slope), case.m
    for word, divisor in (("", 1), ("/m", m), ("/(m·n)", m * len(Z))):
        text = f"{case.target} was overwritten by the delta, in place: it holds A − Y{word}"
        yield Candidate("overwritten-by-delta", text, (A - case.one_hot) / divisor)


def _twice(case: Case, Z: Array) -> Iterator[Candidate]:
    own = case.activation
    if own in ("tanh", "sigmoid", "leaky_relu"):
        array = activated(own, activated(own, Z, case.context.slope), case.context.slope)
        yield Candidate("activation-twice", f"{own} is applied twice: {case.target} = {own}({own}(Z))", array)
    if own == "sigmoid":
        yield Candidate("sign-of-z", f"{case.target} = 1/(1 + e^z): the sign of Z is flipped", sigmoid(-Z))


def _of_another_layer(case: Case) -> Iterator[Candidate]:
    for other in range(1, case.network.depth + 1):
        Z = case.get(f"Z{other}")
        if other != case.layer and Z is not None and case.fits(Z):
            text = f"the activation is taken of Z{other}, not of Z{case.layer}"
            yield Candidate("of-another-layer", text, activated(case.activation, Z, case.context.slope))
