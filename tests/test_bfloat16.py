"""Runs in bfloat16 (u = 2^-8): recorded, read bit for bit, judged and compared, where ml_dtypes is installed."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.compare import Gap
from backproof.diagnosis.precision import significant_bits
from backproof.equations import equations
from backproof.network import Network
from backproof.recording import Recording, RecordingWriter, Source
from backproof.replicas import Replicas
from backproof.rounding import ulps
from backproof.runs import GuardedReference
from backproof.training import Step, Training
from backproof.verify import verify_network
from reference import network as reference
from reference.formats import total
from tests.cli_support import call
from tests.refusals import refusal
from tests.support import BY_NAME, ROOT, SMALL, evaluate, failing, judge, training, unit_scale

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


def spoiled(step: Step, name: str, factor: float = 1.1) -> Step:
    """The largest element of one quantity is 10 % too large."""
    array = step.tensors[name].astype(np.float64)
    array.flat[np.abs(array).argmax()] *= factor
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


# The reference, and two recordings side by side


@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_the_reference_computes_in_bfloat16(network: Network) -> None:
    """Every quantity, with every activation and loss, is of the format and within its own equations."""
    given = narrowed(network)
    (step,) = GuardedReference(reference).record(given)
    assert {array.dtype for array in step.tensors.values()} == {BFLOAT16}
    assert failing(judge(given, step)) == []
    (sequential,) = GuardedReference(reference).record(given, summation="sequential")
    assert failing(judge(given, sequential)) == []
    trained = reference.train(given)
    assert all(trained[name].tobytes() == step.tensors[f"{name}_next"].tobytes() for name in trained)


def test_sums_do_not_stop_at_256() -> None:
    ones = np.ones((2, 1000), BFLOAT16)
    assert ones.sum() == 256  # what NumPy does by itself
    assert total(ones, axis=1).tolist() == [[1000], [1000]] and total(ones, axis=1).dtype == BFLOAT16
    given = narrowed(BY_NAME["two_layer"], 1000)
    (step,) = reference.record(given)
    exact = next(reference.record(Replicas(given, reference).truth))
    assert float(step.tensors["loss"]) == pytest.approx(float(exact.tensors["loss"]), rel=2**-6)


@networks
def test_verify_finds_rounding(network: Network) -> None:
    facts = verify_network(narrowed(network), {"numpy": reference}, GuardedReference(reference))
    assert facts["verdict"] == "rounding" and facts["unit_roundoff"] == 2**-8
    assert facts["implementations"]["numpy"]["agreement"]["fraction"] > 0


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    given = narrowed(BY_NAME["mixed_one_hot_mean"])
    (mine,) = reference.record(given)
    first, second = write(tmp_path / "a", given, mine), write(tmp_path / "b", given, honest(given))
    outcome = call(capsys, "compare", first, second)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count("All within rounding") == 2 and "No reference" not in outcome.out
    rows = {line.split()[0]: line.split() for line in outcome.out.splitlines() if line.split()[:1]}
    for equation in equations(given.network):
        row = rows[equation.target]
        assert row.count("%") == 4, row  # of each: the part of the budget, and of the agreement's bound


def test_the_gap_is_not_rounded_to_bfloat16() -> None:
    gap = Gap()
    gap.add(Step(0, None, {"dW1": np.array([[0.0, 1.5]], BFLOAT16)}), "dW1", np.array([[0.0, 258.0]], BFLOAT16))
    assert gap.absolute == gap.first == 256.5 and gap.index == (0, 1)  # bfloat16 has 256 and 258 there


@pytest.mark.parametrize("name", ["Z1", "dA1", "dW2", "W1_next"])
def test_compare_finds_what_disagrees_end_to_end(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is at least 16 * 4 u, a quarter of the largest value: twice the largest value is seen."""
    monkeypatch.chdir(ROOT)
    given = narrowed(BY_NAME["sparse_labels"])
    step = honest(given)
    outcome = call(
        capsys, "compare", write(tmp_path / "a", given, step), write(tmp_path / "b", given, spoiled(step, name, 2.0))
    )
    assert outcome.code == 1 and outcome.err == ""
    assert outcome.out.count("All within rounding") == 1
    assert re.search(rf"layer \d, {name}: .* from the float64 reference, ", outcome.out)


def test_ulps_of_all_numbers_there_are() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(BFLOAT16)
    with np.errstate(invalid="ignore"):  # some are signalling NaNs
        values = every.astype(np.float64)
    finite = np.unique(values[np.isfinite(values)]).astype(BFLOAT16)
    assert len(finite) == 2 * 255 * 128 - 1  # 0.0 and -0.0 are one
    assert (ulps(finite[:-1], finite[1:]) == 1).all() and ulps(finite[:1], finite[-1:]) == len(finite) - 1


def test_significant_bits() -> None:
    assert [significant_bits(np.dtype(name)) for name in ("float64", "float32", "float16", BFLOAT16)] == [53, 24, 11, 8]


def test_without_ml_dtypes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = narrowed(BY_NAME["two_layer"])
    folder = write(tmp_path, given, honest(given))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ml_dtypes" else find(name))
    assert "pip install ml_dtypes" in refusal(lambda: Recording(folder))
