"""The same network three times: what NumPy, PyTorch and JAX record, and that recording disturbs nothing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.runs import (
    BATCHES,
    FRAMEWORKS,
    NETWORKS,
    ORDER,
    SAMPLES,
    assert_as_specified,
    assert_chained,
    assert_same_bits,
    every_dtype,
    every_implementation,
    every_network,
    load,
    random_training,
    run,
)


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


def test_torch_tells_where_its_tensors_lie() -> None:
    torch = pytest.importorskip("torch")
    module: Any = load("torch")
    with torch.device("meta"):  # where new tensors would lie; what is made of NumPy's arrays does not
        assert module.device() == "cpu"


def test_jax_tells_where_its_arrays_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = pytest.importorskip("jax")
    module: Any = load("jax")
    (where,) = jax.numpy.ones(3).devices()
    assert module.device().startswith(where.platform)
    accelerator = SimpleNamespace(devices=lambda: [SimpleNamespace(platform="gpu", device_kind="NVIDIA H100")])
    monkeypatch.setattr(module, "jnp", SimpleNamespace(zeros=lambda shape: accelerator))
    assert module.device() == "gpu (NVIDIA H100)"


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
