"""W: the weight gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.faults.functions import within
from tests.faults.planted import Planted, deep


def _decay(case):
    return replace(case, weight_decay=0.02)


def _square(case):
    case = deep(case)
    return replace(case, sizes=(case.sizes[0], case.sizes[0], *case.sizes[2:]))


def _relu(case):
    return deep(case, "relu")


def _batch_as_input(case):
    """dZ1 and X of one shape."""
    return _square(case)


def _earlier(case):
    return 0.1 * np.random.default_rng(3).normal(size=(case.sizes[1], case.sizes[0]))


FAULTS = [
    Planted("W1", "a constant in one layer", "dW2", lambda c, q, r: 2 * r, ("factor",), deep),
    Planted("W3", "Z for A", "dW2", lambda c, q, r: q["dZ2"] @ q["Z1"].T / within(c), ("input-not-activated",), _relu),
    Planted("W5", "transposed", "dW1", lambda c, q, r: r.T, ("transposed",), _square),
    Planted("W5b", "transposed shape", "dW1", lambda c, q, r: r.T, ("transposed",), deep),
    Planted("W7", "element-wise product", "dW1", lambda c, q, r: q["dZ1"] * q["X"], ("elementwise-product",),
            _batch_as_input),
    Planted("W9", "L2 missing", "dW1", lambda c, q, r: r - c.weight_decay * q["W1"], ("weight-decay-missing",), _decay),
    Planted("W11", "gradients accumulate", "dW1", lambda c, q, r: r + _earlier(c).astype(c.dtype),
            ("accumulated",), deep, previous=_earlier),
    Planted("W13", "no gradient in the update", "W1_next", lambda c, q, r: q["W1"] * (1 - 0.3 * c.learning_rate),
            ("no-gradient",), deep),
]  # fmt: skip
