"""U: plain gradient descent; optimizers with a state are not here."""

from __future__ import annotations

from tests.faults.functions import step
from tests.faults.planted import Planted, deep

FAULTS = [
    Planted("U1", "wrong sign", "W1_next", lambda c, q, r: q["W1"] + step(c) * q["dW1"], ("sign",), deep),
    Planted("U3", "step 1 of a moving average", "W1_next", lambda c, q, r: q["W1"] - 0.1 * step(c) * q["dW1"],
            ("learning-rate",), deep),
    Planted("U19", "decay without the learning rate", "W1_next", lambda c, q, r: r - 1e-2 * q["W1"], ("weight-decay",),
            deep),
    Planted("U23", "not updated", "b1_next", lambda c, q, r: q["b1"], ("not-updated",), deep),
]  # fmt: skip
