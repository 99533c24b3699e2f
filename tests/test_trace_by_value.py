"""Names mislead; the forward pass tells by value what is what. Each script is right, and one mistake in it is found."""

from __future__ import annotations

import pytest

from tests.tracing_support import failed, judged

DATA = """
import numpy as np
rng = np.random.default_rng(3)
"""
H_IS_A_SUM = (
    DATA
    + """
x, y = rng.normal(size=(9, 6)), rng.normal(size=(9, 3))
w1, w2 = rng.normal(size=(6, 5)), rng.normal(size=(5, 3))
for t in range(4):
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)
    loss = np.square(y_pred - y).sum()
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.T.dot(grad_y_pred)
    grad_h_relu = grad_y_pred.dot(w2.T)
    grad_h = grad_h_relu.copy()
    grad_h[h < 0] = 0
    grad_w1 = x.T.dot(grad_h)
    w1 -= 1e-3 * grad_w1
    w2 -= 1e-3 * grad_w2
"""
)
ACTIVATIONS_CALLED_Z = (
    DATA
    + """
def s(v):
    return 1 / (1 + np.exp(-v))
class Net:
    def __init__(self):
        self.W1, self.W2 = rng.normal(size=(4, 5)), rng.normal(size=(5, 2))
    def forward(self, X):
        self.z = X.dot(self.W1)
        self.z2 = s(self.z)
        self.z3 = self.z2.dot(self.W2)
        return s(self.z3)
    def backward(self, X, y, o):
        self.o_error = y - o
        self.o_delta = self.o_error * o * (1 - o)
        self.z2_error = self.o_delta.dot(self.W2.T)
        self.z2_delta = self.z2_error * self.z2 * (1 - self.z2)
        self.W1 += X.T.dot(self.z2_delta)
        self.W2 += self.z2.T.dot(self.o_delta)
X, y = rng.normal(size=(7, 4)), rng.uniform(size=(7, 2))
net = Net()
for i in range(4):
    o = net.forward(X)
    net.backward(X, y, o)
"""
)
STRANGE_WEIGHTS = (
    DATA
    + """
def s(v):
    return 1 / (1 + np.exp(-v))
X, y = rng.normal(size=(8, 4)), rng.uniform(size=(8, 2))
inner_matrix, weights_hidden_output = rng.normal(size=(4, 5)), rng.normal(size=(5, 2))
for i in range(4):
    hidden = s(X @ inner_matrix)
    output = s(hidden @ weights_hidden_output)
    error = y - output
    d_output = error * output * (1 - output)
    hidden_error = d_output @ weights_hidden_output.T
    hidden_delta = hidden_error * hidden * (1 - hidden)
    weights_hidden_output += hidden.T @ d_output * 0.5
    inner_matrix += X.T @ hidden_delta * 0.5
"""
)
EXPONENTIALS_CALLED_OUTPUT = (
    DATA
    + """
X, Y = rng.normal(size=(10, 6)), np.eye(3)[rng.integers(0, 3, 10)]
W1, b1, W2, b2 = rng.normal(size=(6, 5)), np.zeros(5), rng.normal(size=(5, 3)), np.zeros(3)
for i in range(4):
    hidden_layer = np.maximum(0, X @ W1 + b1)
    output_layer = np.exp(hidden_layer @ W2 + b2)
    output_probs = output_layer / output_layer.sum(axis=1, keepdims=True)
    delta_output = (output_probs - Y) / len(X)
    grad_W2 = hidden_layer.T @ delta_output
    grad_b2 = delta_output.sum(axis=0)
    delta_hidden = delta_output @ W2.T
    delta_hidden[hidden_layer <= 0] = 0
    grad_W1 = X.T @ delta_hidden
    grad_b1 = delta_hidden.sum(axis=0)
    W1 -= 0.1 * grad_W1; b1 -= 0.1 * grad_b1; W2 -= 0.1 * grad_W2; b2 -= 0.1 * grad_b2
"""
)
MADE_TWICE = (
    DATA
    + """
X, y = rng.normal(size=(10, 4)), rng.integers(0, 3, 10)
W, b = 0.1 * rng.normal(size=(4, 3)), np.zeros((1, 3))
scores = X @ W + b
W, b = 0.1 * rng.normal(size=(4, 3)), np.zeros((1, 3))
for i in range(4):
    scores = X @ W + b
    e = np.exp(scores)
    probs = e / e.sum(axis=1, keepdims=True)
    dscores = probs.copy()
    dscores[range(10), y] -= 1
    dscores /= 10
    dW = X.T @ dscores
    db = dscores.sum(axis=0, keepdims=True)
    W += -1.0 * dW
    b += -1.0 * db
"""
)
SCRIPTS = {
    "h is a sum": (H_IS_A_SUM, ("grad_h[h < 0] = 0", "pass"), {("dZ1", "mask-missing")}),
    "z2 is an activation": (
        ACTIVATIONS_CALLED_Z,
        ("self.o_delta = self.o_error * o * (1 - o)", "self.o_delta = self.o_error * self.z3 * (1 - self.z3)"),
        {("dZ2", "derivative-of-wrong-form")},
    ),
    "strange weights": (STRANGE_WEIGHTS, ("hidden_error * hidden", "hidden_error * 2 * hidden"), {("dZ1", "factor")}),
    "exponentials": (EXPONENTIALS_CALLED_OUTPUT, ("Y) / len(X)", "Y)"), set()),
    "made twice": (
        MADE_TWICE,
        ("db = dscores.sum(axis=0, keepdims=True)", "db = dscores[:1]"),
        {("db1", "one-sample")},
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_correct_script_is_all_rounding(tmp_path, name):
    facts = judged(tmp_path, SCRIPTS[name][0], "--steps", 3)
    assert [step["result"]["verdict"] for step in facts["steps"]] == ["rounding"] * 3
    known = 1 if name in ("h is a sum", "made twice") else 2
    assert {f"A{n}" for n in range(1, known + 1)} <= {*facts["steps"][0]["found"]}


@pytest.mark.parametrize("name", [name for name in SCRIPTS if SCRIPTS[name][2]])
def test_and_a_mistake_in_it_is_found(tmp_path, name):
    text, (old, new), found = SCRIPTS[name]
    assert old in text
    facts = judged(tmp_path, text.replace(old, new))
    assert found <= {*failed(facts)[0]}


def test_an_update_without_a_rate_is_checked_by_the_other_layers(tmp_path):
    """No dW has a name and no rate: what the other layer moves along its product by is the rate, which is 1."""
    facts = judged(tmp_path, ACTIVATIONS_CALLED_Z)
    assert {"W1_next", "W2_next"} <= {*facts["steps"][0]["result"]["coverage"]["checked"]}
    wrong = ACTIVATIONS_CALLED_Z.replace("self.z2.T.dot(self.o_delta)", "self.z2[::-1].T.dot(self.o_delta)")
    assert wrong != ACTIVATIONS_CALLED_Z
    assert ("W2_next", "") in failed(judged(tmp_path, wrong))[0]


def test_rates_that_differ_from_layer_to_layer_are_no_mistake(tmp_path):
    rates = ACTIVATIONS_CALLED_Z.replace("self.W1 += X", "self.W1 += 0.3 * X")
    facts = judged(tmp_path, rates)
    assert facts["verdict"] == "rounding"
    assert {"W1_next", "W2_next"} <= {*facts["steps"][0]["result"]["coverage"]["unchecked"]}


def test_a_sum_that_is_changed_after_it_was_right_is_what_is_judged(tmp_path):
    """By value the array before the change fits; the one that the script goes on with is wrong."""
    old, new = "    h = x.dot(w1)\n", "    s = x.dot(w1)\n    z1 = h = s * 1.05\n"
    assert old in H_IS_A_SUM
    facts = judged(tmp_path, H_IS_A_SUM.replace(old, new).replace("y_pred", "z2"))
    assert ("Z1", "factor") in failed(facts)[0]


def test_and_so_is_an_output(tmp_path):
    old = "    probs = e / e.sum(axis=1, keepdims=True)\n"
    assert old in MADE_TWICE
    facts = judged(tmp_path, MADE_TWICE.replace(old, old + "    probs = probs * 1.01\n"))
    assert ("A1", "factor") in failed(facts)[0]


UPHILL_WITHOUT_A_DELTA = (
    DATA
    + """
def s(v):
    return 1 / (1 + np.exp(-v))
features, targets = rng.normal(size=(40, 6)), rng.normal(size=40)
w1, w2 = rng.normal(size=(6, 4)), rng.normal(size=(4, 1))
for start in range(0, 40, 8):
    step1, step2 = np.zeros(w1.shape), np.zeros(w2.shape)
    for x, y in zip(features[start:start + 8], targets[start:start + 8]):
        hidden_outputs = s(x @ w1)
        final_outputs = hidden_outputs @ w2
        miss = y - final_outputs
        hidden_error = w2[:, 0] * miss
        term = hidden_error * hidden_outputs * (1 - hidden_outputs)
        step1 += term * x[:, None]
        step2 += (miss * hidden_outputs)[:, None]
    w1 += 0.1 * step1 / 8
    w2 += 0.1 * step2 / 8
"""
)


def test_labels_that_are_numbers_and_an_error_that_points_uphill(tmp_path):
    """One sample at a time; the output's error has a name that means nothing, the hidden one has its sign."""
    facts = judged(tmp_path, UPHILL_WITHOUT_A_DELTA, "--steps", 2)
    assert facts["verdict"] == "rounding", failed(facts)
    assert {"Y", "dA1", "W1_next", "W2_next"} <= {*facts["steps"][0]["found"]}
    wrong = UPHILL_WITHOUT_A_DELTA.replace("w2[:, 0] * miss", "w2[:, 0] * abs(miss)")
    assert ("dA1", "") in failed(judged(tmp_path, wrong, "--steps", 1))[0]
