"""H: the hidden layers' deltas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.faults.functions import derivative, dropped, within
from tests.faults.planted import Planted, deep


def _relu(case):
    return deep(case, "relu")


def _leaky(case):
    return deep(case, "leaky_relu")


def _tanh(case):
    return deep(case, "tanh")


def _sigmoid(case):
    return deep(case, "sigmoid")


def _square(case):
    """W2 is square, and more than one number, which is its own transpose."""
    case = deep(case)
    width = case.sizes[2] if case.sizes[2] > 1 else 4
    return replace(case, sizes=(case.sizes[0], width, width, *case.sizes[3:]))


def _alike(case):
    """Layers 1 and 2 are of one width, and hidden."""
    case = deep(case, at_least=3)
    return replace(
        case, sizes=(case.sizes[0], case.sizes[2], *case.sizes[2:]), activations=("tanh", "relu", *case.activations[2:])
    )


def _three(case):
    """Three layers, the first two and the output of one width."""
    case = _alike(case)
    return replace(case, sizes=(case.sizes[0], *(case.sizes[1],) * 2, *case.sizes[3:]))


def _masked(case, q, right):
    X, dZ = q["X"], q["dZ1"]
    return dZ @ (X * (X > 0)).T / within(case)


FAULTS = [
    Planted("H1", "ReLU mask missing", "dZ1", lambda c, q, r: q["dA1"], ("mask-missing",), _relu),
    Planted("H3", "derivative rewritten to ones", "dZ1", lambda c, q, r: q["dA1"], ("mask-missing",), _leaky),
    Planted("H3b", "derivative missing", "dZ1", lambda c, q, r: q["dA1"], ("derivative-missing",), _tanh),
    Planted("H5", "mask of the wrong sign", "dZ1", lambda c, q, r: q["dA1"] * (q["Z1"] < 0), ("mask-inverted",), _relu),
    Planted("H7", "upstream overwritten", "dZ1", lambda c, q, r: np.where(q["Z1"] > 0, 1, c.slope),
            ("delta-overwritten",), _leaky),
    Planted("H9", "another derivative", "dZ1", lambda c, q, r: q["dA1"] * (1 - q["A1"] ** 2),
            ("derivative-of-wrong-form",), _sigmoid),
    Planted("H9b", "sigmoid's derivative on ReLU", "dZ1", lambda c, q, r: q["dA1"] * q["A1"] * (1 - q["A1"]),
            ("derivative-of-wrong-form",), _relu),
    Planted("H11", "output form fed with Z", "dZ1", lambda c, q, r: q["dA1"] * q["Z1"] * (1 - q["Z1"]),
            ("derivative-of-wrong-form",), _sigmoid),
    Planted("H13", "1 − a missing", "dZ1", lambda c, q, r: q["dA1"] * q["A1"], ("derivative-incomplete",), _sigmoid),
    Planted("H15", "W not transposed", "dA1", lambda c, q, r: q["W2"] @ q["dZ2"], ("weights-not-transposed",), _square),
    Planted("H17", "another layer's delta", "dZ1",
            lambda c, q, r: q["dA2"] * derivative(c, 1, q["Z1"], q["A1"]), ("delta-of-another-layer",), _alike),
    Planted("H19", "derivative at another layer's Z", "dZ1", lambda c, q, r: q["dA1"] * (1 - np.tanh(q["Z2"]) ** 2),
            ("derivative-at-another-layer",), _alike),
    Planted("H21", "dropout only in the backward pass", "dZ1", lambda c, q, r: r * dropped(q, 0.5, 2), ("dropout",),
            _tanh),
    Planted("H23", "mask on the input", "dW1", _masked, ("input-masked",), deep),
]  # fmt: skip
