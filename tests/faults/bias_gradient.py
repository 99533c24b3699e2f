"""B: the bias gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.faults.functions import step, within
from tests.faults.planted import Planted, deep


def _width_of_batch(case):
    case = deep(case)
    return replace(case, m=case.sizes[1])


FAULTS = [
    Planted("B1", "summed over everything", "db1", lambda c, q, r: np.full_like(r, r.sum()),
            ("summed-over-everything",), deep),
    Planted("B1b", "one number", "db1", lambda c, q, r: np.asarray(r.sum()), ("summed-over-everything",), deep),
    Planted("B3", "summed a second time", "db1", lambda c, q, r: np.asarray(r.sum(axis=0).sum()),
            ("summed-over-everything",), deep),
    Planted("B5", "wrong axis", "db1", lambda c, q, r: q["dZ1"].sum(axis=0)[:, None] / within(c), ("wrong-axis",),
            _width_of_batch),
    Planted("B7", "one sample", "db1", lambda c, q, r: q["dZ1"][:, -1:] / within(c), ("one-sample",), deep),
    Planted("B9", "from the weight gradient", "db1", lambda c, q, r: q["dW1"].sum(axis=1, keepdims=True),
            ("from-weight-gradient",), deep),
    Planted("B11", "squeezed", "b1_next",
            lambda c, q, r: q["b1"] - q["db1"][:, 0] * step(c), ("squeezed",), deep),
    Planted("B13", "decay on biases", "db1", lambda c, q, r: r + 0.05 * q["b1"], ("weight-decay",), deep),
]  # fmt: skip
