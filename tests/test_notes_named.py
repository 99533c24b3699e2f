"""The notes' own slips (docs/notes.md), each planted in a step of its network, are named by check_backprop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import backproof
from benchmarks.random_steps import Case, arrays_of

FIVE = Case(
    (12, 9, 7, 7, 5, 4),
    ("relu", "relu", "relu", "relu", "softmax"),
    "cross_entropy",
    40,
    averaged_in="gradient",
    seed=1,
)
TWO = Case((12, 4, 4), ("relu", "softmax"), "cross_entropy", 40, averaged_in="gradient", seed=2)
BINARY = Case((3, 4, 1), ("tanh", "sigmoid"), "binary_cross_entropy", 20, averaged_in="gradient", seed=3)
SPARSE = Case((12, 4, 4), ("relu", "softmax"), "cross_entropy", 40, rows=True, integer_labels=True, seed=4)
ROWS = Case((3, 2, 3, 2), ("relu", "relu", "softmax"), "cross_entropy", 4, rows=True, reduction="sum", seed=6)
SQUARE = replace(FIVE, sizes=(7, 7, 7, 7, 7, 7))


SLIPS = {
    "000: W1 = X_train.T + b1, no product": (
        replace(FIVE, sizes=(9, 9, 7, 7, 5, 4)), "Z1", lambda c, q, r: q["X"] + q["b1"], {"product-missing"},
    ),
    "000: e^z / (e^z + 1) for softmax": (
        FIVE, "A5", lambda c, q, r: np.exp(q["Z5"]) / (np.exp(q["Z5"]) + 1), {"other-activation"},
    ),
    "000: the Jacobian's row that loses a0 y0": (
        FIVE, "dZ5", lambda c, q, r: -q["_Y"] + q["A5"] * (1 - q["_Y"]), {"jacobian-row"},
    ),
    "000: db without its sum": (FIVE, "db5", lambda c, q, r: q["dZ5"], {"not-summed", "not-summed + factor"}),
    "000: 1/m once and then not": (FIVE, "dW4", lambda c, q, r: r * c.m, {"factor"}),
    "000: dZ1 for dZ3": (
        replace(FIVE, sizes=(12, 9, 7, 9, 5, 4)), "dA2", lambda c, q, r: q["W3"].T @ q["dA3"], {"delta-before-mask"},
    ),
    "000: np.dot(dZ2, W2.T)": (SQUARE, "dA1", lambda c, q, r: q["W2"] @ q["dZ2"], {"weights-not-transposed"}),
    "001: db without an axis": (TWO, "db2", lambda c, q, r: q["dZ2"].sum() / c.m, {"summed-over-everything"}),
    "001: the average of the absolute error": (
        TWO, "db1", lambda c, q, r: np.abs(q["dZ1"]).sum(axis=1, keepdims=True) / c.m, {"absolute"},
    ),
    "002: 1/n twice": (BINARY, "dW2", lambda c, q, r: r / c.m, {"factor"}),
    "002: dz1 and dz2 swapped": (
        Case((3, 4, 4), ("tanh", "sigmoid"), "binary_cross_entropy", 20, seed=3), "dW1",
        lambda c, q, r: q["dZ2"] @ q["X"].T, {"delta-of-another-layer"},
    ),
    "002: an untransposed W": (
        Case((4, 4, 4), ("tanh", "sigmoid"), "binary_cross_entropy", 20, seed=3), "Z1",
        lambda c, q, r: q["W1"].T @ q["X"] + q["b1"], {"weights-transposed"},
    ),
    "003: Z1 as the second layer's input": (
        SPARSE, "Z2", lambda c, q, r: q["Z1"] @ q["W2"] + q["b2"], {"input-not-activated"},
    ),
    "003: db summed the other way": (SPARSE, "db1", lambda c, q, r: q["dZ1"].sum(axis=1), {"wrong-axis"}),
    "004: db without its sum": (ROWS, "db3", lambda c, q, r: q["dZ3"], {"not-summed"}),
}  # fmt: skip


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_of_the_notes_is_found_and_named(name):
    case, target, slip, names = SLIPS[name]
    if target.startswith("db"):  # of a wrong shape, perhaps: the update that would follow it is left out
        arrays = arrays_of(case)
        arrays |= {target: slip(case, arrays, arrays[target])}
        del arrays[f"{target[1:]}_next"]
    else:
        arrays = arrays_of(case, {target: slip})
    result = backproof.check_backprop(arrays, **case.said)
    assert [failure.equation for failure in result.failures] == [target], result
    best = result.failures[0].explanations
    assert (best[0].name if best else "") in names, best


def test_a_missing_minus_in_the_derivative_of_the_loss():
    """000: dL/dA = y/A."""
    arrays = arrays_of(replace(FIVE, averaged_in="delta"))
    Y = arrays["Y"]
    result = backproof.check_backprop({**arrays, "dA5": Y / arrays["A5"] / 40}, **FIVE.said)
    assert [failure.equation for failure in result.failures] == ["dA5"]
    assert result.failures[0].explanations[0].name == "sign-flipped"
