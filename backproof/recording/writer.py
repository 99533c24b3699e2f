"""Writes a recording, so that what is listed is whole.

Each step is written under a temporary name, renamed, and only then listed: a killed writer loses its current step and
nothing else, and the recording stays marked as incomplete.
"""

from __future__ import annotations

import operator
import re
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.files import has_keys, replace_file, save_tensors, sealed, writing
from backproof.recording.layout import DATA, DTYPES, LARGEST, MANIFEST, SCHEMA, STEPS, Source, step_file
from backproof.training import Step, Training

Array = NDArray[Any]

OURS = re.compile(rf"({re.escape(MANIFEST)}|{re.escape(DATA)}|{re.escape(STEPS)}|step-\d{{6,}}\.safetensors)(\.tmp)?")
"""Names of a recording's own files, whole or being written."""


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
        self._cut_short = False
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

    def cut_short(self) -> None:
        """The run ended before its last step, without an error: the recording stays marked as incomplete."""
        self._cut_short = True

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
            if kind is None and not self._cut_short:
                self._finish(complete=True)


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
