"""A small recording on disk and everything that a reader gets from it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from backproof.recording import Recording, RecordingWriter, Source
from backproof.recording.layout import DATA, MANIFEST, STEPS, step_file
from backproof.training import Step, fingerprint
from reference import network as reference
from tests.support import BY_NAME, training

SOURCE = Source("numpy", {"numpy": "2"}, threads=1)
GIVEN = training(BY_NAME["sparse_labels"], 6, batches=(None, np.array([2, 5]), None))
WRITTEN = list(reference.record(GIVEN))
FILES = [MANIFEST, DATA, STEPS, *map(step_file, range(3))]


def write(folder: Path, steps: Iterable[Step] = WRITTEN, interrupt: bool = False, overwrite: bool = False) -> Path:
    """Record the steps; with ``interrupt`` the run ends in a KeyboardInterrupt after them."""
    with RecordingWriter(folder, GIVEN, SOURCE, overwrite) as writer:
        for step in steps:
            writer.write(step)
        if interrupt:
            raise KeyboardInterrupt
    return folder


def content(folder: Path, partial: bool = False) -> list[tuple[Any, ...]]:
    """Everything that a reader gets, comparable: the head, then index, samples and a digest of each step."""
    recording = Recording(folder, partial)
    head = (recording.network, recording.dtype, recording.source, recording.initial_hash, recording.data_hash)
    return [head] + [
        (step.index, None if step.samples is None else tuple(step.samples), fingerprint(step.tensors))
        for step in recording.steps()
    ]
