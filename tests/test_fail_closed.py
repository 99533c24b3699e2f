"""Refusals and warnings that a mistake would need to get past: what cannot be judged or compared is never a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backproof
from backproof.files import save_tensors, sealed, unsealed
from backproof.network import Network
from backproof.recording import RecordingWriter, Source
from backproof.recording.layout import DATA, MANIFEST
from backproof.training import Training
from backproof.verdict import Verdict
from benchmarks.random_steps import Case, arrays_of
from reference.network import record
from tests.cli_support import call, enter, faulty, project
from tests.refusals import refusal
from tests.support import BY_NAME, check_of, judge, one_step, training

SMALL = BY_NAME["two_layer"]
GIVEN = training(SMALL, 8)


def write(folder: Path, given: Training) -> Path:
    with RecordingWriter(folder, given, Source("numpy", {}, 1)) as writer:
        for step in record(given):
            writer.write(step)
    return folder


def edit(folder: Path, **changes: Any) -> None:
    """Change the manifest and seal it again; None leaves a key out."""
    content = {**unsealed((folder / MANIFEST).read_bytes(), folder), **changes}
    (folder / MANIFEST).write_bytes(sealed({key: value for key, value in content.items() if value is not None}))


def redo_data(folder: Path, **tensors: Any) -> None:
    """Other tensors, listed as they are; None leaves one out."""
    every = {"X": GIVEN.X, "Y": GIVEN.Y, **GIVEN.parameters, **tensors}
    kept = {name: array for name, array in every.items() if array is not None}
    edit(folder, tensors=save_tensors(folder / DATA, kept))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda r: edit(r, versions=None), "'versions' is missing or not of type dict"),
        (lambda r: edit(r, device=3), "'device' is missing or not of type str"),
        (lambda r: edit(r, dtype="float16"), "this one is 'float16'"),
        (lambda r: edit(r, dtype="float64"), "X is float32, the manifest says float64"),
        (lambda r: redo_data(r, W2=None), "W2 is missing"),
        (lambda r: redo_data(r, X=np.full_like(GIVEN.X, np.inf)), "X holds values that are not finite"),
        (lambda r: redo_data(r, b1=np.full_like(GIVEN.parameters["b1"], np.nan)), "b1 holds values that are not"),
    ],
)
def test_a_recording_that_contradicts_itself(
    spoil: Callable[[Path], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(write(tmp_path / "r", GIVEN))
    call(capsys, "check", tmp_path / "r").refused(said)


def test_runs_of_other_samples_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batches = {"a": (np.array([0, 1, 2]),), "b": (np.array([0, 1, 3]),), "c": (None,), "d": (np.arange(8),)}
    for name, samples in batches.items():
        write(tmp_path / name, replace(GIVEN, batches=samples))
    for a, b in ("ab", "ac", "cd"):
        call(capsys, "compare", tmp_path / a, tmp_path / b).refused("do not hold the same samples")


def test_a_recorder_that_takes_other_samples(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    enter(project(tmp_path, faulty("samples = np.arange(1, 12)")), monkeypatch)
    options = ("--implementation", "mine", "--samples", 12, "--steps", 1, "--output", "r")
    call(capsys, "record", "small", *options).refused("'mine' used other samples in step 0 of small")
    call(capsys, "check", "r").refused("incomplete")


def test_a_format_that_is_not_recorded(tmp_path: Path) -> None:
    half = training(SMALL, 8, dtype="float16")
    assert "X is float16: only runs in" in refusal(lambda: RecordingWriter(tmp_path, half, Source("numpy", {}, 1)))


def test_evidence_of_others_stays(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    enter(project(tmp_path), monkeypatch)
    (tmp_path / "reports" / "small").mkdir(parents=True)
    (tmp_path / "reports" / "small" / "layer-9.json").write_text("{")
    assert call(capsys, "verify", "--samples", 12, "--steps", 1).code == 0
    assert (tmp_path / "reports" / "small" / "layer-9.json").read_text() == "{"


ON_A_KINK = """\
from reference.network import initial_parameters as honest, record, threads, train, versions

def initial_parameters(network, seed, dtype):
    return {name: array * 0 if name[1] == "1" else array for name, array in honest(network, seed, dtype).items()}
"""


def test_a_layer_that_is_compared_with_nothing_says_so(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    """With W1 = 0 and b1 = 0 every sample is on the kink in the first step: no gradient behind it is compared."""
    enter(project(tmp_path, reference="on_a_kink"), monkeypatch)
    (tmp_path / "on_a_kink.py").write_text(ON_A_KINK)
    call(capsys, "verify", "--samples", 12, "--steps", 1)
    page = (tmp_path / "reports" / "small" / "layer-1.md").read_text()
    for name in ("dA1", "dZ1", "dW1", "db1", "W1_next", "b1_next"):
        assert f"- `{name}` of mine: not compared end to end in 1 steps" in page
    assert "- `Z1` of mine: not compared" not in page


def test_operands_beyond_float64_are_no_pass() -> None:
    """Z1 = 0 exactly, and the norms that would judge it multiply to infinity."""
    network = Network("huge", (2, 3), ("softmax",))
    given = training(network, 5, dtype="float64")
    X = np.tile([[0.0], [1e170]], 5)
    W1 = np.tile([1e170, 0.0], (3, 1))
    given = replace(given, X=X, parameters={"W1": W1, "b1": np.zeros((3, 1))})
    check = check_of(judge(given, one_step(given)), "Z1")
    assert check.verdict is Verdict.SUSPECT and "norms overflow float64" in check.message


def changed(**changes: Any) -> Callable[[], Training]:
    return lambda: replace(GIVEN, **changes)


INTEGER, BINARY = training(BY_NAME["sparse_labels"], 8), training(BY_NAME["binary_relu"], 8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (changed(batches=()), "zero samples or zero steps"),
        (changed(X=GIVEN.X[:, :0], Y=GIVEN.Y[:, :0]), "zero samples or zero steps"),
        (changed(X=GIVEN.X[1:]), "features x samples"),
        (changed(Y=GIVEN.Y[:, 1:]), "Y is (4, 7), needed is (4, 8)"),
        (changed(parameters={"W1": GIVEN.parameters["W1"]}), "parameters of shapes"),
        (changed(Y=GIVEN.Y * 0), "does not have exactly one 1"),
        (lambda: replace(INTEGER, Y=INTEGER.Y.astype("float32")), "integer labels needed"),
        (lambda: replace(INTEGER, Y=INTEGER.Y - 4), "is outside 0..3"),
        (lambda: replace(BINARY, Y=BINARY.Y * 2 - 1), "must be 0 or 1"),
    ],
)
def test_a_training_that_does_not_fit_together(make: Callable[[], Training], said: str) -> None:
    assert said in refusal(make)


def test_a_failure_whose_neighbours_are_unknown_is_diagnosed_all_the_same():
    """W2 has a wrong shape, so that Z2 is not recomputed; what is made of Z2 is not tried."""
    case = Case((4, 5, 3), ("tanh", "sigmoid"), "mse", 9, seed=5)
    q = arrays_of(case)
    arrays = {name: q[name] for name in ("X", "Y", "W1", "b1", "A1", "A2", "dA1", "dZ1")}
    arrays["dA2"] = 2 * (q["A2"] - q["Y"]) / 9
    arrays |= {"W2": np.ones((3, 6)), "b2": q["b2"], "dZ2": q["dZ2"][::-1].copy()}
    result = backproof.check_backprop(arrays, activations=case.activations, loss="mse")
    assert result.verdict == "bug" and {"W2", "dZ2"} <= {failure.equation for failure in result.failures}


def test_a_delta_made_of_logits_that_were_not_given():
    """A saturated output is rounded: A − Y is not the delta to its last digit, and is all that there is to go by."""
    case = Case((6, 14), ("sigmoid",), "binary_cross_entropy", 40, dtype="float32", seed=2)
    q = arrays_of(case)
    Z = 12 * q["Z1"].astype(np.float64)
    arrays = {"X": q["X"], "Y": q["Y"], "A1": (1 / (1 + np.exp(-Z))).astype(np.float32)}
    arrays["dZ1"] = ((1 / (1 + np.exp(-Z)) - q["Y"]) / case.divisor).astype(np.float32)
    said = {"activations": ["sigmoid"], "loss": "binary_cross_entropy", "reduction": case.reduction}
    assert backproof.check_backprop(arrays, **said, averaged_in="delta").verdict == "rounding"
    arrays["dZ1"] = arrays["dZ1"] * np.float32(1 + 1e-4)
    assert backproof.check_backprop(arrays, **said, averaged_in="delta").verdict != "rounding"
