"""A weight decay that nobody declared: inferred where one λ mends several arrays, never to excuse a single one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import backproof
from benchmarks.random_steps import Case, arrays_of, random_case

CASE = Case((7, 5, 6, 3), ("relu", "tanh", "softmax"), "cross_entropy", 11, seed=3)
SAID = {"activations": ["relu", "tanh", "softmax"], "loss": "cross_entropy", "learning_rate": 0.1}
LAYERS = (1, 2, 3)


def without_penalty(case, q, right):
    total = sum((q[f"W{n}"].astype(float) ** 2).sum() for n in range(1, case.depth + 1))
    return np.asarray(right - case.weight_decay / 2 * total, right.dtype)


def decay(layer, rate):
    """λ·W in dW of one layer."""
    return {f"dW{layer}": lambda case, q, right: right + q[f"W{layer}"] * right.dtype.type(rate)}


def decays(layers, rate):
    return {name: fault for layer in layers for name, fault in decay(layer, rate).items()}


def moved(layers, rate):
    """λ·W in the update of some layers, as ``(1 − α λ) W − α dW``."""
    return {
        f"W{n}_next": lambda case, q, right, n=n: (1 - case.learning_rate * rate) * q[f"W{n}"] - (q[f"W{n}"] - right)
        for n in layers
    }


def notes(result):
    return [note for note in result.notes if "weight decay" in note]


def failed(result):
    return [(f.equation, *(e.name for e in f.explanations[:1])) for f in result.failures]


@pytest.mark.parametrize("seed", range(60))
def test_no_false_alarm_with_decay(seed):
    case = replace(random_case(seed), weight_decay=float(10.0 ** -(1 + seed % 3)) * (1 + seed % 2))
    result = backproof.check_backprop(arrays_of(case), learning_rate=case.learning_rate)
    if case.depth > 1 or "loss" not in case.absent:
        assert result.verdict == "rounding", (case, failed(result))
        assert len(notes(result)) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rate", "said"), [(0.001, "λ = 0.001 "), (0.05, "λ = 0.05 "), (0.7 / 11, "λ = 0.7/m ")])
def test_it_is_said_what_was_inferred(dtype, rate, said):
    case = replace(CASE, weight_decay=rate, dtype=dtype)
    result = backproof.check_backprop(arrays_of(case), **SAID)
    assert result.verdict == "rounding" and said in notes(result)[0] and "Σ W² in the loss" in notes(result)[0]


def test_a_loss_of_the_data_alone():
    case = replace(CASE, weight_decay=0.01)
    result = backproof.check_backprop(arrays_of(case, {"loss": without_penalty}), **SAID)
    assert result.verdict == "rounding" and "no penalty in the loss" in notes(result)[0]


def test_where_the_deltas_are_absent():
    arrays = arrays_of(replace(CASE, weight_decay=0.01))
    left = {name: array for name, array in arrays.items() if name[:2] not in ("dA", "dZ")}
    result = backproof.check_backprop(left, **SAID)
    assert result.verdict == "rounding" and notes(result)


def test_one_layer_and_its_loss():
    case = Case((6, 4), ("softmax",), "cross_entropy", 9, weight_decay=0.01, seed=2)
    arrays = arrays_of(case)
    assert backproof.check_backprop(arrays).verdict == "rounding"
    del arrays["loss"]
    alone = backproof.check_backprop(arrays)
    assert failed(alone) == [("dW1", "weight-decay")] and not notes(alone)


@pytest.mark.parametrize("layer", LAYERS)
def test_one_wrong_gradient_stays_one(layer):
    result = backproof.check_backprop(arrays_of(CASE, decay(layer, 0.01)), **SAID)
    assert failed(result) == [(f"dW{layer}", "weight-decay")] and not notes(result)


@pytest.mark.parametrize(
    "faults",
    [decay(1, 0.01) | decay(2, 0.02) | decay(3, 0.05), decays(LAYERS, -0.01), decays(LAYERS, 0.012345678912)],
    ids=["another in each layer", "of the wrong sign", "no number that one writes"],
)
def test_what_is_no_convention(faults):
    result = backproof.check_backprop(arrays_of(CASE, faults), **SAID)
    assert {name for name, *_ in failed(result)} == {"dW1", "dW2", "dW3"} and not notes(result)


MISTAKES = {
    "dW2": (lambda case, q, right: right - 0.01 * q["W2"], "weight-decay-missing"),
    "dW1": (lambda case, q, right: right + 0.01 * q["W1"], "weight-decay-scaled"),
    "dZ1": (lambda case, q, right: q["dA1"], "mask-missing"),
    "db1": (lambda case, q, right: right + 0.01 * q["b1"], "weight-decay"),
    "W3_next": (lambda case, q, right: q["W3"], "not-updated"),
    "loss": (lambda case, q, right: 2 * right - without_penalty(case, q, right), "penalty-scaled"),
}


@pytest.mark.parametrize("target", MISTAKES)
def test_a_mistake_beside_it_is_still_named(target):
    fault, name = MISTAKES[target]
    result = backproof.check_backprop(arrays_of(replace(CASE, weight_decay=0.01), {target: fault}), **SAID)
    assert failed(result) == [(target, name)] and notes(result)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.01, 5.0 / 1347])
def test_decay_in_the_update(dtype, rate):
    """Of the second λ, over the size of a data set, the layers have to agree."""
    result = backproof.check_backprop(arrays_of(replace(CASE, dtype=dtype), moved(LAYERS, rate)), **SAID)
    assert result.verdict == "rounding" and "is in the update" in notes(result)[0], failed(result)


@pytest.mark.parametrize("layers", [(1,), (1, 2)])
def test_decay_in_the_update_of_some_layers(layers):
    result = backproof.check_backprop(arrays_of(CASE, moved(layers, 5.0 / 1347)), **SAID)
    assert [name for name, *_ in failed(result)] == [f"W{n}_next" for n in layers]
    assert {name for _, name in failed(result)} == {"weight-decay"}


def test_a_mistake_beside_decay_in_the_update():
    faults = moved((1, 2), 0.01) | {"W3_next": lambda case, q, right: right}
    result = backproof.check_backprop(arrays_of(CASE, faults), **SAID)
    assert failed(result) == [("W3_next", "weight-decay-missing")]


def test_what_the_caller_says_goes_first():
    arrays = arrays_of(replace(CASE, weight_decay=0.01))
    for told in (0, 0.02):
        result = backproof.check_backprop(arrays, **SAID, weight_decay=told)
        assert {name for name, *_ in failed(result)} == {"loss", "dW1", "dW2", "dW3"}


@pytest.mark.parametrize("kept", [0.0, -1.0, 0.5, 0.9])
def test_a_weight_that_loses_a_tenth_in_a_step_does_not_decay(kept):
    """W is missing from the update, has the wrong sign, is halved: mistakes, which some λ would mend as well."""
    faults = {f"W{n}_next": lambda case, q, right, n=n: kept * q[f"W{n}"] - (q[f"W{n}"] - right) for n in LAYERS}
    result = backproof.check_backprop(arrays_of(CASE, faults), **SAID)
    assert {f"W{n}_next" for n in LAYERS} <= {name for name, *_ in failed(result)} and not notes(result)


@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_w_added_to_dw_is_no_decay(rate):
    result = backproof.check_backprop(arrays_of(CASE, decays(LAYERS, rate)), **SAID)
    assert {f"dW{n}" for n in LAYERS} <= {name for name, *_ in failed(result)} and not notes(result)
