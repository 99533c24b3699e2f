"""Runs in bfloat16 (u = 2^-8): recorded, read bit for bit and judged, where ml_dtypes is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.diagnosis.precision import significant_bits
from backproof.equations import equations
from backproof.network import Network
from backproof.recording import Recording, RecordingWriter, Source
from backproof.training import Step, Training
from tests.cli_support import call
from tests.refusals import refusal
from tests.support import BY_NAME, evaluate, failing, judge, training, unit_scale

ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
SOURCE = Source("rounded", {"numpy": np.__version__}, threads=1)
NETWORKS = [BY_NAME[name] for name in ("five_layer", "sparse_labels", "binary_tanh", "row_major")]
networks = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)


def narrowed(network: Network, m: int = 40) -> Training:
    """A training whose numbers all are bfloat16's."""
    given = training(network, m, dtype="float64")
    parameters = {name: array.astype(BFLOAT16) for name, array in given.parameters.items()}
    Y = given.Y if network.labels == "integer" else given.Y.astype(BFLOAT16)
    return Training(network, parameters, given.X.astype(BFLOAT16), Y, (None,), given.seed, given.data)


def honest(given: Training) -> Step:
    """Each quantity in float64 from the bfloat16 operands, rounded once."""
    tensors: dict[str, Any] = {**given.parameters, "X": given.X, "Y": given.Y}
    for equation in equations(given.network):
        wide = {name: a if a.dtype.kind in "iu" else a.astype(np.float64) for name, a in tensors.items()}
        tensors[equation.target] = np.asarray(evaluate(equation, wide, given.network)).astype(BFLOAT16)
    return Step(0, None, {name: array for name, array in tensors.items() if name not in "XY"})


def spoiled(step: Step, name: str) -> Step:
    """The largest element of one quantity is 10 % too large."""
    array = step.tensors[name].astype(np.float64)
    array.flat[np.abs(array).argmax()] *= 1.1
    changed: Mapping[str, Any] = {**step.tensors, name: array.astype(BFLOAT16)}
    return replace(step, tensors=changed)


def write(folder: Path, given: Training, step: Step) -> Path:
    with RecordingWriter(folder, given, SOURCE) as writer:
        writer.write(step)
    return folder


@networks
def test_round_trip(network: Network, tmp_path: Path) -> None:
    given = narrowed(network)
    step = honest(given)
    recording = Recording(write(tmp_path, given, step))
    (read,) = recording.steps()
    assert recording.dtype == BFLOAT16 and recording.training.X.tobytes() == given.X.tobytes()
    assert recording.initial_hash == given.initial_hash and recording.data_hash == given.data_hash
    assert read.tensors.keys() == step.tensors.keys()
    for name, array in step.tensors.items():
        found = read.tensors[name]
        assert (found.dtype, found.shape, found.tobytes()) == (BFLOAT16, array.shape, array.tobytes())


@networks
def test_an_honest_run_is_rounding(network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = narrowed(network)
    outcome = call(capsys, "check", write(tmp_path, given, honest(given)))
    every = len(equations(network))
    assert (outcome.code, outcome.err) == (0, "")
    assert "All within rounding" in outcome.out and f"{every} of {every} equations" in outcome.out


@pytest.mark.parametrize("name", ["Z1", "A1", "dA1", "dZ1", "Z2", "A2", "dZ2", "W1_next", "W2_next", "b2_next"])
def test_a_wrong_element_does_not_pass(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = narrowed(BY_NAME["sparse_labels"])
    step = spoiled(honest(given), name)
    assert name in failing(judge(given, step))
    outcome = call(capsys, "check", write(tmp_path, given, step))
    assert outcome.code == 1 and outcome.err == "" and f", {name}: " in outcome.out


@pytest.mark.parametrize("name", ["Z1", "dW1", "db1", "Z2", "dA1", "dW2", "db2"])
def test_a_product_that_is_off_by_a_tenth_of_its_norms_does_not_pass(name: str) -> None:
    """The terms of a gradient cancel: honest sums in bfloat16 err by 4 u of the norms, which may be 10 % of the sum."""
    given = narrowed(BY_NAME["sparse_labels"])
    step = honest(given)
    equation = next(e for e in equations(given.network) if e.target == name)
    unit = unit_scale(equation, {**step.tensors, "X": given.X, "Y": given.Y}, given.network)
    array = step.tensors[name].astype(np.float64)
    array[0, 0] += 0.1 * unit[0, 0]
    assert failing(judge(given, replace(step, tensors={**step.tensors, name: array.astype(BFLOAT16)})))[0] == name


def test_significant_bits() -> None:
    assert [significant_bits(np.dtype(name)) for name in ("float64", "float32", "float16", BFLOAT16)] == [53, 24, 11, 8]


def test_without_ml_dtypes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = narrowed(BY_NAME["two_layer"])
    folder = write(tmp_path, given, honest(given))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ml_dtypes" else find(name))
    assert "pip install ml_dtypes" in refusal(lambda: Recording(folder))
