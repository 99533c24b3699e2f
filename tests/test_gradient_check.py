"""The losses near by, many at once, against one forward pass each; and a wrong gradient in any one parameter."""

import numpy as np
import pytest

from backproof.errors import BackproofError
from backproof.network import HIDDEN_ACTIVATIONS, OUTPUT_ACTIVATIONS, Network
from reference.gradient_check import STEP, central_differences, gradient_check, loss_rounding
from reference.initialisation import initial_parameters
from reference.layouts import LAYOUTS
from reference.network import backpropagate
from reference.perturbed import Around, Unit
from tests.support import Array

JOINT = [
    ("cross_entropy", "softmax", "one_hot"), ("cross_entropy", "softmax", "integer"),
    ("cross_entropy", "softmax", "real"), ("binary_cross_entropy", "sigmoid", "binary"),
]  # fmt: skip
SPLIT = [
    *(("mse", output, "real") for output in OUTPUT_ACTIVATIONS), ("cross_entropy", "sigmoid", "integer"),
    ("cross_entropy", "sigmoid", "one_hot"), ("binary_cross_entropy", "softmax", "binary"),
]  # fmt: skip


def drawn(network: Network, m: int = 6, seed: int = 3) -> tuple[dict[str, Array], Array, Array]:
    """Parameters, X with some zeros, and labels of the network's kind."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(network.sizes[0], m)) * (generator.random((network.sizes[0], m)) < 0.7)
    shape, n = network.label_shape(m), network.sizes[-1]
    classes = generator.integers(0, n, m)
    if network.labels == "integer":
        Y = classes[None].astype(np.int64)
    elif network.labels == "real":
        Y = generator.dirichlet(np.ones(n), m).T
    else:
        Y = np.eye(n)[:, classes] if network.labels == "one_hot" else (generator.random(shape) < 0.5).astype(float)
    return initial_parameters(network, seed, np.float64), X, Y


def plain_loss(network: Network, parameters: dict[str, Array], X: Array, Y: Array) -> float:
    """One whole forward pass."""
    return float(backpropagate(network, parameters, X, Y, LAYOUTS["columns"])[0])


@pytest.mark.parametrize("hidden", HIDDEN_ACTIVATIONS)
@pytest.mark.parametrize(("loss", "output", "labels"), JOINT + SPLIT)
def test_each_loss_is_that_of_a_whole_forward_pass(hidden: str, loss: str, output: str, labels: str) -> None:
    """Within twice the bound on rounding that the allowances are made of: each of the two errs by as much."""
    network = Network("n", (5, 4, 4, 3), (hidden, hidden, output), loss, labels, slope=0.1, weight_decay=0.3)
    parameters, X, Y = drawn(network)
    around, allowed = Around(network, parameters, X, Y), 2 * loss_rounding(network, parameters, X, Y)
    for layer, row in around.units():
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        steps = np.array([[STEP], [-2 * STEP]]) * np.ones(W.shape[1] + 1)
        found = around.losses(Unit(layer, row), steps)
        for column in range(W.shape[1] + 1):
            array, at = (W, (row, column)) if column < W.shape[1] else (b, (row, 0))
            before = array[at]
            for step, value in zip(steps[:, column], found[:, column], strict=True):
                array[at] = before + step
                assert abs(value - plain_loss(network, parameters, X, Y)) <= allowed
                array[at] = before


@pytest.mark.parametrize(("loss", "output", "labels"), [JOINT[0], SPLIT[0]])
def test_a_wrong_gradient_of_any_one_parameter_is_found(loss: str, output: str, labels: str) -> None:
    network = Network("n", (4, 3, 3, 2), ("tanh", "sigmoid", output), loss, labels)
    parameters, X, Y = drawn(network)
    found = backpropagate(network, parameters, X, Y, LAYOUTS["columns"])[1]
    differences = central_differences(network, parameters, X, Y)
    assert max(gradient_check(network, parameters, X, Y, found).values()) <= 1
    for name, allowance in differences.allowances.items():
        for at in np.ndindex(allowance.shape):
            honest = found[f"d{name}"][at]
            found[f"d{name}"][at] += 2.1 * allowance[at]
            fractions = gradient_check(network, parameters, X, Y, found)
            assert [key for key, fraction in fractions.items() if fraction > 1] == [name]
            found[f"d{name}"][at] = honest


def test_more_pairs_than_go_through_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network("n", (5, 4, 4, 3), ("leaky_relu", "relu", "softmax"))
    given = drawn(network)
    whole = central_differences(network, *given)
    monkeypatch.setattr("reference.perturbed.COLUMNS", 7)
    cut = central_differences(network, *given)
    for name in whole.values:
        assert (np.abs(whole.values[name] - cut.values[name]) <= whole.allowances[name]).all()


@pytest.mark.parametrize("layer", [2, 3])
def test_a_kink_above_is_named(layer: int) -> None:
    network = Network("n", (5, 4, 4, 3), ("tanh", "relu", "relu"), "mse", "real")
    parameters, X, Y = drawn(network)
    Z = Around(network, parameters, X, Y).observed[f"Z{layer}"]
    parameters[f"b{layer}"][1, 0] -= Z[1, 2] - 1e-9
    with pytest.raises(BackproofError, match=rf"perturbing W1\[0, \d\] carries Z{layer} of unit 1, sample 2 across"):
        central_differences(network, parameters, X, Y)
