"""What the tests of the implementations share: the runs, made once, and the assertions on them."""

from __future__ import annotations

import functools
import importlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
