"""The second question: honest implementations agree, planted errors are found where they are, kinks do not alarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backproof.agreement import Agreement, AgreementChecker
from backproof.network import Network
from backproof.replicas import REPLICAS, Replica, Replicas
from backproof.training import Step, Training
from backproof.verdict import Verdict
from reference import network as reference
from tests.support import BY_NAME, IMPLEMENTATIONS, LABELS, SMALL, Fault, implementation, mixed, one_step, training

Array = np.ndarray[Any, np.dtype[Any]]
BATCHES = (None, np.arange(15), None, np.array([3, 3, 8, 0]))
QUANTITIES = [name for name in BY_NAME["five_layer"].shapes(1) if name not in BY_NAME["five_layer"].parameter_shapes()]


def agreements(given: Training, steps: Iterator[Step]) -> list[Agreement]:
    checker = AgreementChecker(Replicas(given, reference))
    return [agreement for step in steps for agreement in checker.check(step)]


def disagreeing(found: list[Agreement]) -> list[tuple[int, str]]:
    return [(agreement.step, agreement.quantity) for agreement in found if agreement.verdict]


def compared(network: Network) -> set[str]:
    return set(network.shapes(1)) - set(network.parameter_shapes())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in IMPLEMENTATIONS if name != "jax"])
@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_honest_runs_agree(network: Network, name: str, dtype: str) -> None:
    given = training(network, 40, seed=6, dtype=dtype, batches=BATCHES)
    found = agreements(given, implementation(name).record(given))
    assert len(found) == 4 * len(compared(network))
    assert {agreement.quantity for agreement in found} == compared(network)
    assert disagreeing(found) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels[1])
def test_honest_jax_runs_agree(labels: tuple[str, str], dtype: str) -> None:
    # The batch sizes of the honest runs in test_equation_check.py, so that nothing is compiled twice.
    given = training(mixed(*labels, "sum"), 50, seed=6, dtype=dtype, batches=(None, None))
    found = agreements(given, implementation("jax").record(given))
    assert len(found) == 2 * len(compared(given.network)) and disagreeing(found) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_planted_error_is_found_at_its_step_and_quantity(quantity: str, dtype: str) -> None:
    given = training(BY_NAME["five_layer"], 40, seed=7, dtype=dtype, batches=(None, np.arange(20), None))
    steps = list(reference.record(given))
    array = np.array(steps[1].tensors[quantity])
    at = np.unravel_index(int(np.abs(array).argmin()), array.shape)
    array[at] += 1e-3 * np.abs(array).max()
    steps[1] = replace(steps[1], tensors={**steps[1].tensors, quantity: array})
    found = agreements(given, iter(steps))
    assert disagreeing(found) == [(1, quantity)]
    worst = max(found, key=lambda agreement: agreement.fraction)
    assert worst.index == tuple(int(i) for i in at)
    assert worst.relative == pytest.approx(1e-3, rel=0.02)
    assert worst.recorded == float(array[at]) and worst.recorded - worst.exact == pytest.approx(
        float(1e-3 * np.abs(array).max()), rel=0.02
    )
    assert worst.verdict is Verdict.BUG


def test_a_wrong_derivation_disagrees_from_where_it_is_wrong() -> None:
    """A missing mask: the reference's own dZ and all gradients below it part; the rest does not."""
    given = training(BY_NAME["row_major"], 40, seed=8)
    found = agreements(given, iter([one_step(given, {"dZ1": lambda value, tensors: tensors["dA1"]})]))
    assert [name for _, name in disagreeing(found)] == ["dZ1", "dW1", "db1", "W1_next", "b1_next"]


def straddling(offset: float) -> Training:
    """One sample whose Z of one hidden unit is ``offset`` (in exact arithmetic) and nothing else near a kink."""
    network = Network("straddle", (4, 5, 3), ("relu", "softmax"))
    given = training(network, 30, seed=9)
    W, b = given.parameters["W1"], given.parameters["b1"].copy()
    # Powers of two and small integers: the products and their sum are exact in float32, in every order.
    X, W = np.round(given.X * 4) / 4, np.round(W * 8) / 8
    # An odd eighth of its own keeps the other samples off this unit's kink, 1/128 all samples off the others'.
    X[0, 11], W[2, 0] = X[0, 11] + 1 / 8, 3 / 8
    b = np.round(b * 8) / 8 + np.float32(1 / 128)
    b[2] = -(W[2] @ X[:, 11]) + np.float32(offset)
    parameters = {**given.parameters, "W1": W.astype(np.float32), "b1": b.astype(np.float32)}
    return replace(given, X=X.astype(np.float32), parameters=parameters)


def moved_by(change: float) -> Fault:
    """Z of the straddling unit and sample, moved."""

    def fault(value: Array, _: Any) -> Array:
        moved = value.copy()
        moved[2, 11] += np.float32(change)
        return moved

    return fault


@pytest.mark.parametrize(
    ("offset", "change"), [(0.0, 1e-7), (0.0, -1e-7), (-6e-8, 1.2e-7), (6e-8, -1.2e-7), (0.0, 0.0)]
)
def test_a_sample_on_a_kink_is_left_out_and_does_not_alarm(offset: float, change: float) -> None:
    given = straddling(offset)
    step = one_step(given, {"Z1": moved_by(change)})
    truth = one_step(given)
    if change > 0 or (offset > 0 and change < 0):
        # The masks do differ, and the gradient of this sample with them, by far more than rounding.
        assert abs(step.tensors["dZ1"][2, 11] - truth.tensors["dZ1"][2, 11]) > 1e-3 * np.abs(truth.tensors["dZ1"]).max()
    found = agreements(given, iter([step]))
    assert {agreement.left_out for agreement in found} == {1}
    assert disagreeing(found) == []


def test_a_mask_that_flips_at_a_wrong_z_is_seen() -> None:
    given = straddling(0.0)
    found = agreements(given, iter([one_step(given, {"Z1": moved_by(1e-3)})]))
    assert disagreeing(found)[0] == (0, "Z1")


def test_a_fault_beside_a_straddling_sample_is_still_found() -> None:
    given = straddling(0.0)
    step = one_step(given, {"Z1": moved_by(1e-7)})
    for name in ("dZ1", "dW1", "db1", "W1_next"):
        array = step.tensors[name].copy()
        array[0, 0] += 1e-3 * np.abs(array).max()
        planted = replace(step, tensors={**step.tensors, name: array})
        assert disagreeing(agreements(given, iter([planted]))) == [(0, name)]


def test_the_envelope_cannot_be_inflated() -> None:
    """It is measured from the parameters and the data, whatever the run recorded."""
    given = training(BY_NAME["row_major"], 40, seed=10)
    step = next(reference.record(given))

    def judged(factor: int) -> list[Agreement]:
        wrong = {name: array * factor for name, array in step.tensors.items() if name not in given.parameters}
        return agreements(given, iter([replace(step, tensors={**step.tensors, **wrong})]))

    three, thousand = judged(3), judged(1000)
    assert [a.envelope for a in three] == [a.envelope for a in thousand]
    assert all(a.verdict is Verdict.BUG for a in three)


def test_a_sample_that_flips_in_some_replica_does_not_inflate_the_envelope() -> None:
    for offset in (0.0, 1e-7, -1e-7):
        for agreement in agreements(straddling(offset), iter([one_step(straddling(offset))])):
            top = abs(agreement.absolute / agreement.relative) if agreement.absolute else 1.0
            assert agreement.envelope < 100 * 2.0**-24 * max(top, 1e-3)


def integers(given: Training) -> Training:
    """Small integers for everything, in float64: sums of their products are exact in every order."""
    generator = np.random.default_rng(0)

    def draw(array: Array) -> Array:
        return generator.integers(-3, 4, array.shape).astype(float)

    parameters = {name: draw(array) for name, array in given.parameters.items()}
    return replace(given, parameters=parameters, X=draw(given.X))


class IntegerReference:
    """A step of integers: the output passes through, its delta is ``Z - Y``, and the learning rate is 1."""

    @staticmethod
    def record(given: Training, summation: str = "default") -> Iterator[Step]:
        L = given.network.depth
        faults: dict[str, Fault] = {
            f"A{L}": lambda value, t: t[f"Z{L}"],
            f"dZ{L}": lambda value, t: t[f"Z{L}"] - t["Y"],
            "loss": lambda value, t: np.zeros(()),
        }
        with np.errstate(over="ignore"):
            yield one_step(given, faults)


@pytest.mark.parametrize("replica", REPLICAS, ids=str)
def test_a_permuted_run_undone_is_the_run(replica: Replica) -> None:
    network = Network("n", (4, 6, 5, 3), ("relu", "identity", "softmax"), learning_rate=1.0)
    given = integers(training(network, 9, dtype="float64"))
    permuted = replica.permuted(given)
    plain = next(IntegerReference.record(given)).tensors
    own = next(permuted.run(IntegerReference)).tensors  # type: ignore[arg-type]
    assert own.keys() == plain.keys()
    for name, array in plain.items():
        if name != "loss":
            np.testing.assert_array_equal(permuted.undo(name, own[name]), array, err_msg=name)
    assert not np.array_equal(own["Z1"], plain["Z1"]) and not np.array_equal(own["dW2"], plain["dW2"])
    moved = permuted.one_step({name: array + 1 for name, array in given.parameters.items()})
    for name, array in given.parameters.items():
        np.testing.assert_array_equal(permuted.undo(name, moved.training.parameters[name]), array + 1)


def test_a_permuted_batch_holds_the_same_samples() -> None:
    batches = (np.array([3, 0, 7]), None, np.array([8]))
    given = training(BY_NAME["sparse_labels"], 9, batches=batches)
    permuted = Replica(5).permuted(given)
    for batch, moved in zip(batches, permuted.training.batches, strict=True):
        if batch is None:
            assert moved is None
        else:
            assert moved is not None
            assert sorted(permuted.samples[moved]) == sorted(batch)


def test_replicas_differ_from_the_reference_and_from_each_other() -> None:
    given = training(BY_NAME["five_layer"], 200, seed=11)
    outcomes = [next(reference.record(given)).tensors["dW1"]]
    for replica in REPLICAS:
        permuted = replica.permuted(given)
        outcomes.append(permuted.undo("dW1", next(permuted.run(reference)).tensors["dW1"]))
    for i, first in enumerate(outcomes):
        for second in outcomes[:i]:
            assert not np.array_equal(first, second)
            np.testing.assert_allclose(first, second, atol=1e-5 * np.abs(first).max())


def test_without_a_sample_off_the_kink_nothing_behind_it_is_compared() -> None:
    """With X and b all zero every Z of the first layer is exactly 0."""
    network = BY_NAME["five_layer"]
    plain = training(network, 9)
    parameters = {name: np.zeros_like(array) if name == "b1" else array for name, array in plain.parameters.items()}
    given = replace(plain, parameters=parameters, X=np.zeros_like(plain.X), batches=(None,))
    compared = {
        found.quantity for found in AgreementChecker(Replicas(given, reference)).check(next(reference.record(given)))
    }
    assert {"Z1", "loss", "dZ5", "dW5"} <= compared
    assert not {"dA4", "dZ1", "dW1", "b1_next"} & compared
