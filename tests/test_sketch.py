"""The sketch: honest steps pass it, errors of a stated size do not, and what it misses is what was derived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backproof.equation_check import EquationChecker, StepChecks
from backproof.equations import Product, equations
from backproof.network import Network
from backproof.rounding import format_of
from backproof.sketch import Screen
from backproof.sketch.blocks import BLOCK, PIECE, blocks, from_left, from_right
from backproof.sketch.layout import Layout
from backproof.sketch.products import LIMIT, ProductSketch
from backproof.sketch.signs import VECTORS, signs
from backproof.training import Step, Training
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import BY_NAME, IMPLEMENTATIONS, SMALL, implementation, training

Array = NDArray[Any]
NETWORK = BY_NAME["five_layer"]
PRODUCTS = [equation.target for equation in equations(NETWORK) if isinstance(equation.rule, Product)]


def checked(here: Training, step: Step, seed: int = 0) -> StepChecks:
    screen = Screen(here.network, here.dtype, seed)
    return EquationChecker(here.network, here.dtype, screen).check(step, here.X, here.Y)


def changed(step: Step, name: str, change: Callable[[Array], Any]) -> Step:
    array = np.array(step.tensors[name])
    change(array)
    return replace(step, tensors={**step.tensors, name: array})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_an_honest_step_passes(network: Network, dtype: str) -> None:
    for name in IMPLEMENTATIONS:
        here = training(network, 40, dtype=dtype)
        for step in implementation(name).record(here):
            result = checked(here, step)
            targets = {equation.target for equation in equations(network)}
            assert not result.flaws and not result.unchecked
            assert all(check.verdict is Verdict.ROUNDING for check in result.checks)
            assert {*result.sketched, *(check.equation.target for check in result.checks)} == targets
            assert len(result.sketched) > 0.9 * len(targets)


@pytest.mark.parametrize("target", [equation.target for equation in equations(NETWORK)])
def test_one_wrong_element_is_found_at_its_equation(target: str) -> None:
    here = training(NETWORK, 40)
    (step,) = reference.record(here)

    def off(array: Array) -> None:
        index = np.unravel_index(int(np.abs(array).argmax()), array.shape)
        array[index] += 0.01 * np.abs(array).max() + 1e-3

    result = checked(here, changed(step, target, off))
    assert target not in result.sketched
    assert {check.equation.target: check.verdict for check in result.checks}[target] is Verdict.BUG


@pytest.mark.parametrize("name", ["W1", "X", "Z2", "A3", "dA2", "dZ4", "dW3", "db1", "W5_next", "loss"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_never_passes(name: str, value: float) -> None:
    here = training(NETWORK, 40)
    (step,) = reference.record(here)
    if name == "X":
        broken = here.X.copy()
        broken[3, 5] = value
        result = EquationChecker(NETWORK, here.dtype, Screen(NETWORK, here.dtype)).check(step, broken, here.Y)
        assert "Z1" not in result.sketched and "dW1" not in result.sketched
        return

    def off(array: Array) -> None:
        array[(0,) * array.ndim] = value

    result = checked(here, changed(step, name, off))
    assert [flaw.quantity for flaw in result.flaws] == [name]


@pytest.mark.parametrize("change", [{"A1": None}, {"Q": 1}, {"W1": "float64"}, {"Z1": "shape"}])
def test_a_step_of_another_structure_is_not_sketched(change: dict[str, Any]) -> None:
    here = training(NETWORK, 40)
    (step,) = reference.record(here)
    tensors = dict(step.tensors)
    for name, how in change.items():
        if how is None:
            del tensors[name]
        else:
            tensors[name] = {"float64": lambda a: a.astype(np.float64), "shape": lambda a: a.T, 1: lambda a: a}[how](
                tensors.get(name, np.ones(2, np.float32))
            )
    result = checked(here, replace(step, tensors=tensors))
    assert not result.sketched and [flaw.quantity for flaw in result.flaws] == list(change)


def one_product(A: Array, B: Array, C: Array, seed: int) -> float:
    """What the sketch of ``C = A·B`` used of its limit, as Z of one layer without a bias."""
    network = Network("one", (A.shape[1], len(A)), ("identity",), "mse", "real")
    (equation,) = (e for e in equations(network) if e.target == "Z1")
    tensors = {"X": B, "W1": A, "b1": np.zeros((len(A), 1), A.dtype), "Z1": C}
    layout = Layout([(equation, equation.rule)], {name: len(array) for name, array in tensors.items()})
    with np.errstate(all="ignore"):  # as where steps are checked
        sketch = ProductSketch(layout, tensors, format_of(A.dtype), np.random.default_rng(seed))
        return sketch.fractions(reduce(add, map(sketch.sums, blocks(B.shape[1]))))["Z1"]


def test_what_is_seen_of_one_element_is_what_was_derived() -> None:
    """``LIMIT u ||A_i|| ||B||_F`` from the right or ``LIMIT u ||A||_F ||B_j||`` from the left, whichever is less."""
    generator = np.random.default_rng(0)
    A, B = (generator.standard_normal(shape).astype(np.float32) for shape in ((30, 20), (20, 200)))
    C = A @ B
    u, (i, j) = 2.0**-24, (7, 11)
    right = u * np.linalg.norm(A[i]) * np.linalg.norm(B)
    left = u * np.linalg.norm(A) * np.linalg.norm(B[:, j])
    limit = LIMIT * min(right, left)
    for factor, seen in ((1.3, True), (0.5, False)):
        wrong = C.copy()
        wrong[i, j] += np.float32(factor * limit)
        error = abs(float(wrong[i, j]) - float(C[i, j])) / limit
        assert abs(error - factor) < 0.2  # the float32 array holds about what was planted
        assert all((one_product(A, B, wrong, seed) > 1) == seen for seed in range(50))


@pytest.mark.parametrize("scale", [1e20, 1e30])
def test_operands_whose_squares_overflow_pass_nothing(scale: float) -> None:
    generator = np.random.default_rng(0)
    A, B = (generator.standard_normal(shape).astype(np.float32) for shape in ((30, 20), (20, 200)))
    A, B = A * np.float32(scale), B / np.float32(scale)
    assert not one_product(A, B, (A @ B) * np.float32(1.1), 0) <= 1


def test_data_that_change_in_place_are_measured_anew() -> None:
    here = training(NETWORK, 1030)
    (step,) = reference.record(here)
    X = here.X * np.float32(1e6)
    checker = EquationChecker(NETWORK, here.dtype, Screen(NETWORK, here.dtype))
    checker.check(step, X, here.Y)
    X[:] = here.X
    wrong = changed(step, "dW1", lambda array: array.__imul__(1.01))
    assert "dW1" not in checker.check(wrong, X, here.Y).sketched


def test_elementwise_limits_that_overflow_pass_nothing() -> None:
    network = Network("wild", (2, 2), ("identity",), "mse", "real")
    here = training(network, 3, dtype="float64")
    (step,) = reference.record(here)
    wrong = replace(step, tensors={**step.tensors, "A1": np.full((2, 3), 1e308), "dA1": np.full((2, 3), -1e308)})
    assert not {"dA1", "loss"} & set(checked(here, wrong).sketched)


def test_equal_and_opposite_errors_cancel_for_one_vector_in_two_and_not_for_eight_on_both_sides() -> None:
    generator = np.random.default_rng(1)
    A, B = (generator.standard_normal(shape).astype(np.float32) for shape in ((30, 20), (20, 200)))
    wrong = (A @ B).astype(np.float32)
    wrong[3, 5] += 1
    wrong[3, 9] -= 1
    assert all(one_product(A, B, wrong, seed) > 1 for seed in range(2000))
    columns = signs(generator, 20_000, np.dtype(np.float64)).reshape(10_000, 2 * VECTORS)
    assert abs(np.mean(columns[:, 0] == columns[:, 1]) - 0.5) < 0.02


def test_the_signs_of_every_step_are_new_and_repeat_with_the_seed() -> None:
    a, b = np.random.default_rng(3), np.random.default_rng(3)
    first, again = signs(a, 50, np.dtype(np.float32)), signs(b, 50, np.dtype(np.float32))
    assert set(np.unique(first)) == {-1.0, 1.0} and (first == again).all()
    assert (signs(a, 50, np.dtype(np.float32)) != first).any()


@pytest.mark.parametrize("m", [1, 7, 64, PIECE - 1, PIECE, PIECE + 1, BLOCK - 1, BLOCK])
@pytest.mark.parametrize("rows", [1, 130, 800])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pieces_of_a_block_are_the_product(m: int, rows: int, order: Any) -> None:
    generator = np.random.default_rng(m)
    data = np.asarray(generator.integers(-4, 5, (rows, m + 3)), np.float32, order=order)
    Q = data[:, 2 : m + 2]
    left, right = (generator.integers(-1, 2, (n, 2 * VECTORS)).astype(np.float32) for n in (rows, m))
    by_left, by_right = np.empty((m, 3 * VECTORS), np.float32), np.empty((rows, 3 * VECTORS), np.float32)
    from_left(Q, left, by_left[:, VECTORS:])
    from_right(Q, right, by_right[:, VECTORS:])
    assert (by_left[:, VECTORS:] == Q.T @ left).all() and (by_right[:, VECTORS:] == Q @ right).all()


@pytest.mark.parametrize("m", [1, 2, 700, 5000])
def test_blocks_of_samples_change_nothing_but_rounding(m: int) -> None:
    here = training(NETWORK, m)
    (step,) = reference.record(here)
    result = checked(here, step)
    assert all(check.verdict is Verdict.ROUNDING for check in result.checks)
    assert len(result.sketched) + len(result.checks) == len(equations(NETWORK))
    wrong = changed(step, "dW2", lambda array: array.__setitem__((2, 3), array[2, 3] + 1))
    assert "dW2" in {check.equation.target for check in checked(here, wrong).checks}
    wrong = changed(step, "Z2", lambda array: array.__setitem__((2, m - 1), array[2, m - 1] + 1))
    assert "Z2" in {check.equation.target for check in checked(here, wrong).checks}


def test_weight_decay_and_other_outputs_are_judged_too() -> None:
    for network in (
        replace(NETWORK, weight_decay=0.1),
        Network("real", (6, 5, 3), ("tanh", "identity"), "mse", "real"),
        Network("apart", (6, 5, 3), ("sigmoid", "sigmoid"), "cross_entropy", "one_hot"),
    ):
        here = training(network, 30)
        (step,) = reference.record(here)
        result = checked(here, step)
        assert all(check.verdict is Verdict.ROUNDING for check in result.checks)
        wrong = changed(step, "dW1", lambda array: array.__imul__(1.01))
        found: Mapping[str, Verdict] = {c.equation.target: c.verdict for c in checked(here, wrong).checks}
        assert found["dW1"] is Verdict.BUG
