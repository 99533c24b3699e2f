"""check_backprop: verdict, failures, coverage, what is inferred, and arrays of every origin."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import backproof
from benchmarks.healthy import framework_arrays, given
from benchmarks.random_steps import Case, arrays_of, random_case

CASE = Case((7, 5, 6, 3), ("relu", "tanh", "softmax"), "cross_entropy", 11, seed=3)
SAID = {"activations": ["relu", "tanh", "softmax"], "loss": "cross_entropy", "learning_rate": 0.1}


def unmasked(case, q, right):
    return q["dA1"]


ALARMED = (1770002989, 1840001406, 1860000920)
"""Seeds of ``benchmarks.healthy`` that alarmed: a rate that a bias tells more sharply than the weights; one that is
short over the samples and units, and nearly short itself; two elements of tanh that look like a leaky ReLU's slope."""


@pytest.mark.parametrize("seed", [*range(40), *ALARMED])
def test_no_false_alarm(seed):
    name, arrays, said = given(seed * 50 + 9 if seed % 10 == 0 else seed)
    result = backproof.check_backprop(arrays, **said)
    assert result.verdict == "rounding", f"{name}\n{result}"
    result.assert_ok()


@pytest.mark.parametrize("seed", range(60))
def test_a_wrong_value_is_found_at_its_equation_and_nowhere_else(seed):
    case = random_case(1000 + seed)
    names = [name for name in arrays_of(case) if name not in ("X", "Y") and name[0] not in "Wb"]
    target = names[seed % len(names)]
    size = 1e-3 if case.dtype == "float32" else 1e-9

    def wrong(case, q, right):
        return right + (size * np.abs(right).max() * np.where(np.arange(right.size) % 2, 1, -1)).reshape(
            right.shape
        ).astype(right.dtype)

    result = backproof.check_backprop(arrays_of(case, {target: wrong}), **case.said)
    assert [failure.equation for failure in result.failures] == [target], result
    assert result.verdict in ("bug", "suspect")


def test_a_failure_says_what_where_and_why():
    places = {"dZ1": "net.py:42"}
    result = backproof.check_backprop(arrays_of(CASE, {"dZ1": unmasked}), **SAID, places=places)
    assert result.verdict == "bug" and [failure.equation for failure in result.failures] == ["dZ1"]
    failure = result.failures[0]
    assert (failure.layer, failure.place, failure.verdict) == (1, "net.py:42", "bug") and failure.ratio > 1e6
    best = failure.explanations[0]
    assert (
        best.name == "mask-missing" and str(best) == best.sentence and "dZ1 = dA1" in best.sentence and best.left <= 1
    )
    text = str(result)
    assert text.startswith("BUG in dZ1: the ReLU mask is missing") and "net.py:42" in text and "[mask-missing]" in text
    with pytest.raises(AssertionError, match="the ReLU mask is missing"):
        result.assert_ok()
    facts = json.loads(result.to_json())
    assert facts["verdict"] == "bug" and facts["failures"][0]["explanations"][0]["name"] == "mask-missing"
    assert facts["coverage"]["unchecked"] == {}


def test_failures_stand_in_the_order_of_computation():
    faults = {
        "db1": lambda case, q, right: right * 2,
        "Z2": lambda case, q, right: right - 2 * q["b2"],
        "dZ3": lambda case, q, right: -right,
        "W2_next": lambda case, q, right: q["W2"],
    }
    result = backproof.check_backprop(arrays_of(CASE, faults), **SAID)
    assert [failure.equation for failure in result.failures] == ["Z2", "dZ3", "db1", "W2_next"]
    assert result.coverage.of == len(result.coverage.checked) == 24


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("averaged_in", ["delta", "gradient", "update"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_the_convention_is_inferred_and_said(rows, averaged_in, loss):
    case = replace(CASE, rows=rows, averaged_in=averaged_in, loss=loss, half=loss == "mse")
    result = backproof.check_backprop(arrays_of(case))
    assert result.verdict == "rounding", result
    said = "; ".join(result.inferred)
    assert f"samples in {'rows' if rows else 'columns'}" in said and "activations relu, tanh, softmax" in said
    where = {"delta": "1/m inside the output's delta", "gradient": "1/m in dW and db", "update": "1/m in the update"}
    assert where[averaged_in] in said and loss in said
    assert ("with ½" in said) == (loss == "mse")


def test_on_a_tie_the_preferred_convention_is_taken():
    """A loss that says one convention and a delta that says another: one fails either way."""
    case = replace(CASE, loss="mse")
    arrays = arrays_of(case, {"loss": lambda case, q, right: right * 11 / 2})
    result = backproof.check_backprop(arrays)
    assert [failure.equation for failure in result.failures] == ["loss"]
    assert any("mse without ½, the mean over samples" in said for said in result.inferred)


def test_square_layers_are_told_apart_by_their_values():
    case = Case((6, 6, 6), ("tanh", "softmax"), "cross_entropy", 6, rows=True, seed=1)
    result = backproof.check_backprop(arrays_of(case))
    assert result.verdict == "rounding" and "samples in rows" in result.inferred
    torch_like = backproof.check_backprop(arrays_of(replace(case, torch_like=True)))
    assert torch_like.verdict == "rounding" and "W is out x in" in torch_like.inferred


@pytest.mark.parametrize("absent", ["dA1", "Z1", "A2", "dZ2", "dW3", "loss", "Y"])
def test_an_absent_array_lowers_the_coverage_and_not_the_verdict(absent):
    arrays = arrays_of(CASE)
    whole = backproof.check_backprop(arrays, **SAID)
    del arrays[absent]
    result = backproof.check_backprop(arrays, **SAID)
    assert result.verdict == "rounding" and len(result.coverage.checked) < len(whole.coverage.checked)
    if absent != "Y":
        assert result.coverage.unchecked[absent].startswith("it was not given")


@pytest.mark.parametrize("absent", ["dA1", "Z1", "A1", "dZ2"])
def test_a_mistake_beside_an_absent_array_is_still_found(absent):
    arrays = arrays_of(CASE, {"dZ1": unmasked})
    del arrays[absent]
    result = backproof.check_backprop(arrays, **SAID)
    assert [failure.equation for failure in result.failures] == ["dZ1"], result
    if absent == "dA1":
        assert "dA1 was not given and recomputed, so a mistake in it would show here" in result.failures[0].message


def test_a_layer_without_a_bias():
    case = Case((7, 5, 3), ("relu", "softmax"), "cross_entropy", 11, seed=3)
    without = {f"Z{n}": lambda case, q, right, n=n: right - q[f"b{n}"] for n in (1, 2)}
    arrays = {name: array for name, array in arrays_of(case, without).items() if "b" not in name}
    result = backproof.check_backprop(arrays)
    assert result.verdict == "rounding" and any("layer 1 is taken to have none" in said for said in result.inferred)


def test_a_bias_that_was_only_not_given_is_not_taken_as_zero():
    arrays = arrays_of(Case((7, 5, 3), ("relu", "softmax"), "cross_entropy", 11, seed=3))
    given = {name: arrays[name] for name in ["A1", "A2", "W2", "W2_next", "X", "Z1", "b1", "dA1", "dW1", "dW2", "db1"]}
    result = backproof.check_backprop(given, ["relu", "softmax"], "cross_entropy")
    assert result.verdict == "rounding" and "Z2 was not given" in result.coverage.unchecked["A2"]


@pytest.mark.parametrize("sizes", [(5, 5, 5), (6, 6, 6)])
@pytest.mark.parametrize("rows", [False, True])
def test_everything_square_the_samples_too(sizes, rows):
    for output, loss in (("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy")):
        case = Case(sizes, ("tanh", output), loss, sizes[0], rows=rows, seed=1)
        result = backproof.check_backprop(arrays_of(case))
        assert result.verdict == "rounding", result


def test_a_step_of_a_few_last_places_tells_no_learning_rate():
    case = Case((2, 9), ("identity",), "mse", 4, dtype="float32", seed=1)
    arrays = arrays_of(case)
    tiny = {"X": arrays["X"] * np.float32(1e-6)}
    Z = arrays["W1"] @ tiny["X"] + arrays["b1"]
    dZ = 2 * (Z - arrays["Y"]) / np.float32(4)
    tiny |= {"Z1": Z, "A1": Z, "dZ1": dZ, "dW1": dZ @ tiny["X"].T, "db1": dZ.sum(axis=1, keepdims=True)}
    tiny["W1_next"] = arrays["W1"] - np.float32(0.1) * tiny["dW1"]
    tiny["b1_next"] = arrays["b1"] - np.float32(0.1) * tiny["db1"]
    result = backproof.check_backprop({"W1": arrays["W1"], "b1": arrays["b1"], "Y": arrays["Y"], **tiny})
    assert result.verdict == "rounding", result


def test_an_echo_is_no_second_mistake():
    """Everything after a wrong output follows correctly from it, whether loss and delta are made of A or of Z."""
    arrays = arrays_of(
        CASE, {"A3": lambda case, q, right: np.exp(q["Z3"]) / np.exp(q["Z3"]).sum(axis=1, keepdims=True)}
    )
    result = backproof.check_backprop(arrays, **SAID)
    assert [failure.equation for failure in result.failures] == ["A3"]
    assert result.failures[0].explanations[0].name == "softmax-over-samples"


def test_weight_decay_belongs_to_the_loss_and_to_dW():
    case = replace(CASE, weight_decay=0.01)
    arrays = arrays_of(case)
    assert backproof.check_backprop(arrays, **SAID, weight_decay=0.01).verdict == "rounding"
    undeclared = backproof.check_backprop(arrays, **SAID, weight_decay=0)
    assert {failure.equation for failure in undeclared.failures} == {"loss", "dW1", "dW2", "dW3"}
    assert {e.explanations[0].name for e in undeclared.failures if e.equation != "loss"} == {"weight-decay"}


def test_shapes_are_failures_with_explanations():
    arrays = arrays_of(CASE)
    wrong = {
        "db1": (arrays["db1"].sum(), "summed-over-everything"),
        "db2": (arrays["dZ2"], "not-summed"),
        "dW1": (arrays["dW1"].T, "transposed"),
        "b3_next": (arrays["b3"] - 0.1 * arrays["db3"].T, "squeezed"),
    }
    result = backproof.check_backprop(arrays | {name: array for name, (array, _) in wrong.items()}, **SAID)
    named = {failure.equation: failure.explanations[0].name for failure in result.failures}
    assert named == {name: expected for name, (_, expected) in wrong.items()}


def test_a_narrower_result_than_its_operands_is_a_bug():
    arrays = arrays_of(CASE)
    single = backproof.check_backprop(
        {name: array if name in ("X", "Y", "W1", "b1") else array.astype(np.float32) for name, array in arrays.items()}
    )
    assert "Z1" in {failure.equation for failure in single.failures}
    assert "held in float32, its operands in float64" in str(single)


@pytest.mark.parametrize("source", ["torch", "jax"])
def test_framework_arrays_as_they_are(source):
    case = replace(CASE, dtype="float32")
    arrays = framework_arrays(case, source)
    assert backproof.check_backprop(arrays, **SAID).verdict == "rounding"
    arrays["dW2"] = -arrays["dW2"]
    found = backproof.check_backprop(arrays, **SAID)
    assert found.failures[0].equation == "dW2"


def test_tensors_of_a_graph_and_bfloat16_are_taken():
    arrays = framework_arrays(replace(CASE, dtype="float32"), "torch")
    arrays["W1"] = arrays["W1"].clone().requires_grad_()
    assert backproof.check_backprop(arrays, **SAID).verdict == "rounding"
    Z = torch.tensor([[0.5, -1.5]]).bfloat16()
    assert backproof.check_backprop({"Z1": Z, "A1": torch.relu(Z)}, ["relu"]).verdict == "rounding"


@pytest.mark.parametrize("output", ["relu", "leaky_relu", "tanh", "sigmoid", "identity"])
def test_the_output_is_inferred_from_a_recomputed_Z(output):
    case = Case((7, 5, 3), ("relu", output), "mse", 11, seed=3)
    arrays = arrays_of(case)
    for absent in ("", "Z1", "Z2"):
        arrays.pop(absent, None)
        result = backproof.check_backprop(arrays)
        assert result.verdict == "rounding", result
        assert f"activations relu, {output}" in result.inferred


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse", "cross_entropy"])
@pytest.mark.parametrize("m", [4, 16])
def test_a_loss_of_recomputed_operands_raises_no_alarm(loss, m):
    """What the terms of a loss are off by does not cancel in the allowance."""
    for seed in range(20):
        output = {"mse": "tanh", "cross_entropy": "softmax"}.get(loss, "sigmoid")
        case = Case((7, 5, 3), ("relu", output), loss, m, seed=seed, dtype="float32")
        arrays = arrays_of(case)
        for name in ("Z1", "A1", "Z2", "A2"):
            del arrays[name]
        result = backproof.check_backprop(arrays, case.said["activations"], loss)
        assert result.verdict == "rounding", result
