"""Recordings: what is read is what was written, bit for bit, one step in memory at a time, and nothing is pickled."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.equation_check import EquationChecker
from backproof.files import describe, load_tensors, save_tensors
from backproof.network import Network
from backproof.recording import Recording, RecordingWriter, Source
from backproof.recording.layout import step_file
from backproof.training import Step, Training
from backproof.trajectory import Continuity
from reference import network as reference
from tests.refusals import refusal
from tests.support import BY_NAME, IMPLEMENTATIONS, ROOT, SMALL, failing, implementation, training

Array = np.ndarray[Any, np.dtype[Any]]
SOURCE = Source("numpy", {"numpy": "2", "blas": "3"}, threads=2)
SPARSE = BY_NAME["sparse_labels"]


def write(folder: Path, given: Training, steps: Iterator[Step] | None = None) -> list[Step]:
    """Record a run; the steps that were written."""
    written = list(reference.record(given) if steps is None else steps)
    with RecordingWriter(folder, given, SOURCE) as writer:
        for step in written:
            writer.write(step)
    return written


def assert_same(got: Array | None, expected: Array | None) -> None:
    __tracebackhide__ = True
    if expected is None or got is None:
        assert got is expected
        return
    assert got.dtype == expected.dtype and got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()


def assert_round_trip(folder: Path, given: Training, written: list[Step]) -> None:
    __tracebackhide__ = True
    recording = Recording(folder)
    assert (recording.network, recording.dtype, recording.source) == (given.network, given.dtype, SOURCE)
    assert (recording.training.seed, recording.training.data) == (given.seed, given.data)
    assert recording.initial_hash == given.initial_hash and recording.data_hash == given.data_hash
    assert_same(recording.training.X, given.X)
    assert_same(recording.training.Y, given.Y)
    for name, array in given.parameters.items():
        assert_same(recording.training.parameters[name], array)
    read = list(recording.steps())
    assert [step.index for step in read] == [step.index for step in written]
    for got, expected in zip(read, written, strict=True):
        assert_same(got.samples, expected.samples)
        assert got.tensors.keys() == expected.tensors.keys()
        for name, array in expected.tensors.items():
            assert_same(got.tensors[name], array)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", SMALL, ids=lambda network: network.name)
def test_round_trip(network: Network, dtype: str, tmp_path: Path) -> None:
    batches = (None, np.array([4, 1, 1]), np.arange(7))
    given = training(network, 9, seed=12, dtype=dtype, batches=batches)
    assert_round_trip(tmp_path, given, write(tmp_path, given))


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_round_trip_of_every_implementation(name: str, tmp_path: Path) -> None:
    given = training(BY_NAME["sparse_labels"], 9, seed=12)
    written = write(tmp_path, given, implementation(name).record(given))
    assert_round_trip(tmp_path, given, written)


def strided(array: Array) -> Array:
    """The same values, every second element of a larger memory, in reverse."""
    wide = np.zeros([2 * n for n in array.shape], array.dtype)
    view = wide[tuple(slice(None, None, -2) for _ in array.shape)]
    view[...] = array
    return view


@pytest.mark.parametrize("layout", [np.asfortranarray, strided])
def test_round_trip_of_memory_that_is_not_contiguous(layout: Any, tmp_path: Path) -> None:
    given = training(BY_NAME["row_major"], 9, seed=13, batches=(None, np.arange(4)))
    views = {name: layout(array) for name, array in given.parameters.items()}
    assert any(not array.flags.c_contiguous for array in views.values())
    given = replace(given, X=layout(given.X), Y=layout(given.Y), parameters=views)
    steps = [
        replace(step, tensors={name: layout(array) if array.ndim else array for name, array in step.tensors.items()})
        for step in reference.record(given)
    ]
    write(tmp_path, given, iter(steps))
    assert_round_trip(tmp_path, given, steps)


def test_extreme_values_keep_their_bits(tmp_path: Path) -> None:
    values = np.array([[0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 3e38, -1e-38]], np.float32)
    payload = np.array([0x7FC00001, 0xFFC0BEEF], np.uint32).view(np.float32)
    tensors = {"values": values, "payload": payload, "scalar": np.asarray(np.float64(0.1)), "none": np.zeros((0, 3))}
    described = save_tensors(tmp_path / "t.safetensors", tensors)
    read = load_tensors(tmp_path / "t.safetensors", described)
    for name, array in tensors.items():
        assert_same(read[name], array)


def test_a_description_sees_every_kind_of_difference() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    others = [array.T.copy(), array.reshape(3, 2), array.view(np.int32), -array, array[:1], array.astype(np.float64)]
    assert all(describe(other) != describe(array) for other in others)
    assert describe(array.copy()) == describe(array)


def test_a_recording_is_judged_as_the_run_is(tmp_path: Path) -> None:
    given = training(BY_NAME["five_layer"], 20, seed=14, batches=(None, np.arange(10), None))
    write(tmp_path, given)
    recording = Recording(tmp_path)
    checker = EquationChecker(recording.network, recording.dtype)
    continuity = Continuity(recording.training.parameters)
    for step in recording.steps():
        found = checker.check(step, *recording.training.batch(step.samples))
        assert not found.flaws and not failing(found) and not continuity.check(step)


def test_steps_can_be_read_twice(tmp_path: Path) -> None:
    given = training(BY_NAME["two_layer"], 5, batches=(None, None))
    write(tmp_path, given)
    recording = Recording(tmp_path)
    assert len(list(recording.steps())) == len(list(recording.steps())) == 2


def peak(folder: Path) -> int:
    """Bytes that reading the whole recording takes at its worst moment."""
    tracemalloc.start()
    for step in Recording(folder).steps():
        del step
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size


def test_the_memory_of_reader_and_writer_does_not_grow_with_the_steps(tmp_path: Path) -> None:
    network = Network("n", (60, 60, 10), ("relu", "softmax"))
    peaks = {}
    for steps in (5, 50):
        given = training(network, 200, batches=(None,) * steps)
        step = next(reference.record(given))
        tracemalloc.start()
        with RecordingWriter(tmp_path / str(steps), given, SOURCE) as writer:
            for index in range(steps):
                writer.write(replace(step, index=index))
        writing = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        peak(tmp_path / str(steps))  # once to import what it imports
        peaks[steps] = (writing, peak(tmp_path / str(steps)))
    one = sum(array.nbytes for array in step.tensors.values())
    for few, many in zip(peaks[5], peaks[50], strict=True):
        assert many < few + one / 2


def test_step_files_are_in_order() -> None:
    assert [step_file(index) for index in (0, 12)] == ["step-000000.safetensors", "step-000012.safetensors"]


def test_nothing_is_pickled() -> None:
    """No module of the engine can run what a file says."""
    forbidden = re.compile(r"\b(pickle|cPickle|dill|joblib|cloudpickle|shelve|marshal|allow_pickle|eval|exec)\b")
    sources = sorted((ROOT / "backproof").rglob("*.py"))
    assert len(sources) > 20
    found = [
        f"{path.name}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []
    assert forbidden.search("import pickle") and forbidden.search("np.load(path, allow_pickle=True)")


# What a caller in Python hands over


@pytest.mark.parametrize("rate", [float("inf"), float("nan"), 1e300, 10**400, 0.0])
def test_learning_rate(rate: float) -> None:
    assert "learning_rate" in refusal(lambda: replace(SPARSE, learning_rate=rate))


def test_sizes() -> None:
    assert replace(SPARSE, sizes=(12, 10_000_000, 4)).sizes[1] == 10_000_000
    assert "at most 10,000,000 each" in refusal(lambda: replace(SPARSE, sizes=(12, 10_000_001, 4)))


@pytest.mark.parametrize("name", ["two_layer", "binary_tanh"])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float64"])
def test_labels_of_another_dtype_than_x(name: str, dtype: str) -> None:
    """Integers would be read as the classes' numbers."""
    given = training(BY_NAME[name], m=8)
    said = refusal(lambda: replace(given, Y=given.Y.astype(dtype)))
    assert "Y must have the dtype of X, float32" in said and dtype in said


def altered(folder: Path, **changes: Any) -> list[Step]:
    """The steps that are read after one was altered and written."""
    given = replace(training(SPARSE, m=8), batches=(np.array([0, 3]),))
    (step,) = reference.record(given)
    with RecordingWriter(folder, given, SOURCE) as writer:
        writer.write(replace(step, tensors={**step.tensors, **changes.pop("tensors", {})}, **changes))
    return list(Recording(folder).steps())


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_integers_of_numpy_are_written_as_what_they_are(tmp_path: Path, kind: Any) -> None:
    (step,) = altered(tmp_path, index=kind(0), samples=np.array([0, 3], kind))
    assert step.index == 0 and step.samples is not None and step.samples.dtype == np.int64
    assert step.samples.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"index": 0.0}, "index must be an integer"),
        ({"index": -1}, "from 0, not -1"),
        ({"samples": np.array([0.0, 3.0])}, "must be integers, not float64"),
        ({"samples": np.array([True, False])}, "must be integers, not bool"),
        ({"samples": np.array([2**63], np.uint64)}, "does not fit int64"),
        ({"tensors": {"Z1": np.array([[1, None]], object)}}, "Z1 has dtype object"),
        ({"tensors": {"Z1": np.array(["1"])}}, "Z1 has dtype <U1"),
        ({"tensors": {"Z1": np.array([1j])}}, "Z1 has dtype complex128"),
        ({"tensors": {"Z1": [[1.0], [1.0, 2.0]]}}, "Z1 is not an array"),
    ],
)
def test_what_no_recording_can_hold(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    said = refusal(lambda: altered(tmp_path, **changes))
    assert words in said and "space" not in said


def test_the_other_byte_order(tmp_path: Path) -> None:
    swapped = np.arange(3, dtype=">f4")
    described = save_tensors(tmp_path / "t", {"a": swapped})
    assert load_tensors(tmp_path / "t", described)["a"].tolist() == [0, 1, 2]
