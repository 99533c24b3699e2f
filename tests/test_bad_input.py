"""Every bad input gets one line: what is wrong, where, and what to do. Exit code 2; 1 for what ``check`` finds."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.files import save_tensors, sealed, unsealed
from backproof.recording import RecordingWriter, Source
from backproof.recording.layout import DATA, MANIFEST, STEPS, step_file
from backproof.training import Training
from reference.network import record
from tests.cli_support import call, enter, project
from tests.idx_files import IMAGES, LABELS, X3, Y3, encode, fill
from tests.support import BY_NAME, training

RUN = ("--samples", 12, "--steps", 2)
SMALL = BY_NAME["sparse_labels"]


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A project with one small network, and the working directory in it."""
    return enter(project(tmp_path / "project"), monkeypatch)


# Names and numbers


USAGE = {
    "no command": ([], ["COMMAND", "--help"]),
    "command": (["verfy"], ["verfy", "verify", "--help"]),
    "option": (["verify", "--sample", "3"], ["--sample", "--help"]),
    "network": (["verify", "smal"], ["network 'smal'", "did you mean 'small'?"]),
    "empty network": (["verify", ""], ["network ''", "small"]),
    "family": (["verify", "binary"], ["network 'binary'", "small"]),
    "network of record": (["record", "x", "--implementation", "mine", "--output", "r"], ["network 'x'", "small"]),
    "implementation": (["verify", "--implementation", "mime"], ["implementation 'mime'", "did you mean 'mine'?"]),
    "implementation of record": (["record", "small", "--implementation", "x", "--output", "r"], ["'x'", "mine"]),
    "dtype": (["verify", "--dtype", "float16"], ["--dtype", "'float16'", "float32", "float64"]),
    "samples 0": (["verify", "--samples", "0"], ["--samples", "at least 1", "0"]),
    "samples -1": (["verify", "--samples", "-1"], ["--samples", "at least 1", "-1"]),
    "samples as text": (["verify", "--samples", "many"], ["--samples", "'many'"]),
    "samples 1.5": (["verify", "--samples", "1.5"], ["--samples", "'1.5'"]),
    "too many samples": (["verify", "--samples", "1798"], ["1798", "1797", "ask for at most 1797"]),
    "steps 0": (["verify", "--steps", "0"], ["--steps", "at least 1"]),
    "steps -3": (["verify", "--steps", "-3"], ["--steps", "at least 1", "-3"]),
    "too many steps": (["verify", "--steps", "10000001"], ["--steps", "at most 10,000,000"]),
    "seed too large": (["verify", "--seed", str(2**63)], ["--seed", "at most 9223372036854775807"]),
    "batch of none": (["verify", "--batch-size", "0"], ["--batch-size", "at least 1"]),
    "batch too large": (["verify", "--samples", "9", "--batch-size", "10"], ["--batch-size 10", "9 samples"]),
    "seed": (["verify", "--seed", "-1"], ["--seed", "at least 0", "-1"]),
    "data": (["verify", "--data", "digit"], ["data 'digit'", "digits", "mnist"]),
    "no recording named": (["check"], ["RECORDING"]),
    "no recording there": (["check", "nowhere"], ["nowhere", "holds no recording", "manifest.json"]),
    "name too long": (["check", "a" * 300], ["aaa", "too long"]),
    "one recording to compare": (["compare", "a"], ["B"]),
    "nothing to report": (["report"], ["summary.json", "run 'backproof verify'"]),
    "no report there": (["report", "--output", "nowhere"], ["nowhere", "summary.json"]),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(at_home, capsys, case):
    arguments, words = USAGE[case]
    call(capsys, *arguments).refused(*words)
    assert {path.name for path in at_home.iterdir()} == {"pyproject.toml"}  # nothing was begun


def test_framework_that_is_not_installed(tmp_path, monkeypatch, capsys):
    enter(project(tmp_path, "import no_such_framework_anywhere\n"), monkeypatch)
    for command in (["verify"], ["record", "small", "--implementation", "mine", "--output", "r"]):
        said = call(capsys, *command, *RUN).refused(
            "'mine'", "'no_such_framework_anywhere'", "not installed", "install it"
        )
        assert ".py:1" in said


@pytest.mark.parametrize(
    "command", [["verify"], ["networks"], ["record", "x", "--implementation", "y", "--output", "r"]]
)
def test_no_configuration(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    outcome = call(capsys, *command)
    first, *example = outcome.err.splitlines()
    assert outcome.code == 2 and outcome.out == "" and list(tmp_path.iterdir()) == []
    assert first.startswith("backproof: error: no pyproject.toml with [tool.backproof]") and str(tmp_path) in first
    (tmp_path / "pyproject.toml").write_text("\n".join(example))
    assert call(capsys, "verify", "nothing").refused("network 'nothing'", "small")


@pytest.mark.parametrize("command", [["verify"], ["record", "small", "--implementation", "mine", "--output", "r"]])
def test_no_reference(tmp_path, monkeypatch, capsys, command):
    enter(project(tmp_path, reference=None), monkeypatch)
    call(capsys, *command).refused("pyproject.toml", "reference")


# Data


def gzipped(folder: Path) -> None:
    whole = gzip.compress((folder / IMAGES).read_bytes())
    (folder / IMAGES).unlink()
    (folder / f"{IMAGES}.gz").write_bytes(whole[:-20])


DATA_FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no folder": (lambda folder: [path.unlink() for path in folder.iterdir()] and folder.rmdir(), ["no such folder"]),
    "no labels": (lambda folder: (folder / LABELS).unlink(), ["incomplete", LABELS]),
    "truncated": (lambda folder: (folder / IMAGES).write_bytes(encode(X3)[:-1]), [IMAGES, "truncated"]),
    "truncated gzip": (gzipped, [f"{IMAGES}.gz", "truncated"]),
    "not IDX": (lambda folder: (folder / IMAGES).write_bytes(b"<html>"), [IMAGES, "not the IDX file", "3c 68 74 6d"]),
    "wrong magic": (lambda folder: (folder / LABELS).write_bytes(encode(X3)), [LABELS, "00 00 08 03", "00 00 08 01"]),
    "wrong count": (lambda folder: (folder / LABELS).write_bytes(encode(Y3[:2])), [LABELS, "2 labels", "3 images"]),
    "label 10": (lambda folder: (folder / LABELS).write_bytes(encode(Y3 + np.uint8(8))), [LABELS, "label 10"]),
    "empty": (lambda folder: (folder / IMAGES).write_bytes(b""), [IMAGES, "nothing"]),
}


@pytest.mark.parametrize("case", DATA_FAULTS)
def test_data(at_home, capsys, case):
    spoil, words = DATA_FAULTS[case]
    folder = fill(at_home / "set", X3, Y3)
    spoil(folder)
    call(capsys, "verify", "--data", folder, "--steps", 1).refused("set", *words)
    assert not (at_home / "reports").exists()


# Recordings


def write(folder: Path, given: Training, alter: Callable[[dict[str, Any]], Mapping[str, Any]] = dict) -> Path:
    """A recording of two honest steps, the tensors of the second altered."""
    given = replace(given, batches=(None, None))
    with RecordingWriter(folder, given, Source("numpy", {"numpy": np.__version__}, 1)) as writer:
        for step in record(given):
            writer.write(replace(step, tensors=alter(dict(step.tensors))) if step.index else step)
    return folder


def edit(path: Path, **changes: Any) -> None:
    """Change a manifest and seal it again, as another version or a forger would."""
    path.write_bytes(sealed({**unsealed(path.read_bytes(), path), **changes}))


def relist(folder: Path, **changes: Any) -> None:
    """Another first line of the index, sealed as it should be; None leaves a key out."""
    first, *others = (folder / STEPS).read_bytes().splitlines(keepends=True)
    line = {**unsealed(first, folder), **changes}
    (folder / STEPS).write_bytes(
        b"".join([sealed({key: value for key, value in line.items() if value is not None}), *others])
    )


def renetwork(folder: Path, **changes: Any) -> None:
    network = unsealed((folder / MANIFEST).read_bytes(), folder)["network"]
    edit(folder / MANIFEST, network={**network, **changes})


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def other_data(folder: Path) -> None:
    """X, Y and weights as listed, but not those that were hashed."""
    given = training(SMALL, m=8, seed=1)
    tensors = {"X": given.X, "Y": given.Y, **given.parameters}
    edit(folder / MANIFEST, tensors=save_tensors(folder / DATA, tensors))


def label_out_of_range(folder: Path) -> None:
    given = training(SMALL, m=8)
    tensors = {"X": given.X, "Y": given.Y + SMALL.sizes[-1], **given.parameters}
    edit(folder / MANIFEST, tensors=save_tensors(folder / DATA, tensors))


BROKEN: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "manifest truncated": (lambda r: cut(r / MANIFEST), [MANIFEST, "truncated"]),
    "manifest flipped": (lambda r: flip(r / MANIFEST, 60), [MANIFEST]),
    "manifest a list": (lambda r: (r / MANIFEST).write_text("[]"), [MANIFEST, "not a recording's"]),
    "other schema": (lambda r: edit(r / MANIFEST, schema=99), [MANIFEST, "schema 99", "record anew"]),
    "incomplete": (lambda r: edit(r / MANIFEST, complete=False), ["interrupted", "record anew"]),
    "data truncated": (lambda r: cut(r / DATA), [DATA, "truncated"]),
    "data flipped": (lambda r: flip(r / DATA, -1), [DATA, "bit-flipped"]),
    "data missing": (lambda r: (r / DATA).unlink(), [DATA, "missing"]),
    "other data": (other_data, ["initial parameters", "not those that were recorded"]),
    "label out of range": (label_out_of_range, ["label", "of sample 0", "outside 0..3"]),
    "step truncated": (lambda r: cut(r / step_file(1)), [step_file(1), "truncated"]),
    "step flipped": (lambda r: flip(r / step_file(1), -1), [step_file(1), "bit-flipped"]),
    "step missing": (lambda r: (r / step_file(1)).unlink(), [step_file(1), "missing"]),
    "steps exchanged": (lambda r: (r / step_file(1)).write_bytes((r / step_file(0)).read_bytes()), [step_file(1)]),
    "step number missing": (lambda r: relist(r, step=None), [STEPS, "'step'"]),
    "step number a text": (lambda r: relist(r, step="1"), [STEPS, "'step'"]),
    "step number a truth": (lambda r: relist(r, step=True), [STEPS, "'step'"]),
    "step number a fraction": (lambda r: relist(r, step=0.0), [STEPS, "'step'"]),
    "step number negative": (lambda r: relist(r, step=-1), [STEPS, "'step'"]),
    "step number huge": (lambda r: relist(r, step=10**400), [STEPS, "'step'"]),
    "step without tensors": (lambda r: relist(r, tensors=None), [STEPS, "'tensors'"]),
    "step with a list of tensors": (lambda r: relist(r, tensors=["Z1"]), [STEPS, "'tensors'"]),
    "step with texts for tensors": (lambda r: relist(r, tensors={"Z1": "x"}), [step_file(0)]),
    "index nested": (lambda r: (r / STEPS).write_bytes(b"[" * 100_000 + b"\n"), [STEPS, "not a recording's"]),
    "manifest nested": (lambda r: (r / MANIFEST).write_bytes(b'{"a":' * 100_000), [MANIFEST, "not a recording's"]),
    "number of steps huge": (lambda r: edit(r / MANIFEST, steps=10**400), [MANIFEST, "'steps'"]),
    "seed huge": (lambda r: edit(r / MANIFEST, seed=10**400), [MANIFEST, "'seed'"]),
    "threads a truth": (lambda r: edit(r / MANIFEST, threads=True), [MANIFEST, "'threads'"]),
    "rate huge": (lambda r: renetwork(r, learning_rate=10**400), ["learning_rate", "below 1e+300"]),
    "size huge": (lambda r: renetwork(r, sizes=[12, 10**400, 4]), ["sizes", "at most 10,000,000"]),
    "number too long to read": (lambda r: (r / MANIFEST).write_bytes(b"9" * 9999), [MANIFEST, "not a recording's"]),
    "index missing": (lambda r: (r / STEPS).unlink(), [STEPS, "missing"]),
    "index truncated": (lambda r: cut(r / STEPS), [STEPS]),
    "index shorter": (lambda r: (r / STEPS).write_bytes((r / STEPS).read_bytes().splitlines(True)[0]), ["1 steps"]),
    "index empty": (lambda r: (r / STEPS).write_bytes(b""), [STEPS, "0 steps"]),
    "index flipped": (lambda r: flip(r / STEPS, 30), [STEPS]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_recording(tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)  # no configuration here: check and compare need none
    spoil, words = BROKEN[case]
    good, bad = (write(tmp_path / name, training(SMALL, m=8)) for name in ("good", "bad"))
    spoil(bad)
    call(capsys, "check", bad).refused(str(bad), *words)
    call(capsys, "compare", good, bad).refused(str(bad), *words)


def nan_in(array: Any) -> Any:
    array = array.copy()
    array[0, 0] = np.nan
    return array


ALTERED: dict[str, tuple[Callable[[dict[str, Any]], Mapping[str, Any]], str, str]] = {
    "missing": (lambda t: {name: array for name, array in t.items() if name != "dW2"}, "layer 2, dW2", "missing"),
    "extra": (lambda t: {**t, "dQ1": t["dZ1"]}, "dQ1", "not a quantity"),
    "mis-shaped": (lambda t: {**t, "Z1": t["Z1"][:, 1:]}, "layer 1, Z1", "shape"),
    "transposed": (lambda t: {**t, "dW1": t["dW1"].T}, "layer 1, dW1", "transpose"),
    "not finite": (lambda t: {**t, "dA1": nan_in(t["dA1"])}, "layer 1, dA1", "nan at (0, 0)"),
    "other dtype": (lambda t: {**t, "db1": t["db1"].astype(np.float64)}, "layer 1, db1", "float64"),
    "a wrong sum": (lambda t: {**t, "db2": t["db2"] * 2}, "layer 2, db2", ""),
}


@pytest.mark.parametrize("case", ALTERED)
def test_altered_step(tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    alter, where, said = ALTERED[case]
    given = training(SMALL, m=8)
    good, bad = write(tmp_path / "good", given), write(tmp_path / "bad", given, alter)
    for command in (["check", bad], ["compare", good, bad], ["compare", bad, good]):
        outcome = call(capsys, *command)
        assert outcome.code == 1 and outcome.err == ""
        first = next(line for line in outcome.out.splitlines() if "bug at step 1" in line)
        assert f"bug at step 1, {where}: " in first and said in first


OTHERS = {
    "network": (lambda: training(BY_NAME["two_layer"], m=8), "network"),
    "weights": (
        lambda: replace(training(SMALL, m=8), parameters=training(SMALL, m=8, seed=1).parameters),
        "initial parameters",
    ),
    "data": (lambda: replace(training(SMALL, m=8), X=training(SMALL, m=8, seed=1).X), "data"),
    "samples": (lambda: training(SMALL, m=9), "data"),
    "dtype": (lambda: training(SMALL, m=8, dtype="float64"), "dtype"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_recordings_of_different_trainings_are_not_compared(tmp_path, capsys, case):
    make, what = OTHERS[case]
    a, b = write(tmp_path / "a", training(SMALL, m=8)), write(tmp_path / "b", make())
    call(capsys, "compare", a, b).refused(str(a), str(b), f"differ in {what}: ", "same training")
