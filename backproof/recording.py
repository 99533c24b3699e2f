"""Recordings: what one run did, step by step, on disk. Written in one environment, judged in another.

A recording is a folder:

    manifest.json            schema, network, implementation, versions, hashes; its own CRC; "complete" at the end
    data.safetensors         X, Y and the initial parameters
    steps.jsonl              a line for each step: CRC-32, dtype and shape of every tensor, and the line's own CRC
    step-000000.safetensors  the step's tensors (features x samples, W out x in, C-contiguous), samples by index

Each step is written under a temporary name, renamed, and only then listed: a killed writer loses its current step and
nothing else, and the recording stays marked as incomplete. Nothing is pickled.
"""

from __future__ import annotations

import operator
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.files import has_keys, know_bfloat16, load_tensors, replace_file, save_tensors, sealed, unsealed, writing
from backproof.network import Network
from backproof.training import Step, Training

Array = NDArray[Any]

SCHEMA = 1
MANIFEST, DATA, STEPS = "manifest.json", "data.safetensors", "steps.jsonl"
DTYPES = ("float32", "float64", "bfloat16")
"""Formats that a recorded run can have."""
LARGEST = int(np.iinfo(np.int64).max)
OURS = re.compile(rf"({re.escape(MANIFEST)}|{re.escape(DATA)}|{re.escape(STEPS)}|step-\d{{6,}}\.safetensors)(\.tmp)?")
"""Names of a recording's own files, whole or being written."""


@dataclass(frozen=True)
class Source:
    """Who recorded: the implementation, the versions it ran with, its device and threads."""

    implementation: str
    versions: Mapping[str, str]
    threads: int
    device: str = "cpu"


def step_file(step: int) -> str:
    """Name of a step's file."""
    return f"step-{step:06d}.safetensors"


class RecordingWriter:
    """Writes one run; use as a context manager, so that only a run that ended without an error is complete.

    Args:
        folder: made if absent; must be empty unless ``overwrite`` is set.
        overwrite: replace the recording that the folder holds, or what a killed writer left of one. Only the files of
            a recording are removed, the manifest first.

    Raises:
        BackproofError: when the folder cannot be written or holds something else, for a run of another format than
            :data:`DTYPES`, and for steps and samples that are not numbered with integers.
    """

    def __init__(self, folder: Path, training: Training, source: Source, overwrite: bool = False) -> None:
        if training.dtype.name not in DTYPES:
            raise BackproofError(f"X is {training.dtype}: only runs in {', '.join(DTYPES)} can be recorded")
        self._folder = folder
        self.steps = 0
        self._index_crc = 0
        with writing(folder):
            _prepare(folder, overwrite)
            tensors = {"X": training.X, "Y": training.Y, **training.parameters}
            self._manifest = {
                "schema": SCHEMA,
                "network": training.network.to_dict(),
                "implementation": source.implementation,
                "versions": dict(source.versions),
                "device": source.device,
                "threads": source.threads,
                "dtype": training.dtype.name,
                "seed": training.seed,
                "data": training.data,
                "initial_hash": training.initial_hash,
                "data_hash": training.data_hash,
                "tensors": save_tensors(folder / DATA, tensors),
            }
            self._finish(complete=False)
            self._index = (folder / STEPS).open("wb")

    def write(self, step: Step) -> None:
        """Append one step."""
        index = _step_index(step.index)
        samples = {} if step.samples is None else {"samples": _sample_indices(step.samples, index)}
        with writing(self._folder):
            described = save_tensors(self._folder / step_file(index), {**step.tensors, **samples})
            line = sealed({"step": index, "tensors": described})
            self._index.write(line)
            self._index.flush()
        self._index_crc = zlib.crc32(line, self._index_crc)
        self.steps += 1

    def _finish(self, complete: bool) -> None:
        seal = {"complete": complete, "steps": self.steps, "index_crc32": self._index_crc}
        replace_file(self._folder / MANIFEST, sealed(self._manifest | seal, indent=1))

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self._folder):
            # Closing writes what is left in the buffer, and fails where writing failed.
            self._index.close()
            if kind is None:
                self._finish(complete=True)


class Recording:
    """A recording opened for reading; the manifest, the data and the initial parameters are verified at once.

    Args:
        folder: where it lies.
        partial: accept a recording whose writer was interrupted, up to its last whole step.

    Raises:
        BackproofError: for a folder that holds no recording, another schema, a corrupt or incomplete recording.
    """

    def __init__(self, folder: Path, partial: bool = False) -> None:
        self.folder = folder
        manifest = _read_manifest(folder)
        if not manifest["complete"] and not partial:
            raise BackproofError(f"{folder}: the recording was interrupted and is incomplete; record anew")
        self._complete = manifest["complete"]
        self._index_crc, self.steps_written = manifest["index_crc32"], manifest["steps"]
        self.training = _read_training(folder, manifest)
        self.network, self.dtype = self.training.network, self.training.dtype
        self.initial_hash, self.data_hash = manifest["initial_hash"], manifest["data_hash"]
        self.source = Source(*(manifest[key] for key in ("implementation", "versions", "threads", "device")))

    def steps(self) -> Iterator[Step]:
        """The steps in order, one in memory at a time, each verified against its CRCs.

        Raises:
            BackproofError: for a line, file or tensor that is missing, truncated or not what was written.
        """
        crc = count = 0
        path = self.folder / STEPS
        if not path.is_file():
            raise BackproofError(f"{path} is missing; record anew")
        with path.open("rb") as index:
            for raw in index:
                if not raw.endswith(b"\n") and not self._complete:
                    break
                crc = zlib.crc32(raw, crc)
                number, described = _listed(unsealed(raw, path), path)
                tensors = load_tensors(self.folder / step_file(number), described)
                samples = tensors.pop("samples", None)
                if samples is not None:
                    _check_samples(samples, self.training.samples, number)
                count += 1
                yield Step(number, samples, tensors)
        if self._complete and (count, crc) != (self.steps_written, self._index_crc):
            raise BackproofError(f"{path}: {count} steps listed where {self.steps_written} were written; record anew")
        if not count:
            raise BackproofError(f"{self.folder}: the recording holds no step")


MANIFEST_KEYS: dict[str, type] = {
    "complete": bool, "data": str, "data_hash": str, "device": str, "dtype": str, "implementation": str,
    "index_crc32": int, "initial_hash": str, "network": dict, "schema": int, "seed": int, "steps": int,
    "tensors": dict, "threads": int, "versions": dict,
}  # fmt: skip


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise BackproofError(f"{folder} holds no recording: {MANIFEST} is missing")
    manifest = unsealed(path.read_bytes(), path)
    if manifest.get("schema") != SCHEMA:
        found = manifest.get("schema")
        raise BackproofError(f"{path}: schema {found!r}, this version reads {SCHEMA}; record anew")
    for key, kind in MANIFEST_KEYS.items():
        if not isinstance(manifest.get(key), kind):
            raise BackproofError(f"{path}: {key!r} is missing or not of type {kind.__name__}; record anew")
        if kind is int and not _countable(manifest[key], -LARGEST):
            raise BackproofError(f"{path}: {key!r} is no integer of 64 bits; record anew")
    if manifest["dtype"] not in DTYPES:
        raise BackproofError(f"{path}: recordings are {', '.join(DTYPES)}; this one is {manifest['dtype']!r}")
    if manifest["dtype"] == "bfloat16":
        know_bfloat16()
    return manifest


def _countable(value: object, least: int = 0) -> bool:
    """Whether it is an integer that fits int64; True and False, which Python counts among them, are none."""
    return type(value) is int and least <= value <= LARGEST


def _listed(line: Mapping[str, Any], path: Path) -> tuple[int, dict[str, Any]]:
    """Number and tensors of one line of the index."""
    number, described = line.get("step"), line.get("tensors")
    if not _countable(number):
        raise BackproofError(f"{path}: a line's 'step' is missing or not a number from 0; record anew")
    if not isinstance(described, dict):
        raise BackproofError(f"{path}: 'tensors' of step {number} is missing or not of type dict; record anew")
    return int(line["step"]), described


def _step_index(index: Any) -> int:
    try:
        number = operator.index(index)
    except TypeError as error:
        raise BackproofError(f"a step's index must be an integer, not {index!r}") from error
    if number < 0 or number > LARGEST:
        raise BackproofError(f"a step's index must be an int64 from 0, not {number}")
    return number


def _sample_indices(samples: Any, step: int) -> Array:
    """The indices as int64, whatever integers they came as."""
    array = np.asarray(samples)
    if array.size and array.dtype.kind not in "iu":
        raise BackproofError(f"step {step}: sample indices must be integers, not {array.dtype}")
    if array.size and array.max() > LARGEST:
        raise BackproofError(f"step {step}: sample index {array.max()} does not fit int64")
    return array.astype(np.int64)


def _read_training(folder: Path, manifest: Mapping[str, Any]) -> Training:
    """X, Y and the initial parameters, as one step's training; their hashes must be the manifest's."""
    path = folder / DATA
    try:
        network = Network.from_dict(manifest["network"])
    except BackproofError as error:
        raise BackproofError(f"{folder / MANIFEST}: {error}; record anew") from error
    tensors = load_tensors(path, manifest["tensors"])
    if missing := sorted({"X", "Y", *network.parameter_shapes()} - tensors.keys()):
        raise BackproofError(f"{path}: {missing[0]} is missing; record anew")
    parameters = {name: tensors[name] for name in network.parameter_shapes()}
    for name, array in {"X": tensors["X"], **parameters}.items():
        if array.dtype.name != manifest["dtype"]:
            raise BackproofError(f"{path}: {name} is {array.dtype}, the manifest says {manifest['dtype']}; record anew")
        if not np.isfinite(array).all():
            raise BackproofError(f"{path}: {name} holds values that are not finite; nothing can be judged")
    try:
        training = Training(
            network, parameters, tensors["X"], tensors["Y"], (None,), manifest["seed"], manifest["data"]
        )
    except BackproofError as error:
        raise BackproofError(f"{path}: {error}; record anew") from error
    for what, stored, found in (
        ("initial parameters", manifest["initial_hash"], training.initial_hash),
        ("data", manifest["data_hash"], training.data_hash),
    ):
        if stored != found:
            raise BackproofError(f"{folder}: the {what} are not those that were recorded (hash {found}, not {stored})")
    return training


def _check_samples(samples: Array, available: int, step: int) -> None:
    if samples.dtype != np.int64 or samples.ndim != 1 or not samples.size:
        raise BackproofError(f"step {step}: sample indices must be a non-empty list of int64")
    if samples.min() < 0 or samples.max() >= available:
        raise BackproofError(f"step {step}: a sample index is outside 0..{available - 1}")


def _prepare(folder: Path, overwrite: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        return
    ours = [path for path in folder.iterdir() if OURS.fullmatch(path.name) and path.is_file()]
    if (folder / MANIFEST).exists() and not has_keys(folder / MANIFEST, "schema", "initial_hash"):
        raise BackproofError(f"{folder / MANIFEST} is not a recording's; choose another folder, or move it")
    # A writer that was killed at once leaves data and no manifest.
    if not (folder / MANIFEST).exists() and set(folder.iterdir()) - set(ours):
        raise BackproofError(f"{folder} is not empty and holds no recording; choose another folder")
    if not overwrite:
        raise BackproofError(f"{folder} holds a recording already; choose another folder, or pass --overwrite")
    # The manifest first, so that what is left never reads as a recording.
    for path in sorted(ours, key=lambda path: path.name != MANIFEST):
        path.unlink()
