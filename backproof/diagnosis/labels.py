"""How the output and the labels may have been taken wrongly, and the derivatives of the losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Case, Part
from backproof.diagnosis.functions import activated, sigmoid, softmax

Array = NDArray[Any]

LOSSES = {"cross_entropy": "the cross-entropy", "binary_cross_entropy": "the binary cross-entropy",
          "mse": "the squared error"}  # fmt: skip


def labels(case: Case, where: str) -> Iterator[Part]:
    """Y, and what may stand for it; an output of one unit has no classes."""
    Y, n, m = case.one_hot, case.network.sizes[-1], case.m
    yield Part("", "", Y)
    yield Part("labels-missing", f"the labels are not subtracted: {where} without Y", np.zeros_like(Y))
    if m > 1:
        whole = case.matrix(case.whole.wide("Y"))
        for word, shift in (("next sample", -1), ("sample before", 1)):
            shifted = np.roll(whole, shift, axis=1)[:, case.columns]
            yield Part("labels-shifted", f"the labels in {where} are those of the {word}", shifted)
        if n == 1:
            text = f"(m, 1) against (m,) broadcasts to m x m: {where} has the mean of the labels for each of them"
            yield Part("broadcast", text, np.full_like(Y, whole.mean()))
    if n > 1:
        number = np.arange(n) @ Y
        yield Part(
            "labels-not-one-hot", f"the label's number is subtracted from every class in {where}", 0 * Y + number
        )
    yield Part("labels-inverted", f"{where} has 1 − Y for Y", 1 - Y)
    yield Part("labels-added", f"the labels are added in {where}, not subtracted", -Y)


def outputs(case: Case, where: str) -> Iterator[Part]:
    """The output as the layer's activation of Z, as it was recorded, and what may stand for it."""
    L, own = case.network.depth, case.network.activations[-1]
    Z, A, slope = case.get(f"Z{L}"), case.get(f"A{L}"), case.context.slope
    if Z is not None:
        p = activated(own, Z, slope)
        yield Part("", "", p)
    else:
        p = case[f"A{L}"]
    if A is not None and Z is not None:
        yield Part("from-recorded-output" if np.allclose(A, p) else "", f"{where} is made of the recorded A{L}", A)
    yield from _softmaxes(case, Z, p, where)
    if Z is not None and own != "identity":
        yield Part("logits-for-output", f"Z{L} stands for A{L} in {where}", Z)
    other = {"softmax": "sigmoid", "sigmoid": "tanh", "tanh": "sigmoid"}.get(own)
    if Z is not None and other:
        yield Part("other-activation", f"{other}(Z{L}) stands for {own}(Z{L}) in {where}", activated(other, Z, slope))


def _softmaxes(case: Case, Z: Array | None, p: Array, where: str) -> Iterator[Part]:
    L, own = case.network.depth, case.network.activations[-1]
    if own == "sigmoid":
        yield Part("sigmoid-twice", f"the sigmoid is applied twice in {where}", sigmoid(p))
    if own == "softmax":
        yield Part("softmax-twice", f"softmax is applied twice in {where}: softmax(A{L})", softmax(p))
    if own == "softmax" and Z is not None:
        over_samples = softmax(case.whole.wide(f"Z{L}"), 1)[:, case.columns]
        yield Part("softmax-over-samples", f"softmax runs over the samples in {where}", over_samples)
        E = np.exp(Z - Z.max(axis=0, keepdims=True))
        yield Part("softmax-not-normalised", f"softmax is not divided by its sum in {where}: e^(Z − max)", E)
        yield Part("softmax-not-normalised", f"softmax is not divided by its sum in {where}: e^Z", np.exp(Z))


def gradient(loss: str, A: Array, Y: Array) -> Array:
    """``∂loss/∂A`` of the summed loss, without the 2 of a squared error."""
    if loss == "mse":
        return A - Y
    true = np.where(Y == 0, 0.0, Y / A)
    return -true if loss == "cross_entropy" else np.where(Y == 1, 0.0, (1 - Y) / (1 - A)) - true


def through_output(activation: str, dA: Array, A: Array, derivative: Array | None) -> Array:
    """dA through the output's activation: the softmax Jacobian, or its elementwise derivative."""
    if activation == "softmax":
        return np.asarray(A * (dA - (dA * A).sum(axis=0, keepdims=True)))
    assert derivative is not None
    return np.asarray(dA * derivative)


def coefficient(case: Case, loss: str | None = None) -> float:
    """What multiplies :func:`gradient` in dA and dZ of the output, the divisor included."""
    doubled = (loss or case.network.loss) == "mse" and not case.context.half
    return (2.0 if doubled else 1.0) / case.context.delta_divisor
