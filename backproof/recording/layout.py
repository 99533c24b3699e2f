"""What reader and writer of a recording share: the names of its files, its schema, and who recorded.

A recording is a folder:

    manifest.json            schema, network, implementation, versions, hashes; its own CRC; "complete" at the end
    data.safetensors         X, Y and the initial parameters
    steps.jsonl              a line for each step: CRC-32, dtype and shape of every tensor, and the line's own CRC
    step-000000.safetensors  the step's tensors (features x samples, W out x in, C-contiguous), samples by index

Nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SCHEMA = 1
MANIFEST, DATA, STEPS = "manifest.json", "data.safetensors", "steps.jsonl"
DTYPES = ("float32", "float64", "bfloat16")
"""Formats that a recorded run can have."""
LARGEST = int(np.iinfo(np.int64).max)


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
