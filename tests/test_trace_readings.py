"""What a right script may do beside the usual, each with a mistake that the reading must not hide."""

from __future__ import annotations

import pytest

from tests.tracing_support import failed, judged

PLAIN = """
import numpy as np
rng = np.random.default_rng(3)
X = rng.normal(size=(12, 6))
Y = (X[:, :4] > 0.3).astype(float)
def sigmoid(v):
    return 1 / (1 + np.exp(-v))
def forward(X, W1, W2):
    Z1 = X @ W1
    A1 = np.tanh(Z1)
    Z2 = A1 @ W2
    A2 = sigmoid(Z2)
    return Z1, A1, Z2, A2
W1, W2, lr = rng.normal(size=(6, 5)), rng.normal(size=(5, 4)), 0.1
for epoch in range(4):
    Z1, A1, Z2, A2 = forward(X, W1, W2)
    loss = np.sum((A2 - Y) ** 2) / 12
    dZ2 = 2 * (A2 - Y) * A2 * (1 - A2) / 12
    dW2 = A1.T @ dZ2
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * (1 - A1**2)
    dW1 = X.T @ dZ1
    W1 = W1 - lr * dW1
    W2 = W2 - lr * dW2
"""
SQUARE = (("size=(12, 6)", "size=(12, 4)"), ("size=(6, 5)", "size=(4, 4)"), ("size=(5, 4)", "size=(4, 4)"))
TRANSPOSED = (
    ("dW2 = A1.T @ dZ2", "dW2 = dZ2.T @ A1"),
    ("dW1 = X.T @ dZ1", "dW1 = dZ1.T @ X"),
    ("lr * dW1", "lr * dW1.T"),
    ("lr * dW2", "lr * dW2.T"),
)
REMADE = (("for epoch", "print(forward(X, W1, W2)[3].mean())\nW1, W2 = W1 + 1, W2 - 1\nfor epoch"),)
SUMMED = (
    ("for epoch", "loss = 0\nfor epoch"),
    ("loss = np.sum", "loss += np.sum"),
)


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The script with some of its text replaced, which has to be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def check(folder, *changes, options=()):
    """The facts, of every step the failures, and the notes of all steps."""
    facts = judged(folder, changed(PLAIN, *changes), *options)
    return facts, failed(facts), [note for step in facts["steps"] for note in step["notes"]]


@pytest.mark.parametrize("shape", [(), SQUARE], ids=["oblong", "square"])
def test_gradients_stored_transposed_and_turned_in_the_update(tmp_path, shape):
    facts, _, notes = check(tmp_path, *shape, *TRANSPOSED)
    assert facts["verdict"] == "rounding"
    assert sum("stored transposed" in note for note in notes) == 6


@pytest.mark.parametrize("shape", [(), SQUARE], ids=["oblong", "square"])
def test_a_mistake_in_a_transposed_gradient_is_found(tmp_path, shape):
    _, failures, _ = check(tmp_path, *shape, *TRANSPOSED, ("dZ1.T @ X", "dZ1.T @ X * 2"))
    assert all([equation for equation, _ in step] == ["dW1"] for step in failures)


@pytest.mark.parametrize(
    ("changes", "equation"),
    [((("dW1 = X.T @ dZ1", "dW1 = dZ1.T @ X"),), "dW1"), ((("lr * dW1", "lr * dW1.T"),), "W1_next")],
    ids=["stored transposed and used so", "turned in the update alone"],
)
def test_a_square_gradient_transposed_once_is_a_mistake(tmp_path, changes, equation):
    _, failures, notes = check(tmp_path, *SQUARE, *changes)
    assert [found for found, _ in failures[0]] == [equation]
    assert not any("stored transposed" in note for note in notes)


def test_an_evaluation_before_the_weights_are_made_anew(tmp_path):
    facts, _, _ = check(tmp_path, *REMADE)
    assert facts["verdict"] == "rounding" and len(facts["steps"]) == 3


def test_weights_updated_before_they_are_handed_back_are_found_all_the_same(tmp_path):
    early = ("dA1 = dZ2", "W2 = W2 - lr * dW2\n    dA1 = dZ2"), ("lr * dW1\n    W2 = W2 - lr * dW2", "lr * dW1")
    _, failures, _ = check(tmp_path, *REMADE, *early)
    assert [("dA1", "weights-updated")] in failures and all(step for step in failures)


def test_a_script_that_names_no_gradient_is_judged_on_its_updates(tmp_path):
    inline = PLAIN[: PLAIN.index("    loss")] + "    W2 = W2 - lr * (A1.T @ ((A2 - Y) * A2 * (1 - A2)))\n"
    facts = judged(tmp_path, inline)
    assert len(facts["steps"]) == 3 and "W2_next" in facts["steps"][0]["result"]["coverage"]["checked"]


def test_a_loss_that_is_summed_over_batches(tmp_path):
    facts, _, notes = check(tmp_path, *SUMMED)
    assert facts["verdict"] == "rounding"
    assert ["loss" in step["result"]["coverage"]["checked"] for step in facts["steps"]] == [True, False, False]
    assert sum("is a sum over batches" in note for note in notes) == 2


def test_a_loss_to_which_a_penalty_is_added_is_the_loss(tmp_path):
    """``+=`` in the same step: half the sum of squares, so that it is wrong, and found."""
    added = ("    dZ2 = 2", "    loss += 0.5 * np.sum(W1**2)\n    dZ2 = 2")
    _, failures, _ = check(tmp_path, added)
    assert all([equation for equation, _ in step] == ["loss"] for step in failures)


def test_a_weight_of_which_one_element_moves_beside_others_is_updated(tmp_path):
    """All hidden units but one are dead: one element of a single column of W2 changes."""
    dead = (
        ("A1 = np.tanh(Z1)", "A1 = np.maximum(Z1, 0)"),
        ("(1 - A1**2)", "(Z1 > 0)"),
        ("W1, W2, lr =", "alive = np.array([1.0, 0, 0, 0, 0])\nW1, W2, lr ="),
        ("Z1 = X @ W1", "Z1 = X @ W1 * alive"),
        ("size=(5, 4)", "size=(5, 1)"),
        ("X[:, :4]", "X[:, :1]"),
        ("W1 = X.T @ dZ1", "W1 = X.T @ (dZ1 * alive)"),
    )
    _, failures, notes = check(tmp_path, *dead, ("lr * dW2", "2 * lr * dW2"))
    assert not any("was not changed" in note for note in notes)
    assert any("W2_next" in [equation for equation, _ in step] for step in failures)


BIASED = (
    ("W1, W2, lr =", "b1, b2 = np.zeros((1, 5)), np.zeros((1, 4))\nW1, W2, lr ="),
    ("Z1 = X @ W1", "Z1 = X @ W1 + b1"),
    ("Z2 = A1 @ W2", "Z2 = A1 @ W2 + b2"),
    ("    W1 = W1 - lr", "    db1, db2 = dZ1.copy(), dZ2.copy()\n    W1 = W1 - lr"),
)
SUMMED_LATE = "    b1 = b1 - lr * np.sum(db1, axis=0)\n    b2 = b2 - lr * np.sum(db2, axis=0)\n"


def test_bias_gradients_that_are_summed_in_the_update(tmp_path):
    facts = judged(tmp_path, changed(PLAIN, *BIASED) + SUMMED_LATE)
    assert facts["verdict"] == "rounding"
    notes = [note for step in facts["steps"] for note in step["notes"]]
    assert sum("is summed over the samples in the update" in note for note in notes) == 6


@pytest.mark.parametrize(
    ("change", "equation"),
    [
        (("dZ1.copy()", "2 * dZ1"), "db1"),
        (("np.sum(db1, axis=0)", "np.mean(db1, axis=0)"), "b1_next"),
        (("np.sum(db1, axis=0)", "db1[:1]"), "db1"),
        (("np.sum(db1, axis=0)", "db1"), "db1"),
    ],
)
def test_a_mistake_in_bias_gradients_that_are_summed_late_is_found(tmp_path, change, equation):
    facts = judged(tmp_path, changed(changed(PLAIN, *BIASED) + SUMMED_LATE, change))
    assert equation in [found for found, _ in failed(facts)[0]]
