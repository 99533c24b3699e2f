"""One class with all the parameters, mini-batches, a cache and a grads dict; samples in rows."""

import numpy as np
from keeping import keep


class NeuralNetwork:
    def __init__(self, input_size, hidden_size, output_size, lr=0.2):
        rng = np.random.default_rng(3)
        self.W1 = rng.normal(size=(input_size, hidden_size)) * 0.4
        self.b1 = rng.normal(size=hidden_size) * 0.1
        self.W2 = rng.normal(size=(hidden_size, output_size)) * 0.4
        self.b2 = rng.normal(size=output_size) * 0.1
        self.lr = lr
        self.cache = {}

    def sigmoid(self, z):
        return 1 / (1 + np.exp(-z))

    def softmax(self, z):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def forward(self, X):
        z1 = X @ self.W1 + self.b1
        a1 = self.sigmoid(z1)
        z2 = a1 @ self.W2 + self.b2
        a2 = self.softmax(z2)
        self.cache = {"X": X, "Z1": z1, "A1": a1, "Z2": z2, "A2": a2}
        return a2

    def compute_loss(self, y_true, y_pred):
        m = y_true.shape[0]
        return -np.sum(y_true * np.log(y_pred)) / m

    def backward(self, y_true):
        m = y_true.shape[0]
        grads = {}
        dz2 = (self.cache["A2"] - y_true) / m
        grads["dW2"] = self.cache["A1"].T @ dz2
        grads["db2"] = dz2.sum(axis=0)
        da1 = dz2 @ self.W2.T
        dz1 = da1 * self.cache["A1"] * (1 - self.cache["A1"])
        grads["dW1"] = self.cache["X"].T @ dz1
        grads["db1"] = dz1.sum(axis=0)
        keep(f"{step}-dZ2", dz2)
        keep(f"{step}-dA1", da1)
        keep(f"{step}-dZ1", dz1)
        return grads

    def update(self, grads):
        self.W1 -= self.lr * grads["dW1"]
        self.b1 -= self.lr * grads["db1"]
        self.W2 -= self.lr * grads["dW2"]
        self.b2 -= self.lr * grads["db2"]

    def predict(self, X):
        return np.argmax(self.forward(X), axis=1)


rng = np.random.default_rng(4)
X_train = rng.normal(size=(60, 11))
y_train = np.eye(3)[rng.integers(0, 3, 60)]
X_test = rng.normal(size=(17, 11))
y_test = rng.integers(0, 3, 17)
net = NeuralNetwork(11, 8, 3)
step = 0
for epoch in range(20):
    order = rng.permutation(len(X_train))
    print("accuracy before the epoch:", np.mean(net.predict(X_test) == y_test))
    for start in range(0, len(X_train), 25):
        batch = order[start : start + 25]
        X_batch, y_batch = X_train[batch], y_train[batch]
        keep(f"{step}-W1", net.W1)
        out = net.forward(X_batch)
        loss = net.compute_loss(y_batch, out)
        grads = net.backward(y_batch)
        net.update(grads)
        keep(f"{step}-X", X_batch)
        keep(f"{step}-Y", y_batch)
        keep(f"{step}-loss", loss)
        keep(f"{step}-Z1", net.cache["Z1"])
        keep(f"{step}-A2", net.cache["A2"])
        keep(f"{step}-dW1", grads["dW1"])
        keep(f"{step}-db2", grads["db2"])
        keep(f"{step}-W1_next", net.W1)
        step += 1
