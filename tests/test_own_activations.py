"""An activation that nobody here knows: its user's choice where the gradients take its own derivative."""

from __future__ import annotations

import numpy as np
import pytest

from backproof import check_backprop
from backproof.backprop.slopes import Slopes, is_function, slopes

FUNCTIONS = {
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "sine": (np.sin, np.cos),
    "scaled tanh": (lambda z: 1.7159 * np.tanh(2 / 3 * z), lambda z: 1.7159 * 2 / 3 / np.cosh(2 / 3 * z) ** 2),
    "gauss": (lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z)),
    "hard sigmoid": (lambda z: np.clip(0.2 * z + 0.5, 0, 1), lambda z: np.where(np.abs(z) < 2.5, 0.2, 0.0)),
    "selu": (lambda z: np.where(z > 0, z, 1.67 * np.expm1(z)), lambda z: np.where(z > 0, 1.0, 1.67 * np.exp(z))),
    "soft exponential": (lambda z: np.expm1(0.5 * z) / 0.5 + 0.5, lambda z: np.exp(0.5 * z)),
}
WRONG = {
    "1 % too large": (lambda z: 1.01 * np.tanh(z), lambda z: 1 - np.tanh(z) ** 2),
    "1 % too large, derivative of it": (lambda z: 1.01 * np.tanh(z), lambda z: 1 - (1.01 * np.tanh(z)) ** 2),
    "softsign's derivative not squared": (FUNCTIONS["softsign"][0], lambda z: 1 / (1 + np.abs(z))),
    "ELU with a jump": (lambda z: np.where(z > 0, z, np.exp(z)), lambda z: np.where(z > 0, 1.0, np.exp(z))),
    "a bias that Z has not": (lambda z: np.tanh(z + 0.1), lambda z: 1 - np.tanh(z + 0.1) ** 2),
    "1 % too steep": (np.sin, lambda z: 1.01 * np.cos(z)),
}


def step(g, derivative, m=30, seed=0, dtype=np.float64):
    """A step of 6-5-3 whose hidden activation and its derivative are these, with mean squared error."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(6, m)), rng.normal(size=(3, m))
    q = {"X": X, "Y": Y, "W1": rng.normal(size=(5, 6)) / 2, "b1": rng.normal(size=(5, 1))}
    q |= {"W2": rng.normal(size=(3, 5)), "b2": rng.normal(size=(3, 1))}
    q = {name: array.astype(dtype) for name, array in q.items()}
    q["Z1"] = q["W1"] @ q["X"] + q["b1"]
    q["A1"] = g(q["Z1"]).astype(dtype)
    q["Z2"] = q["A2"] = q["W2"] @ q["A1"] + q["b2"]
    q["dZ2"] = 2 * (q["A2"] - q["Y"]) / m
    q["dA1"] = q["W2"].T @ q["dZ2"]
    q["dZ1"] = q["dA1"] * derivative(q["Z1"]).astype(dtype)
    q["dW1"], q["dW2"] = q["dZ1"] @ q["X"].T, q["dZ2"] @ q["A1"].T
    return q


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("m", [10, 200])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_its_own_derivative_is_no_mistake_and_nothing_that_needs_it_is_checked(name, m, dtype):
    result = check_backprop(step(*FUNCTIONS[name], m=m, dtype=dtype))
    assert result.verdict == "rounding", result
    assert {"A1", "dZ1"} <= result.coverage.unchecked.keys()
    assert any("none that is known here" in said for said in result.inferred)


@pytest.mark.parametrize("m", [10, 200])
@pytest.mark.parametrize("name", WRONG)
def test_another_derivative_is_a_mistake(name, m):
    failed = {failure.equation for failure in check_backprop(step(*WRONG[name], m=m)).failures}
    assert failed & {"A1", "dZ1"}


@pytest.mark.parametrize("seed", range(20))
def test_many_draws_agree_and_a_hundredth_does_not(seed):
    for g, derivative in FUNCTIONS.values():
        q = step(g, derivative, m=20, seed=seed)
        assert slopes(q, 1, 2, 0.01) is Slopes.AGREE
        q["dZ1"] = 1.01 * q["dZ1"]
        assert slopes(q, 1, 2, 0.01) is Slopes.CONTRADICT


def test_the_derivative_is_found_without_the_dA_of_the_layer():
    q = step(*FUNCTIONS["sine"])
    del q["dA1"]
    assert check_backprop(q).verdict == "rounding"


def test_of_an_output_the_loss_may_have_any_factor():
    q = step(*FUNCTIONS["sine"])
    q["A2"] = np.sin(q["Z2"])
    q["dZ2"] = (q["A2"] - q["Y"]) * np.cos(q["Z2"]) / 7
    assert slopes(q, 2, 2, 0.01) is Slopes.AGREE
    q["dZ2"] = q["dZ2"] * np.cos(q["Z2"])
    assert slopes(q, 2, 2, 0.01) is Slopes.CONTRADICT


def test_without_gradients_a_function_that_no_mistake_explains_is_not_checked():
    q = {name: array for name, array in step(*FUNCTIONS["softsign"]).items() if name not in ("dZ1", "dA1")}
    result = check_backprop(q)
    assert result.verdict == "rounding" and "A1" in result.coverage.unchecked


def test_without_gradients_a_mistake_that_is_known_is_named_all_the_same():
    q = {name: array for name, array in step(*WRONG["1 % too large"]).items() if name not in ("dZ1", "dA1")}
    failures = check_backprop(q).failures
    assert failures[0].equation == "A1"
    assert failures[0].explanations[0].name == "factor"


def test_without_gradients_what_is_no_function_of_Z_is_a_mistake():
    q = {name: array for name, array in step(*FUNCTIONS["softsign"]).items() if name not in ("dZ1", "dA1")}
    q["A1"] = q["A1"] + 0.1 * np.random.default_rng(1).normal(size=q["A1"].shape)
    assert not is_function(q["Z1"], q["A1"])
    assert "A1" in {failure.equation for failure in check_backprop(q).failures}
