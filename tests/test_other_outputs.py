"""Outputs that are not joint with their loss, mean squared error and weight decay: each implementation on its own
equations and against the reference, and each new equation on a planted fault.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof.agreement import AgreementChecker
from backproof.equation_check import EquationChecker
from backproof.equations import equations
from backproof.errors import BackproofError
from backproof.network import OUTPUT_ACTIVATIONS, Network
from backproof.replicas import Replicas
from backproof.trajectory import after_update
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import IMPLEMENTATIONS, implementation, training

PAIRS = [
    *(("mse", output, "real") for output in OUTPUT_ACTIVATIONS),
    ("mse", "softmax", "one_hot"), ("cross_entropy", "sigmoid", "integer"), ("cross_entropy", "sigmoid", "one_hot"),
    ("binary_cross_entropy", "softmax", "binary"), ("cross_entropy", "softmax", "one_hot"),
]  # fmt: skip
NETWORKS = [
    Network(
        f"{loss}-{output}-{labels}", (7, 6, 5, 4), ("relu", "tanh", output), loss, labels, weight_decay=0.01,
        reduction="mean_over_samples" if place % 2 else "mean", half=loss == "mse" and place % 3 == 0,
        layout="rows" if place % 2 else "columns",
    )
    for place, (loss, output, labels) in enumerate(PAIRS)
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_every_step_holds_and_agrees(network, name, dtype):
    given = training(network, 30, seed=2, dtype=dtype, batches=(None,) * 3)
    module = implementation(name)
    checker, agreement = EquationChecker(network, np.dtype(dtype)), AgreementChecker(Replicas(given, reference))
    for step in module.record(given):
        checked = checker.check(step, given.X, given.Y)
        assert not checked.flaws and not checked.unchecked
        for check in checked.checks:
            assert check.verdict is Verdict.ROUNDING, f"{check.equation.text}: {check.message}"
        for found in agreement.check(step):
            assert found.verdict is Verdict.ROUNDING, found
    unobserved = module.train(given)
    for parameter, array in after_update(step).items():
        assert np.array_equal(unobserved[parameter], array), f"recording changed {parameter}"


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_every_equation_of_them_finds_a_wrong_value(network):
    given = training(network, 30, seed=2)
    step = next(reference.record(given))
    for equation in equations(network):
        wrong = np.array(step.tensors[equation.target])
        wrong.flat[int(np.abs(wrong).argmax())] *= np.float32(1.001)
        tensors = {**step.tensors, equation.target: wrong}
        checks = EquationChecker(network, given.dtype).check(replace(step, tensors=tensors), given.X, given.Y).checks
        verdicts = {check.equation.target: check.verdict for check in checks}
        assert verdicts[equation.target] is not Verdict.ROUNDING, equation.text


def test_a_forgotten_penalty_is_seen_in_the_loss_and_in_dW():
    network = NETWORKS[0]
    given = training(network, 30, seed=2)
    without = next(reference.record(training(replace(network, weight_decay=0.0), 30, seed=2)))
    checks = EquationChecker(network, given.dtype).check(without, given.X, given.Y).checks
    failing = {check.equation.target for check in checks if check.verdict is not Verdict.ROUNDING}
    assert failing == {"loss", "dW1", "dW2", "dW3"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"activations": ("relu",)}, "takes probabilities"),
        ({"activations": ("swish",)}, "unknown output activation 'swish'"),
        ({"labels": "binary"}, "labels 'binary' do not go with cross_entropy"),
        ({"half": True}, "half is for mse"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and not negative"),
        ({"weight_decay": float("nan")}, "weight_decay must be finite and not negative"),
    ],
)
def test_wrong_specifications_are_refused(values, words):
    with pytest.raises(BackproofError, match=words):
        Network(**{"name": "n", "sizes": (2, 3), "activations": ("softmax",), **values})


def test_labels_of_a_cross_entropy_are_probabilities():
    network = Network("n", (3, 4), ("softmax",), labels="real")
    with pytest.raises(BackproofError, match="probabilities that sum to 1"):
        training(network, 5)
