"""What cannot be judged: each flaw at its quantity with its message, its equations unchecked, all others judged."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backproof.equation_check import EquationChecker, StepChecks
from backproof.equations import equations
from backproof.network import Network
from backproof.structure import Flaw, flaws
from backproof.training import Step, Training
from tests.support import BY_NAME, SMALL, failing, judge, one_step, training

Array = np.ndarray[Any, np.dtype[Any]]
NETWORK = BY_NAME["row_major"]  # 12-8-6-4: no layer is square
QUANTITIES = tuple(NETWORK.shapes(20))


@pytest.fixture(scope="module")
def given() -> Training:
    return training(NETWORK, 20)


def with_tensors(given: Training, change: Callable[[dict[str, Array]], object]) -> StepChecks:
    tensors = dict(one_step(given).tensors)
    change(tensors)
    return judge(given, Step(0, None, tensors))


def only_flaw(found: StepChecks, quantity: str, kind: str) -> Flaw:
    """The one flaw; the equations that need its quantity are unchecked, all others are judged to be rounding."""
    __tracebackhide__ = True
    assert [(flaw.quantity, flaw.kind) for flaw in found.flaws] == [(quantity, kind)]
    touching = [e for e in equations(NETWORK) if quantity in (e.target, *e.rule.operands)]
    assert touching and found.unchecked == touching
    assert [check.equation for check in found.checks] == [e for e in equations(NETWORK) if e not in touching]
    assert not failing(found)
    return found.flaws[0]


def replaced(name: str, value: Any) -> Callable[[dict[str, Array]], object]:
    def change(tensors: dict[str, Array]) -> None:
        tensors[name] = value(tensors[name].copy())

    return change


def put(value: float) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        array.flat[array.size // 2] = value
        return array

    return change


def test_a_sound_step_has_no_flaw(given: Training) -> None:
    for network in SMALL:
        here = training(network, 20)
        assert flaws(network, one_step(here).tensors, 20, here.dtype) == []


@pytest.mark.parametrize("name", QUANTITIES)
def test_missing(given: Training, name: str) -> None:
    flaw = only_flaw(with_tensors(given, lambda tensors: tensors.pop(name)), name, "missing")
    assert flaw.message == f"{name} is missing"


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(given: Training, name: str, value: float) -> None:
    flaw = only_flaw(with_tensors(given, replaced(name, put(value))), name, "non-finite")
    at = np.unravel_index(max(1, np.prod(NETWORK.shapes(20)[name])) // 2, NETWORK.shapes(20)[name] or (1,))
    where = f" at {tuple(int(i) for i in at)}" if NETWORK.shapes(20)[name] else ""
    assert flaw.message == f"{name} holds 1 values that are not finite; the first is {value}{where}"


@pytest.mark.parametrize("name", QUANTITIES)
def test_wrong_dtype(given: Training, name: str) -> None:
    flaw = only_flaw(with_tensors(given, replaced(name, lambda array: np.asarray(array, np.float64))), name, "dtype")
    assert flaw.message == f"{name} is float64, the run is float32"


@pytest.mark.parametrize("name", [name for name in QUANTITIES if name != "loss"])
def test_transposed(given: Training, name: str) -> None:
    flaw = only_flaw(with_tensors(given, replaced(name, np.transpose)), name, "shape")
    shape = NETWORK.shapes(20)[name]
    assert flaw.message == f"{name} has shape {shape[::-1]}, needed is {shape}; it is the transpose"


@pytest.mark.parametrize("name", QUANTITIES)
def test_wrong_shape(given: Training, name: str) -> None:
    flaw = only_flaw(with_tensors(given, replaced(name, lambda array: array[None])), name, "shape")
    assert re.fullmatch(rf"{name} has shape \(1,.*\), needed is \(.*\)", flaw.message)


def test_a_lost_sample_is_a_wrong_shape(given: Training) -> None:
    flaw = only_flaw(with_tensors(given, replaced("A1", lambda array: array[:, :-1])), "A1", "shape")
    assert "(8, 19), needed is (8, 20)" in flaw.message


def test_unexpected(given: Training) -> None:
    found = with_tensors(given, lambda tensors: tensors.update(Z9=np.zeros(1, np.float32)))
    assert [(flaw.quantity, flaw.kind) for flaw in found.flaws] == [("Z9", "unexpected")]
    assert found.flaws[0].message == "Z9 is not a quantity of row_major"
    assert not found.unchecked and len(found.checks) == len(equations(NETWORK))


def test_the_input_gradient_is_no_quantity(given: Training) -> None:
    """dA of the output layer and of layer 0 are not recorded: nothing would check them."""
    for name in ("dA0", f"dA{NETWORK.depth}", "A0"):
        found = with_tensors(given, lambda tensors, name=name: tensors.update({name: np.zeros(1, np.float32)}))
        assert [flaw.quantity for flaw in found.flaws] == [name]


def test_several_flaws_come_in_order_of_computation(given: Training) -> None:
    def change(tensors: dict[str, Array]) -> None:
        tensors["dW1"] = tensors["dW1"].T
        del tensors["Z2"]
        tensors["b3"] = tensors["b3"].astype(np.float64)
        tensors["extra"] = tensors["b1"]

    found = with_tensors(given, change)
    assert [(flaw.quantity, flaw.kind) for flaw in found.flaws] == [
        ("b3", "dtype"), ("Z2", "missing"), ("dW1", "shape"), ("extra", "unexpected")
    ]  # fmt: skip
    assert len(found.checks) + len(found.unchecked) == len(equations(NETWORK))
    assert not failing(found)


def test_an_empty_step_checks_nothing(given: Training) -> None:
    found = judge(given, Step(0, None, {}))
    assert not found.checks and len(found.unchecked) == len(equations(NETWORK))
    assert {flaw.kind for flaw in found.flaws} == {"missing"} and len(found.flaws) == len(QUANTITIES)


def test_values_that_only_their_sum_carries_beyond_the_format_are_sound() -> None:
    network = Network("n", (2, 2), ("softmax",))
    here = training(network, 3, dtype="float64")
    tensors = dict(one_step(here).tensors)
    tensors["W1"] = np.full((2, 2), 1e308)
    assert flaws(network, tensors, 3, here.dtype) == []


def overflowing() -> StepChecks:
    """A step whose Z1 is beyond float32, though its operands are not."""
    network = Network("n", (2, 3, 2), ("identity", "softmax"))
    given = training(network, 4)
    tensors = dict(one_step(given).tensors)
    tensors["W1"] = tensors["W1"] * np.float32(1e38)
    X = given.X * np.float32(1e3)
    with np.errstate(all="ignore"):
        tensors["Z1"] = tensors["A1"] = tensors["W1"] @ X
        tensors["Z2"] = tensors["W2"] @ tensors["A1"]
    return EquationChecker(network, given.dtype).check(Step(0, None, tensors), X, given.Y)


def test_an_overflow_is_named_as_one() -> None:
    flaw = overflowing().flaws[0]
    assert (flaw.quantity, flaw.kind) == ("Z1", "overflow")
    assert re.fullmatch(r"Z1 overflowed: its exact value reaches \S+e\+\d+, float32 ends at 3\.4e\+38", flaw.message)


def test_what_follows_an_overflow_is_not_named_one() -> None:
    """Where an operand is not finite there is no exact value: only the first in order is the overflow."""
    kinds = {flaw.quantity: flaw.kind for flaw in overflowing().flaws}
    assert kinds == {"Z1": "overflow", "A1": "non-finite", "Z2": "non-finite"}


def test_an_infinity_where_the_exact_value_fits_is_not_an_overflow(given: Training) -> None:
    only_flaw(with_tensors(given, replaced("Z2", put(np.inf))), "Z2", "non-finite")
    only_flaw(with_tensors(given, replaced("A2", put(np.inf))), "A2", "non-finite")


def test_a_mean_loss_whose_sum_overflows_is_an_overflow() -> None:
    """The mean fits the format, the sum that it is taken of does not."""
    network = Network("wide", (1, 3), ("softmax",))
    plain = training(network, 50)
    parameters = {name: np.zeros_like(array) for name, array in plain.parameters.items()}
    parameters["W1"][0] = 1.0
    Y = np.zeros_like(plain.Y)
    Y[1] = 1.0
    given = replace(plain, X=np.full_like(plain.X, 1e37), Y=Y, parameters=parameters)
    with np.errstate(over="ignore"):
        step = one_step(given)
    assert np.isinf(step.tensors["loss"])
    flaw = judge(given, step).flaws[0]
    assert (flaw.quantity, flaw.kind) == ("loss", "overflow")
