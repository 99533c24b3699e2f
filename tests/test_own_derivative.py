"""Activations that nobody here knows: their authors' choice where the derivative goes with them, else a bug."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import backproof

Array = NDArray[Any]
Function = Callable[[Array], Array]
OWN: dict[str, tuple[Function, Function]] = {
    "soft exponential": (lambda z: (np.exp(0.5 * z) - 1) / 0.5 + 0.5, lambda z: np.exp(0.5 * z)),
    "scaled tanh": (lambda z: 1.7159 * np.tanh(2 / 3 * z), lambda z: 1.7159 * 2 / 3 * (1 - np.tanh(2 / 3 * z) ** 2)),
    "bent identity": (lambda z: (np.sqrt(z**2 + 1) - 1) / 2 + z, lambda z: z / (2 * np.sqrt(z**2 + 1)) + 1),
    "gaussian": (lambda z: np.exp(-(z**2)), lambda z: -2 * z * np.exp(-(z**2))),
}


def step(g: Function, h: Function, m: int = 40, seed: int = 0, output: bool = False) -> dict[str, Array]:
    """5-4-2, g in the hidden layer, or in the output's as well; mean squared error."""
    draw = np.random.default_rng(seed)
    X, Y = draw.normal(size=(5, m)), draw.normal(size=(2, m))
    W1, W2 = draw.normal(size=(4, 5)) / 2, draw.normal(size=(2, 4)) / 2
    b1, b2 = draw.normal(size=(4, 1)) / 3, draw.normal(size=(2, 1)) / 3
    Z1 = W1 @ X + b1
    A1 = g(Z1)
    Z2 = W2 @ A1 + b2
    A2 = g(Z2) if output else Z2
    dA2 = 2 * (A2 - Y) / m
    dZ2 = dA2 * h(Z2) if output else dA2
    dA1 = W2.T @ dZ2
    dZ1 = dA1 * h(Z1)
    gradients = {"dW2": dZ2 @ A1.T, "db2": dZ2.sum(axis=1, keepdims=True), "dA1": dA1, "dZ1": dZ1}
    gradients |= {"dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True), "dA2": dA2, "dZ2": dZ2}
    forward = {"X": X, "Y": Y, "W1": W1, "b1": b1, "Z1": Z1, "A1": A1, "W2": W2, "b2": b2, "Z2": Z2, "A2": A2}
    return forward | gradients | {"loss": np.asarray(((A2 - Y) ** 2).sum() / m)}


@pytest.mark.parametrize("output", [False, True])
@pytest.mark.parametrize("name", OWN)
def test_a_choice_is_said_and_not_blamed(name: str, output: bool) -> None:
    for seed in range(5):
        result = backproof.check_backprop(step(*OWN[name], m=100, seed=seed, output=output))
        assert result.verdict == "rounding", result
        assert "none that is known" in result.coverage.unchecked["A1"]
        assert ("A2" in result.coverage.unchecked) == output and "dZ1" in result.coverage.unchecked


WRONG: dict[str, Callable[[Function], Function]] = {
    "2 % off": lambda h: lambda z: 1.02 * h(z),
    "missing": lambda h: np.ones_like,
    "of the wrong sign": lambda h: lambda z: -h(z),
    "taken elsewhere": lambda h: lambda z: h(z + 0.2),
}


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("name", OWN)
def test_a_derivative_that_is_not_its_own_is_a_bug(name: str, how: str) -> None:
    g, h = OWN[name]
    for seed in range(5):
        result = backproof.check_backprop(step(g, WRONG[how](h), seed=seed))
        assert result.verdict == "bug" and {"A1", "dZ1"} & {failure.equation for failure in result.failures}


def _alternating(q: dict[str, Array]) -> None:
    order = np.argsort(q["Z1"], axis=None)
    q["dZ1"].ravel()[order] *= np.where(np.arange(order.size) % 2, 0.5, 1.5)


def _above(q: dict[str, Array], count: int, times: float) -> None:
    q["dZ1"].ravel()[np.argsort(q["Z1"], axis=None)[-count:]] *= times


def _without_cause(q: dict[str, Array]) -> None:
    q["dA1"][:, ::2], q["dZ1"][:, ::2] = 0, 7


PLACES: dict[str, Callable[[dict[str, Array]], None]] = {
    "half too small, half too large": _alternating,
    "the wrong sign of the largest": lambda q: _above(q, 5, -1),
    "ten times the largest": lambda q: _above(q, 1, 10),
    "a wrong sign of one": lambda q: q["dZ1"].ravel().__setitem__(80, -q["dZ1"].ravel()[80]),
    "a wrong activation of one": lambda q: q["A1"].ravel().__setitem__(int(q["Z1"].argmax()), 1000),
    "a gradient of none": _without_cause,
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", ["soft exponential", "bent identity"])
def test_a_derivative_that_is_wrong_in_places_is_a_bug(name: str, where: str) -> None:
    for seed in range(5):
        q = step(*OWN[name], m=100, seed=seed)
        PLACES[where](q)
        q["dW1"], q["db1"] = q["dZ1"] @ q["X"].T, q["dZ1"].sum(axis=1, keepdims=True)
        result = backproof.check_backprop(q)
        assert {"A1", "dZ1"} & {failure.equation for failure in result.failures}, result


def test_of_few_elements_nobody_can_tell() -> None:
    assert backproof.check_backprop(step(*OWN["soft exponential"], m=9)).verdict == "bug"


def test_what_was_said_stands() -> None:
    result = backproof.check_backprop(step(*OWN["soft exponential"]), ["sigmoid", "identity"], "mse")
    assert {"A1", "dZ1"} <= {failure.equation for failure in result.failures}


@pytest.mark.parametrize("classes", ["binary", "one_hot"])
def test_class_labels_may_be_numbers_to_a_tanh(classes: str) -> None:
    """Without A2 and the loss, the delta through tanh′ shows what it went through; without tanh′ it shows nothing."""
    q = step(np.tanh, lambda z: 1 - np.tanh(z) ** 2, output=True)
    m, draw = q["X"].shape[1], np.random.default_rng(1)
    if classes == "one_hot":
        q["Y"] = np.eye(2)[draw.integers(0, 2, m)].T
    else:
        q["W2"], q["b2"] = q["W2"][:1], q["b2"][:1]
        q["Y"] = (draw.random((1, m)) < 0.5).astype(float)
    q["Z2"] = q["W2"] @ q["A1"] + q["b2"]
    A2 = np.tanh(q["Z2"])
    for delta, verdict in ((2 * (A2 - q["Y"]) * (1 - A2**2) / m, "rounding"), (2 * (A2 - q["Y"]) / m, "bug")):
        few = {name: q[name] for name in ("X", "Y", "W1", "b1", "Z1", "A1", "W2", "b2", "Z2")}
        few |= {"dZ2": delta, "dW2": delta @ q["A1"].T, "db2": delta.sum(axis=1, keepdims=True)}
        assert backproof.check_backprop(few).verdict == verdict
