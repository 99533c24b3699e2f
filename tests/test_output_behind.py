"""The output's activation where neither it nor its result was given."""

from __future__ import annotations

import numpy as np
import pytest

from backproof import check_backprop
from benchmarks.random_steps import Case, arrays_of

CASES = [("tanh", "mse"), ("sigmoid", "mse"), ("relu", "mse"), ("identity", "mse"), ("softmax", "mse"),
         ("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")]  # fmt: skip


def step(output, loss, *withheld):
    case = Case((7, 5, 3), ("tanh", output), loss, 40, seed=2)
    arrays = arrays_of(case)
    return {name: array for name, array in arrays.items() if name not in withheld}


@pytest.mark.parametrize(("output", "loss"), CASES)
@pytest.mark.parametrize("withheld", [("A2",), ("A2", "dZ2"), ("A2", "dA2", "dZ2", "dW2"), ("A2", "loss")])
def test_it_shows_in_the_delta(output, loss, withheld):
    result = check_backprop(step(output, loss, *withheld))
    assert result.verdict == "rounding", result
    assert f"activations tanh, {output}" in result.inferred


@pytest.mark.parametrize(("output", "loss"), CASES)
def test_a_wrong_delta_shows_nothing_and_fails(output, loss):
    arrays = step(output, loss, "A2")
    arrays["dZ2"] = np.random.default_rng(0).normal(size=arrays["dZ2"].shape)
    assert "dZ2" in {failure.equation for failure in check_backprop(arrays).failures}


@pytest.mark.parametrize("wrong", ["sigmoid", "tanh"])
def test_the_delta_of_another_output_does_not_choose_it_where_the_labels_tell(wrong):
    """Class labels go with softmax: a delta of another output is a mistake, and no other network."""
    arrays = step("softmax", "cross_entropy", "A2", "loss", "dA2")
    Z, Y = arrays["Z2"], arrays["Y"]
    arrays["dZ2"] = ((np.tanh(Z) if wrong == "tanh" else 1 / (1 + np.exp(-Z))) - Y) / Y.shape[1]
    assert "dZ2" in {failure.equation for failure in check_backprop(arrays).failures}
    assert "dZ2" in {failure.equation for failure in check_backprop(arrays, loss="cross_entropy").failures}


@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_with_class_labels_a_delta_through_the_derivative_tells_the_output(output):
    """``2 (tanh(Z) − Y) tanh'(Z) / m`` is no slip of softmax's; without a part of it, it is a mistake."""
    arrays = step("softmax", "cross_entropy", "A2", "loss", "dA2")
    Z, Y = arrays["Z2"], arrays["Y"]
    A = np.tanh(Z) if output == "tanh" else 1 / (1 + np.exp(-Z))
    derivative = 1 - A**2 if output == "tanh" else A * (1 - A)
    arrays["dZ2"] = 2 * (A - Y) * derivative / Y.shape[1]
    below = arrays["A1"]
    arrays["dW2"], arrays["db2"] = arrays["dZ2"] @ below.T, arrays["dZ2"].sum(axis=1, keepdims=True)
    del arrays["dA1"], arrays["dZ1"], arrays["dW1"], arrays["db1"]
    result = check_backprop({name: array for name, array in arrays.items() if not name.endswith("_next")})
    assert result.verdict == "rounding" and f"activations tanh, {output}" in result.inferred
    arrays["dZ2"] = 2 * (A - Y) * (1 - A) / Y.shape[1]
    assert "dZ2" in {failure.equation for failure in check_backprop(arrays).failures}
