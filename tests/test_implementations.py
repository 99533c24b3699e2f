"""What every implementation owes the engine: all quantities, in the canonical form, of an undisturbed run."""

from __future__ import annotations

import functools
import importlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backproof.network import Network
from backproof.training import Implementation, Parameters, Step, Training, fingerprint
from reference.initialisation import initial_parameters

Array = NDArray[Any]

SUITE = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"]["backproof"]
NETWORKS = {name: Network.from_dict({"name": name, **table}) for name, table in SUITE["networks"].items()}
MODULES: dict[str, str] = SUITE["implementations"]
FRAMEWORKS = {"torch": "torch", "jax": "jax"}
SAMPLES = 48
ORDER = np.random.default_rng(7).permutation(SAMPLES)
# The whole data twice, then mini-batches gathered in another order, the last one partial. The first of them is
# as large as the data, so that JAX compiles two programs a network and not three.
BATCHES = (None, None, ORDER, ORDER[:19])

every_network = pytest.mark.parametrize("name", NETWORKS)
every_implementation = pytest.mark.parametrize("implementation", MODULES)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def load(implementation: str) -> Implementation:
    """The module, or a skip where its framework is not installed."""
    if implementation in FRAMEWORKS:
        pytest.importorskip(FRAMEWORKS[implementation])
    module: Any = importlib.import_module(MODULES[implementation])
    return module


def random_training(network: Network, dtype: str, samples: int = SAMPLES, batches: Any = BATCHES) -> Training:
    generator = np.random.default_rng(11)
    units = network.sizes[-1]
    X = generator.random((network.sizes[0], samples)).astype(dtype)
    if network.labels == "binary":
        Y = generator.integers(0, 2, (units, samples)).astype(dtype)
    elif network.labels == "integer":
        Y = generator.integers(0, units, (1, samples))
    else:
        Y = np.eye(units, dtype=dtype)[:, generator.integers(0, units, samples)]
    return Training(network, initial_parameters(network, 5, dtype), X, Y, batches, seed=5)


@dataclass(frozen=True)
class Run:
    """One recorded and one unrecorded run of the same training."""

    training: Training
    steps: list[Step]
    when_yielded: list[dict[str, Array]]  # copies of each step's tensors, made before the next step
    final: Parameters
    input_before: str
    input_after: str


def input_bits(training: Training) -> str:
    return fingerprint({"X": training.X, "Y": training.Y, **training.parameters})


@functools.cache
def run(name: str, implementation: str, dtype: str) -> Run:
    module = load(implementation)
    training = random_training(NETWORKS[name], dtype)
    before = input_bits(training)
    steps, copies = [], []
    for step in module.record(training):
        steps.append(step)
        copies.append(copied(step.tensors))
    return Run(training, steps, copies, module.train(training), before, input_bits(training))


def copied(tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.array(array) for name, array in tensors.items()}


def assert_same_bits(got: Mapping[str, Array], expected: Mapping[str, Array], what: str) -> None:
    """Same names, dtypes, shapes and bytes: 0.0 and -0.0 differ, one not-a-number is like itself."""
    __tracebackhide__ = True
    assert set(got) == set(expected), f"{what}: names {sorted(set(got) ^ set(expected))} stand on one side only"
    for name in expected:
        have, want = got[name], expected[name]
        assert (have.dtype, have.shape) == (want.dtype, want.shape), f"{what}: {name} has another dtype or shape"
        assert have.tobytes() == want.tobytes(), f"{what}: {name} differs in its bits"


def assert_as_specified(step: Step, network: Network, m: int, dtype: str) -> None:
    """Exactly the quantities of ``network.shapes(m)``, each of its shape and of the run's dtype."""
    __tracebackhide__ = True
    assert {name: array.shape for name, array in step.tensors.items()} == network.shapes(m)
    wrong = {name: array.dtype.name for name, array in step.tensors.items() if array.dtype != np.dtype(dtype)}
    assert not wrong, f"not {dtype}: {wrong}"


def assert_chained(steps: Sequence[Step], initial: Mapping[str, Array]) -> None:
    """The first step starts from ``initial``, and every other from the parameters that the one before left."""
    __tracebackhide__ = True
    parameters = dict(initial)
    for step in steps:
        assert_same_bits({name: step.tensors[name] for name in initial}, parameters, f"parameters of step {step.index}")
        parameters = {name: step.tensors[f"{name}_next"] for name in initial}


@every_dtype
@every_implementation
@every_network
class TestEveryRun:
    def test_records_what_the_network_specifies(self, name: str, implementation: str, dtype: str) -> None:
        done = run(name, implementation, dtype)
        assert len(done.steps) == len(BATCHES)
        for step, samples in zip(done.steps, BATCHES, strict=True):
            m = SAMPLES if samples is None else len(samples)
            assert_as_specified(step, NETWORKS[name], m, dtype)

    def test_every_value_is_finite_and_gradients_are_not_all_zero(
        self, name: str, implementation: str, dtype: str
    ) -> None:
        for step in run(name, implementation, dtype).steps:
            assert all(np.isfinite(array).all() for array in step.tensors.values())
            assert all(array.any() for key, array in step.tensors.items() if key.startswith("dW"))

    def test_starts_from_the_given_bytes_and_each_step_from_the_last(
        self, name: str, implementation: str, dtype: str
    ) -> None:
        done = run(name, implementation, dtype)
        assert_chained(done.steps, done.training.parameters)

    def test_recording_does_not_disturb(self, name: str, implementation: str, dtype: str) -> None:
        done = run(name, implementation, dtype)
        last = {parameter: done.steps[-1].tensors[f"{parameter}_next"] for parameter in done.final}
        assert_same_bits(done.final, last, "recorded and unrecorded")

    def test_training_moves_every_parameter(self, name: str, implementation: str, dtype: str) -> None:
        done = run(name, implementation, dtype)
        assert set(done.final) == set(NETWORKS[name].parameter_shapes())
        for parameter, array in done.final.items():
            assert (array != done.training.parameters[parameter]).any(), f"{parameter} never moved"

    def test_samples_and_index_are_passed_through(self, name: str, implementation: str, dtype: str) -> None:
        for index, (step, samples) in enumerate(zip(run(name, implementation, dtype).steps, BATCHES, strict=True)):
            assert step.index == index
            assert (step.samples is None) == (samples is None)
            assert samples is None or np.array_equal(step.samples, samples)

    def test_a_step_handed_over_stays_as_it_was(self, name: str, implementation: str, dtype: str) -> None:
        done = run(name, implementation, dtype)
        for step, then in zip(done.steps, done.when_yielded, strict=True):
            assert_same_bits(step.tensors, then, f"step {step.index} after the run")

    def test_the_input_is_not_modified(self, name: str, implementation: str, dtype: str) -> None:
        done = run(name, implementation, dtype)
        assert done.input_after == done.input_before


@every_network
@pytest.mark.parametrize("implementation", FRAMEWORKS)
def test_frameworks_agree_with_the_reference_in_float64(name: str, implementation: str) -> None:
    # An inner product of 784 terms errs by at most gamma_784 = 9e-14 of |A||B| (Higham, section 3.5), and the
    # first step has at most two such errors on the way to any quantity; a wrong formula is off by far more.
    # Later steps are left out: one sample on the other side of a kink would be no mistake.
    reference = run(name, "numpy", "float64").steps[0].tensors
    other = run(name, implementation, "float64").steps[0].tensors
    for quantity, expected in reference.items():
        error = np.abs(other[quantity] - expected).max() / max(1e-30, np.abs(expected).max())
        assert error < 1e-11, f"{quantity} is off by {error:.1e} of its largest value"


@every_implementation
@pytest.mark.parametrize("m", [1, 20])
@pytest.mark.parametrize("name", ["two_layer", "binary_relu"])
def test_recording_does_not_disturb_small_batches(name: str, implementation: str, m: int) -> None:
    # The sizes at which XLA, left to fuse, gives a recorded step other bits than an unrecorded one.
    module, training = load(implementation), random_training(NETWORKS[name], "float64", m, (None, None))
    *_, last = module.record(training)
    final = module.train(training)
    assert_same_bits(final, {parameter: last.tensors[f"{parameter}_next"] for parameter in final}, f"m = {m}")


@every_implementation
@pytest.mark.parametrize("verb", ["record", "train"])
def test_a_sample_outside_the_data_is_refused(implementation: str, verb: str) -> None:
    module = load(implementation)
    training = random_training(NETWORKS["two_layer"], "float32", 8, (np.array([0, 8]),))
    with pytest.raises(IndexError):
        list(getattr(module, verb)(training))


@every_implementation
def test_strides_and_write_protection_of_the_input_do_not_matter(implementation: str) -> None:
    module, plain = load(implementation), random_training(NETWORKS["sparse_labels"], "float32", 12, (None,))
    strided = {name: np.repeat(array, 2, axis=1)[:, ::2] for name, array in plain.parameters.items()}
    X = np.asfortranarray(plain.X)
    for array in (X, *strided.values()):
        array.flags.writeable = False
    odd = replace(plain, X=X, parameters=strided)
    (got,), (expected,) = module.record(odd), module.record(plain)
    assert_same_bits({"W1": got.tensors["W1"]}, {"W1": expected.tensors["W1"]}, "initial weights")
    np.testing.assert_allclose(got.tensors["W1_next"], expected.tensors["W1_next"], rtol=1e-5, atol=1e-6)


@every_implementation
def test_versions_and_threads_are_told(implementation: str) -> None:
    module = load(implementation)
    versions = module.versions()
    assert implementation in versions
    assert all(version[0].isdigit() for version in versions.values())
    assert isinstance(module.threads(), int) and module.threads() >= 1


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
            text = str(trace(training.network, parameters, training.X.T, training.Y.T))
            assert ("f64" in text) == wide


def test_torch_draws_no_random_number() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    load("torch").train(random_training(NETWORKS["two_layer"], "float32"))
    assert torch.equal(torch.get_rng_state(), before)


def test_jax_compiles_once_for_each_shape() -> None:
    pytest.importorskip("jax")
    module: Any = load("jax")
    network = replace(NETWORKS["two_layer"], name="compiled anew")
    for verb, jitted in (("record", module.recorded_step), ("train", module.step)):
        before = jitted._cache_size()
        for _ in range(2):
            list(getattr(module, verb)(random_training(network, "float32", 9, (None, None, ORDER[:0:-8] % 9) * 3)))
        assert jitted._cache_size() - before == 2, f"{verb}: one program for all samples, one for the mini-batch"


@pytest.mark.parametrize(("environment", "expected"), [({"PJRT_NPROC": "3", "NPROC": "5"}, 3), ({"NPROC": "5"}, 5)])
def test_jax_threads_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: int
) -> None:
    module = load("jax")
    monkeypatch.delenv("PJRT_NPROC", raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert module.threads() == expected


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
