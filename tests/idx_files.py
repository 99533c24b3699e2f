"""Small IDX data sets."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def encode(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def digits(samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (samples, 28, 28), np.uint8)
    return pixels, (np.arange(samples) % 10).astype(np.uint8)


def fill(folder: Path, images: np.ndarray, labels: np.ndarray, names: tuple[str, str] = (IMAGES, LABELS)) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in zip(names, (images, labels), strict=True):
        (folder / name).write_bytes(encode(array))
    return folder


X3, Y3 = digits(3)
