"""What only two runs can show (data, initial weights, batches) is planted in one of them and named by 'compare'."""

from __future__ import annotations

import numpy as np
import pytest

from backproof.compare import compare_recordings
from backproof.diagnosis import two_runs
from backproof.errors import BackproofError
from backproof.network import Network
from backproof.recording import Recording, RecordingWriter, Source
from backproof.training import Training
from reference import network as reference
from reference.initialisation import initial_parameters

NETWORK = Network("small", (6, 6, 4), ("relu", "softmax"), labels="integer")
M = 20


def data(dtype="float32", m=M):
    draw = np.random.default_rng(3)
    return (draw.integers(0, 256, (6, m)) / 255).astype(dtype), draw.integers(0, 4, (1, m))


def recorded(folder, X, Y, parameters, batches=(None,)):
    training = Training(NETWORK, parameters, X, Y, batches)
    with RecordingWriter(folder, training, Source("numpy", {}, 1)) as writer:
        for step in reference.record(training):
            writer.write(step)
    return Recording(folder)


def message(tmp_path, first, second):
    with pytest.raises(BackproofError) as caught:
        compare_recordings(recorded(tmp_path / "a", *first), recorded(tmp_path / "b", *second), None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


X, Y = data()
DRAW = np.random.default_rng(7)
SAMPLES, FEATURES = DRAW.permutation(M), DRAW.permutation(6)
WIDE = X.astype(np.float64)
POPULATION = ((WIDE - WIDE.mean(axis=1, keepdims=True)) / WIDE.std(axis=1, keepdims=True)).astype(np.float32)
SAMPLE = ((WIDE - WIDE.mean(axis=1, keepdims=True)) / WIDE.std(axis=1, ddof=1, keepdims=True)).astype(np.float32)
DATA = {
    "D1 no /255": (X, np.rint(X * np.float32(255)), "data-scaled", "255 (pixels that were not divided by 255)"),
    "D3 /256": (X, X * np.float32(255 / 256), "data-scaled", "255/256"),
    "D5 ddof": (SAMPLE, POPULATION, "data-scaled", "a standard deviation with n"),
    "D9 reshape for transpose": (X, np.ascontiguousarray(X.T).reshape(6, M), "reshaped-for-transposed", "reshaped"),
    "samples shuffled": (X, X[:, SAMPLES], "samples-permuted", "samples of A in another order"),
    "I3 features permuted": (X, X[FEATURES], "features-permuted", "features of A in another order"),
    "shifted": (X, X - np.float32(0.5), "data-shifted", "plus -0.5"),
    "standardised": (X, POPULATION, "data-standardised", "mean 0, deviation 1"),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_differ_are_named(tmp_path, name):
    first, second, expected, words = DATA[name]
    parameters = initial_parameters(NETWORK, 1, "float32")
    said = message(tmp_path, (first, Y, parameters), (second, Y, parameters))
    assert f"[{expected}]" in said and words in said


LABELS = {
    "of the next sample": (np.roll(Y, -1, axis=1), "labels-shifted"),
    "permuted": (Y[:, SAMPLES], "labels-permuted"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_differ_are_named(tmp_path, name):
    other, expected = LABELS[name]
    parameters = initial_parameters(NETWORK, 1, "float32")
    assert f"[{expected}]" in message(tmp_path, (X, Y, parameters), (X, other, parameters))


def test_samples_that_are_missing_are_counted(tmp_path):
    """D13: the last rows are never used."""
    parameters = initial_parameters(NETWORK, 1, "float32")
    said = message(tmp_path, (X, Y, parameters), (X[:, :-1], Y[:, :-1], parameters))
    assert "B lacks the last 1 of A's samples [samples-missing]" in said


def changed(change):
    parameters = initial_parameters(NETWORK, 1, "float32")
    return {**parameters, "W1": change(parameters["W1"]).astype(np.float32)}


WEIGHTS = {
    "I1 transposed": (lambda W: W.T.copy(), "weights-transposed"),
    "I3 inputs permuted": (lambda W: W[:, FEATURES], "weights-permuted"),
    "I5 scaled": (lambda W: W * np.float32(0.7), "initialisation-scaled"),
    "I7 zeros": (np.zeros_like, "initialisation-constant"),
    "I7 a constant": (lambda W: np.full_like(W, 0.1), "initialisation-constant"),
    "He for LeCun": (lambda W: W * np.float32(np.sqrt(2)), "initialisation-scaled"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_initial_weights_that_differ_are_named(tmp_path, name):
    change, expected = WEIGHTS[name]
    parameters = initial_parameters(NETWORK, 1, "float32")
    assert f"[{expected}]" in message(tmp_path, (X, Y, parameters), (X, Y, changed(change)))


def test_two_seeds_give_two_networks(tmp_path):
    """R1: the same seed gives other numbers in another library."""
    both = [(X, Y, initial_parameters(NETWORK, seed, "float32")) for seed in (1, 2)]
    said = message(tmp_path, *both)
    assert "[initialisation-unrelated]" in said and "draw them once and copy them" in said


def batches(size, epochs, shuffled=True, partial=True, seed=0):
    draw, order, found = np.random.default_rng(seed), np.random.default_rng(seed).permutation(M), []
    for epoch in range(epochs):
        order = draw.permutation(M) if shuffled or not epoch else order
        found += [order[i : i + size] for i in range(0, M if partial else M - size + 1, size)]
    return tuple(found)


BATCHES = {
    "R5 shuffled once": (batches(5, 3), batches(5, 3, shuffled=False), "shuffled-once"),
    "R7 last batch dropped": (batches(6, 2), batches(6, 2, partial=False), "last-batch-dropped"),
    "R11 updated for each sample": (batches(5, 1), batches(1, 1), "updated-for-each-sample"),
    "another size": (batches(5, 2), batches(4, 2), "batches-of-another-size"),
    "another seed": (batches(5, 1), batches(5, 1, seed=1), "batches-unrelated"),
    "one ends early": (batches(5, 2), batches(5, 2)[:-1], "steps-missing"),
    "order": (batches(5, 1), tuple(batch[::-1] for batch in batches(5, 1)), "order-within-batches"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches_that_differ_are_named(tmp_path, name):
    first, second, expected = BATCHES[name]
    parameters = initial_parameters(NETWORK, 1, "float32")
    said = message(tmp_path, (X, Y, parameters, first), (X, Y, parameters, second))
    assert f"[{expected}]" in said


def test_what_is_not_related_gets_no_name(tmp_path):
    parameters = initial_parameters(NETWORK, 1, "float32")
    other = np.random.default_rng(9).random((6, M)).astype(np.float32)
    said = message(tmp_path, (X, Y, parameters), (other, Y, parameters))
    assert "differ in data" in said and "[" not in said.replace("[]", "")


def test_equal_runs_have_no_difference():
    parameters = initial_parameters(NETWORK, 1, "float32")
    assert two_runs.data({"X": X, "Y": Y}, {"X": X.copy(), "Y": Y.copy()}) is None
    assert two_runs.parameters(parameters, {name: array.copy() for name, array in parameters.items()}) is None
