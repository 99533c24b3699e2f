"""The digits that networks are trained on, and the X and Y that a network makes of them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import DTypeLike, NDArray

from backproof import idx
from backproof.errors import BackproofError
from backproof.network import Network
from backproof.rounding import rounded

SIDE = 28
FEATURES = SIDE * SIDE
DIGITS = tuple(range(10))
BLOCK = 2048
"""Samples whose pixels are looked up at once: the index array of a block is all the memory that X costs extra."""

FOLDER_VARIABLE = "BACKPROOF_DATA_DIR"
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
]
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Digits as they are stored; :func:`arrays` makes floats of them.

    Attributes:
        name: what reports call it.
        pixels: uint8, samples x 784; 0 is background.
        labels: int64, (samples,), each 0 to 9.
        scale: the pixel value that means 1.0: 16 or 255.
        source: where it came from, for display.
    """

    name: str
    pixels: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    scale: int
    source: str

    @property
    def samples(self) -> int:
        """Number of digits."""
        return len(self.labels)


def load(source: str, split: str = "train") -> Dataset:
    """The digits of ``source``.

    Args:
        source: ``digits``: the 1,797 of scikit-learn, no network needed. ``mnist``: from the folder in the
            environment variable ``BACKPROOF_DATA_DIR``, or downloaded once into the user's cache. Anything
            else: a folder that holds the IDX files, gzipped or not (a folder called mnist is ``./mnist``).
        split: ``train``, or ``test`` (``digits`` has none).

    Raises:
        BackproofError: for a missing folder, file, package, network or split, and for files that do not
            hold 28 x 28 images and as many labels.
    """
    if split not in FILES:
        raise BackproofError(f"unknown split {split!r}; choose from {', '.join(FILES)}")
    if source == "digits":
        return _digits(split)
    if source == "mnist":
        return _mnist(split)
    folder = Path(source).expanduser()
    if not source or (not folder.exists() and folder.name == source):
        raise BackproofError(
            f"unknown data {source!r}: neither digits nor mnist, and no such folder; "
            "use one of these, or a folder that holds the IDX files"
        )
    name = folder.resolve().name
    return _folder(folder, split, name, f"IDX files of {name}")


def has_test(source: str) -> bool:
    """Whether there is a test set: ``digits`` has none, and a folder has one where it holds a file of one."""
    if source in ("digits", "mnist"):
        return source == "mnist"
    return any(path.is_file() for name in FILES["test"] for path in Path(source).expanduser().glob(f"{name}*"))


def arrays(
    dataset: Dataset, network: Network, samples: int | None, dtype: DTypeLike
) -> tuple[NDArray[Any], NDArray[Any]]:
    """X and Y of the first ``samples`` digits that the network tells apart (None: of all of them).

    ``X = pixel / scale``, divided in float64 and rounded once to ``dtype``, so that runs in different formats
    start from the same numbers. A label counts by its position in ``network.classes`` (all ten if empty).

    Returns:
        X, 784 x samples, C-contiguous, in ``dtype``; Y of :meth:`Network.label_shape`: one-hot in ``dtype``
        (classes x samples), integer (1 x samples, int64), or binary in ``dtype`` (1 x samples, 1 for
        ``classes[1]``).

    Raises:
        BackproofError: for a network that does not take 28 x 28 pixels or whose output does not fit its
            classes, a dtype that is no float, and for fewer than 1 or more samples than there are.
    """
    format_ = np.dtype(dtype)
    if format_.kind != "f" and format_.name != "bfloat16":
        raise BackproofError(f"{dataset.name}: X needs a floating-point dtype, not {format_}")
    classes = _classes(network)
    chosen = _chosen(dataset, network, classes, samples)
    return _inputs(dataset, chosen, format_), _targets(network, classes, dataset.labels[chosen], format_)


def count(dataset: Dataset, network: Network, samples: int | None) -> int:
    """How many samples :func:`arrays` would make; it raises what that does."""
    return len(_chosen(dataset, network, _classes(network), samples))


def _classes(network: Network) -> tuple[int, ...]:
    classes = network.classes or DIGITS
    if any(type(digit) is not int or digit not in DIGITS for digit in classes) or len(set(classes)) < len(classes):
        raise BackproofError(f"network {network.name!r}: classes must be different digits 0 to 9, not {list(classes)}")
    if network.sizes[0] != FEATURES:
        raise BackproofError(
            f"network {network.name!r}: sizes[0] is {network.sizes[0]}, digits have {FEATURES} features (28 x 28)"
        )
    units = network.sizes[-1]
    if network.labels == "binary" and (len(classes), units) != (2, 1):
        raise BackproofError(
            f"network {network.name!r}: binary labels need two classes and one output unit, "
            f"not {len(classes)} and {units}; set classes = [0, 1]"
        )
    if network.labels != "binary" and len(classes) != units:
        raise BackproofError(
            f"network {network.name!r}: {units} output units do not fit {len(classes)} classes; "
            "change the last of sizes, or classes"
        )
    return classes


def _chosen(dataset: Dataset, network: Network, classes: tuple[int, ...], samples: int | None) -> NDArray[np.intp]:
    chosen = np.flatnonzero(np.isin(dataset.labels, classes))
    wanted = len(chosen) if samples is None else samples
    if wanted < 1:
        asked = "has no digit of" if samples is None else f"{samples} samples asked for of"
        raise BackproofError(f"{dataset.name}: {asked} network {network.name!r}; at least 1 is needed")
    if wanted > len(chosen):
        raise BackproofError(
            f"{dataset.name}: {wanted} samples asked for, but only {len(chosen)} of {dataset.samples} are digits "
            f"of network {network.name!r}; ask for at most {len(chosen)}"
        )
    return chosen[:wanted]


def _inputs(dataset: Dataset, chosen: NDArray[np.intp], dtype: np.dtype[Any]) -> NDArray[Any]:
    table = rounded(np.arange(256) / dataset.scale, dtype)
    X = np.empty((FEATURES, len(chosen)), dtype)
    # In blocks, because an array of uint8 indices is copied to 64 bits: eight times the pixels.
    for start in range(0, len(chosen), BLOCK):
        block = slice(start, start + BLOCK)
        X[:, block] = table[dataset.pixels[chosen[block]].T]
    return X


def _targets(
    network: Network, classes: tuple[int, ...], labels: NDArray[np.int64], dtype: np.dtype[Any]
) -> NDArray[Any]:
    if network.labels == "binary":
        positive: NDArray[np.bool_] = labels[np.newaxis] == classes[1]
        return positive.astype(dtype)
    if network.labels == "one_hot":
        true: NDArray[np.bool_] = labels == np.array(classes)[:, np.newaxis]
        return true.astype(dtype)
    position = np.full(len(DIGITS), -1, np.int64)
    position[list(classes)] = np.arange(len(classes))
    return position[labels][np.newaxis]


def _digits(split: str) -> Dataset:
    """scikit-learn's 8 x 8 digits (0 to 16), each pixel as 3 x 3, in a border of 2."""
    if split != "train":
        raise BackproofError(f"digits: has no {split} split; use mnist, or a folder that holds the IDX files")
    if find_spec("sklearn") is None:
        raise BackproofError("digits: needs scikit-learn, which is not installed; pip install scikit-learn")
    from sklearn.datasets import load_digits

    images, labels = load_digits().images.astype(np.uint8), load_digits().target.astype(np.int64)
    enlarged = images.repeat(3, axis=1).repeat(3, axis=2)
    framed = np.pad(enlarged, ((0, 0), (2, 2), (2, 2)))
    return Dataset("digits", framed.reshape(-1, FEATURES), labels, 16, "scikit-learn load_digits, 8 x 8 enlarged")


def _mnist(split: str) -> Dataset:
    if folder := os.environ.get(FOLDER_VARIABLE):
        try:
            return _folder(Path(folder).expanduser(), split, "mnist", f"MNIST from {FOLDER_VARIABLE}")
        except BackproofError as error:
            raise BackproofError(f"mnist: {FOLDER_VARIABLE} is set, but {error}") from error
    return _folder(_download(split), split, "mnist", "MNIST, downloaded")


def _folder(folder: Path, split: str, name: str, source: str) -> Dataset:
    image_file, label_file = idx.locate(folder, FILES[split])
    images, labels = idx.read(image_file, 3), idx.read(label_file, 1)
    if images.shape[1:] != (SIDE, SIDE):
        rows, columns = images.shape[1:]
        raise BackproofError(f"{image_file}: images are {rows} x {columns}, needed are {SIDE} x {SIDE}")
    if len(images) != len(labels):
        raise BackproofError(
            f"{label_file}: {len(labels)} labels for the {len(images)} images of {image_file.name}; "
            "take both files from one data set"
        )
    if (worst := labels.max()) > 9:
        at = int(labels.argmax())
        raise BackproofError(f"{label_file}: label {worst} of sample {at} is not a digit 0 to 9; download it again")
    return Dataset(name, images.reshape(-1, FEATURES), labels.astype(np.int64), 255, source)


def _download(split: str) -> Path:
    """The folder in the user's cache that holds the split's two files, fetched unless they are there."""
    if find_spec("pooch") is None:
        raise BackproofError(f"mnist: downloading needs pooch; pip install pooch, or {_otherwise()}")
    import pooch

    cache = Path(pooch.os_cache("backproof"))
    for name in FILES[split]:
        _fetch(pooch, f"{name}.gz", cache)
    return cache


def _fetch(pooch: Any, name: str, cache: Path) -> None:
    failures, terminal = [], sys.stderr is not None and sys.stderr.isatty()
    for mirror in MIRRORS:
        try:
            # Under a temporary name, removed whatever is raised, and renamed once the hash is right.
            pooch.retrieve(f"{mirror}{name}", f"md5:{MD5[name]}", name, cache, progressbar=terminal)
            return
        # pooch: OSError for the network (requests' exceptions included) and the disk, ValueError for a wrong hash.
        except (OSError, ValueError) as error:
            reason = "wrong MD5" if "does not match the known hash" in str(error) else type(error).__name__
            failures.append(f"{urlsplit(mirror).hostname}: {reason}")
            last = error
    raise BackproofError(f"mnist: {name} could not be downloaded ({'; '.join(failures)}); {_otherwise()}") from last


def _otherwise() -> str:
    return f"set {FOLDER_VARIABLE} to a folder that holds the four IDX files, or say --data DIR"
