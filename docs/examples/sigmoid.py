"""Two classes of digits with sigmoids and a squared error, all in one class. It ends in NaN, and is wrong in two places."""

import numpy as np
from sklearn.datasets import load_digits


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_derivative(z):
    return z * (1 - z)


class NeuralNetwork:
    def __init__(self, x, y, hidden=8):
        rng = np.random.default_rng(0)
        self.x, self.y = x, y
        self.weights1 = rng.normal(size=(x.shape[1], hidden)) * 0.3
        self.bias1 = np.zeros((1, hidden))
        self.weights2 = rng.normal(size=(hidden, 1)) * 0.3
        self.bias2 = np.zeros((1, 1))

    def feedforward(self):
        self.z1 = self.x @ self.weights1 + self.bias1
        self.a1 = sigmoid(self.z1)
        self.z2 = self.a1 @ self.weights2 + self.bias2
        self.a2 = sigmoid(self.z2)
        self.loss = np.mean((self.a2 - self.y) ** 2)

    def backprop(self, learning_rate):
        m = len(self.x)
        delta2 = 2 * (self.a2 - self.y) / m
        dW2 = self.a1.T @ delta2
        db2 = delta2.sum(axis=0, keepdims=True)
        delta1 = delta2 @ self.weights2.T * sigmoid_derivative(self.z1)
        dW1 = self.x.T @ delta1
        db1 = delta1.sum(axis=0, keepdims=True)
        self.weights1 -= learning_rate * dW1
        self.bias1 -= learning_rate * db1
        self.weights2 -= learning_rate * dW2
        self.bias2 -= learning_rate * db2


images, labels = load_digits(n_class=2, return_X_y=True)
network = NeuralNetwork(images / 16.0, labels.reshape(-1, 1).astype(float))
for iteration in range(200):
    network.feedforward()
    network.backprop(0.5)
    if iteration % 50 == 0:
        print(iteration, network.loss)
