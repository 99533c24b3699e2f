"""Mistakes of ``Z_l = W_l A_{l-1} + b_l``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import overwritten
from backproof.diagnosis.candidate import Candidate, Case, Part, crossed
from backproof.diagnosis.constants import ratio, recognised
from backproof.diagnosis.functions import activations, softmax

Array = NDArray[Any]

SAMPLES = 3
"""From which a bias that was not given is read off them."""


def candidates(case: Case) -> Iterator[Candidate]:
    """Wrong operands and biases, an input that was scaled, a Z that was overwritten."""
    weights, inputs, biases = _weights(case), list(_inputs(case)), list(_biases(case))
    yield from crossed(lambda W, A, b: W @ A + b, weights, inputs, biases, most=case.most)
    yield from _updated(case)
    yield from overwritten.candidates(case, case[case.below], f"W{case.layer}", f"b{case.layer}")
    product = case[f"W{case.layer}"] @ case[case.below]
    yield from _scaled(case, product, biases)
    yield from _overwritten(case)
    yield from _other_bias(case, product)
    A = case[case.below]
    if A.shape == case.exact.shape:
        text = f"the weights are missing: {case.target} = {case.below} + b{case.layer}"
        yield Candidate("product-missing", text, A + case[f"b{case.layer}"])


def _weights(case: Case) -> list[Part]:
    n, W = case.layer, case[f"W{case.layer}"]
    parts = [Part("", "", W)]
    if W.shape[0] == W.shape[1]:
        parts.append(Part("weights-transposed", f"the weights are transposed: Z{n} = W{n}ᵀ·{case.below} + b{n}", W.T))
    for other in range(1, case.network.depth + 1):
        V = case.get(f"W{other}")
        if other != n and V is not None and V.shape == W.shape:
            parts.append(Part("weights-of-another-layer", f"W{other} stands for W{n} in Z{n}", V))
    return parts


def _inputs(case: Case) -> Iterator[Part]:
    n, A = case.layer, case[case.below]
    yield Part("", "", A)
    for other, array in case.quantities("Z", "A"):
        if other != case.below and array.shape == A.shape and case.network.layer_of(other) < case.network.depth:
            word = "before its activation" if other.startswith("Z") else "of another layer"
            name = "input-not-activated" if other == f"Z{n - 1}" else "input-of-another-layer"
            yield Part(name, f"the input is {other}, {word}: Z{n} = W{n}·{other} + b{n}", array)


def _biases(case: Case) -> Iterator[Part]:
    n, b = case.layer, case[f"b{case.layer}"]
    yield Part("", "", b)
    if not b.any():
        return
    product = f"W{n}·{case.below}"
    yield Part("bias-missing", f"the bias is missing: Z{n} = {product}", np.zeros_like(b))
    yield Part("bias-subtracted", f"the bias is subtracted: Z{n} = {product} − b{n}", -b)
    yield Part("bias-twice", f"the bias is added twice: Z{n} = {product} + 2 b{n}", 2 * b)
    if len(b) == case.m:
        text = f"the bias is broadcast along the samples: Z{n} = {product} + b{n}ᵀ"
        yield Part("bias-wrong-axis", text, b.T[:, case.columns])
    if len(b) > 1:
        yield Part("bias-first-only", f"one bias is added to every unit: Z{n} = {product} + b{n}[0]", b[:1] + 0 * b)


def _updated(case: Case) -> Iterator[Candidate]:
    n, A = case.layer, case[case.below]
    W, b = case.get(f"W{n}_next"), case.get(f"b{n}_next")
    if W is not None and W.shape == case[f"W{n}"].shape:
        bias = b if b is not None and b.shape == case[f"b{n}"].shape else case[f"b{n}"]
        text = f"the weights are those after the update: Z{n} = W{n}_next·{case.below} + b{n}_next"
        yield Candidate("weights-updated", text, W @ A + bias)


def _scaled(case: Case, product: Array, biases: list[Part]) -> Iterator[Candidate]:
    n = case.layer
    for bias in biases:
        named = recognised(ratio(case.recorded - bias.array, product), case)
        if named and named[0] != 1:
            constant, word = named
            text = f"the input or the weights are scaled by {word}: Z{n} = {word}·(W{n}·{case.below}) + b{n}"
            text = f"{text}; {bias.text}" if bias.name else text
            name = f"input-scaled + {bias.name}" if bias.name else "input-scaled"
            yield Candidate(name, text, constant * product + bias.array, numbers={"scale": constant})


def _overwritten(case: Case) -> Iterator[Candidate]:
    Z = case.exact
    for g, array in activations(Z, case.context.slope):
        if g != "identity":
            yield Candidate("overwritten", f"{case.target} was overwritten by its activation ({g}), in place", array)
    yield Candidate("overwritten", f"{case.target} was overwritten by its softmax, in place", softmax(Z))
    shifted = Z - Z.max(axis=0, keepdims=True)
    yield Candidate("overwritten", f"{case.target} was overwritten: each sample's largest was taken away", shifted)
    yield Candidate("overwritten", f"{case.target} was overwritten by e^(Z − max), in place", np.exp(shifted))
    if case.whole is case.operands:
        whole = Z - Z.max()
        yield Candidate("overwritten", f"{case.target} was overwritten: the largest of all was taken away", whole)


def _other_bias(case: Case, product: Array) -> Iterator[Candidate]:
    """The same for every sample, another for every unit: as many constants as units."""
    n, b = case.layer, case[f"b{case.layer}"]
    if case.recorded.shape[1] < SAMPLES:
        return
    offset = (case.recorded - product).mean(axis=1, keepdims=True)
    if b.any():
        text = f"another bias than b{n} is added: Z{n} − W{n}·{case.below} is the same for every sample, and not b{n}"
        yield Candidate("other-bias", text, product + offset, free=2)
    else:
        text = f"a bias that was not given is added: Z{n} − W{n}·{case.below} is the same for every sample"
        yield Candidate("bias-not-given", text, product + offset, free=1)
