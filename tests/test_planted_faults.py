"""The first question on runs with one mistake in them: its equation fails, first and alone.

A mistake is planted inside the computation: all that follows is computed, correctly, from the wrong value. So every
later equation holds, and a report of one would be an echo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from backproof.equations import Elementwise, Equation, equations
from backproof.network import Network
from backproof.training import Training
from backproof.verdict import Verdict
from tests.support import (
    BY_NAME,
    IMPLEMENTATIONS,
    Fault,
    check_of,
    failing,
    implementation,
    judge,
    one_step,
    training,
    unit_scale,
)

Array = np.ndarray[Any, np.dtype[Any]]
NETWORKS = [
    BY_NAME[name]
    for name in ("five_layer", "binary_leaky_relu", "mixed_one_hot_mean", "mixed_integer_sum", "mixed_binary_mean")
]
CASES = [
    pytest.param(network, equation, id=f"{network.name}-{equation.target}")
    for network in NETWORKS[:4]
    for equation in equations(network)
]


def fail_alone(given: Training, target: str, fault: Fault) -> None:
    """The fault's equation fails, and no other."""
    __tracebackhide__ = True
    found = judge(given, one_step(given, {target: fault}))
    assert not found.flaws and not found.unchecked
    assert failing(found) == [target]


def one_element(network: Network, equation: Equation, relative: float) -> Fault:
    """Adds ``relative`` of the unit's scale (the unit without u) to the element where that is largest."""

    def fault(value: Array, tensors: Mapping[str, Array]) -> Array:
        scale = unit_scale(equation, {**tensors, equation.target: value}, network)
        wrong = np.array(value, np.float64)
        at = np.unravel_index(int(scale.argmax()), scale.shape)
        wrong[at] += relative * scale[at]
        return wrong

    return fault


@pytest.mark.parametrize(("relative", "dtype"), [(1e-3, "float32"), (1e-5, "float32"), (1e-5, "float64")])
@pytest.mark.parametrize(("network", "equation"), CASES)
def test_one_wrong_element(network: Network, equation: Equation, relative: float, dtype: str) -> None:
    fail_alone(training(network, dtype=dtype), equation.target, one_element(network, equation, relative))


@pytest.mark.parametrize(("network", "equation"), CASES)
def test_a_factor_in_float64(network: Network, equation: Equation) -> None:
    fail_alone(training(network, dtype="float64"), equation.target, lambda value, _: value * (1 + 1e-5))


@pytest.mark.parametrize(("network", "equation"), CASES)
def test_a_factor_in_float32(network: Network, equation: Equation) -> None:
    # In float32 a sum that cancels hides a relative 1e-5 in rounding: 5 to 170 units, by how far it cancels.
    fail_alone(training(network), equation.target, lambda value, _: value * (1 + 1e-3))


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("target", ["Z1", "A1", "loss", "dZ3", "dA1", "dW2", "db1", "W2_next", "b1_next"])
def test_one_wrong_element_in_what_an_implementation_recorded(name: str, target: str) -> None:
    given = training(BY_NAME["row_major"])
    step = next(iter(implementation(name).record(given)))
    assert not failing(judge(given, step))
    equation = next(e for e in equations(given.network) if e.target == target)
    tensors = {**step.tensors, "X": given.X, "Y": given.Y}
    tensors[target] = one_element(given.network, equation, 1e-3)(tensors[target], tensors).astype(given.dtype)
    planted = type(step)(0, None, {name: array for name, array in tensors.items() if name not in "XY"})
    # Nothing is recomputed here, so equations that read the wrong value fail too, but later in order.
    assert failing(judge(given, planted))[0] == target


def of_layer(tensors: Mapping[str, Array], layer: int) -> Array:
    return tensors["X"] if layer == 1 else tensors[f"A{layer - 1}"]


def mistakes(network: Network, m: int) -> dict[str, tuple[str, Fault]]:
    """Name -> target and fault. Layers 2 to 5 of the mixed network are square: transposes have the right shape."""
    L, alpha, factor = network.depth, network.step_size(m), float(network.divisor(m))
    found: dict[str, tuple[str, Fault]] = {
        "factor m": (f"dZ{L}", lambda v, t: v * factor if factor > 1 else v / m),
        "factor m in dW": ("dW3", lambda v, t: v * m),
        "1/m twice": ("dW2", lambda v, t: v / m),
        "1/m in db only": ("db2", lambda v, t: v / m),
        "sample dropped from dW": ("dW2", lambda v, t: v - t["dZ2"][:, :1] @ of_layer(t, 2)[:, :1].T),
        "sample dropped from db": ("db2", lambda v, t: v - t["dZ2"][:, :1]),
        "W transposed forward": ("Z3", lambda v, t: t["W3"].T @ t["A2"] + t["b3"]),
        "W not transposed backward": ("dA2", lambda v, t: t["W3"] @ t["dZ3"]),
        "dW transposed": ("dW4", lambda v, t: v.T),
        "bias missing": ("Z2", lambda v, t: v - t["b2"]),
        "bias negated": ("Z2", lambda v, t: v - 2 * t["b2"]),
        "db over everything": ("db3", lambda v, t: np.full_like(v, v.sum())),
        "db is a mean": ("db3", lambda v, t: v / m),
        "updated weights": ("dA3", lambda v, t: (t["W4"] - alpha * t["dW4"]).T @ t["dZ4"]),
        "delta of another layer": ("dW3", lambda v, t: t["dZ4"] @ t["A2"].T),
        "Z for A": ("dW3", lambda v, t: t["dZ3"] @ t["Z2"].T),
        "sign": (f"dZ{L}", lambda v, t: -v),
        "factor 2": (f"dZ{L}", lambda v, t: 2 * v),
        "learning rate": ("W3_next", lambda v, t: t["W3"] - 1.001 * alpha * t["dW3"]),
        "learning rate of a bias": ("b3_next", lambda v, t: t["b3"] - 1.001 * alpha * t["db3"]),
        "weight decay in the update": ("W3_next", lambda v, t: v - alpha * 1e-2 * t["W3"]),
        "weight decay in dW": ("dW3", lambda v, t: v + 1e-4 * t["W3"]),
        "no update": ("W1_next", lambda v, t: t["W1"]),
        "ascent": ("W1_next", lambda v, t: t["W1"] + alpha * t["dW1"]),
        "wrong slope forward": ("A2", lambda v, t: np.where(t["Z2"] > 0, t["Z2"], 0.101 * t["Z2"])),
        "wrong slope backward": ("dZ2", lambda v, t: np.where(t["Z2"] > 0, t["dA2"], 0.101 * t["dA2"])),
        "no slope backward": ("dZ2", lambda v, t: np.where(t["Z2"] > 0, t["dA2"], 0)),
        "mask missing": ("dZ1", lambda v, t: t["dA1"]),
        "mask of the wrong sign": ("dZ1", lambda v, t: np.where(t["Z1"] < 0, t["dA1"], 0)),
        "tanh' of Z": ("dZ3", lambda v, t: t["dA3"] * (1 - t["Z3"] ** 2)),
        "sigma' without 1 - a": ("dZ4", lambda v, t: t["dA4"] * t["A4"]),
        "sigma' for tanh'": ("dZ3", lambda v, t: t["dA3"] * t["A3"] * (1 - t["A3"])),
        "another activation": ("A1", lambda v, t: np.tanh(t["Z1"])),
        "epsilon in the loss": ("loss", lambda v, t: v + 1e-4 * abs(v)),
    }
    if network.loss == "cross_entropy":
        found["softmax over the samples"] = (f"A{L}", lambda v, t: _softmax(t[f"Z{L}"], 1))
        found["softmax unnormalised"] = (f"A{L}", lambda v, t: v / v.max(axis=0))
        found["softmax twice"] = (f"A{L}", lambda v, t: _softmax(v, 0))
    return found


def _softmax(Z: Array, axis: int) -> Array:
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)


MISTAKES = [
    pytest.param(network, name, id=f"{network.name}-{name}")
    for network in NETWORKS[2:]
    for name in mistakes(network, 50)
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("network", "name"), MISTAKES)
def test_a_mistake_people_make(network: Network, name: str, dtype: str) -> None:
    fail_alone(training(network, 50, seed=5, dtype=dtype), *mistakes(network, 50)[name])


def test_two_mistakes_are_both_reported_and_nothing_else() -> None:
    network = NETWORKS[2]
    given, known = training(network, 50), mistakes(network, 50)
    faults = dict(known[name] for name in ("mask missing", "db over everything", "learning rate"))
    assert failing(judge(given, one_step(given, faults))) == ["db3", "dZ1", "W3_next"]


def scaled_dW(delta: float, seed: int) -> tuple[Training, str]:
    network = Network("broad", (100, 50, 10), ("relu", "softmax"), labels="integer")
    given = training(network, 2000, seed)

    def fault(value: Array, tensors: Mapping[str, Array]) -> Array:
        return (tensors["dZ1"].astype(np.float64) @ tensors["X"].T.astype(np.float64)) * (1 + delta)

    check = check_of(judge(given, one_step(given, {"dW1": fault})), "dW1")
    assert check.residuals.fraction < 1, "every element alone is inside its budget"
    return given, f"{check.verdict.word}: {check.message}"


@pytest.mark.parametrize("seed", range(3))
def test_a_constant_that_is_off_by_6e_7_leans(seed: int) -> None:
    for delta in (6e-7, -6e-7):
        said = re.match(r"suspect: recorded = \(1 ([-+]\S+)\) ×", scaled_dW(delta, seed)[1])
        assert said
        assert float(said[1]) == pytest.approx(delta, rel=0.05)


@pytest.mark.parametrize("delta", [0.0, 1e-8, -1e-8])
def test_a_constant_within_rounding_does_not(delta: float) -> None:
    assert scaled_dW(delta, 0)[1] == "rounding: "


@pytest.mark.parametrize(("units", "passes"), [(3.0, True), (6.0, False), (-6.0, False)])
def test_the_budget_is_four_units_where_sums_do_not_drift(units: float, passes: bool) -> None:
    network = Network("broad", (100, 50, 10), ("relu", "softmax"), labels="integer")
    given = training(network, 2000)

    def fault(value: Array, tensors: Mapping[str, Array]) -> Array:
        exact = tensors["dZ1"].astype(np.float64) @ tensors["X"].T.astype(np.float64)
        scale = np.linalg.norm(tensors["dZ1"], axis=1, keepdims=True) * np.linalg.norm(tensors["X"], axis=1)
        at = np.unravel_index(int(np.abs(exact / scale).argmin()), exact.shape)
        exact[at] += units * 2.0**-24 * scale[at]
        return exact

    assert failing(judge(given, one_step(given, {"dW1": fault}))) == ([] if passes else ["dW1"])


def test_one_sample_dropped_from_many_is_found() -> None:
    network = Network("broad", (20, 10), ("softmax",), labels="integer")
    given = training(network, 20_000)
    fail_alone(given, "dW1", lambda value, t: t["dZ1"][:, 1:] @ t["X"][:, 1:].T)
    fail_alone(given, "db1", lambda value, t: t["dZ1"][:, 1:].sum(axis=1, keepdims=True))


def test_elementwise_faults_are_bugs_not_suspects() -> None:
    """A relative 1e-3 is beyond every ceiling."""
    for network in NETWORKS:
        given = training(network)
        for equation in equations(network):
            if isinstance(equation.rule, Elementwise):
                fault = partial(one_element, network, equation)(1e-3)
                check = check_of(judge(given, one_step(given, {equation.target: fault})), equation.target)
                assert check.verdict is Verdict.BUG and check.residuals.beyond == 1
