"""F: the forward pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.faults.functions import dropped, other_than, sigmoid, softmax
from tests.faults.planted import Planted, classes, deep

DROPOUT = ("dropout",)


def _square_softmax(case):
    case = classes(case)
    return replace(case, m=case.sizes[-1])


def _bias_as_samples(case):
    case = deep(case)
    return replace(case, m=case.sizes[1])


def _same_width(case):
    case = deep(case)
    return replace(case, sizes=(case.sizes[0], case.sizes[0], *case.sizes[2:]))


def _activated(case):
    return deep(case, "tanh")


def _relu(case):
    return deep(case, "relu")


def _big(case, q):
    """Logits beyond what e^z of the format holds."""
    q[f"W{case.depth}"] *= np.asarray(1e5 if case.dtype == "float64" else 1e4, case.dtype)


def _keepdims(case, q, right):
    E = np.exp(q[f"Z{case.depth}"] - q[f"Z{case.depth}"].max(axis=0, keepdims=True))
    return (E.T / E.sum(axis=0)).T


def _global(case, q, right):
    Z = q[f"Z{case.depth}"]
    E = np.exp(Z - Z.max())
    return E / E.sum(axis=0)


def _no_max(case, q, right):
    E = np.exp(q[f"Z{case.depth}"])
    return E / E.sum(axis=0)


def _other(case, q, right):
    Z = q["Z1"]
    return {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": sigmoid}[
        other_than(case, case.activations[0])
    ](Z)


FAULTS = [
    Planted("F1", "softmax over the samples", "A{L}", lambda c, q, r: softmax(q[f"Z{c.depth}"], 1),
            ("softmax-over-samples",), classes),
    Planted("F3", "keepdims forgotten", "A{L}", _keepdims, ("softmax-keepdims",), _square_softmax),
    Planted("F5", "softmax divided by its max", "A{L}", lambda c, q, r: r / r.max(axis=0), ("softmax-divided-by-max",),
            classes),
    Planted("F7", "shift by the global max", "A{L}", _global, ("shift-by-global-maximum",), classes, _big),
    Planted("F9", "another activation", "A1", _other, ("other-activation",), deep),
    Planted("F11", "bias subtracted", "Z1", lambda c, q, r: r - 2 * q["b1"], ("bias-subtracted",), deep),
    Planted("F13", "bias along the samples", "Z1", lambda c, q, r: r - q["b1"] + q["b1"].T, ("bias-wrong-axis",),
            _bias_as_samples),
    Planted("F15", "layer 2 fed with x", "Z2", lambda c, q, r: q["W2"] @ q["X"] + q["b2"], ("input-of-another-layer",),
            _same_width),
    Planted("F17", "activation in place", "Z1", lambda c, q, r: np.tanh(r), ("overwritten",), _activated),
    Planted("F19", "keep read as drop", "A1", lambda c, q, r: r * dropped(q, 0.8, 5), DROPOUT, _relu),
    Planted("F21", "dropout left on", "A1", lambda c, q, r: r * dropped(q, 0.5, 2), DROPOUT, _relu),
]  # fmt: skip
