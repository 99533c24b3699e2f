"""Digits with layer objects and mini-batches, samples in rows. Trains, and is wrong in one place."""

import numpy as np
from sklearn.datasets import load_digits


class Dense:
    def __init__(self, fan_in, fan_out, rng):
        self.W = rng.normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in)
        self.b = np.zeros(fan_out)

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, grad):
        self.dW = self.X.T @ grad
        self.db = grad.sum(axis=0)
        return grad @ self.W.T


class ReLU:
    def forward(self, Z):
        self.Z = Z
        return np.maximum(0, Z)

    def backward(self, grad):
        derivative = np.where(self.Z < 0, 0, self.Z)
        derivative = np.where(derivative >= 0, 1, derivative)
        return grad * derivative


class Network:
    def __init__(self, sizes, seed=0):
        rng = np.random.default_rng(seed)
        self.layers = []
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            self.layers += [Dense(fan_in, fan_out, rng), ReLU()]
        self.layers.pop()

    def forward(self, X):
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def backward(self, grad):
        for layer in reversed(self.layers):
            grad = layer.backward(grad)

    def step(self, learning_rate):
        for layer in self.layers:
            if isinstance(layer, Dense):
                layer.W -= learning_rate * layer.dW
                layer.b -= learning_rate * layer.db


def cross_entropy(logits, y):
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = exps / exps.sum(axis=1, keepdims=True)
    loss = -np.log(probs[np.arange(len(y)), y]).mean()
    dlogits = probs.copy()
    dlogits[np.arange(len(y)), y] -= 1
    return loss, dlogits / len(y)


def main():
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    model, rng = Network([64, 32, 16, 10]), np.random.default_rng(1)
    for epoch in range(20):
        order = rng.permutation(len(X))
        for start in range(0, len(X), 50):
            batch = order[start : start + 50]
            loss, dlogits = cross_entropy(model.forward(X[batch]), y[batch])
            model.backward(dlogits)
            model.step(0.1)
        print("epoch", epoch, "loss", loss)


if __name__ == "__main__":
    main()
