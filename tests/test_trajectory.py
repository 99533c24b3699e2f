"""The third question: every step begins where the last one ended, bit for bit; and how far the free runs are apart."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof.replicas import Replicas
from backproof.training import Step, Training
from backproof.trajectory import Continuity, FreeStep, after_update, free_run
from reference import network as reference
from tests.support import BY_NAME, IMPLEMENTATIONS, implementation, training

Array = np.ndarray[Any, np.dtype[Any]]
NETWORK = BY_NAME["row_major"]


def run(steps: int = 4, dtype: str = "float32") -> tuple[Training, list[Step]]:
    here = training(NETWORK, 20, dtype=dtype, batches=(None,) * steps)
    return here, list(reference.record(here))


def broken(here: Training, steps: list[Step]) -> list[list[str]]:
    continuity = Continuity(here.parameters)
    return [continuity.check(step) for step in steps]


def changed(step: Step, name: str, array: Array) -> Step:
    return replace(step, tensors={**step.tensors, name: array})


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_an_honest_run_is_continuous(name: str) -> None:
    here = training(NETWORK, 20, batches=(None, None, None))
    assert broken(here, list(implementation(name).record(here))) == [[], [], []]


HERE, STEPS = run()
FLIPS = st.tuples(
    st.sampled_from(sorted(NETWORK.parameter_shapes())), st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 31)
)


@given(FLIPS)
def test_one_changed_bit_is_found(flip: tuple[str, int, int, int]) -> None:
    name, at, element, bit = flip
    here, steps = HERE, list(STEPS)
    array = np.array(steps[at].tensors[name], order="C")
    array.reshape(-1).view(np.uint32)[element % array.size] ^= np.uint32(1 << bit)
    origin = "the initial parameters" if at == 0 else f"step {at - 1}"
    expected: list[list[str]] = [[] for _ in steps]
    expected[at] = [f"{name} at the start of step {at} is not what {origin} left"]
    steps[at] = changed(steps[at], name, array)
    assert broken(here, steps) == expected


def test_the_sign_of_a_zero_and_the_dtype_are_bits_too() -> None:
    zero = {"b1": np.zeros((2, 1), np.float32)}
    for other in (-zero["b1"], zero["b1"].astype(np.float64), zero["b1"].T):
        assert Continuity(zero).check(Step(0, None, {"b1": other, "b1_next": other}))
    nan = {"b1": np.full((2, 1), np.nan, np.float32)}
    assert not Continuity(nan).check(Step(0, None, {"b1": nan["b1"].copy(), "b1_next": nan["b1"]}))


def test_an_altered_first_step_is_found() -> None:
    here, steps = run()
    other = training(NETWORK, 20, seed=1, batches=(None,))
    first, *rest = broken(other, steps)
    said = "at the start of step 0 is not what the initial parameters left"
    assert first == [f"{name} {said}" for name in here.parameters]
    assert rest == [[], [], []]


def test_a_gap_and_a_repetition_are_found() -> None:
    here, steps = run()
    assert broken(here, [steps[0], steps[2]])[1][0] == "step 2 follows step 0"
    assert len(broken(here, [steps[0], steps[2]])[1]) == 1 + len(here.parameters)
    assert broken(here, [steps[0], steps[0]])[1][0] == "step 0 follows step 0"
    # Renumbered, the gap shows in the parameters alone.
    assert len(broken(here, [steps[0], replace(steps[2], index=1)])[1]) == len(here.parameters)


def test_a_parameter_that_was_not_recorded_once_is_checked_again_afterwards() -> None:
    here, steps = run()
    steps[0] = replace(steps[0], tensors={k: v for k, v in steps[0].tensors.items() if k != "W1_next"})
    steps[2] = changed(steps[2], "W1", steps[2].tensors["W1"] + 1)
    assert broken(here, steps) == [[], [], ["W1 at the start of step 2 is not what step 1 left"], []]


def test_continuity_keeps_its_own_copy() -> None:
    """An implementation that updates in place must not make every step look continuous."""
    W = np.ones((1, 1), np.float32)
    continuity = Continuity({"W1": W.copy()})
    assert not continuity.check(Step(0, None, {"W1": W, "W1_next": W}))
    W += 1
    assert continuity.check(Step(1, None, {"W1": W, "W1_next": W}))


def test_distance_is_relative_to_the_distance_travelled() -> None:
    after = {"W1": np.array([[3.0, 0.0]]), "b1": np.array([[4.0]])}
    here = FreeStep(after, travelled=10.0, envelope=0.0, loss=0.0)
    assert here.distance(after) == 0
    assert here.distance({"W1": np.array([[0.0, 0.0]]), "b1": np.array([[0.0]])}) == pytest.approx(0.5)
    assert here.distance({"W1": np.array([[3.0, 2.0]]), "b1": np.array([[4.0]])}) == pytest.approx(0.2)
    assert replace(here, travelled=0.0).distance({"W1": np.array([[3.0, 2.0]]), "b1": np.array([[4.0]])}) == 2


def test_the_free_run_is_the_reference_in_float64() -> None:
    here, steps = run(3, "float64")
    free = list(free_run(Replicas(here, reference)))
    assert len(free) == 3
    for step, found in zip(steps, free, strict=True):
        after = after_update(step)
        assert after.keys() == here.parameters.keys() and found.distance(after) == 0
        moved = sum(float(np.square(after[name] - here.parameters[name]).sum()) for name in after)
        assert found.travelled == pytest.approx(moved**0.5, rel=1e-12)
        assert found.loss == float(step.tensors["loss"])


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_float32_runs_stay_near_the_replicas(name: str) -> None:
    here = training(BY_NAME["binary_tanh"], 20, batches=(None, np.arange(5), None))
    for step, free in zip(implementation(name).record(here), free_run(Replicas(here, reference)), strict=True):
        distance = free.distance(after_update(step))
        assert 0 < distance < 1e-5 and 0 < free.envelope < 1e-5
        assert distance < 16 * free.envelope


def test_a_wrong_learning_rate_leaves_the_envelope() -> None:
    here = training(NETWORK, 20, batches=(None, None))
    wrong = replace(here, network=replace(NETWORK, learning_rate=1.001 * NETWORK.learning_rate))
    for step, free in zip(reference.record(wrong), free_run(Replicas(here, reference)), strict=True):
        assert free.distance(after_update(step)) > 100 * free.envelope


def test_nothing_of_a_step_is_held_while_the_next_one_waits() -> None:
    here = training(NETWORK, 5000, batches=(None, None))
    tracemalloc.start()
    try:
        replicas, before = Replicas(here, reference), tracemalloc.get_traced_memory()[0]
        next(free := free_run(replicas))
        held = tracemalloc.get_traced_memory()[0] - before
        assert sum(1 for _ in free) == 1
    finally:
        tracemalloc.stop()
    # The data in float64 is shared; of each replica only where its samples came from, and its parameters, stay.
    shared = replicas.truth.X.nbytes + replicas.truth.Y.nbytes + len(replicas.permutations) * 2 * 8 * here.samples
    assert shared < held < shared + here.X.nbytes / 2
