"""Nothing is wider than the run's format, and the assertions on runs fail on planted faults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backproof.training import Step, Training
from tests.runs import (
    NETWORKS,
    SAMPLES,
    assert_as_specified,
    assert_chained,
    assert_same_bits,
    copied,
    every_network,
    input_bits,
    load,
    random_training,
    run,
)


class TestNothingIsWider:
    """A float32 run computes nothing in float64, inside the framework either."""

    @pytest.mark.parametrize(("dtype", "wide"), [("float32", False), ("float64", True)])
    @every_network
    def test_torch(self, name: str, dtype: str, wide: bool) -> None:
        torch = pytest.importorskip("torch")
        from torch.utils._python_dispatch import TorchDispatchMode

        seen = set()

        class Dtypes(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                result = func(*args, **(kwargs or {}))
                for value in result if isinstance(result, tuple | list) else (result,):
                    if isinstance(value, torch.Tensor) and value.is_floating_point():
                        seen.add(value.dtype)
                return result

        with Dtypes():
            load("torch").train(random_training(NETWORKS[name], dtype))
        assert seen == {torch.float64 if wide else torch.float32}

    @pytest.mark.parametrize(("dtype", "wide"), [("float32", False), ("float64", True)])
    @every_network
    def test_jax(self, name: str, dtype: str, wide: bool) -> None:
        jax = pytest.importorskip("jax")
        module: Any = load("jax")
        training = random_training(NETWORKS[name], dtype)
        parameters = {
            key: array.T if key.startswith("W") else array[:, 0] for key, array in training.parameters.items()
        }
        for step in (module.step, module.recorded_step):
            trace = jax.make_jaxpr(step.__wrapped__, static_argnums=0)
            rate = training.dtype.type(0.1)
            text = str(trace(training.network, parameters, training.X.T, training.Y.T, (), rate))
            assert ("f64" in text) == wide


class TestTheChecksThemselves:
    """Each check above fails on the mistake that it is there for."""

    def steps(self) -> list[Step]:
        return [replace(step, tensors=copied(step.tensors)) for step in run("two_layer", "numpy", "float32").steps]

    @pytest.mark.parametrize(
        "change",
        [
            lambda tensors: tensors.pop("dA1"),
            lambda tensors: tensors.update(dA2=tensors["dZ2"]),
            lambda tensors: tensors.update(Z1=tensors["Z1"].T),
            lambda tensors: tensors.update(db1=tensors["db1"][:, 0]),
            lambda tensors: tensors.update(loss=tensors["loss"].astype("float64")),
        ],
        ids=["missing", "unexpected", "transposed", "flat bias", "float64 loss"],
    )
    def test_a_step_that_is_not_as_specified(self, change: Any) -> None:
        step = self.steps()[0]
        assert_as_specified(step, NETWORKS["two_layer"], SAMPLES, "float32")
        change(step.tensors)
        with pytest.raises(AssertionError):
            assert_as_specified(step, NETWORKS["two_layer"], SAMPLES, "float32")

    def test_one_bit_of_one_weight(self) -> None:
        steps, initial = self.steps(), run("two_layer", "numpy", "float32").training.parameters
        assert_chained(steps, initial)
        for tensors, name in ((steps[0].tensors, "W1"), (steps[1].tensors, "W2"), (steps[1].tensors, "b1_next")):
            kept = tensors[name][0, 0]
            tensors[name][0, 0] = np.nextafter(kept, np.float32(np.inf))
            with pytest.raises(AssertionError, match="differs in its bits"):
                assert_chained(steps, initial)
            tensors[name][0, 0] = kept
        assert_chained(steps, initial)

    def test_parameters_that_are_updated_in_place(self) -> None:
        def careless(training: Training) -> Iterable[Step]:
            W = training.parameters["W1"].copy()
            for index in range(2):
                yield Step(index, None, {"W1": W})
                W -= 1

        steps, copies = [], []
        for step in careless(run("two_layer", "numpy", "float32").training):
            steps.append(step)
            copies.append(copied(step.tensors))
        with pytest.raises(AssertionError, match="W1 differs in its bits"):
            assert_same_bits(steps[0].tensors, copies[0], "step 0 after the run")

    @pytest.mark.parametrize(
        ("got", "expected"),
        [({"W": 0.0}, {"W": -0.0}), ({"W": 1.0}, {}), ({"W": 1.0}, {"W": np.float32(1)}), ({"W": [1.0]}, {"W": 1.0})],
        ids=["signed zero", "name", "dtype", "shape"],
    )
    def test_arrays_that_are_not_the_same_bits(self, got: dict[str, Any], expected: dict[str, Any]) -> None:
        left, right = ({name: np.asarray(value) for name, value in side.items()} for side in (got, expected))
        assert_same_bits(left, left, "itself")
        with pytest.raises(AssertionError):
            assert_same_bits(left, right, "two arrays")

    def test_an_input_that_is_modified(self) -> None:
        training = random_training(NETWORKS["two_layer"], "float32")
        before = input_bits(training)
        training.X[3, 4] += 1
        assert input_bits(training) != before
