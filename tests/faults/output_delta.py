"""O: the output's delta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.faults.functions import over
from tests.faults.planted import Planted, binary, classes, mean, output


def _squared(activation):
    return lambda case: output(case, activation, "mse")


def _delta(case, q):
    return (1 if case.half else 2) * (q[f"A{case.depth}"] - q["Y"]) / over(case)


def _diagonal(case, q, right):
    A = q[f"A{case.depth}"]
    return _delta(case, q) * A * (1 - A)


def _numbers(case, q, right):
    return (q[f"A{case.depth}"] - np.arange(len(q["Y"])) @ q["Y"]) / over(case)


def _mean(case):
    return mean(classes(case))


FAULTS = [
    Planted("O1", "derivative missing (sigmoid)", "dZ{L}", lambda c, q, r: _delta(c, q), ("derivative-missing",),
            _squared("sigmoid")),
    Planted("O1b", "derivative missing (tanh)", "dZ{L}", lambda c, q, r: _delta(c, q), ("derivative-missing",),
            _squared("tanh")),
    Planted("O3", "diagonal of the Jacobian", "dZ{L}", _diagonal, ("jacobian-diagonal",), _squared("softmax")),
    Planted("O5", "binary derivative and diagonal", "loss",
            lambda c, q, r: -(q["Y"] * np.log(q[f"A{c.depth}"]) + (1 - q["Y"]) * np.log1p(-q[f"A{c.depth}"])).sum()
            / c.divisor, ("binary-cross-entropy",), classes),
    Planted("O7", "sign flipped", "dZ{L}", lambda c, q, r: -r, ("sign-flipped",)),
    Planted("O9", "factor 2", "dZ{L}", lambda c, q, r: 2 * r, ("factor",), classes),
    Planted("O11", "1/m twice", "dZ{L}", lambda c, q, r: r / c.m, ("factor",), _mean),
    Planted("O11b", "1/m twice, in dW", "dW1", lambda c, q, r: r / c.m, ("factor",), _mean),
    Planted("O13", "divided by the classes", "dZ{L}", lambda c, q, r: r / c.sizes[-1], ("factor",),
            lambda c: replace(binary(c), reduction="mean_over_samples", averaged_in="delta")),
    Planted("O15", "labels not one-hot", "dZ{L}", _numbers, ("labels-not-one-hot",), classes),
    Planted("O17", "probabilities overwritten", "A{L}", lambda c, q, r: r - q["Y"], ("overwritten-by-delta",),
            classes, late=True),
]  # fmt: skip
