"""check_backprop on what it cannot use: one clear line, or a result that says what could not be checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import backproof
from backproof.errors import BackproofError
from benchmarks.random_steps import Case, arrays_of

CASE = Case((7, 5, 3), ("relu", "softmax"), "cross_entropy", 11, seed=3)
Q = arrays_of(CASE)


def refusal(arrays, *said, **others):
    with pytest.raises(BackproofError) as caught:
        backproof.check_backprop(arrays, *said, **others)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def labelled(*fifth):
    """One-hot labels, and the fifth sample's as said."""
    Y = Q["Y"].copy()
    Y[:, 4] = fifth
    return Y


UNUSABLE = {
    "no dict": ([1, 2], ["must be a dict", "list"]),
    "empty": ({}, ["no arrays were given"]),
    "unknown key": ({**Q, "W_1": Q["W1"]}, ["unknown key 'W_1'", "did you mean 'W1'?"]),
    "a key that is no string": ({**Q, 1: Q["W1"]}, ["unknown key 1"]),
    "text": ({**Q, "W1": "abc"}, ["W1 holds <U3"]),
    "objects": ({**Q, "W1": np.array([[1, None]], object)}, ["W1 holds object"]),
    "None": ({**Q, "W1": None}, ["W1 holds object"]),
    "ragged": ({**Q, "W1": [[1.0, 2.0], [3.0]]}, ["W1 is no array of numbers"]),
    "integers": ({**Q, "dW1": np.ones((5, 7), int)}, ["dW1 holds int64, where floats belong", "dW1.astype(float)"]),
    "truth values": ({**Q, "A1": Q["A1"] > 0}, ["A1 holds bool, where floats belong"]),
    "complex": ({**Q, "Z1": Q["Z1"] + 0j}, ["Z1 holds complex128"]),
    "three axes": ({**Q, "W1": Q["W1"][None]}, ["W1 has 3 axes"]),
    "nothing in it": ({**Q, "W1": np.zeros((0, 7))}, ["W1 is empty", "(0, 7)"]),
    "no layer": ({"X": Q["X"], "Y": Q["Y"]}, ["no array of any layer"]),
    "no sizes": ({"W2": Q["W2"]}, ["no network can be inferred", "give X, and W or Z"]),
    "nothing to check": ({"X": Q["X"], "W1": Q["W1"]}, ["nothing could be checked", "A1"]),
    "labels of another batch": ({**Q, "Y": Q["Y"][:, :5]}, ["Y has shape (3, 5)", "3 x 11"]),
    "a class that is none": ({**Q, "Y": np.full(11, 3)}, ["Y holds the class 3", "0 to 2"]),
    "a tensor without values": ({**Q, "W1": torch.empty((5, 7), device="meta")}, ["W1 is a tensor without plain"]),
    "a class beyond int64": ({**Q, "Y": np.full(11, 2**63, np.uint64)}, ["Y holds the class 9223372036854775808,"]),
    "a float beyond int64": ({**Q, "Y": np.full(11, 1e19)}, ["Y holds the class 10000000000000000000,"]),
    "a mask": ({**Q, "dW1": np.ma.masked_less(Q["dW1"], 0)}, ["dW1 is a masked array", "dW1.filled"]),
    "two classes at once": ({**Q, "Y": labelled(1, 1, 0)}, ["Y is not one-hot", "sample 4 has 2 ones"]),
    "no class": ({**Q, "Y": labelled(0, 0, 0).T}, ["Y is not one-hot", "sample 4 has no one", "say the loss"]),
    "a negative class": ({**Q, "Y": np.full(11, -1)}, ["Y holds the class -1"]),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_arrays_are_refused_in_one_line(name):
    arrays, words = UNUSABLE[name]
    message = refusal(arrays)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"activations": ["relu", "sofmax"]}, "unknown activation 'sofmax' of layer 2"),
        ({"activations": "relu"}, "must be a list of names"),
        ({"activations": [1, 2]}, "must be a list of names"),
        ({"activations": ["relu"]}, "1 activations were given for 2 layers"),
        ({"activations": ["softmax", "softmax"]}, "unknown activation 'softmax' of layer 1"),
        ({"loss": "crossentropy"}, "unknown loss 'crossentropy'"),
        ({"layout": "cols"}, "unknown layout 'cols'"),
        ({"weights": "transposed"}, "unknown weights 'transposed'"),
        ({"reduction": "average"}, "unknown reduction 'average'"),
        ({"averaged_in": "loss"}, "unknown averaged_in 'loss'"),
        ({"loss": "cross_entropy", "half": True}, "no convention agrees"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": "0.1"}, "learning_rate must be a number"),
        ({"slope": "a"}, "slope must be a number"),
        ({"weight_decay": [1]}, "weight_decay must be a number"),
        ({"activations": 5}, "must be a list of names"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and not negative"),
        ({"half": "yes"}, "half must be True or False, not 'yes'"),
        ({"half": 1}, "half must be True or False, not 1"),
        ({"places": 3}, "places must be a dict"),
        ({"places": ["a"]}, "places must be a dict"),
        ({"places": {"dZ1": 42}}, "places must be a dict"),
        ({"places": np.zeros(2)}, "places must be a dict"),
        ({"previous": 3}, "previous must be a dict"),
        ({"previous": np.zeros(2)}, "previous must be a dict"),
        ({"slope": 3.0}, "slope must lie between 0 and 1"),
        ({"activations": ["relu", "identity"], "loss": "cross_entropy"}, "takes probabilities"),
    ],
)
def test_what_is_said_wrongly_is_refused_in_one_line(others, words):
    assert words in refusal(Q, **others)


@pytest.mark.parametrize("name", ["loss", "layout", "weights", "reduction", "averaged_in"])
@pytest.mark.parametrize("value", [3, ["a"], {}, np.nan, np.zeros(2), np.array(["relu", "softmax"]), np.zeros((99, 9))])
def test_what_is_no_name_is_refused_in_one_line(name, value):
    message = refusal(Q, **{name: value})
    assert f"{name} must be a name, not" in message and len(message) < 130


def test_labels_of_several_classes_are_welcome_where_another_loss_is_said():
    case = replace(CASE, activations=("relu", "sigmoid"), loss="binary_cross_entropy")
    result = backproof.check_backprop(arrays_of(case))
    assert result.verdict == "rounding"
    backproof.check_backprop({**Q, "Y": labelled(1, 1, 0)}, loss="mse")


@pytest.mark.parametrize("name", ["X", "W1", "b2", "Z1", "A2", "dZ1", "dW2", "loss"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_never_passes(name, value):
    array = np.array(Q[name])
    array.flat[0] = value
    result = backproof.check_backprop({**Q, name: array}, ["relu", "softmax"], "cross_entropy")
    assert result.verdict == "bug"
    assert name in {failure.equation for failure in result.failures}
    assert result.failures[[f.equation for f in result.failures].index(name)].ratio == np.inf
    result.to_json()


def test_a_parameter_of_a_wrong_shape_is_a_failure():
    result = backproof.check_backprop({**Q, "b1": np.zeros(4)}, ["relu", "softmax"], "cross_entropy")
    assert result.verdict == "bug" and result.failures[0].equation == "b1"
    assert "its shape is 4, needed is 5 x 1" in result.failures[0].message
    assert "wrong shape" in result.coverage.unchecked["Z1"]


def test_what_cannot_be_checked_is_listed_with_its_reason():
    arrays = {name: Q[name] for name in ("Z1", "A1", "dW1", "W2")}
    result = backproof.check_backprop(arrays, ["relu", "softmax"], "cross_entropy")
    assert result.verdict == "rounding" and result.coverage.checked == ("A1",)
    assert "was not given" in result.coverage.unchecked["dW1"]
    assert "not checked:" in str(result) and "1 of" in str(result)


def test_zero_labels_and_no_learning_rate():
    arrays = {**Q, "W1_next": Q["W1"].copy(), "W2_next": Q["W2"].copy()}
    for name in ("b1_next", "b2_next"):
        del arrays[name]
    result = backproof.check_backprop(arrays, ["relu", "softmax"], "cross_entropy")
    assert "the learning rate was not given" in result.coverage.unchecked["W1_next"]


@pytest.mark.parametrize("kind", ["b", "W"])
def test_a_wrong_gradient_without_its_parameter(kind):
    arrays = {key: array for key, array in Q.items() if not key.startswith(kind) or key == "W2"}
    arrays[f"d{kind}1"] = Q[f"d{kind}1"] + np.arange(5.0)[:, None]
    result = backproof.check_backprop(arrays, ["relu", "softmax"], "cross_entropy")
    assert [failure.equation for failure in result.failures] == [f"d{kind}1"]


def test_the_previous_step_names_what_was_never_reset():
    earlier = arrays_of(replace(CASE, seed=4))
    arrays = {**Q, "dW2": Q["dW2"] + earlier["dW2"], "db1": Q["db1"] + earlier["db1"]}
    said = (["relu", "softmax"], "cross_entropy")

    def names(**others):
        failures = backproof.check_backprop({**arrays, **others.pop("more", {})}, *said, **others).failures
        return {f.equation: [e.name for e in f.explanations[:1]] for f in failures if f.equation in ("dW2", "db1")}

    assert names() == {"dW2": [], "db1": []}
    assert names(previous=earlier) == {"dW2": ["accumulated"], "db1": ["accumulated"]}
    # Of another step, of another shape, not finite, no gradient: nothing that could be used.
    other = arrays_of(replace(CASE, seed=5))
    for useless in (other, {"dW2": earlier["dW2"][:1]}, {"dW2": earlier["dW2"] * np.nan}, {"X": earlier["X"]}, {}):
        assert names(previous=useless) == {"dW2": [], "db1": []}
    assert backproof.check_backprop(Q, *said, previous=earlier).verdict == "rounding"


def test_a_previous_gradient_under_no_known_key_is_refused():
    assert "unknown key 'dW_2'" in refusal(Q, previous={"dW_2": Q["dW2"]})


@pytest.mark.parametrize("name", ["loss", "dW1", "dW2", "A1", "dZ1"])
def test_a_value_that_is_no_number_is_a_failure_without_its_operands_too(name):
    operands = {"loss": ["Y"], "dW1": ["dZ1"], "dW2": ["dZ2"], "A1": ["Z1", "X"], "dZ1": ["dA1", "dZ2", "Z1"]}[name]
    arrays = {key: array for key, array in Q.items() if key not in operands}
    arrays[name] = np.full_like(Q[name], np.nan)
    result = backproof.check_backprop(arrays, ["relu", "softmax"], "cross_entropy")
    assert result.verdict == "bug" and name in {failure.equation for failure in result.failures}


def test_an_equation_of_zeros_is_not_counted_as_checked():
    arrays = {**Q, "b1": Q["b1"] - 1e3}
    Z1 = arrays["W1"] @ arrays["X"] + arrays["b1"]
    zeros = {"A1": np.zeros_like(Z1), "dZ1": np.zeros_like(Z1), "dW1": np.zeros((5, 7)), "db1": np.zeros((5, 1))}
    given = {name: arrays[name] for name in ("X", "W1", "b1")} | {"Z1": Z1} | zeros
    result = backproof.check_backprop(given, ["relu"])
    assert result.verdict == "rounding" and set(result.coverage.checked) == {"Z1", "A1"}
    assert "agrees for nothing" in result.coverage.unchecked["dW1"]


@pytest.mark.parametrize(("alive", "counted"), [(1, False), (3, True)])
def test_an_equation_of_almost_nothing_but_zeros_is_not_counted_as_checked(alive, counted):
    """A gradient of 400 elements of which 1 or 9 are no zeros."""
    rng = np.random.default_rng(0)
    X, dZ1 = np.zeros((20, 30)), np.zeros((20, 30))
    X[:alive], dZ1[:alive] = rng.normal(size=(2, alive, 30))
    arrays = {"X": X, "W1": rng.normal(size=(20, 20)), "dZ1": dZ1, "dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1)[:, None]}
    arrays |= {"b1": rng.normal(size=(20, 1)), "Z1": arrays["W1"] @ X}
    arrays["Z1"] = arrays["Z1"] + arrays["b1"]
    coverage = backproof.check_backprop(arrays, ["identity"], "mse").coverage
    assert ("dW1" in coverage.checked) == counted and "Z1" in coverage.checked
    if not counted:
        assert "it agrees for nothing (all but 1 of 400 elements)" in coverage.unchecked["dW1"]
    arrays["dW1"] = arrays["dW1"] * 2
    wrong = backproof.check_backprop(arrays, ["identity"], "mse", layout="columns", averaged_in="delta")
    assert [failure.equation for failure in wrong.failures] == ["dW1"]


@pytest.mark.parametrize("seed", range(20))
def test_a_slope_is_read_where_a_leaky_relu_was_said(seed):
    """One number over another is some slope: a sigmoid's derivative of a single sample is none."""
    said = ["sigmoid", "leaky_relu", "softmax"]
    arrays = arrays_of(Case((6, 4, 5, 3), tuple(said), "cross_entropy", 1, seed=seed, slope=0.1))
    del arrays["A1"], arrays["Z2"]
    assert backproof.check_backprop(arrays, activations=said, loss="cross_entropy").verdict == "rounding"


@pytest.mark.parametrize(("name", "at"), [("A2", (0, 0)), ("loss", ())])
def test_the_largest_number_there_is_overflows_nothing_but_its_equation(name, at):
    arrays = {key: np.array(array) for key, array in Q.items()}
    arrays[name][at] = np.finfo(float).max
    assert name in {failure.equation for failure in backproof.check_backprop(arrays).failures}


def test_a_slope_that_one_element_cannot_show_is_not_made_up():
    """One unit, one sample, z < 0: leaky ReLU of any slope."""
    case = next(
        case
        for seed in range(100)
        if arrays_of(case := Case((5, 1), ("leaky_relu",), "mse", 1, slope=0.2, seed=seed))["Z1"].item() < 0
    )
    result = backproof.check_backprop({n: a for n, a in arrays_of(case).items() if n not in ("dZ1", "dA1")})
    assert "A1" not in {failure.equation for failure in result.failures}, result
