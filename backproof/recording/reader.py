"""Reads a recording, one step in memory at a time, and believes nothing that does not match its CRC."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.files import know_bfloat16, load_tensors, unsealed
from backproof.network import Network
from backproof.recording.layout import DATA, DTYPES, LARGEST, MANIFEST, SCHEMA, STEPS, Source, step_file
from backproof.training import Step, Training

Array = NDArray[Any]

MANIFEST_KEYS: dict[str, type] = {
    "complete": bool, "data": str, "data_hash": str, "device": str, "dtype": str, "implementation": str,
    "index_crc32": int, "initial_hash": str, "network": dict, "schema": int, "seed": int, "steps": int,
    "tensors": dict, "threads": int, "versions": dict,
}  # fmt: skip


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
