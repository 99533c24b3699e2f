"""The first question on honest runs: rounding explains every equation of every network, of ordinary data and of odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backproof.equation_check import EquationChecker
from backproof.equations import equations
from backproof.network import Network
from backproof.training import Training
from backproof.verdict import Verdict
from reference.network import record
from tests.support import (
    IMPLEMENTATIONS,
    LABELS,
    SMALL,
    check_of,
    failing,
    implementation,
    judge,
    mixed,
    one_step,
    training,
)

Array = np.ndarray[Any, np.dtype[Any]]
JAX_NETWORKS = [SMALL[0], SMALL[-1], *(mixed(*labels, "sum") for labels in LABELS[:2])]
ADVERSARIAL = [mixed(*labels, "sum") for labels in LABELS]


def assert_honest(given: Training, name: str) -> None:
    """Every equation of every step is judged, and rounding explains it."""
    __tracebackhide__ = True
    checker = EquationChecker(given.network, given.dtype)
    steps = 0
    for step in implementation(name).record(given):
        found = checker.check(step, *given.batch(step.samples))
        assert not found.flaws and not found.unchecked
        assert [check.equation for check in found.checks] == list(equations(given.network))
        alarms = [f"{check.equation.text}: {check.message}" for check in found.checks if check.verdict]
        assert not alarms, f"{name}, step {step.index}: {alarms[0]}"
        steps += 1
    assert steps == len(given.batches)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in IMPLEMENTATIONS if name != "jax"])
@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_an_honest_run_is_rounding(network: Network, name: str, dtype: str) -> None:
    batches = (None, np.arange(13), np.array([5]))
    assert_honest(training(network, 50, seed=1, dtype=dtype, batches=batches), name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", JAX_NETWORKS, ids=lambda network: network.name)
def test_an_honest_jax_run_is_rounding(network: Network, dtype: str) -> None:
    # One batch size, here and below: JAX compiles anew for each.
    assert_honest(training(network, 50, seed=2, dtype=dtype, batches=(None, None)), "jax")


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("m", [1, 7, 3000])
def test_a_large_and_a_single_sample_batch_are_rounding(m: int, layout: str) -> None:
    network = Network("wide", (100, 30, 10), ("relu", "softmax"), labels="integer", layout=layout)
    for name in ("numpy", "torch"):
        assert_honest(training(network, m, seed=3), name)


def parameters(change: Callable[[dict[str, Array]], None]) -> Callable[[Training], Training]:
    def apply(given: Training) -> Training:
        changed = {name: array.copy() for name, array in given.parameters.items()}
        change(changed)
        return replace(given, parameters=changed)

    return apply


def inputs(change: Callable[[Array], Array]) -> Callable[[Training], Training]:
    return lambda given: replace(given, X=change(given.X).astype(given.dtype))


def scaled(name: str, factor: float) -> Callable[[Training], Training]:
    return parameters(lambda p: p[name].__imul__(factor))


def one_class(given: Training) -> Training:
    Y = np.zeros_like(given.Y)
    if given.network.labels == "one_hot":
        Y[0] = 1
    return replace(given, Y=Y)


ODD: dict[str, Callable[[Training], Training]] = {
    "dead units": parameters(lambda p: p["b1"].__isub__(1e4)),
    "constant inputs": inputs(lambda X: np.full_like(X, 0.1)),
    "zero inputs": inputs(np.zeros_like),
    "zero features": inputs(lambda X: X * (np.arange(len(X)) % 2)[:, None]),
    "one sample, repeated": inputs(lambda X: np.repeat(X[:, :1], X.shape[1], axis=1)),
    "zero parameters": parameters(lambda p: [array.fill(0) for array in p.values()]),  # type: ignore[arg-type,return-value]
    "saturated output": scaled("W6", 1e3),
    "logits near 1000": parameters(lambda p: p["b6"].__iadd__(1e3)),
    "logits near -1000": parameters(lambda p: p["b6"].__isub__(1e3)),
    "large inputs": inputs(lambda X: X * 1e3),
    "tiny inputs": inputs(lambda X: X * 1e-38),
    "subnormal inputs": inputs(lambda X: X * 1e-42),
    "tiny deltas": scaled("W6", 1e-36),
    "tiny deltas below": scaled("W3", 1e-30),
    "one class": one_class,
    "large steps": lambda given: replace(given, network=replace(given.network, learning_rate=100.0)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 300])
@pytest.mark.parametrize("odd", ODD)
def test_odd_data_is_rounding(odd: str, m: int, dtype: str) -> None:
    for network in ADVERSARIAL:
        given = ODD[odd](training(network, m, seed=4, dtype=dtype))
        for name in ("numpy", "torch"):
            assert_honest(given, name)


@pytest.mark.parametrize("odd", ["dead units", "saturated output", "subnormal inputs", "logits near 1000"])
def test_odd_data_is_rounding_in_jax_too(odd: str) -> None:
    for network in ADVERSARIAL:
        # XLA flushes what is below the smallest normal number; the floors are there for that.
        assert_honest(ODD[odd](training(network, 50, seed=4)), "jax")


@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1), (3, 1, 2)])
def test_inner_dimensions_of_one_are_rounding(sizes: tuple[int, ...]) -> None:
    network = Network("thin", sizes, ("tanh",) * (len(sizes) - 2) + ("sigmoid",), "binary_cross_entropy", "binary")
    for m in (1, 2, 40):
        for dtype in ("float32", "float64"):
            assert_honest(training(network, m, seed=m, dtype=dtype), "numpy")


def test_zero_operands_count_as_vacuous_and_not_as_covered() -> None:
    given = ODD["zero inputs"](training(SMALL[1], 20))
    found = judge(given, one_step(given))
    dW = check_of(found, "dW1")
    assert dW.verdict is Verdict.ROUNDING and dW.vacuous == dW.residuals.elements
    ordinary = training(SMALL[1], 20)
    assert check_of(judge(ordinary, one_step(ordinary)), "dW2").vacuous < dW.residuals.elements


def test_the_checker_forgets_an_earlier_batch() -> None:
    """Operands of X and Y are kept between steps of one batch, never carried over to another."""
    given = training(SMALL[0], 40)
    other = replace(given, X=given.X + 1)
    checker = EquationChecker(given.network, given.dtype)
    for current in (given, other, given):
        assert not failing(checker.check(one_step(current), current.X, current.Y))
    assert failing(checker.check(one_step(other), given.X, given.Y))[0] == "Z1"


def test_residuals_are_of_the_worst_element() -> None:
    given = training(SMALL[0], 40)
    step = one_step(given, {"dW2": lambda value, _: value + np.where(value == value[3, 4], 1, 0)})
    residuals = check_of(judge(given, step), "dW2").residuals
    assert residuals.index == (3, 4) and residuals.over == residuals.beyond == 1
    assert residuals.recorded == float(step.tensors["dW2"][3, 4])
    assert residuals.recorded - residuals.exact == pytest.approx(1, rel=1e-4)
    assert residuals.rows.argmax() == 3 and residuals.columns is not None and residuals.columns.argmax() == 4


def test_buffers_that_are_used_again_are_measured_again() -> None:
    """An implementation may hand over the same arrays with other values in the next step."""
    given = training(SMALL[1], 8)
    checker = EquationChecker(given.network, given.dtype)
    buffers: dict[str, Any] = {}
    for step in record(given):
        if not buffers:
            buffers = {name: np.array(array) for name, array in step.tensors.items()}
        for name, array in step.tensors.items():
            buffers[name][...] = array
        found = checker.check(replace(step, tensors=buffers), *given.batch(step.samples))
        assert not found.flaws and {check.verdict for check in found.checks} == {Verdict.ROUNDING}
