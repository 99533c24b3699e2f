"""Every planted fault is detected, at its equation and nowhere else, and named; nothing unknown is named."""

from __future__ import annotations

import numpy as np
import pytest

from backproof import check_backprop
from benchmarks.faults import in_one_equation, plant, several
from benchmarks.random_steps import random_case
from tests.faults import FAULTS
from tests.faults.planted import Planted, arrays, deep, said

IDS = [fault.id for fault in FAULTS]


@pytest.mark.parametrize("told", [True, False], ids=["said", "inferred"])
@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
def test_a_fault_is_found_and_named(fault, told):
    outcome = plant(fault, 11, told)
    if not outcome.honest:
        assert outcome.detected and outcome.placed and outcome.named, outcome


BY_ID = {fault.id: fault for fault in FAULTS}
TIED = ["L1", "L3", "L11b", "L13", "L19", "O1b", "O3", "O7", "O15"]


@pytest.mark.parametrize("name", TIED)
def test_conventions_that_tie_are_told_apart_by_what_they_leave_to_assume(name):
    """One layer with 1/m in the update: 1/m in the delta, or a sum, has as many equations fail, but with a factor m in
    the explanation, or without one.
    """
    outcome = plant(BY_ID[name], 4, told=False)
    assert outcome.placed and outcome.named and not outcome.honest, outcome


@pytest.mark.parametrize(("name", "seed"), [("W13", 3), ("U19", 1), ("U19", 3), ("U19", 4)])
def test_a_step_along_no_gradient_does_not_set_the_learning_rate(name, seed):
    outcome = plant(BY_ID[name], seed, told=False)
    assert outcome.placed and outcome.named, outcome


def test_an_activation_held_in_float32_is_still_inferred():
    outcome = plant(BY_ID["P1"], 0, told=False)
    assert outcome.placed and outcome.named, outcome


def test_pairs_are_both_named():
    tried, found, named = several(seed=5, count=20, size=2)
    # An array of a wrong shape keeps the equations that read it from being checked.
    assert found >= 0.9 * tried and named >= 0.9 * tried


def test_a_mistake_and_a_constant_in_one_equation():
    tried, named = in_one_equation(seed=5, count=20)
    assert named >= 0.8 * tried


def _distorted(case, q, right):
    size = np.abs(right).mean() + 1e-9
    return right + 0.02 * size * np.sin(3 * right / size)


def _noise(case, q, right):
    return right + 0.01 * np.abs(right).mean() * np.random.default_rng(case.seed).normal(size=right.shape)


def _element(case, q, right):
    wrong = right.copy()
    wrong.flat[0] += 0.3 * np.abs(right).mean() + 0.01
    return wrong


def _row(case, q, right):
    wrong = right.copy()
    wrong[0] += 0.3 * np.random.default_rng(1).normal(size=right.shape[1]) * (np.abs(right).mean() + 0.01)
    return wrong


TARGETS = ["Z1", "Z{L}", "A1", "loss", "dZ{L}", "dZ1", "dA1", "dW1", "dW2", "db1", "db{L}", "W1_next", "b1_next"]


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("target", "wrong"),
    # A loss has no rows.
    [(t, w) for t in TARGETS for w in (_distorted, _noise, _element, _row) if (t, w) != ("loss", _row)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_no_known_mistake_gets_no_name(wrong, target, seed, activation):
    fault = Planted("", "", target, wrong, ())
    case = deep(random_case(seed), activation)
    result = check_backprop(arrays(case, [fault]), **said(case))
    found = [failure for failure in result.failures if failure.equation == fault.target_of(case)]
    assert found and found[0].explanations == (), str(result)
