"""Hidden activations where A was not recorded: told by the next quantity that was, or not told and not assumed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import backproof
from benchmarks.random_steps import Case, arrays_of

HIDDEN = ("relu", "tanh", "sigmoid", "leaky_relu", "identity")
ABSENT = [
    ("A1",),
    ("A1", "Z1", "Z2"),
    ("A1", "Z1", "A2", "Z2", "Z3"),
    ("A1", "Z1", "dA1", "dZ1"),
    ("A1", "A2", "A3", "Z2", "Z3"),
    ("Z1", "Z2", "Z3", "A1", "A2", "A3", "dA1", "dA2"),
]


def without(case: Case, *absent: str):
    return {name: array for name, array in arrays_of(case).items() if name not in absent}


@pytest.mark.parametrize("absent", ABSENT, ids="-".join)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", [("softmax", "cross_entropy"), ("sigmoid", "mse")])
def test_correct_arrays_never_fail(absent, dtype, output):
    for seed, hidden in enumerate(product(HIDDEN, repeat=2)):
        case = Case((9, 7, 6, 4), (*hidden, output[0]), output[1], 13, dtype, rows=bool(seed % 2), seed=seed)
        result = backproof.check_backprop(without(case, *absent))
        assert result.verdict == "rounding", (hidden, result)
        if not {"A3", "Z3"} <= set(absent):
            assert any(said == f"activations {', '.join(case.activations)}" for said in result.inferred), hidden


def test_what_shows_nowhere_is_not_assumed():
    case = Case((9, 7, 6, 4), ("tanh", "sigmoid", "softmax"), "cross_entropy", 13, seed=1)
    result = backproof.check_backprop(without(case, *ABSENT[-1]))
    assert "activations unknown" in str(result)
    assert "the activation of layer 1 was not given" in result.coverage.unchecked["dZ1"]
    said = backproof.check_backprop(without(case, *ABSENT[-1]), case.activations)
    assert said.verdict == "rounding" and len(said.coverage.checked) > len(result.coverage.checked)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_missing_derivative_is_named_all_the_same(activation):
    case = Case((9, 7, 6, 4), (activation, "sigmoid", "softmax"), "cross_entropy", 13, seed=1)
    q = without(case, "A1", "Z1", "Z2")
    q["dZ1"] = q["dA1"].copy()
    q["dW1"], q["db1"] = q["dZ1"] @ q["X"].T, q["dZ1"].sum(axis=1, keepdims=True)
    for name in ("W1", "b1"):
        q[f"{name}_next"] = q[name] - case.learning_rate * q[f"d{name}"]
    result = backproof.check_backprop(q)
    assert [failure.equation for failure in result.failures] == ["dZ1"]
    assert result.failures[0].explanations[0].name in ("mask-missing", "derivative-missing")


def test_a_long_chain_of_one_activation():
    case = Case((9, *[8] * 7, 4), ("tanh",) * 7 + ("softmax",), "cross_entropy", 30, "float32", seed=2)
    absent = [f"{kind}{n}" for kind in "ZA" for n in range(1, 9) if f"{kind}{n}" != "A8"]
    result = backproof.check_backprop(without(case, *absent))
    assert result.verdict == "rounding" and np.char.count(" ".join(result.inferred), "tanh") == 7
