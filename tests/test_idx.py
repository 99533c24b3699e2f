"""IDX files and folders, good and bad."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof import data, idx
from tests.idx_files import IMAGES, LABELS, X3, Y3, digits, encode, fill
from tests.refusals import refusal

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@given(shape=shapes, seed=st.integers(0, 2**32 - 1), compressed=st.booleans())
def test_idx_round_trip(tmp_path_factory, shape, seed, compressed):
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if compressed else "x")
    path.write_bytes(gzip.compress(encode(array)) if compressed else encode(array))
    read = idx.read(path, len(shape))
    assert read.dtype == np.uint8 and read.shape == shape
    assert np.array_equal(read, array)


@given(shape=shapes, cut=st.floats(0, 1, exclude_max=True), compressed=st.booleans())
def test_idx_cut_anywhere_is_refused(tmp_path_factory, shape, cut, compressed):
    content = encode(np.zeros(shape, np.uint8))
    content = gzip.compress(content) if compressed else content
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if compressed else "x")
    path.write_bytes(content[: int(cut * len(content))])
    assert str(path) in refusal(lambda: idx.read(path, len(shape)))


@given(shape=shapes, where=st.integers(0, 1000), flip=st.integers(1, 255))
def test_idx_header_with_any_byte_changed_is_refused(tmp_path_factory, shape, where, flip):
    content = bytearray(encode(np.zeros(shape, np.uint8)))
    content[where % (4 + 4 * len(shape))] ^= flip
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(content)
    assert str(path) in refusal(lambda: idx.read(path, len(shape)))


def test_idx_damaged_gzip_is_refused(tmp_path):
    content = bytearray(gzip.compress(encode(digits(3)[0])))
    path = tmp_path / "x.gz"
    for at in (10, len(content) // 2, len(content) - 6):  # the first block's type, a value, the checksum
        damaged = content.copy()
        damaged[at] ^= 6
        path.write_bytes(damaged)
        assert "truncated or damaged gzip" in refusal(lambda: idx.read(path, 3))


def replace(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def resize(images: np.ndarray, labels: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: fill(folder, images, labels)


BAD_FOLDERS = {
    "no images": (lambda folder: (folder / IMAGES).unlink(), ["incomplete", IMAGES, "download"]),
    "no labels": (lambda folder: (folder / LABELS).unlink(), ["incomplete", LABELS, "download"]),
    "truncated values": (replace(IMAGES, encode(X3)[:-1]), [IMAGES, "truncated", "2367", "2368"]),
    "truncated header": (replace(IMAGES, encode(X3)[:9]), [IMAGES, "truncated", "header"]),
    "empty file": (replace(LABELS, b""), [LABELS, "nothing"]),
    "trailing bytes": (replace(LABELS, encode(Y3) + b"\0"), [LABELS, "trailing", "1 after the 11"]),
    "not IDX": (replace(IMAGES, b"<!DOCTYPE html>"), [IMAGES, "3c 21 44 4f", "00 00 08 03"]),
    "wrong type": (replace(LABELS, b"\0\0\x0d\1" + encode(Y3)[4:]), [LABELS, "00 00 0d 01"]),
    "labels as images": (replace(IMAGES, encode(Y3)), [IMAGES, "00 00 08 01"]),
    "gzip without .gz": (replace(IMAGES, gzip.compress(encode(X3))), [IMAGES, "add .gz"]),
    "counts differ": (resize(X3, Y3[:2]), [LABELS, "2 labels for the 3 images"]),
    "label 10": (resize(X3, np.array([0, 10, 2], np.uint8)), [LABELS, "label 10 of sample 1"]),
    "28 x 27": (resize(X3[:, :, 1:], Y3), [IMAGES, "28 x 27", "28 x 28"]),
    "zero samples": (resize(X3[:0], Y3[:0]), [IMAGES, "zero samples"]),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folder(tmp_path, case):
    damage, words = BAD_FOLDERS[case]
    folder = fill(tmp_path / "set", X3, Y3)
    assert data.load(str(folder)).samples == 3
    damage(folder)
    message = refusal(lambda: data.load(str(folder)))
    assert str(folder) in message
    for word in words:
        assert word in message


def test_plain_file_named_gz_is_refused(tmp_path):
    folder = fill(tmp_path / "set", X3, Y3, (f"{IMAGES}.gz", f"{LABELS}.gz"))
    assert "not gzip-compressed" in refusal(lambda: data.load(str(folder)))


def test_unreadable_file(tmp_path, monkeypatch):
    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    folder = fill(tmp_path / "set", X3, Y3)
    monkeypatch.setattr(Path, "read_bytes", denied)
    message = refusal(lambda: data.load(str(folder)))
    assert IMAGES in message and "Permission denied" in message


def test_missing_folder_file_and_unknown_word(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("x")
    assert "no such folder" in refusal(lambda: data.load(str(tmp_path / "none")))
    assert "a file, not a folder" in refusal(lambda: data.load(str(file)))
    message = refusal(lambda: data.load("cifar"))
    assert "'cifar'" in message and "digits" in message and "mnist" in message
    assert "unknown data ''" in refusal(lambda: data.load(""))


def test_folder(tmp_path):
    images, labels = digits(20)
    folder = fill(tmp_path / "some_digits", images, labels)
    dataset = data.load(str(folder))
    assert dataset.name == "some_digits" and dataset.scale == 255 and dataset.samples == 20
    assert str(tmp_path) not in dataset.source and str(tmp_path) not in repr(dataset)
    assert dataset.pixels.dtype == np.uint8 and np.array_equal(dataset.pixels, images.reshape(20, 784))
    assert dataset.labels.dtype == np.int64 and np.array_equal(dataset.labels, labels)


def test_train_and_test_files_are_not_mixed(tmp_path):
    folder = fill(tmp_path / "set", *digits(3, seed=1))
    assert "t10k" in refusal(lambda: data.load(str(folder), "test"))
    test_images, test_labels = digits(7, seed=2)
    fill(folder, test_images, test_labels, data.FILES["test"])
    assert np.array_equal(data.load(str(folder), "test").pixels, test_images.reshape(7, 784))
    assert data.load(str(folder)).samples == 3
    assert "validation" in refusal(lambda: data.load(str(folder), "validation"))
