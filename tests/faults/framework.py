"""S: differences between frameworks."""

from __future__ import annotations

import numpy as np

from tests.faults.functions import dropped
from tests.faults.planted import Planted, classes, deep, mean, output


def _dead(case, q):
    """Unit 0 of layer 1 is exactly 0 for every sample."""
    W, b = q["W1"], q["b1"]
    (W if not case.rows or case.torch_like else W.T)[0] = 0
    b[0] = 0


def _at_zero(value):
    return lambda c, q, r: np.where(q["Z1"] == 0, value * q["dA1"], r)


def _kept(case, q, right):
    A, Y = q[f"A{case.depth}"], q["Y"]
    kept = Y[0] != 1
    return -(Y * np.log(A)).sum(axis=0)[kept].sum() / max(kept.sum(), 1)


FAULTS = [
    Planted("S1", "ReLU'(0) = 1", "dZ1", _at_zero(1), (), lambda c: deep(c, "relu"), _dead, kink=True),
    Planted("S1b", "ReLU'(0) = 0.5", "dZ1", _at_zero(0.5), (), lambda c: deep(c, "relu"), _dead, kink=True),
    Planted("S3", "leaky ReLU'(0) = 1", "dZ1", _at_zero(1), (), lambda c: deep(c, "leaky_relu"), _dead, kink=True),
    Planted("S11", "half the loss", "loss", lambda c, q, r: r / 2, ("factor",), lambda c: output(c, "tanh", "mse")),
    Planted("S15", "dropout's argument", "A1", lambda c, q, r: r * dropped(q, 0.2, 1.25), ("dropout",),
            lambda c: deep(c, "sigmoid")),
    Planted("S17", "ignored samples", "loss", _kept, ("samples-ignored",), lambda c: mean(classes(c))),
]  # fmt: skip
