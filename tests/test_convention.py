"""Which loss the arrays follow where nothing is said and little is recorded: a sigmoid has two that are common."""

from __future__ import annotations

import numpy as np
import pytest

import backproof
from benchmarks.random_steps import Case, arrays_of


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def textbook(m, derivative, soft=False):
    """Sigmoid everywhere, no bias, ``delta = error * out * (1 - out)`` or ``delta = error``; the sum over samples."""
    draw = np.random.default_rng(m)
    X, W1, W2 = draw.random((7, m)), draw.normal(size=(5, 7)), draw.normal(size=(3, 5))
    Y = np.full((3, m), 0.01 if soft else 0.0)
    Y[draw.integers(0, 3, m), np.arange(m)] = 0.99 if soft else 1.0
    A1 = sigmoid(W1 @ X)
    A2 = sigmoid(W2 @ A1)
    dZ2 = (A2 - Y) * A2 * (1 - A2) if derivative else A2 - Y
    dA1 = W2.T @ dZ2
    dZ1 = dA1 * A1 * (1 - A1)
    names = ("X", "Y", "W1", "W2", "A1", "A2", "dZ2", "dA1", "dZ1", "dW2", "dW1")
    return dict(zip(names, (X, Y, W1, W2, A1, A2, dZ2, dA1, dZ1, dZ2 @ A1.T, dZ1 @ X.T), strict=True))


@pytest.mark.parametrize("kept", ["dZ2 dA1 dZ1 dW2 dW1", "dZ2", "dA1", "dZ1", "dW2", "dW1", "dZ1 dW1"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("m", [1, 20])
@pytest.mark.parametrize(("derivative", "loss"), [(True, "mse"), (False, "binary_cross_entropy")])
def test_the_delta_tells_the_loss(m, soft, derivative, loss, kept):
    q = {name: array for name, array in textbook(m, derivative, soft).items() if name[0] != "d" or name in kept}
    result = backproof.check_backprop(q)
    assert result.verdict == "rounding", result
    assert set(kept.split()) <= set(result.coverage.checked)
    assert any(said.startswith(loss) for said in result.inferred)


@pytest.mark.parametrize("m", [1, 20])
@pytest.mark.parametrize("wrong", ["dZ1", "dA1"])
@pytest.mark.parametrize(("derivative", "loss"), [(True, "mse"), (False, "binary_cross_entropy")])
def test_a_mistake_below_does_not_change_the_loss(m, wrong, derivative, loss):
    q = textbook(m, derivative)
    q["dZ1"] = q["dA1"].copy() if wrong == "dZ1" else q["dZ1"]
    q["dA1"] = q["W2"].T @ (q["A2"] - q["Y"] + (0 if derivative else 1)) if wrong == "dA1" else q["dA1"]
    q["dZ1"] = q["dZ1"] if wrong == "dZ1" else q["dA1"] * q["A1"] * (1 - q["A1"])
    q["dW1"] = q["dZ1"] @ q["X"].T
    result = backproof.check_backprop(q)
    assert [failure.equation for failure in result.failures] == [wrong]
    assert any(said.startswith(loss) for said in result.inferred)


@pytest.mark.parametrize("reduction", ["mean", "mean_over_samples", "sum"])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
def test_a_deep_delta_alone_tells_loss_and_reduction(loss, rows, reduction):
    case = Case((7, 6, 5, 3), ("tanh", "relu", "sigmoid"), loss, 13, rows=rows, reduction=reduction, seed=1)
    q = arrays_of(case)
    result = backproof.check_backprop({name: q[name] for name in q if name[0] in "XYWbZA" or name == "dZ1"})
    assert result.verdict == "rounding" and "dZ1" in result.coverage.checked
    assert any(said.startswith(loss) for said in result.inferred)
