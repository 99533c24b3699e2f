"""L: the loss, and what the loss does to the first delta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.faults.functions import over, softmax
from tests.faults.planted import Planted, binary, classes, mean, output


def _log(case, A, Y):
    return -(Y * np.log(A)).sum() / case.divisor


def _decay(case):
    return replace(case, weight_decay=0.01)


def _weights(q):
    return sum((array**2).sum() for name, array in q.items() if name[0] == "W" and "next" not in name)


def _mse(case):
    return mean(output(case, "identity", "mse"))


def _one(case):
    return mean(output(case, "identity", "mse", units=1))


def _mean_of_classes(case):
    return mean(classes(case))


def _huge(case, q):
    """Logits beyond what e^z of the format holds."""
    q[f"W{case.depth}"] *= np.asarray(1e5 if case.dtype == "float64" else 1e4, case.dtype)


def _naive_binary(case, q, right):
    A, Y = q[f"A{case.depth}"], q["Y"]
    return -(Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum() / case.divisor


def _clipped(case, q, right):
    A = q[f"A{case.depth}"]
    likely = (A * q["Y"]).sum(axis=0)
    return np.where(likely < np.sort(likely)[len(likely) // 3], 0, right)


def _weighted(case, q, right):
    return right * np.linspace(0.5, 2, len(right))[:, None]


def _epsilon(size):
    return lambda c, q, r: _log(c, q[f"A{c.depth}"] + size, q["Y"])


FAULTS = [
    Planted("L1", "softmax twice", "loss", lambda c, q, r: _log(c, softmax(q[f"A{c.depth}"]), q["Y"]),
            ("softmax-twice",), classes),
    Planted("L3", "logarithm missing", "loss", lambda c, q, r: -(q["Y"] * q[f"A{c.depth}"]).sum() / c.divisor,
            ("log-missing",), classes),
    Planted("L5", "binary cross-entropy of softmax", "loss", _naive_binary, ("binary-cross-entropy",), classes),
    Planted("L7", "mean over classes too", "loss", lambda c, q, r: r / c.sizes[-1], ("factor",), _mse),
    Planted("L9", "divided by the classes", "loss", lambda c, q, r: r * c.m / c.sizes[-1], ("factor",),
            _mean_of_classes),
    Planted("L11", "log(0)", "loss", lambda c, q, r: _log(c, q[f"A{c.depth}"], q["Y"]),
            ("zero-times-log-of-zero", "log-of-zero"), classes, _huge),
    Planted("L11b", "ε in the logarithm", "loss", _epsilon(1e-3), ("epsilon",), classes),
    Planted("L13", "clip stops the gradient", "dZ{L}", _clipped, ("clip-stops-gradient",), classes),
    Planted("L15", "saturated binary cross-entropy", "loss", _naive_binary,
            ("zero-times-log-of-zero", "log-of-zero"), binary, _huge),
    Planted("L17", "(n, 1) against (n,) in the loss", "loss",
            lambda c, q, r: ((q[f"A{c.depth}"].T - q["Y"]) ** 2).mean() * (0.5 if c.half else 1), ("broadcast",), _one),
    Planted("L17b", "(n, 1) against (n,) in the gradient", "dZ{L}",
            lambda c, q, r: (1 if c.half else 2) * (q[f"A{c.depth}"] - q["Y"].mean()) / over(c), ("broadcast",), _one),
    Planted("L19", "regularisation not in the loss", "loss", lambda c, q, r: r - c.weight_decay / 2 * _weights(q),
            ("penalty-missing",), lambda c: _decay(classes(c))),
    Planted("L21", "lambda/m for lambda", "dW1",
            lambda c, q, r: r - c.weight_decay * (1 - 1 / c.m) * q["W1"], ("weight-decay-scaled",), _decay),
    Planted("L23", "class weights per column", "dZ{L}", _weighted, ("class-weights-per-column",), classes),
]  # fmt: skip
