"""Each note's derivation against the general reference, its worked example by hand, and its slips one by one.

``dZ`` of the notes that keep 1/m in dW and db is m times the derivative of the loss; the reference's holds 1/m.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backproof.network import Network
from backproof.training import Training
from reference.derivations import note_000, note_001, note_002, note_003, note_004
from reference.network import initial_parameters, record
from reference.softmax_jacobian import delta_through_jacobian

ROOT = Path(__file__).parents[1]
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["backproof"]["networks"]
Array = np.ndarray[Any, np.dtype[Any]]
M = 40
"""Samples: no layer of the suite is as wide, so that a wrong axis shows."""


@cache
def reference(name: str, seed: int) -> tuple[Training, dict[str, Array]]:
    """A one-step run of the suite's network in float64 and what the general reference records of it."""
    network = Network.from_dict({"name": name, **TABLE[name]})
    assert M not in network.sizes
    generator = np.random.default_rng([seed, 7])
    X, n = generator.standard_normal((network.sizes[0], M)), network.sizes[-1]
    labels = generator.integers(0, max(n, 2), M)
    one_hot = np.eye(max(n, 2))[:, labels]
    Y = {"binary": one_hot[1:], "integer": labels[None], "one_hot": one_hot}[network.labels]
    training = Training(network, initial_parameters(network, seed, "float64"), X, Y, (None,), seed)
    (step,) = record(training)
    return training, dict(step.tensors)


def assert_equal(got: Array, expected: Array, name: str) -> None:
    """Shapes equal, values within 1e-12 of the largest magnitude that is expected."""
    __tracebackhide__ = True
    assert np.shape(got) == np.shape(expected), f"{name}: shape {np.shape(got)}, expected {np.shape(expected)}"
    error, scale = np.abs(np.subtract(got, expected)).max(), np.abs(expected).max()
    assert error <= 1e-12 * scale, f"{name}: off by {error:.3g}, the largest is {scale:.3g}"


def finish(t: Training, note: Any, p: dict[str, Array], c: dict[str, Array], g: dict[str, Array]) -> dict[str, Array]:
    after = note.update(p, g, t.network.step_size(M))
    return c | g | {f"{name}_next": array for name, array in after.items()}


def note_000_step(t: Training, p: dict[str, Array]) -> dict[str, Array]:
    c = note_000.forward(t.X.T, p)
    g = note_000.backward(t.X.T, t.Y, p, c)
    return finish(t, note_000, p, c, g) | {"loss": note_000.loss(c["A5"], t.Y)}


def note_001_step(t: Training, p: dict[str, Array]) -> dict[str, Array]:
    c = note_001.forward(t.X, **p)
    found = finish(t, note_001, p, c, note_001.backward(t.X, t.Y, p["W2"], c))
    return {name.replace("dz", "dZ").replace("dw", "dW"): array for name, array in found.items()}


def note_002_step(t: Training, p: dict[str, Array]) -> dict[str, Array]:
    hidden = t.network.activations[0]
    c = note_002.forward(t.X, p, hidden)
    return finish(t, note_002, p, c, note_002.backward(t.X, t.Y, p, c, hidden)) | {"loss": note_002.cost(c["A2"], t.Y)}


def note_002_by_neuron(t: Training, p: dict[str, Array]) -> dict[str, Array]:
    return note_002.step_by_neuron(t.X, t.Y, p, t.network.activations[0])


def note_003_step(t: Training, p: dict[str, Array]) -> dict[str, Array]:
    c = note_003.forward(t.X.T, **p)
    g = note_003.backward(t.X.T, t.Y[0], p["W2"], c)
    return finish(t, note_003, p, c, g) | {"loss": note_003.cost(c["A2"], t.Y[0])}


LETTERS = {"H": "Z1", "A": "A1", "O": "Z2", "q": "A2", "S": "Z3", "P": "A3"}
LETTERS |= {"dH": "dZ1", "dA": "dA1", "dO": "dZ2", "dq": "dA2", "dS": "dZ3"}


def note_004_step(t: Training, p: dict[str, Array]) -> dict[str, Array]:
    rows = {name: array.T for name, array in p.items()}
    c = note_004.forward(t.X.T, **rows)
    found = finish(t, note_004, rows, c, note_004.backward(t.X.T, t.Y.T, rows["W2"], rows["W3"], c))
    canonical = {LETTERS.get(name, name): array.T for name, array in found.items()}
    return canonical | {"loss": note_004.loss(c["P"], t.Y.T)}


BINARY = ["binary_tanh", "binary_relu", "binary_leaky_relu", "binary_identity"]
# Network, the note's step, what its dZ is a multiple of, and what the note does not have.
NOTES: dict[str, tuple[str, Callable[..., dict[str, Array]], int, tuple[str, ...]]] = {
    "000": ("five_layer", note_000_step, M, ()),
    "001": ("two_layer", note_001_step, M, ("loss", "dA1")),
    **{f"002-{name}": (name, note_002_step, M, ()) for name in BINARY},
    **{f"002-{name}-by-neuron": (name, note_002_by_neuron, M, ("loss", "_next")) for name in BINARY},
    "003": ("sparse_labels", note_003_step, 1, ()),
    "004": ("row_major", note_004_step, 1, ()),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("note", NOTES)
def test_note_equals_reference(note: str, seed: int) -> None:
    name, step, multiple, without = NOTES[note]
    training, expected = reference(name, seed)
    found = step(training, dict(training.parameters))
    due = {key for key in training.network.shapes(M) if not key.endswith(without)}
    assert due - set(training.parameters) == found.keys()
    for key, array in found.items():
        assert_equal(array, expected[key] * (multiple if key[:2] in ("dZ", "dA") else 1), f"note {note}, {key}")


def test_a_planted_slip_fails_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note_000, "relu_back", lambda dA, Z: dA * (Z > 1e-2))
    with pytest.raises(AssertionError, match=r"note 000, dZ\d: off by"):
        test_note_equals_reference("000", 0)


@pytest.mark.parametrize("seed", range(3))
def test_output_deltas_multiplied_out(seed: int) -> None:
    training, q = reference("five_layer", seed)
    assert_equal(note_000.delta_through_jacobian(q["A5"], training.Y), q["A5"] - training.Y, "000, A5 - Y")
    assert_equal(delta_through_jacobian(q["Z5"], training.Y), M * q["dZ5"], "Jacobian of the batch")
    training, q = reference("binary_tanh", seed)
    assert_equal(note_002.dz_through_chain(q["A2"], training.Y), q["A2"] - training.Y, "002, a - y")


@pytest.mark.parametrize("seed", range(3))
def test_two_linear_layers_collapse_into_one(seed: int) -> None:
    training, q = reference("binary_identity", seed)
    W, b = note_002.collapse(*(training.parameters[name] for name in ("W1", "b1", "W2", "b2")))
    assert (W.shape, b.shape) == ((1, 784), (1, 1))
    assert_equal(W @ training.X + b, q["Z2"], "W A0 + b")
    with pytest.raises(AssertionError, match="tanh"):  # with an activation between them they do not
        assert_equal(W @ training.X + b, note_002.forward(training.X, dict(training.parameters), "tanh")["Z2"], "tanh")


T = log(2)
W1_4_3 = T * np.array([[1.0, 0, -1], [0, 1, 1], [1, -1, 1], [-1, 1, -2]])
B1_4 = T * np.array([[1.0], [-1], [-1], [0]])
X_3 = np.array([[1.0, 0], [0, 1], [1, 1]])
# Both: Z1/t = W1 x + b1 at x = (1, 0, 1) and (0, 1, 1), with t = ln 2:
#     unit 1: 1-1+1, -1+1   unit 2: 1-1, 2-1   unit 3: 2-1, 0-1   unit 4: -3, -1
# tanh(t) = (2 - 1/2)/(2 + 1/2) = 3/5, tanh(3t) = (8 - 1/8)/(8 + 1/8) = 63/65; tanh' = 16/25, and 1 at 0, (16/65)^2.
# tanh:  W2 = (5/3) t (1, 1, 2, 0):  W2 A1 / t = 1+0+2, 0+1-2 = 3, -1;  b2 = -2t:  Z2 = (t, -3t), A2 = (2/3, 1/9)
#     y = (0, 1): dZ2 = (2/3, -8/9), loss = (ln 3 + ln 9)/2.  dW2 = dZ2 A1^T / 2: units 1, 2, 3 give
#     (2/3)(3/5)/2 = 1/5, (-8/9)(3/5)/2 = -4/15, (2/3 + 8/9)(3/5)/2 = 7/15; unit 4: ((2/3)(-63/65) + (8/9)(3/5))/2
#     = (-42/65 + 8/15)/2 = (-126 + 104)/390 = -11/195.  db2 = (2/3 - 8/9)/2 = -1/9
#     dA1/t = W2 dZ2: (10/9, -40/27) twice, (20/9, -80/27), 0; times tanh':
#     dZ1/t: (32/45, -40/27), (10/9, -128/135), (64/45, -256/135), 0
#     dW1 = dZ1 x^T / 2: (z1, z2, z1 + z2)/2, and x3 = 1 always, so db1 is the last column
# ReLU:  A1/t = (1, 0), (0, 1), (1, 0), 0;  W2 = (1, 1, 2, -1), b2 = -2t:  Z2 = (3t - 2t, t - 2t), A2 = (2/3, 1/3)
#     y = (1, 1): dZ2 = (-1/3, -2/3), loss = (ln 3/2 + ln 3)/2.  dW2/t = (-1/6, -1/3, -1/6, 0), db2 = -1/2
#     dA1: (-1/3, -2/3) twice, (-2/3, -4/3), (1/3, 2/3); on where Z1 > 0, off where it is 0 or less:
#     dZ1: (-1/3, 0), (0, -2/3), (-2/3, 0), 0
HAND_3_4_1: dict[str, tuple[Array, Array, list[float], dict[str, Any]]] = {
    "tanh": (
        T * 5 / 3 * np.array([[1.0, 1, 2, 0]]), np.array([[-2 * T]]), [0, 1],
        {
            "A1": [[3 / 5, 0], [0, 3 / 5], [3 / 5, -3 / 5], [-63 / 65, -3 / 5]], "A2": [[2 / 3, 1 / 9]],
            "loss": 3 * log(3) / 2, "dZ2": [[2 / 3, -8 / 9]], "db2": [[-1 / 9]],
            "dW2": [[1 / 5, -4 / 15, 7 / 15, -11 / 195]],
            "dZ1": T * np.array([[32 / 45, -40 / 27], [10 / 9, -128 / 135], [64 / 45, -256 / 135], [0, 0]]),
            "dW1": T / 135 * np.array([[48, -100, -52], [75, -64, 11], [96, -128, -32], [0, 0, 0]]),
            "db1": T / 135 * np.array([[-52], [11], [-32], [0]]),
        },
    ),
    "relu": (
        np.array([[1.0, 1, 2, -1]]), np.array([[-2 * T]]), [1, 1],
        {
            "A1": T * np.array([[1, 0], [0, 1], [1, 0], [0, 0]]), "A2": [[2 / 3, 1 / 3]], "db2": [[-1 / 2]],
            "loss": log(9 / 2) / 2, "dZ2": [[-1 / 3, -2 / 3]], "dW2": T / 6 * np.array([[-1, -2, -1, 0]]),
            "dZ1": np.array([[-1 / 3, 0], [0, -2 / 3], [-2 / 3, 0], [0, 0]]),
            "dW1": [[-1 / 6, 0, -1 / 6], [0, -1 / 3, -1 / 3], [-1 / 3, 0, -1 / 3], [0, 0, 0]],
            "db1": [[-1 / 6], [-1 / 3], [-1 / 3], [0]],
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("activation", HAND_3_4_1)
def test_hand_worked_3_4_1(activation: str) -> None:
    W2, b2, y, expected = HAND_3_4_1[activation]
    p, Y = {"W1": W1_4_3, "b1": B1_4, "W2": W2, "b2": b2}, np.array([y], float)
    vectorised = note_002.forward(X_3, p, activation)
    vectorised |= note_002.backward(X_3, Y, p, vectorised, activation)
    vectorised["loss"] = note_002.cost(vectorised["A2"], Y)
    by_neuron = note_002.step_by_neuron(X_3, Y, p, activation) | {"loss": vectorised["loss"]}
    for name, values in expected.items():
        assert_equal(vectorised[name], np.asarray(values), name)
        assert_equal(by_neuron[name], np.asarray(values), f"{name}, neuron by neuron")


def test_hand_worked_3_2_3_2() -> None:
    # H = X W1 + b1, rows (2, -1), (3, 1), (-1, 3) and the last two added, each plus (-1, -2)
    # S/t = q [[1, 0], [0, 1], [-1, 1]] + (1, -1) = (2, -1), (3, 0), (1, 0), (0, 1): differences 3, 3, 1, -1, and
    # P of the first class = 8/9, 8/9, 2/3, 1/3.  L = ln 9/8 + ln 9 + ln 3 + ln 3/2 = ln 729/16
    # dS = P - T = (r, -r), r = -1/9, 8/9, 2/3, 1/3;  dq = t (r, -r, -2r);  dO = dq where O > 0
    # dW3 = q^T dS: q's columns (1, 3, 0, 0), (0, 0, 1, 1), (0, 1, 0, 1) give 23/9, 1, 11/9;  db3 = 16/9
    # dW2 = A^T dO: A's columns (1, 2, 0, 1), (0, 0, 1, 2);  dA = dO W2^T;  dH = dA where H > 0;  dW1 = X^T dH
    expected = {
        "H": [[1, -3], [2, -1], [-2, 1], [1, 2]], "O": [[1, -3, -1], [3, -5, 1], [-3, 1, -2], [-3, 1, 1]],
        "q": [[1, 0, 0], [3, 0, 1], [0, 1, 0], [0, 1, 1]],
        "P": [[8 / 9, 1 / 9], [8 / 9, 1 / 9], [2 / 3, 1 / 3], [1 / 3, 2 / 3]],
        "dW3": [[23 / 9, -23 / 9], [1, -1], [11 / 9, -11 / 9]], "db3": [[16 / 9, -16 / 9]],
        "dO": T / 9 * np.array([[-1, 0, 0], [8, 0, -16], [0, -6, 0], [0, -3, -6]]),
        "dW2": T / 9 * np.array([[15, -3, -38], [0, -12, -12]]), "db2": T / 9 * np.array([[7, -9, -22]]),
        "dH": T / 9 * np.array([[-2, 0], [-16, 0], [0, -12], [-6, -12]]),
        "dW1": T / 9 * np.array([[-2, 0], [-22, -12], [-6, -24]]), "db1": T / 9 * np.array([[-24, -24]]),
    }  # fmt: skip
    X, labels, p = note_004.example()
    found = note_004.forward(X, **p)
    found |= note_004.backward(X, labels, p["W2"], p["W3"], found)
    assert_equal(note_004.loss(found["P"], labels), np.asarray(log(729 / 16)), "L")
    for name, values in expected.items():
        assert_equal(found[name], np.asarray(values), name)


E, MEAN, SUM = np.exp, 1 / M, {"axis": 1, "keepdims": True}
# The quantity, what is right, what the note says, and how it shows: other values, another shape, operands that do not
# conform. Everything in columns, dZ with its 1/m.
SLIPS: dict[str, tuple[str, Callable[..., Array], Callable[..., Array], str]] = {
    "000-no-product": ("Z1", lambda s: s.W1 @ s.X + s.b1, lambda s: s.X + s.b1, "refused"),
    "000-softmax": ("A5", lambda s: E(s.Z5) / E(s.Z5).sum(0), lambda s: E(s.Z5) / (E(s.Z5) + 1), "values"),
    "000-loss-mean": ("loss", lambda s: -(s.Y * np.log(s.A5)).sum() / M, lambda s: -s.Y * np.log(s.A5), "shape"),
    "000-dL-dA": ("dZ5", lambda s: MEAN * delta_through_jacobian(s.Z5, s.Y),
                  lambda s: MEAN * delta_through_jacobian(s.Z5, -s.Y), "values"),
    "000-jacobian-row-0": ("dZ5", lambda s: MEAN * (-s.Y + s.A5 * s.Y.sum(0)),
                           lambda s: MEAN * (-s.Y + s.A5 * (s.Y.sum(0) - s.Y)), "values"),
    "000-jacobian-row-1": ("dZ5", lambda s: MEAN * (-s.Y * (1 - s.A5) + s.A5 * (s.Y.sum(0) - s.Y)),
                           lambda s: MEAN * (-s.Y * (1 - s.A5) + s.A5), "values"),
    "000-A5-times-delta": ("dA4", lambda s: s.W5.T @ s.dZ5, lambda s: s.A5 @ s.dZ5, "refused"),
    "000-A4-on-the-left": ("dW5", lambda s: s.dZ5 @ s.A4.T, lambda s: s.A4 @ s.dZ5, "refused"),
    "000-1-over-m": ("dW4", lambda s: MEAN * (M * s.dZ4) @ s.A3.T, lambda s: M * s.dZ4 @ s.A3.T, "values"),
    "000-db-without-sum": ("db5", lambda s: s.dZ5.sum(**SUM), lambda s: s.dZ5, "shape"),
    "000-dZ1-for-dZ3": ("dA2", lambda s: s.W3.T @ s.dZ3, lambda s: s.W3.T @ s.dZ1, "refused"),
    "000-order": ("dA1", lambda s: s.W2.T @ s.dZ2, lambda s: s.dZ2 @ s.W2.T, "refused"),
    "000-X-train": ("dW1", lambda s: s.dZ1 @ s.X.T, lambda s: s.dZ1 @ s.X, "refused"),
    "001-db-without-axis": ("db2", lambda s: s.dZ2.sum(**SUM), lambda s: np.sum(s.dZ2), "shape"),
    "001-absolute-error": ("db2", lambda s: s.dZ2.sum(**SUM), lambda s: np.abs(s.dZ2).sum(**SUM), "values"),
    "002-W-of-layer-before": ("Z2", lambda s: s.W2 @ s.A1 + s.b2, lambda s: s.W1 @ s.A1 + s.b2, "refused"),
    "002-WT-X": ("Z1", lambda s: s.W1 @ s.X + s.b1, lambda s: s.W1.T @ s.X + s.b1, "refused"),
    "002-dz-times-A1": ("dZ2", lambda s: MEAN * (s.A2 - s.Y), lambda s: MEAN * (s.A2 - s.Y) @ s.A1.T, "shape"),
    "002-dW2-from-dz1": ("dW2", lambda s: s.dZ2 @ s.A1.T, lambda s: s.dZ1 @ s.X.T, "shape"),
    "002-1-over-n-twice": ("db2", lambda s: s.dZ2.sum(**SUM), lambda s: MEAN * s.dZ2.sum(**SUM), "values"),
    "002-swapped": ("dA1", lambda s: s.W2.T @ s.dZ2, lambda s: s.W2 @ s.dZ1, "shape"),
    "002-W2-untransposed": ("dA1", lambda s: s.W2.T @ s.dZ2, lambda s: s.W2 @ s.dZ2, "refused"),
    "002-X-untransposed": ("dW1", lambda s: s.dZ1 @ s.X.T, lambda s: s.dZ1 @ s.X, "refused"),
    "002-g-without-prime": ("dZ1", lambda s: s.dA1 * (1 - s.A1**2), lambda s: s.dA1 * np.tanh(s.Z1), "values"),
    "002-leaky": ("A1", lambda s: np.where(s.Z1 >= 0, s.Z1, 0.001 * s.Z1), lambda s: 0.001 * s.Z1, "values"),
    "003-Z1-as-input": ("Z2", lambda s: s.W2 @ s.A1 + s.b2, lambda s: s.W2 @ s.Z1 + s.b2, "values"),
    "003-A1-untransposed": ("dW2", lambda s: s.dZ2 @ s.A1.T, lambda s: s.dZ2 @ s.A1, "refused"),
    "003-gradient-is-W2": ("dW2", lambda s: s.dZ2 @ s.A1.T, lambda s: s.W2, "values"),
    "003-each-column": ("db1", lambda s: s.dZ1.sum(**SUM), lambda s: s.dZ1.sum(axis=0, keepdims=True), "shape"),
    "003-factor-too-many": ("dW1", lambda s: s.dZ1 @ s.X.T, lambda s: s.dW1 @ s.dZ1 @ s.X.T, "refused"),
    "004-precedence": ("dW2", lambda s: s.dZ2 @ s.A1.T, lambda s: (s.A2 > 0) @ s.A1.T * s.dA2, "refused"),
    "004-db-without-sum": ("db3", lambda s: s.dZ3.sum(**SUM), lambda s: s.dZ3, "shape"),
    "004-2hot": ("dZ3", lambda s: s.A3 - s.Y, lambda s: s.A3 - s.Y - np.roll(s.Y, 1, axis=0), "values"),
}  # fmt: skip
SCENES = {"000": "five_layer", "001": "two_layer", "002": "binary_tanh", "003": "sparse_labels", "004": "row_major"}


@pytest.mark.parametrize("slip", SLIPS)
def test_slip(slip: str) -> None:
    due, right, wrong, how = SLIPS[slip]
    training, q = reference("binary_leaky_relu" if slip == "002-leaky" else SCENES[slip[:3]], 0)
    scene = SimpleNamespace(**q, X=training.X, Y=training.Y)
    assert_equal(right(scene), q[due], due)
    if how == "refused":
        with pytest.raises(ValueError, match=r"broadcast|mismatch"):
            wrong(scene)
    else:
        got = wrong(scene)
        assert (np.shape(got) == q[due].shape) == (how == "values")
        assert how == "shape" or np.abs(got - q[due]).max() > 0.1 * np.abs(q[due]).max()


def test_unsummed_bias_gradient_gives_each_sample_its_own_bias() -> None:
    # b - alpha db broadcasts to n x c: the training set is learned by heart in b, with every weight frozen.
    X, labels, p = note_004.example()
    c = note_004.forward(X, **p)
    before = note_004.loss(c["P"], labels)
    for _ in range(50):
        p = p | {"b3": p["b3"] - (c["P"] - labels)}
        c = note_004.forward(X, **p)
    assert p["b3"].shape == (4, 2)
    assert note_004.loss(c["P"], labels) < 0.02 * before
    with pytest.raises(ValueError, match="broadcast"):
        note_004.forward(X[:3], **p)
