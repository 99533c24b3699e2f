"""Where the replicas' formulas cancel, the equations' own units say how far rounding carries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof.agreement import AgreementChecker
from backproof.disturbance import disturbed
from backproof.equations import equations
from backproof.network import Network
from backproof.replicas import Replicas
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import IMPLEMENTATIONS, implementation, training

SATURATED = Network("saturated", (20, 16, 10), ("tanh", "softmax"), labels="integer", initialisation="xavier")
CANCELLING = Network("cancelling", (10, 8, 1), ("relu", "sigmoid"), "binary_cross_entropy", "binary", learning_rate=1.0)


def worst(name, given):
    checker = AgreementChecker(Replicas(given, reference))
    return max(a.verdict for step in implementation(name).record(given) for a in checker.check(step))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_honest_frameworks_agree_where_formulas_cancel(name, dtype):
    pixels = np.random.default_rng(1).integers(0, 17, (20, 30)) * 10.0
    assert worst(name, training(SATURATED, dtype=dtype, X=pixels)) is Verdict.ROUNDING
    for m in (1, 2):
        assert worst(name, training(CANCELLING, m, dtype=dtype, batches=(None,) * 30)) is Verdict.ROUNDING


def test_a_fault_beyond_what_rounding_carries_is_still_found():
    given = training(CANCELLING, 20)
    step = next(reference.record(given))
    for name in (equation.target for equation in equations(CANCELLING)):
        wrong = np.array(step.tensors[name])
        wrong += 1e-3 * np.abs(wrong).max()
        found = AgreementChecker(Replicas(given, reference)).check(replace(step, tensors={**step.tensors, name: wrong}))
        assert max(a.verdict for a in found if a.quantity == name) is not Verdict.ROUNDING, name


def test_a_disturbed_step_is_a_unit_off_everywhere_and_no_further():
    given = training(SATURATED, 12, dtype="float64")
    exact = next(reference.record(given)).tensors
    off = disturbed(given, "float32", 0)
    gap = np.abs(off["Z1"] - exact["Z1"])
    norms = np.linalg.norm(given.parameters["W1"], axis=1)[:, None] * np.linalg.norm(given.X, axis=0)[None]
    unit = 2.0**-24 * (norms + np.abs(given.parameters["b1"]))
    drift = np.minimum(1 + 20**0.5 * 2.0**-24 * np.abs(exact["Z1"]) / unit, (20 + 1) / 4)
    np.testing.assert_allclose(gap, unit * drift, rtol=1e-5)
    assert not np.array_equal(off["dW1"], disturbed(given, "float32", 1)["dW1"])
