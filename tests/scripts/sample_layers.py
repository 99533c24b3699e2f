"""Layers that learn inside of backward, one sample at a time in columns, mean squared error."""

import numpy as np
from keeping import keep


class Layer:
    def __init__(self):
        self.input = None
        self.output = None


class Dense(Layer):
    def __init__(self, input_size, output_size):
        self.weights = np.random.randn(output_size, input_size)
        self.bias = np.random.randn(output_size, 1)

    def forward(self, input):
        self.input = input
        return np.dot(self.weights, self.input) + self.bias

    def backward(self, output_gradient, learning_rate):
        weights_gradient = np.dot(output_gradient, self.input.T)
        input_gradient = np.dot(self.weights.T, output_gradient)
        self.weights -= learning_rate * weights_gradient
        self.bias -= learning_rate * output_gradient
        return input_gradient


class Activation(Layer):
    def __init__(self, activation, activation_prime):
        self.activation = activation
        self.activation_prime = activation_prime

    def forward(self, input):
        self.input = input
        return self.activation(self.input)

    def backward(self, output_gradient, learning_rate):
        return np.multiply(output_gradient, self.activation_prime(self.input))


class Tanh(Activation):
    def __init__(self):
        super().__init__(lambda x: np.tanh(x), lambda x: 1 - np.tanh(x) ** 2)


def mse(y_true, y_pred):
    return np.mean(np.power(y_true - y_pred, 2))


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / np.size(y_true)


np.random.seed(10)
X = np.random.rand(12, 3, 1)
Y = np.random.rand(12, 2, 1)
network = [Dense(3, 5), Tanh(), Dense(5, 2), Tanh()]
number = 0
for e in range(100):
    error = 0
    for x, y in zip(X, Y):
        output = x
        keep(f"{number}-W1", network[0].weights)
        keep(f"{number}-W2", network[2].weights)
        for layer in network:
            output = layer.forward(output)
        error += mse(y, output)
        keep(f"{number}-X", x)
        keep(f"{number}-Y", y)
        keep(f"{number}-Z1", network[1].input)
        keep(f"{number}-A1", network[2].input)
        keep(f"{number}-Z2", network[3].input)
        keep(f"{number}-A2", output)
        grad = mse_prime(y, output)
        for layer in reversed(network):
            grad = layer.backward(grad, 0.1)
        keep(f"{number}-W1_next", network[0].weights)
        keep(f"{number}-W2_next", network[2].weights)
        number += 1
    error /= len(X)
    print("%d/%d, error=%f" % (e + 1, 100, error))
