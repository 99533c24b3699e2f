"""The digits of scikit-learn, and the X and Y that networks get."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from backproof import data
from backproof.network import Network
from backproof.training import check_labels
from tests.idx_files import X3, Y3, fill
from tests.refusals import refusal

ROOT = Path(__file__).parents[1]


def network(outputs: int = 10, **values: object) -> Network:
    return Network.from_dict({"name": "n", "sizes": [784, outputs], "activations": ["softmax"]} | values)


BINARY = {"activations": ["sigmoid"], "loss": "binary_cross_entropy", "labels": "binary"}


def test_digits_are_enlarged_in_a_border():
    from sklearn.datasets import load_digits

    dataset, small = data.load("digits"), load_digits()
    assert dataset.samples == 1797 and dataset.scale == 16 and dataset.pixels.shape == (1797, 784)
    images = dataset.pixels.reshape(-1, 28, 28)
    for row in range(24):
        for column in range(24):
            assert np.array_equal(images[:, 2 + row, 2 + column], small.images[:, row // 3, column // 3])
    assert images.sum() == 9 * small.images.sum()
    assert np.array_equal(dataset.labels, small.target)


def test_digits_have_no_test_split():
    assert "test" in refusal(lambda: data.load("digits", "test"))


@pytest.mark.parametrize(
    ("source", "package", "said"), [("digits", "sklearn", "scikit-learn"), ("mnist", "pooch", "pooch")]
)
def test_missing_package(monkeypatch, source, package, said):
    monkeypatch.delenv(data.FOLDER_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert f"pip install {said}" in refusal(lambda: data.load(source))


# X and Y


def all_pixels(samples: int = 30) -> data.Dataset:
    pixels = (np.arange(samples * 784) % 256).astype(np.uint8).reshape(samples, 784)
    return data.Dataset("made", pixels, np.arange(samples, dtype=np.int64) % 10, 255, "made")


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_X_is_the_quotient_rounded_to_nearest(dtype):
    X, _ = data.arrays(all_pixels(1), network(), None, dtype)
    assert X.dtype == dtype
    for pixel in range(256):
        value = X[pixel, 0]
        error = abs(Fraction(float(value)) - Fraction(pixel, 255))
        for towards in (-np.inf, np.inf):
            neighbour = np.nextafter(value, dtype(towards))
            assert error <= abs(Fraction(float(neighbour)) - Fraction(pixel, 255)), (pixel, value)


@pytest.mark.parametrize("samples", [None, 1, data.BLOCK - 1, data.BLOCK, data.BLOCK + 1])
def test_X_is_features_by_samples_contiguous(samples):
    dataset = all_pixels(data.BLOCK + 7)
    X, Y = data.arrays(dataset, network(), samples, np.float32)
    m = samples or data.BLOCK + 7
    assert X.shape == (784, m) and X.flags.c_contiguous and Y.flags.c_contiguous
    assert np.array_equal(np.rint(X * 255).astype(np.uint8).T, dataset.pixels[:m])


def test_float32_and_float64_start_from_the_same_numbers():
    wide, _ = data.arrays(data.load("digits"), network(), 100, np.float64)
    narrow, _ = data.arrays(data.load("digits"), network(), 100, np.float32)
    assert np.array_equal(wide, narrow)  # sixteenths are exact in both


def test_X_needs_no_second_copy():
    dataset = all_pixels(20_000)
    tracemalloc.start()
    X, _ = data.arrays(dataset, network(), None, np.float32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert X.nbytes <= peak < 1.5 * X.nbytes


def test_targets_of_all_ten_digits():
    labels = np.arange(30) % 10
    _, one_hot = data.arrays(all_pixels(), network(), None, np.float32)
    assert one_hot.shape == (10, 30) and one_hot.dtype == np.float32
    assert np.array_equal(one_hot.argmax(axis=0), labels) and one_hot.sum() == 30
    _, integer = data.arrays(all_pixels(), network(labels="integer"), None, np.float32)
    assert integer.shape == (1, 30) and integer.dtype == np.int64
    assert np.array_equal(integer[0], labels)


@pytest.mark.parametrize("classes", [[0, 1], [1, 0], [3, 8]])
def test_binary_targets(classes):
    dataset = all_pixels()
    X, Y = data.arrays(dataset, network(1, classes=classes, **BINARY), 5, np.float64)
    kept = [sample for sample in range(30) if sample % 10 in classes][:5]
    assert Y.dtype == np.float64 and Y.tolist() == [[float(sample % 10 == classes[1]) for sample in kept]]
    assert np.array_equal(np.rint(X * 255).T, dataset.pixels[kept])


def test_a_label_counts_by_its_position_in_classes():
    chosen = {"classes": [7, 2, 4]}
    _, one_hot = data.arrays(all_pixels(), network(3, **chosen), None, np.float32)
    _, integer = data.arrays(all_pixels(), network(3, labels="integer", **chosen), None, np.float32)
    assert integer[0].tolist() == [1, 2, 0] * 3  # digits 2, 4, 7 in the order of the samples
    assert np.array_equal(one_hot.argmax(axis=0), integer[0])
    check_labels(network(3, **chosen), one_hot)
    check_labels(network(3, labels="integer", **chosen), integer)


BAD_ARRAYS = {
    "features": (lambda: network(sizes=[64, 10]), 5, "64"),
    "outputs": (lambda: network(9), 5, "9 output units do not fit 10 classes"),
    "outputs of classes": (lambda: network(10, classes=[0, 1]), 5, "10 output units do not fit 2 classes"),
    "binary without classes": (lambda: network(1, **BINARY), 5, "two classes"),
    "binary with three": (lambda: network(1, classes=[0, 1, 2], **BINARY), 5, "not 3 and 1"),
    "binary with two units": (lambda: network(2, classes=[0, 1], **BINARY), 5, "not 2 and 2"),
    "class 10": (lambda: network(2, classes=[0, 10]), 5, "different digits"),
    "same class twice": (lambda: network(2, classes=[1, 1]), 5, "different digits"),
    "class as text": (lambda: network(2, classes=["0", "1"]), 5, "different digits"),
    "class as list": (lambda: network(2, classes=[[0], [1]]), 5, "different digits"),
    "class as bool": (lambda: network(2, classes=[False, True]), 5, "different digits"),
    "zero samples": (network, 0, "0 samples asked for"),
    "negative samples": (network, -1, "-1 samples asked for"),
    "too many": (network, 31, "31 samples asked for, but only 30 of 30"),
    "too many of two classes": (lambda: network(1, classes=[0, 1], **BINARY), 7, "only 6 of 30"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_network_or_number_of_samples(case):
    make, samples, said = BAD_ARRAYS[case]
    assert said in refusal(lambda: data.arrays(all_pixels(), make(), samples, np.float32))


def test_no_digit_of_the_classes(tmp_path):
    folder = fill(tmp_path / "set", X3, Y3)
    pair = network(1, classes=[8, 9], **BINARY)
    assert "no digit" in refusal(lambda: data.arrays(data.load(str(folder)), pair, None, np.float32))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.complex64, object])
def test_X_in_a_dtype_that_is_no_float_is_refused(dtype):
    assert "floating-point" in refusal(lambda: data.arrays(all_pixels(), network(), 5, dtype))


def test_import_is_light():
    code = (
        "import sys, backproof.data, backproof.config\n"
        "print(sorted({'torch', 'jax', 'sklearn', 'pooch', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
