"""Momentum, skip connections and helpers of strangers' scripts: no mistake beside them is lost."""

from __future__ import annotations

import pytest

from tests.test_trace_readings import PLAIN, changed
from tests.tracing_support import failed, judged

UPDATE = "    W1 = W1 - lr * dW1\n    W2 = W2 - lr * dW2\n"
START = ("for epoch", "old1 = old2 = 0\nfor epoch")
CLASSICAL = (START, (UPDATE, """
    old1, old2 = 0.9 * old1 - lr * dW1, 0.9 * old2 - lr * dW2
    W1 = W1 + old1
    W2 = W2 + old2
"""))  # fmt: skip
NESTEROV = (START, (UPDATE, """
    was1, was2 = old1, old2
    old1, old2 = 0.9 * old1 - lr * dW1, 0.9 * old2 - lr * dW2
    W1 = W1 - 0.9 * was1 + 1.9 * old1
    W2 = W2 - 0.9 * was2 + 1.9 * old2
"""))  # fmt: skip
SKIP = (
    ("    A1 = np.tanh(Z1)", "    A1 = np.tanh(Z1) + X"),
    ("size=(6, 5)", "size=(6, 6)"),
    ("size=(5, 4)", "size=(6, 4)"),
    ("(1 - A1**2)", "(1 - np.tanh(Z1) ** 2)"),
)
HELPER = (
    ("def forward", "def slope(x):\n    z = np.tanh(x)\n    return 1 - z**2\ndef forward"),
    ("(1 - A1**2)", "slope(Z1)"),
)


def notes_of(facts):
    """Of each step, as one text."""
    return ["; ".join(step["notes"]) for step in facts["steps"]]


@pytest.mark.parametrize("changes", [CLASSICAL, NESTEROV], ids=["classical", "Nesterov"])
def test_momentum_under_unknown_names(tmp_path, changes):
    facts = judged(tmp_path, changed(PLAIN, *changes))
    # Nesterov's first step is one with another learning rate, and looks like that.
    assert all(not step for step in failed(facts)[changes is NESTEROV :])
    assert ["it has momentum, by value (of" in note for note in notes_of(facts)] == [False, True, True]
    covered = [step["result"]["coverage"]["checked"] for step in facts["steps"]]
    assert ["W1_next" in keys for keys in covered] == [True, False, False]


def test_a_gradient_that_is_wrong_under_momentum_is_found(tmp_path):
    facts = judged(tmp_path, changed(PLAIN, *CLASSICAL, ("dW1 = X.T @ dZ1", "dW1 = X.T @ dA1")))
    assert all([equation for equation, _ in step] == ["dW1"] for step in failed(facts))


@pytest.mark.parametrize(
    "wrong",
    ["W1 = W1 - lr * (X.T @ dA1)", "change = lr * (X.T @ dA1)\n    W1 = W1 - change", "W1 = W1 - lr * np.sign(dW1)"],
    ids=["another gradient", "by a name of its own", "its sign"],
)
def test_a_step_along_something_else_is_no_momentum(tmp_path, wrong):
    facts = judged(tmp_path, changed(PLAIN, ("W1 = W1 - lr * dW1", wrong)))
    assert all("W1_next" in [equation for equation, _ in step] for step in failed(facts))


def test_a_skip_connection_is_said_and_not_checked(tmp_path):
    facts = judged(tmp_path, changed(PLAIN, *SKIP))
    assert facts["verdict"] == "rounding"
    result = facts["steps"][0]["result"]
    assert any("layer 1 has a skip connection, A1 = tanh(Z1) + X" in said for said in result["inferred"])
    assert {"A1", "dZ1"} <= result["coverage"]["unchecked"].keys()
    assert {"Z2", "dW1", "dW2", "dA1"} <= set(result["coverage"]["checked"])


@pytest.mark.parametrize(
    ("change", "equation"),
    [
        (("+ X", "+ X + 0.1"), "A1"),
        (("+ X", "+ 0.5 * X"), "A1"),
        (("dA1 = dZ2 @ W2.T", "dA1 = dZ2 @ W2"), "dA1"),
        (("dW2 = A1.T @ dZ2", "dW2 = (A1 - X).T @ dZ2"), "dW2"),
    ],
)
def test_a_mistake_beside_a_skip_connection_is_found(tmp_path, change, equation):
    square = [("size=(6, 4)", "size=(6, 6)"), ("X[:, :4]", "X[:, :6]")] if equation == "dA1" else []
    facts = judged(tmp_path, changed(PLAIN, *SKIP, *square, change))
    assert all(equation in [found for found, _ in step] for step in failed(facts))


def test_a_local_z_of_a_derivative_is_no_sum(tmp_path):
    facts = judged(tmp_path, changed(PLAIN, *HELPER))
    assert facts["verdict"] == "rounding" and len(facts["steps"]) == 3
    wrong = judged(tmp_path, changed(PLAIN, *HELPER, ("slope(Z1)", "slope(A1)")))
    assert all(step == [("dZ1", "derivative-at-activation")] for step in failed(wrong))


def test_squares_under_the_name_of_an_error_are_no_gradient(tmp_path):
    named = ("    loss =", "    error = 0.5 * (A2 - Y) ** 2\n    loss =")
    facts = judged(tmp_path, changed(PLAIN, named))
    assert facts["verdict"] == "rounding" and "error" in notes_of(facts)[0] and "(A − Y)²" in notes_of(facts)[0]


def test_squares_that_are_taken_for_the_gradient_are_found(tmp_path):
    used = ("dZ2 = 2 * (A2 - Y) * A2", "error = (A2 - Y) ** 2\n    dZ2 = 2 * error * A2")
    assert all("dZ2" in [found for found, _ in step] for step in failed(judged(tmp_path, changed(PLAIN, used))))


def test_a_target_called_out_begins_no_step(tmp_path):
    """One sample at a time, the label taken from a list under the name of an output."""
    text = changed(
        PLAIN,
        ("for epoch in range(4):\n", "wanted = list(Y)\nfor epoch in range(4):\n    out = wanted[epoch]\n"),
        ("forward(X, W1, W2)\n    loss", "forward(X[epoch : epoch + 1], W1, W2)\n    loss"),
        ("- Y) ** 2) / 12", "- out) ** 2)"),
        ("(A2 - Y) * A2 * (1 - A2) / 12", "(A2 - out) * A2 * (1 - A2)"),
        ("X.T @ dZ1", "X[epoch : epoch + 1].T @ dZ1"),
    )
    facts = judged(tmp_path, text)
    assert facts["verdict"] == "rounding" and len(facts["steps"]) == 3
    wrong = judged(tmp_path, text.replace("dA1 * (1 - A1**2)", "dA1 * (1 - Z1**2)"))
    assert all("dZ1" in [found for found, _ in step] for step in failed(wrong))
