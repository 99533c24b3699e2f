"""Layer classes that call things as they like: their input ``a``, results without a name, weights that move early."""

from __future__ import annotations

import pytest

from backproof.errors import BackproofError
from backproof.tracing.command import given_names
from tests.tracing_support import failed, judged

NET = """\
import numpy as np


class Dense:
    def __init__(self, fan_in, fan_out, rng):
        self.W = rng.normal(0, np.sqrt(2 / fan_in), (fan_out, fan_in))
        self.b = np.zeros((fan_out, 1))

    def forward(self, a):
        self.a = a
        return np.dot(self.W, a) + self.b

    def backward(self, grad):
        self.dW = np.dot(grad, self.a.T)
        self.db = np.sum(grad, axis=1, keepdims=True)
        return np.dot(self.W.T, grad)

    def update(self, lr):
        self.W -= lr * self.dW
        self.b -= lr * self.db


class ReLU:
    def forward(self, z):
        self.z = z
        return np.maximum(0, z)

    def backward(self, grad):
        out = grad.copy()
        out[self.z <= 0] = 0
        return out


class Sigmoid:
    def forward(self, z):
        self.s = 1.0 / (1.0 + np.exp(-z))
        return self.s

    def backward(self, grad):
        return grad * self.s * (1 - self.s)


class MSE:
    def __call__(self, pred, target):
        self.diff = pred - target
        return np.mean(self.diff ** 2)

    def backward(self):
        return 2 * self.diff / self.diff.size


class Net:
    def __init__(self, sizes):
        rng = np.random.default_rng(7)
        self.layers = [
            Dense(sizes[0], sizes[1], rng), ReLU(), Dense(sizes[1], sizes[2], rng), Sigmoid(),
        ]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, g):
        for layer in reversed(self.layers):
            g = layer.backward(g)

    def step(self, lr):
        for layer in self.layers:
            if hasattr(layer, "update"):
                layer.update(lr)


rng = np.random.default_rng(0)
X, X_test = rng.normal(size=(6, 40)), rng.normal(size=(6, 9))
Y = np.eye(3)[rng.integers(0, 3, 40)].T
net, loss_fn = Net([6, 5, 3]), MSE()
for epoch in range(50):
    loss = loss_fn(net.forward(X), Y)
    net.backward(loss_fn.backward())
    net.step(5.0)
    if epoch % 10 == 0:
        net.forward(X_test)
"""
WAYS = {
    "the input as a": [],
    "the input as x": [
        ("(self, a)", "(self, x)"), ("self.a = a", "self.x = x"), ("W, a)", "W, x)"), ("self.a.T", "self.x.T"),
    ],
    "the input under no known name": [("self.a = a", "self.stored = a"), ("self.a.T", "self.stored.T")],
    "z made by the layer": [("return np.dot(self.W, a) + self.b", "z = np.dot(self.W, a) + self.b\n        return z")],
    "a layer as wide as its input": [("Net([6, 5, 3])", "Net([6, 6, 3])")],
    "all as wide as one another": [("Net([6, 5, 3])", "Net([3, 3, 3])"), ("(6, 40)", "(3, 40)"), ("(6, 9)", "(3, 9)")],
}  # fmt: skip


def script(*changes: tuple[str, str], text: str = NET) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("way", WAYS)
def test_a_correct_network_of_layer_objects_is_rounding(tmp_path, way):
    facts = judged(tmp_path, script(*WAYS[way]), "--steps", 4)
    assert facts["verdict"] == "rounding", failed(facts)
    for step in facts["steps"]:
        assert {"X", "Z1", "A1", "Z2", "A2", "dZ2", "dA1", "dZ1"} <= set(step["found"])


MISTAKES = {
    "mask missing": ("dZ1", "mask-missing", ("        out[self.z <= 0] = 0\n", "")),
    "one mask for all": ("dZ1", "mask-of-delta", ("out[self.z <= 0]", "out[out <= 0]")),
    "Z1 without its bias": ("Z1", "bias-missing", ("W, a) + self.b", "W, a) + self.b * (len(self.b) == 3)")),
    "half a gradient": ("dW1", "factor", ("(grad, self.a.T)", "(grad, self.a.T) * (1 - len(grad) // 5 / 2)")),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_one_is_still_named(tmp_path, mistake):
    equation, name, change = MISTAKES[mistake]
    # A bias of zero is missed by nobody: the first step is left out of the comparison.
    facts = judged(tmp_path, script(change), "--steps", 3)
    assert facts["verdict"] == "bug"
    for step in failed(facts)[1:]:
        assert [(equation, name)] == step, step


EARLY = [
    (
        "        return np.dot(self.W.T, grad)\n",
        "        self.W -= 5.0 * self.dW\n        self.b -= 5.0 * self.db\n        return np.dot(self.W.T, grad)\n",
    ),
    ("        self.W -= lr * self.dW\n        self.b -= lr * self.db\n", "        pass\n"),
]
SAVED = [
    ("        self.dW = np.dot(", "        W = self.W.copy()\n        self.dW = np.dot("),
    ("return np.dot(self.W.T, grad)", "return np.dot(W.T, grad)"),
]


def test_weights_that_move_before_the_gradient_is_handed_down_are_named(tmp_path):
    for step in failed(judged(tmp_path, script(*EARLY))):
        assert step == [("dA1", "weights-updated")]


def test_weights_that_were_saved_before_they_moved_are_right(tmp_path):
    facts = judged(tmp_path, script(*EARLY, *SAVED))
    assert facts["verdict"] == "rounding" and "W1_next" in facts["steps"][0]["found"]


UNKNOWN = script(
    ("(self, a)", "(self, v)"), ("self.a = a", "self.kept = v"), ("W, a) + self.b", "W, v) + self.b"),
    ("self.a.T", "self.kept.T"), ("(self, z)", "(self, v)"), ("self.z = z", "self.given = v"), ("self.z", "self.given"),
    ("np.maximum(0, z)", "np.maximum(0, v)"), ("np.exp(-z)", "np.exp(-v)"),
)  # fmt: skip


def test_names_without_a_number_belong_to_the_objects_layer(tmp_path):
    facts = judged(tmp_path, UNKNOWN, "--names", "self.kept=X,self.given=Z")
    assert facts["verdict"] == "rounding"
    found = facts["steps"][0]["found"]
    assert found["A1"]["name"] == "self.kept" and found["Z1"]["name"] == "self.given"


def test_what_was_misread_is_left_out_and_said(tmp_path):
    told = ("--activations", "relu,sigmoid", "--names", "self.kept=A")
    facts = judged(tmp_path, UNKNOWN, *told)
    assert facts["verdict"] == "rounding" and "A1" not in facts["steps"][0]["found"]
    assert any("self.kept" in note and "layer 1 has 5 units" in note for note in facts["steps"][0]["notes"])


@pytest.mark.parametrize("key", ["A", "Z", "dZ", "W"])
def test_a_key_may_go_without_its_number(key):
    assert given_names(f"self.a={key}", None) == {"self.a": key}


@pytest.mark.parametrize("key", ["A0", "in", "dX", "Zs"])
def test_no_other_key_may(key):
    with pytest.raises(BackproofError, match="is no quantity"):
        given_names(f"self.a={key}", None)
