"""Optimizers written from scratch, as people write them: not blamed, and no mistake beside them is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tracing_support import failed, judged

NETWORK = """
import numpy as np
draw = np.random.default_rng(0)
X, y = draw.normal(size=(60, 8)), draw.integers(0, 3, 60)
Y = np.eye(3)[y]
W1, b1 = draw.normal(size=(8, 16)) * 0.4, np.zeros((1, 16))
W2, b2 = draw.normal(size=(16, 3)) * 0.4, np.zeros((1, 3))
{before}
for t in range(1, 6):
    Z1 = X @ W1 + b1
    A1 = np.maximum(Z1, 0)
    Z2 = A1 @ W2 + b2
    e = np.exp(Z2 - Z2.max(axis=1, keepdims=True))
    A2 = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(A2[range(60), y]).mean()
    dZ2 = (A2 - Y) / 60
    dW2, db2 = A1.T @ dZ2, dZ2.sum(axis=0, keepdims=True)
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * (Z1 > 0)
    dW1, db1 = X.T @ dZ1, dZ1.sum(axis=0, keepdims=True)
{update}
"""
LISTED = "everything = [W1, b1, W2, b2]\n"
ZIPPED = "    for p, g in zip(everything, [dW1, db1, dW2, db2]):\n"
TWO = LISTED + "one, two = ([np.zeros_like(p) for p in everything] for _ in range(2))\n"
EACH = "    for i, (p, g) in enumerate(zip(everything, [dW1, db1, dW2, db2])):\n"
PLAIN = {
    "zip": (LISTED, ZIPPED + "        p -= 0.1 * g"),
    "zip, anew": (LISTED, ZIPPED + "        p[...] = p - 0.1 * g"),
    "zip, on one line": (LISTED, ZIPPED.rstrip() + " p -= 0.1 * g"),
}
OTHERS = {
    "Adam": (TWO, EACH + """
        one[i] = 0.9 * one[i] + 0.1 * g
        two[i] = 0.999 * two[i] + 0.001 * g * g
        p -= 0.01 * one[i] / (1 - 0.9**t) / (np.sqrt(two[i] / (1 - 0.999**t)) + 1e-8)"""),
    "RMSprop": (TWO, EACH + """
        two[i] = 0.9 * two[i] + 0.1 * g**2
        p -= 0.01 * g / (np.sqrt(two[i]) + 1e-8)"""),
    "Adagrad": (TWO, EACH + """
        two[i] += g**2
        p -= 0.05 * g / (np.sqrt(two[i]) + 1e-8)"""),
    "RMSprop, by name": (
        "kept1, kept2 = np.zeros_like(W1), np.zeros_like(W2)\n",
        """
    kept1, kept2 = 0.9 * kept1 + 0.1 * dW1**2, 0.9 * kept2 + 0.1 * dW2**2
    W1, W2 = W1 - 0.01 * dW1 / (np.sqrt(kept1) + 1e-8), W2 - 0.01 * dW2 / (np.sqrt(kept2) + 1e-8)""",
    ),
}  # fmt: skip
UNMASKED = ("dZ1 = dA1 * (Z1 > 0)", "dZ1 = dA1 * 1.0")


def script(before: str, update: str, *changes: tuple[str, str]) -> str:
    text = NETWORK.format(before=before, update=update)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("name", PLAIN)
def test_parameters_changed_under_another_name_are_updated(tmp_path: Path, name: str) -> None:
    facts = judged(tmp_path, script(*PLAIN[name]))
    assert facts["verdict"] == "rounding"
    for step in facts["steps"]:
        assert {"W1_next", "b1_next", "W2_next", "b2_next"} <= set(step["result"]["coverage"]["checked"])


@pytest.mark.parametrize("name", PLAIN)
def test_and_an_update_that_is_wrong_is_found(tmp_path: Path, name: str) -> None:
    before, update = PLAIN[name]
    facts = judged(tmp_path, script(before, update.replace("0.1 * g", "0.1 * np.abs(g)")))
    assert {"W1_next", "W2_next"} <= {equation for equation, _ in failed(facts)[0]}


@pytest.mark.parametrize("name", OTHERS)
def test_an_optimizer_that_keeps_squares_is_said_and_not_blamed(tmp_path: Path, name: str) -> None:
    facts = judged(tmp_path, script(*OTHERS[name]))
    assert facts["verdict"] == "rounding"
    for step in facts["steps"]:
        assert any(
            "the update was not taken: the script keeps an optimizer's state" in note for note in step["notes"]
        ), step["notes"]
        assert not any(key.endswith("_next") for key in step["result"]["coverage"]["checked"])


@pytest.mark.parametrize("name", [*OTHERS, *PLAIN])
def test_a_mistake_in_the_gradients_beside_it_is_named(tmp_path: Path, name: str) -> None:
    facts = judged(tmp_path, script(*(OTHERS | PLAIN)[name], UNMASKED))
    assert all([equation for equation, _ in step] == ["dZ1"] for step in failed(facts))
    assert facts["steps"][0]["result"]["failures"][0]["explanations"][0]["name"] == "mask-missing"


def test_squares_that_the_update_does_not_use_excuse_nothing(tmp_path: Path) -> None:
    update = (
        EACH
        + """
        two[i] = 0.9 * two[i] + 0.1 * g**2
        p += 0.1 * g"""
    )
    facts = judged(tmp_path, script(TWO, update))
    assert {"W1_next", "W2_next"} <= {equation for equation, _ in failed(facts)[0]}


CLASS = """
import numpy as np
draw = np.random.default_rng(0)
X, y = draw.normal(size=(60, 8)), draw.integers(0, 3, 60)
Y = np.eye(3)[y]
class Net:
    def __init__(self):
        self.W1, self.b1 = draw.normal(size=(8, 16)) * 0.4, np.zeros(16)
        self.W2, self.b2 = draw.normal(size=(16, 3)) * 0.4, np.zeros(3)
        self.opt = {k: [np.zeros_like(getattr(self, k)) for _ in range(2)] for k in ("W1", "b1", "W2", "b2")}
        self.t = 0
    def forward(self, X):
        self.X = X
        self.Z1 = X @ self.W1 + self.b1
        self.A1 = np.tanh(self.Z1)
        self.Z2 = self.A1 @ self.W2 + self.b2
        e = np.exp(self.Z2 - self.Z2.max(axis=1, keepdims=True))
        self.A2 = e / e.sum(axis=1, keepdims=True)
        return self.A2
    def backward(self, Y):
        dZ2 = (self.A2 - Y) / len(Y)
        g = {"W2": self.A1.T @ dZ2, "b2": dZ2.sum(0)}
        dZ1 = (dZ2 @ self.W2.T) * (1 - self.A1**2)
        g["W1"], g["b1"] = self.X.T @ dZ1, dZ1.sum(0)
        return g
    def step(self, g, lr=0.01):
        self.t += 1
        for k in g:
            one, two = self.opt[k]
            one, two = 0.9 * one + 0.1 * g[k], 0.999 * two + 0.001 * g[k] ** 2
            self.opt[k] = [one, two]
            change = one / (1 - 0.9**self.t) / (np.sqrt(two / (1 - 0.999**self.t)) + 1e-8)
            setattr(self, k, getattr(self, k) - lr * change)
net = Net()
for epoch in range(6):
    out = net.forward(X)
    loss = -np.log(out[range(60), y]).mean()
    grads = net.backward(Y)
    net.step(grads)
"""


@pytest.mark.parametrize("wrong", [False, True])
def test_gradients_and_state_in_dicts_that_are_handed_on(tmp_path: Path, wrong: bool) -> None:
    """What an optimizer was handed is the gradient of its own step, and of no later one."""
    facts = judged(tmp_path, CLASS.replace("dZ1.sum(0)", "dZ1.sum(0) * 2") if wrong else CLASS)
    assert all([equation for equation, _ in step] == ["db1"] * wrong for step in failed(facts))
    assert len(facts["steps"]) == 3
    assert all({"dW1", "dW2", "db2"} <= set(step["result"]["coverage"]["checked"]) for step in facts["steps"])


LOOP = """
import numpy as np
draw, L, n = np.random.default_rng(0), 4, 6
X, Y = draw.normal(size=(n, 30)), draw.normal(size=(n, 30))
W, b = [draw.normal(size=(n, n)) * 0.5 for _ in range(L)], [np.zeros((n, 1)) for _ in range(L)]
for it in range(5):
    A, Z = [X], []
    for l in range(L):
        z = W[l] @ A[-1] + b[l]
        Z.append(z)
        A.append(np.tanh(z) if l < L - 1 else z)
    loss = ((A[-1] - Y) ** 2).sum() / 30
    delta = 2 * (A[-1] - Y) / 30
    dW, db = [None] * L, [None] * L
    for l in reversed(range(L)):
        dW[l] = delta @ A[l].T
        db[l] = delta.sum(axis=1, keepdims=True)
        dA = W[l].T @ delta
        if l > 0:
            delta = dA * (1 - A[l] ** 2)
    for l in range(L):
        W[l] -= 0.01 * dW[l]
        b[l] -= 0.01 * db[l]
"""


def test_errors_that_a_loop_hands_down_belong_to_the_layer_below(tmp_path: Path) -> None:
    facts = judged(tmp_path, LOOP)
    assert facts["verdict"] == "rounding"
    assert {"dA3", "dA2", "dA1", "dZ1"} <= set(facts["steps"][0]["result"]["coverage"]["checked"])
    wrong = judged(tmp_path, LOOP.replace("dA = W[l].T @ delta", "dA = W[l] @ delta"))
    assert [equation for equation, _ in failed(wrong)[0]] == ["dA3", "dA2", "dA1"]
    assert wrong["steps"][0]["result"]["failures"][0]["explanations"][0]["name"] == "weights-not-transposed"
