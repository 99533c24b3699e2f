"""An activation that the suite does not have is its user's choice where nobody said another."""

from __future__ import annotations

import numpy as np
import pytest

from backproof import check_backprop
from benchmarks.random_steps import Case, arrays_of

CASE = Case((6, 5, 3), ("tanh", "softmax"), "cross_entropy", 30, seed=4)
OTHERS = {
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z: np.where(z > 0, 1.0, np.exp(z))),
    "softplus": (lambda z: np.logaddexp(0, z), lambda z: 1 / (1 + np.exp(-z))),
    "silu": (lambda z: z / (1 + np.exp(-z)),
             lambda z: (1 + np.exp(-z) + z * np.exp(-z)) / (1 + np.exp(-z)) ** 2),
}  # fmt: skip


def step(name):
    """A correct step of a network whose hidden activation is another."""
    q = {key: array for key, array in arrays_of(CASE).items() if not key.endswith("_next")}
    g, slope = OTHERS[name]
    q["A1"] = g(q["Z1"])
    q["Z2"] = q["W2"] @ q["A1"] + q["b2"]
    e = np.exp(q["Z2"] - q["Z2"].max(axis=0))
    q["A2"] = e / e.sum(axis=0)
    q["loss"] = -(q["Y"] * np.log(q["A2"])).sum() / 30
    q["dZ2"] = (q["A2"] - q["Y"]) / 30
    q["dA1"] = q["W2"].T @ q["dZ2"]
    q["dZ1"] = q["dA1"] * slope(q["Z1"])
    for n, below in ((1, q["X"]), (2, q["A1"])):
        q[f"dW{n}"], q[f"db{n}"] = q[f"dZ{n}"] @ below.T, q[f"dZ{n}"].sum(axis=1, keepdims=True)
    return q


@pytest.mark.parametrize("name", OTHERS)
def test_it_is_said_and_not_checked(name):
    result = check_backprop(step(name))
    assert result.verdict == "rounding", result
    assert any(f"layer 1 is {name}, which is not checked" in said for said in result.inferred)
    assert {"A1", "dZ1"} <= result.coverage.unchecked.keys()


@pytest.mark.parametrize("name", OTHERS)
def test_it_is_a_mistake_where_another_was_said(name):
    result = check_backprop(step(name), activations=["tanh", "softmax"])
    assert {"A1", "dZ1"} <= {failure.equation for failure in result.failures}


def test_a_mistake_in_it_is_one_where_nothing_was_said():
    arrays = step("elu")
    arrays["A1"] = np.where(arrays["Z1"] > 0, arrays["Z1"], np.exp(arrays["Z1"]))
    assert "A1" in {failure.equation for failure in check_backprop(arrays).failures}


@pytest.mark.parametrize("size", [1e-7, 1e-6, 5e-6])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_one_of_the_networks_that_is_a_little_wrong_is_no_other(activation, size):
    """Below 6, ReLU6 is ReLU: it must not excuse an error that is nearly rounding."""
    case = Case((6, 5, 3), (activation, "softmax"), "cross_entropy", 30, seed=4, slope=0.01)
    arrays = arrays_of(case)
    A = arrays["A1"] = arrays["A1"].copy()
    A[np.unravel_index(A.argmax(), A.shape)] *= 1 + size
    assert "A1" in {failure.equation for failure in check_backprop(arrays).failures}
