"""P: precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.random_steps import forward
from tests.faults.planted import Planted, classes, deep, mean


def _wide(case):
    return replace(deep(case), dtype="float64")


def _narrow(case):
    return replace(deep(case), dtype="float32")


def _stored(case, q, right):
    return right.astype(np.float32)


_stored.keeps_dtype = True


def _cut(array, bits):
    mantissa, exponent = np.frexp(array.astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)


def _coarse(bits):
    return lambda c, q, r: _cut(q["W1"], bits) @ _cut(q["X"], bits) + q["b1"]


def _far(case, q):
    """Logits beyond what e^z of the format holds."""
    q[f"W{case.depth}"] *= np.asarray(1e5 if case.dtype == "float64" else 1e4, case.dtype)


def _loss(case, q, name, array):
    """Of an array in the place of W1, say, in columns."""
    q = {**q, name: array}
    forward(replace(case, rows=False, torch_like=False), q, {})
    return q["loss"]


def numeric(step, sides, name="W1"):
    """``(f(W + step) - f(W))/step`` for each weight, or ``(f(W + step) - f(W - step))/(2 step)``."""

    def gradient(case, q, right):
        found = np.zeros_like(right)
        for at in np.ndindex(right.shape):
            up, down = q[name].copy(), q[name].copy()
            up[at] += step
            down[at] -= step if sides == 2 else 0
            found[at] = (_loss(case, q, name, up) - _loss(case, q, name, down)) / (sides * step)
        return found

    return gradient


def _averaged(case):
    """A numeric gradient is that of the loss."""
    return mean(_wide(case))


def _unshifted(case, q, right):
    E = np.exp(q[f"Z{case.depth}"])
    return E / E.sum(axis=0)


FAULTS = [
    Planted("P1", "silently float32", "Z1", _stored, ("held-in-float32",), _wide),
    Planted("P3", "float32 values in float64", "Z1",
            lambda c, q, r: (q["W1"].astype(np.float32) @ q["X"].astype(np.float32) + q["b1"].astype(np.float32)),
            ("held-in-float32",), _wide),
    Planted("P5", "bfloat16 operands", "Z1", _coarse(8), ("low-precision-operands",), _narrow),
    Planted("P5b", "TF32 operands", "Z1", _coarse(11), ("low-precision-operands",), _narrow),
    Planted("P5c", "bfloat16 results", "dA1", lambda c, q, r: _cut(r, 8), ("low-precision-result",), _narrow),
    Planted("P7", "numeric gradient, tiny step", "dW1", numeric(1e-10, 1), ("numeric-gradient",), _averaged),
    Planted("P9", "numeric gradient, one-sided", "dW1", numeric(1e-5, 1), ("numeric-gradient",), _averaged),
    Planted("P11", "exp overflow", "A{L}", _unshifted, ("exp-overflow",), classes, _far),
]  # fmt: skip
