"""Errors by the names that people give them: dA of the output, a delta that is called dA, one that is both."""

from __future__ import annotations

import pytest

from tests.tracing_support import failed, judged

BASE = """\
import numpy as np

rng = np.random.default_rng(0)
m = 20
X, Y = rng.normal(size=(6, m)), np.eye(3)[rng.integers(0, 3, m)].T
W1, b1 = rng.normal(size=(5, 6)), rng.normal(size=(5, 1))
W2, b2 = rng.normal(size=(3, 5)), rng.normal(size=(3, 1))
for epoch in range(5):
    Z1 = W1 @ X + b1
    A1 = np.maximum(0, Z1)
    Z2 = W2 @ A1 + b2
    E = np.exp(Z2 - Z2.max(axis=0))
    A2 = E / E.sum(axis=0)
    loss = -np.sum(Y * np.log(A2)) / m
    {output}
    dW2 = dZ2 @ A1.T
    db2 = dZ2.sum(axis=1, keepdims=True)
    {hidden}
    dW1 = dZ1 @ X.T
    db1 = dZ1.sum(axis=1, keepdims=True)
    W1 = W1 - 0.1 * dW1
    b1 = b1 - 0.1 * db1
    W2 = W2 - 0.1 * dW2
    b2 = b2 - 0.1 * db2
"""
JACOBIAN = "dA2 = -Y / A2 / m; dZ2 = A2 * (dA2 - np.sum(dA2 * A2, axis=0))"
PLAIN = "dZ2 = (A2 - Y) / m"
MASKED = "dA1 = W2.T @ dZ2; dZ1 = dA1 * (Z1 > 0)"


def script(output: str = PLAIN, hidden: str = MASKED, **names: str) -> str:
    text = BASE.replace("{output}", output).replace("{hidden}", hidden)
    for old, new in names.items():
        text = text.replace(old, new)
    return text


RIGHT = {
    "the output's dA": script(JACOBIAN),
    "the output's dA beside the short form": script("dA2 = -(Y / A2) / m; dZ2 = (A2 - Y) / m"),
    "the output's delta called dA": script("dA2 = (A2 - Y) / m", dZ2="dA2"),
    "every delta called dA": script("dA2 = (A2 - Y) / m", "dA1 = (W2.T @ dA2) * (Z1 > 0)", dZ1="dA1", dZ2="dA2"),
    "a dA that becomes the delta": script(PLAIN, "dA1 = W2.T @ dZ2; dA1 = dA1 * (Z1 > 0)", dZ1="dA1"),
    "a dA that becomes the delta in place": script(PLAIN, "dA1 = W2.T @ dZ2; dA1[Z1 <= 0] = 0", dZ1="dA1"),
    "two names of one": script("dA2 = dZ2 = (A2 - Y) / m"),
}


@pytest.mark.parametrize("way", RIGHT)
def test_a_correct_script_is_rounding(tmp_path, way):
    facts = judged(tmp_path, RIGHT[way], "--steps", 2)
    assert facts["verdict"] == "rounding", failed(facts)


def test_the_outputs_dA_is_checked(tmp_path):
    step = judged(tmp_path, script(JACOBIAN), "--steps", 1)["steps"][0]
    assert "dA2" in step["found"] and "dA2" in step["result"]["coverage"]["checked"]


MISTAKES = {
    "no 1/m in it": (script(JACOBIAN.replace("/ A2 / m", "/ A2").replace("axis=0))", "axis=0)) / m")), "dA2", "factor"),
    "its sign": (script("dA2 = Y / A2 / m; " + PLAIN), "dA2", "sign-flipped"),
    "no mask, called dA": (
        script("dA2 = (A2 - Y) / m", "dA1 = W2.T @ dA2", dZ1="dA1", dZ2="dA2"), "dZ1", "mask-missing",
    ),
    "no mask": (script(PLAIN, MASKED.replace(" * (Z1 > 0)", " * 1")), "dZ1", "mask-missing"),
    "twice the delta, called dA": (script("dA2 = 2 * (A2 - Y) / m", dZ2="dA2"), "dZ2", "factor"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(tmp_path, mistake):
    text, equation, name = MISTAKES[mistake]
    for step in failed(judged(tmp_path, text, "--steps", 2)):
        assert step == [(equation, name)]


DERIVATIVE = """
import numpy as np
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(9, 6)), np.eye(3)[rng.integers(0, 3, 9)]
W1, b1, W2, b2 = rng.normal(size=(6, 5)), np.zeros(5), rng.normal(size=(5, 3)), np.zeros(3)
for i in range(4):
    z1 = X @ W1 + b1
    a1 = np.maximum(0, z1)
    z2 = a1 @ W2 + b2
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    a2 = e / e.sum(axis=1, keepdims=True)
    dz2 = (a2 - Y) / 9
    da1 = (z1 > 0) * 1.0
    dz1 = dz2 @ W2.T * da1
    dW2, db2, dW1, db1 = a1.T @ dz2, dz2.sum(axis=0), X.T @ dz1, dz1.sum(axis=0)
    W1, b1, W2, b2 = W1 - 0.1 * dW1, b1 - 0.1 * db1, W2 - 0.1 * dW2, b2 - 0.1 * db2
"""


def test_a_derivative_that_is_called_a_gradient_is_none(tmp_path):
    facts = judged(tmp_path, DERIVATIVE)
    assert facts["verdict"] == "rounding" and "dA1" not in facts["steps"][0]["found"]
    assert any("da1" in note and "derivative of the activation" in note for note in facts["steps"][0]["notes"])
    wrong = judged(tmp_path, DERIVATIVE.replace("* da1\n", "* (z1 < 0)\n"))
    assert ("dZ1", "mask-inverted") in failed(wrong)[0]
