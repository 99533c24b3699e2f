"""Lists of matrices by layer, loops over the layers, mini-batches in rows."""

import argparse

import numpy as np
from keeping import keep


class MLP:
    def __init__(self, layers, seed=11):
        rng = np.random.default_rng(seed)
        self.W = [rng.normal(0, 0.5, (a, b)) for a, b in zip(layers[:-1], layers[1:])]
        self.b = [rng.normal(0, 0.1, (1, b)) for b in layers[1:]]

    def forward(self, x):
        self.z = []
        self.a = [x]
        for i in range(len(self.W)):
            self.z.append(self.a[-1] @ self.W[i] + self.b[i])
            if i < len(self.W) - 1:
                self.a.append(np.where(self.z[-1] > 0, self.z[-1], 0))
            else:
                e = np.exp(self.z[-1] - self.z[-1].max(axis=1, keepdims=True))
                self.a.append(e / e.sum(axis=1, keepdims=True))
        return self.a[-1]

    def backward(self, y):
        m = len(y)
        self.dW = [None] * len(self.W)
        self.db = [None] * len(self.W)
        delta = (self.a[-1] - y) / m
        for i in reversed(range(len(self.W))):
            self.dW[i] = self.a[i].T @ delta
            self.db[i] = delta.sum(axis=0, keepdims=True)
            if i > 0:
                delta = (delta @ self.W[i].T) * (self.z[i - 1] > 0)

    def step(self, lr):
        for i in range(len(self.W)):
            self.W[i] -= lr * self.dW[i]
            self.b[i] -= lr * self.db[i]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(12)
    x_train = rng.normal(size=(64, 10))
    y_train = np.eye(4)[rng.integers(0, 4, 64)]
    model = MLP([10, 7, 9, 4])
    number = 0
    for epoch in range(options.epochs):
        losses = []
        for k in range(0, 64, 16):
            x_batch, y_batch = x_train[k : k + 16], y_train[k : k + 16]
            keep(f"{number}-W2", model.W[1])
            y_hat = model.forward(x_batch)
            batch_loss = -np.mean(np.sum(y_batch * np.log(y_hat), axis=1))
            losses.append(batch_loss)
            model.backward(y_batch)
            keep(f"{number}-X", x_batch)
            keep(f"{number}-Y", y_batch)
            keep(f"{number}-loss", batch_loss)
            keep(f"{number}-Z1", model.z[0])
            keep(f"{number}-A2", model.a[2])
            keep(f"{number}-A3", model.a[3])
            keep(f"{number}-dW1", model.dW[0])
            keep(f"{number}-db3", model.db[2])
            model.step(0.1)
            keep(f"{number}-W2_next", model.W[1])
            number += 1
        print(epoch, np.mean(losses))


if __name__ == "__main__":
    main()
