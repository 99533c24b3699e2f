"""The NumPy reference, anchored outside itself: central differences, constants worked by hand, limits, invariants."""

from __future__ import annotations

import tomllib
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.errors import BackproofError
from backproof.network import HIDDEN_ACTIVATIONS, OUTPUT_ACTIVATIONS, Network
from backproof.training import Training
from reference import losses
from reference.activations import activate, sigmoid, softmax, through
from reference.derivations import note_003
from reference.gradient_check import central_differences, gradient_check
from reference.initialisation import initial_parameters
from reference.layouts import Columns
from reference.network import forward, record, train
from reference.softmax_jacobian import delta_through_jacobian, softmax_jacobian

Array = np.ndarray[Any, np.dtype[Any]]
TABLE = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"]["backproof"]["networks"]
SUITE = [Network.from_dict({"name": name, **values}) for name, values in TABLE.items()]
LABELS = [("cross_entropy", "one_hot"), ("cross_entropy", "integer"), ("binary_cross_entropy", "binary")]


def small(activation: str = "relu", loss: str = "cross_entropy", labels: str = "one_hot", **others: Any) -> Network:
    """A 4-5-5-3 network: its second layer is square, so that a transposed W has the right shape there."""
    output = "softmax" if loss == "cross_entropy" else "sigmoid"
    return Network("small", (4, 5, 5, 3), (activation, activation, output), loss, labels, **others)


def data(network: Network, m: int, seed: int, dtype: str = "float64") -> tuple[Array, Array]:
    generator = np.random.default_rng([seed, 1])
    X = generator.standard_normal((network.sizes[0], m)).astype(dtype)
    n = network.sizes[-1]
    if network.labels == "real":
        return X, generator.standard_normal((n, m)).astype(dtype)
    if network.labels == "binary":
        return X, generator.integers(0, 2, (n, m)).astype(dtype)
    y = generator.integers(0, n, m)
    return X, y[None] if network.labels == "integer" else np.eye(n, dtype=dtype)[:, y]


def training(network: Network, m: int, seed: int, dtype: str = "float64", batches: Any = (None,)) -> Training:
    X, Y = data(network, m, seed, dtype)
    return Training(network, initial_parameters(network, seed, dtype), X, Y, batches, seed)


def assert_close(got: Array, expected: Array, rtol: float, name: str) -> None:
    """Within ``rtol`` of the largest magnitude in ``expected``."""
    __tracebackhide__ = True
    assert got.shape == expected.shape, f"{name}: shape {got.shape}, expected {expected.shape}"
    error, scale = np.abs(got - expected).max(), np.abs(expected).max()
    assert error <= rtol * scale, f"{name}: off by {error:.3g}, allowed {rtol:g} of {scale:.3g}"


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize(("loss", "labels"), LABELS)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_central_differences(activation: str, loss: str, labels: str, layout: str, reduction: str) -> None:
    network = small(activation, loss, labels, layout=layout, reduction=reduction, slope=0.1)
    fractions = gradient_check(network, initial_parameters(network, 1, "float64"), *data(network, 7, 1))
    assert fractions.keys() == network.parameter_shapes().keys()
    assert max(fractions.values()) <= 1, fractions


SPLIT = [
    *(("mse", output, "real") for output in OUTPUT_ACTIVATIONS),
    ("cross_entropy", "sigmoid", "integer"), ("cross_entropy", "sigmoid", "one_hot"),
    ("binary_cross_entropy", "softmax", "binary"),
]  # fmt: skip


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize(("loss", "output", "labels"), SPLIT)
def test_central_differences_of_other_outputs(loss: str, output: str, labels: str, layout: str) -> None:
    half = {"half": layout == "rows"} if loss == "mse" else {}
    reduction = "mean_over_samples" if layout == "rows" else "mean"
    network = Network(
        "split", (4, 5, 5, 3), ("tanh", "relu", output), loss, labels, layout, reduction, weight_decay=0.3, **half
    )
    X, Y = data(network, 7, 1)
    fractions = gradient_check(network, initial_parameters(network, 1, "float64"), X, Y)
    assert max(fractions.values()) <= 1, fractions


def test_allowance_of_the_differences_is_small_beside_the_gradients() -> None:
    network = small("tanh")
    values, allowances = central_differences(network, initial_parameters(network, 1, "float64"), *data(network, 7, 1))
    for name in values:
        assert allowances[name].max() <= 1e-6 * np.abs(values[name]).max(), name


# Each is a change to one line of the reference: the name in reference.network or Columns, and what stands there.
FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "missing-mask": ("reference.network", "through", lambda name, dA, A, slope, out=None: dA),
    "untransposed-W": (Columns, "back", lambda W, dZ: (W if W.shape[0] == W.shape[1] else W.T) @ dZ),
    "db-scaled": (Columns, "bias_gradient", lambda dZ: dZ.sum(axis=1, keepdims=True) * (1 + 1e-5)),
    "dW-over-m-plus-1": (Columns, "weight_gradient", lambda dZ, A: dZ @ A.T * 7 / 8),
    "no-1-over-m": ("reference.network", "output_delta", lambda net, Z, A, Y, *_: softmax(Z, 0) - Y),
    "1-over-m-twice": ("reference.network", "output_delta", lambda net, Z, A, Y, *_: (softmax(Z, 0) - Y) / 49),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_gradient_check_finds(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small("relu")
    case = initial_parameters(network, 1, "float64"), *data(network, 7, 1)
    assert max(gradient_check(network, *case).values()) <= 1
    owner, name, wrong = FAULTS[fault]
    if owner is Columns:
        monkeypatch.setattr(Columns, name, staticmethod(wrong))
    else:
        monkeypatch.setattr(f"{owner}.{name}", wrong)
    assert max(gradient_check(network, *case).values()) > 10


def test_gradient_check_refuses_a_kink_and_a_wrong_shape() -> None:
    network = small("relu")
    parameters, (X, Y) = initial_parameters(network, 1, "float64"), data(network, 7, 1)
    with pytest.raises(BackproofError, match=r"gradient of W1 has shape \(4, 5\)"):
        gradient_check(network, parameters, X, Y, {"dW1": np.zeros((4, 5))})
    # Z1 of unit 2, sample 3 becomes about 1e-9, nearer to the kink than the step.
    parameters["b1"][2, 0] -= parameters["W1"][2] @ X[:, 3] + parameters["b1"][2, 0] - 1e-9
    with pytest.raises(BackproofError, match=r"W1\[2, 0\] carries Z1 of unit 2, sample 3 across the kink"):
        gradient_check(network, parameters, X, Y)


def test_hand_worked_two_two_two() -> None:
    # t = ln 2.   Z1 = W1 X + b1 = [[3-2, -1], [-5+6, 3]] + [2, -2] = [[3, 1], [-1, 1]],  A1 = [[3, 1], [0, 1]]
    # Z2 = t [[3, 1], [6, 3]] + t [2, -2] = t [[5, 3], [4, 1]]: softmax of (t, 0) is (2/3, 1/3), of (2t, 0) (4/5, 1/5).
    # Labels 0 and 1: loss = (ln 3/2 + ln 5)/2, dZ2 = [[2/3 - 1, 4/5], [1/3, 1/5 - 1]] / 2 = [[-1/6, 2/5], [1/6, -2/5]]
    # dW2 = dZ2 A1^T: row 1 is (-3/6 + 2/5, 2/5) = (-1/10, 2/5), row 2 its negative;  db2 = -1/6 + 2/5 = 7/30, -7/30
    # dA1 = W2^T dZ2 = t [[-1/6 + 2/6, 2/5 - 4/5], [1/6, -2/5]]
    # dZ1 = t [[1/6, -2/5], [0, -2/5]]: unit 2 is off for sample 1
    # dW1 = dZ1 X^T = t [[1/6, 2/6 - 2/5], [0, -2/5]];  db1 = t [1/6 - 2/5, -2/5]
    t = log(2)
    parameters = {
        "W1": np.array([[3.0, -1], [-5, 3]]),
        "b1": np.array([[2.0], [-2]]),
        "W2": t * np.array([[1.0, 0], [2, 1]]),
        "b2": t * np.array([[2.0], [-2]]),
    }
    X, Y = np.array([[1.0, 0], [2, 1]]), np.array([[1.0, 0], [0, 1]])
    network = Network("2-2-2", (2, 2, 2), ("relu", "softmax"))
    (step,) = record(Training(network, parameters, X, Y, (None,)))
    expected = {
        "loss": np.asarray(log(15 / 2) / 2),
        "A2": [[2 / 3, 4 / 5], [1 / 3, 1 / 5]],
        "dZ2": [[-1 / 6, 2 / 5], [1 / 6, -2 / 5]],
        "dW2": [[-1 / 10, 2 / 5], [1 / 10, -2 / 5]],
        "db2": [[7 / 30], [-7 / 30]],
        "dZ1": [[t / 6, -2 * t / 5], [0, -2 * t / 5]],
        "dW1": [[t / 6, -t / 15], [0, -2 * t / 5]],
        "db1": [[-7 * t / 30], [-2 * t / 5]],
        "b1_next": [[2 + 0.1 * 7 * t / 30], [-2 + 0.1 * 2 * t / 5]],
    }
    for name, values in expected.items():
        assert_close(step.tensors[name], np.asarray(values), 1e-14, name)


def test_hand_worked_activations() -> None:
    z = np.log(np.array([[1.0, 2, 5]]))
    assert_close(softmax(z, 1), np.array([[1 / 8, 2 / 8, 5 / 8]]), 1e-15, "softmax")
    assert_close(sigmoid(z), np.array([[1 / 2, 2 / 3, 5 / 6]]), 1e-15, "sigmoid")
    assert_close(activate("tanh", z, 0), np.array([[0, 3 / 5, 12 / 13]]), 1e-15, "tanh")
    Z = np.array([-2.0, 0, 3])
    assert activate("relu", Z, 0).tolist() == [0, 0, 3]
    assert activate("leaky_relu", Z, 0.25).tolist() == [-0.5, 0, 3]


def test_derivative_at_zero() -> None:
    zero, one = np.zeros(1), np.ones(1)
    assert through("relu", one, activate("relu", zero, 0), 0) == 0
    assert through("leaky_relu", one, activate("leaky_relu", zero, 0.25), 0.25) == 0.25


def test_logits_of_ten_thousand() -> None:
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        Z = np.array([[1e4], [-1e4], [0]])
        for true, value in enumerate((0.0, 2e4, 1e4)):
            one_hot, integer = np.eye(3)[:, [true]], np.array([[true]])
            assert losses.cross_entropy(Z, one_hot, 0, 1) == losses.cross_entropy(Z, integer, 0, 1) == value
            expected = np.array([[1.0], [0], [0]]) - one_hot
            assert (losses.cross_entropy_delta(Z, one_hot, 0, 1) == expected).all()
            assert (losses.cross_entropy_delta(Z, integer, 0, 1) == expected).all()
        z = np.array([[1e4, 1e4, -1e4, -1e4]])
        y = np.array([[0.0, 1, 0, 1]])
        assert losses.binary_cross_entropy(z, y, 1) == 2e4
        assert losses.binary_cross_entropy_delta(z, y, 1).tolist() == [[1, 0, 0, -1]]


@pytest.mark.parametrize("network", SUITE, ids=lambda network: network.name)
def test_float32_stays_float32_and_near_float64(network: Network) -> None:
    narrow = training(network, 40, 3, "float32")
    wide = replace(
        narrow,
        parameters={name: array.astype("float64") for name, array in narrow.parameters.items()},
        X=narrow.X.astype("float64"),
        Y=narrow.Y if network.labels == "integer" else narrow.Y.astype("float64"),
    )
    (step32,), (step64,) = record(narrow), record(wide)
    # K u for a product of inner dimension K, forward and back again through every layer.
    rtol = 2 * (sum(network.sizes) + 40) * 2.0**-24
    for name in network.shapes(40):
        assert step32.tensors[name].dtype == np.float32, name
        assert step64.tensors[name].dtype == np.float64, name
        assert_close(step32.tensors[name], step64.tensors[name], rtol, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", SUITE, ids=lambda network: network.name)
def test_recording_ends_in_the_same_bits(network: Network, dtype: str) -> None:
    order = np.random.default_rng(5).permutation(60)
    run = training(network, 60, 4, dtype, (None, order[:23], order[23:], None))
    *_, last = record(run)
    for name, array in train(run).items():
        assert array.dtype == dtype
        assert array.tobytes() == np.ascontiguousarray(last.tensors[f"{name}_next"]).tobytes(), name
        assert (array != run.parameters[name]).any(), f"{name} was not trained"


@pytest.mark.parametrize(("loss", "labels"), LABELS)
def test_columns_and_rows_agree(loss: str, labels: str) -> None:
    network = small("tanh", loss, labels)
    case = training(network, 11, 2, batches=(None, None))
    other = replace(case, network=replace(network, layout="rows"))
    for columns, rows in zip(record(case), record(other), strict=True):
        assert columns.tensors.keys() == rows.tensors.keys() == network.shapes(11).keys()
        for name, array in columns.tensors.items():
            assert_close(rows.tensors[name], array, 1e-13, name)


@pytest.mark.parametrize("seed", range(3))
def test_jacobian_route_is_a_minus_y(seed: int) -> None:
    generator = np.random.default_rng(seed)
    Z, Y = 2 * generator.standard_normal((6, 13)), np.eye(6)[:, generator.integers(0, 6, 13)]
    J = softmax_jacobian(Z)
    assert J.shape == (13, 6, 6)
    assert_close(delta_through_jacobian(Z, Y), losses.cross_entropy_delta(Z, Y, 0, 1), 1e-14, "A - Y")
    # A probability's increase is the others' decrease: rows and columns add up to 0.
    assert max(np.abs(J.sum(axis=1)).max(), np.abs(J.sum(axis=2)).max()) < 1e-15
    with pytest.raises(BackproofError, match="true class underflows"):
        delta_through_jacobian(np.array([[1e4], [0]]), np.array([[0.0], [1]]))


def test_integer_labels_build_no_one_hot_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    n, m = 20_000, 50
    y = np.arange(m)[None]
    A = np.full((n, m), 1 / n)

    def peak(work: Callable[[], Any]) -> int:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # What softmax and log-sum-exp themselves need is made beforehand: the rest must not hold even a one-byte Y.
    monkeypatch.setattr(losses, "softmax", lambda Z, axis: A)
    monkeypatch.setattr(losses, "shifted_log_sum", lambda Z, axis: (A, np.zeros((1, m))))
    assert peak(lambda: losses.cross_entropy(A, y, 0, m)) < n * m / 10
    assert peak(lambda: losses.cross_entropy_delta(A, y, 0, m)) < n * m / 10
    # Note 003 copies A2 and keeps nothing else of its size. A Y of single bytes would show.
    assert peak(lambda: note_003.output_delta(A, y[0])) < 1.1 * A.nbytes
    assert peak(lambda: A - (np.arange(n)[:, None] == y)) > 1.1 * A.nbytes


@pytest.mark.parametrize("scheme", ["he", "xavier"])
def test_initial_variance(scheme: str) -> None:
    network = Network("wide", (300, 200, 10), ("relu", "softmax"), initialisation=scheme)
    parameters = initial_parameters(network, 0, "float64")
    for name, (fan_out, fan_in) in network.parameter_shapes().items():
        due = 0.05**2 if name[0] == "b" else 2 / fan_in if scheme == "he" else 2 / (fan_in + fan_out)
        # The mean square of N normal draws has the relative standard deviation sqrt(2 / N).
        N = parameters[name].size
        assert abs((parameters[name] ** 2).mean() / due - 1) < 4 * np.sqrt(2 / N), name
        assert (initial_parameters(network, 0, "float32")[name] == parameters[name].astype("float32")).all()


def test_forward_does_not_touch_its_input() -> None:
    network = small("identity")
    X, parameters = data(network, 7, 1)[0], initial_parameters(network, 1, "float64")
    before = X.copy()
    forward(network, parameters, X, Columns)
    assert np.array_equal(X, before)
