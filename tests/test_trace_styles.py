"""More networks of layer objects as people write them: one list of all outputs, one name all the way back."""

from __future__ import annotations

import pytest

from tests.test_trace_objects import script
from tests.tracing_support import failed, judged

ONE_LIST = """\
import numpy as np

np.random.seed(42)


class ReLU:
    def forward(self, input):
        return np.maximum(0, input)

    def backward(self, input, grad_output):
        relu_grad = input > 0
        return grad_output * relu_grad


class Dense:
    def __init__(self, input_units, output_units, learning_rate=0.1):
        self.learning_rate = learning_rate
        self.weights = np.random.normal(size=(input_units, output_units)) / np.sqrt(input_units)
        self.biases = np.zeros(output_units)

    def forward(self, input):
        return np.dot(input, self.weights) + self.biases

    def backward(self, input, grad_output):
        grad_input = np.dot(grad_output, self.weights.T)
        grad_weights = np.dot(input.T, grad_output)
        grad_biases = grad_output.sum(axis=0)
        self.weights = self.weights - self.learning_rate * grad_weights
        self.biases = self.biases - self.learning_rate * grad_biases
        return grad_input


network = [Dense(20, 16), ReLU(), Dense(16, 12), ReLU(), Dense(12, 5)]


def forward(network, X):
    activations = []
    input = X
    for layer in network:
        activations.append(layer.forward(input))
        input = activations[-1]
    return activations


def train(network, X, y):
    layer_activations = forward(network, X)
    layer_inputs = [X] + layer_activations
    logits = layer_activations[-1]
    softmax = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    loss_grad = (softmax - np.eye(5)[y]) / len(logits)
    for layer_index in range(len(network))[::-1]:
        layer = network[layer_index]
        loss_grad = layer.backward(layer_inputs[layer_index], loss_grad)


X_train, y_train = np.random.randn(90, 20), np.random.randint(0, 5, 90)
for epoch in range(3):
    for start in range(0, 90, 30):
        train(network, X_train[start:start + 30], y_train[start:start + 30])
    accuracy = np.mean(forward(network, X_train)[-1].argmax(axis=-1) == y_train)
"""
CALLED = """\
import numpy as np

np.random.seed(1)


class Linear:
    def __init__(self, i, o):
        self.w = np.random.randn(i, o) / np.sqrt(i)
        self.b = np.zeros((1, o))

    def __call__(self, x):
        self.x = x
        self.out = x @ self.w + self.b
        return self.out

    def backward(self, dout):
        self.dw = self.x.T @ dout
        self.db = dout.sum(axis=0, keepdims=True)
        return dout @ self.w.T


class Tanh:
    def __call__(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out ** 2)


class Sequential:
    def __init__(self, *layers):
        self.layers = layers

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def backward(self, dout):
        for layer in reversed(self.layers):
            dout = layer.backward(dout)


model = Sequential(Linear(5, 8), Tanh(), Linear(8, 8), Tanh(), Linear(8, 2))
X, Y = np.random.randn(64, 5), np.random.randn(64, 2)
lr, wd = 0.05, 1e-3
for epoch in range(8):
    for i in range(0, 64, 16):
        x, y = X[i:i + 16], Y[i:i + 16]
        pred = model(x)
        loss = ((pred - y) ** 2).mean()
        model.backward(2 * (pred - y) / y.size)
        for layer in model.layers:
            if isinstance(layer, Linear):
                layer.w -= lr * (layer.dw + wd * layer.w)
                layer.b -= lr * layer.db
"""
SCRIPTS = {"one list": ONE_LIST, "called": CALLED}


@pytest.mark.parametrize("style", SCRIPTS)
def test_a_correct_script_is_rounding(tmp_path, style):
    facts = judged(tmp_path, SCRIPTS[style], "--steps", 5)
    assert facts["verdict"] == "rounding", failed(facts)
    for step in facts["steps"]:
        assert {"X", "Y", "Z1", "A1", "Z2", "A2", "Z3", "dZ3", "dW3", "dA1", "dZ1"} <= set(step["found"])


MISTAKES = {
    "no mask": ("one list", ("grad_output * relu_grad", "grad_output * 1.0"), {"dZ1", "dZ2"}),
    "a mean for a sum": ("one list", ("grad_output.sum(axis=0)", "grad_output.mean(axis=0)"), {"db1", "db2", "db3"}),
    "no derivative": ("called", ("dout * (1 - self.out ** 2)", "dout * 1.0"), {"dZ1", "dZ2"}),
    "half a gradient": ("called", ("self.x.T @ dout", "self.x.T @ dout / 2"), {"dW1", "dW2", "dW3"}),
    "another delta": ("called", ("2 * (pred - y) / y.size", "2 * (pred - y) / 7"), {"dZ3"}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_where_it_is(tmp_path, mistake):
    style, change, equations = MISTAKES[mistake]
    for step in failed(judged(tmp_path, script(change, text=SCRIPTS[style]), "--steps", 3)):
        assert {equation for equation, _ in step} == equations
