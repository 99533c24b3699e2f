"""Digits with two layers, samples in columns. Trains, and is wrong in one place."""

import numpy as np
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
X_train, Y_train = images.T / 16.0, labels


def init_params():
    rng = np.random.default_rng(0)
    W1 = rng.normal(size=(24, 64)) * np.sqrt(2 / 64)
    b1 = np.zeros((24, 1))
    W2 = rng.normal(size=(10, 24)) * np.sqrt(1 / 24)
    b2 = np.zeros((10, 1))
    return W1, b1, W2, b2


def softmax(Z):
    expZ = np.exp(Z - Z.max(axis=0))
    return expZ / expZ.sum(axis=0)


def forward_prop(W1, b1, W2, b2, X):
    Z1 = W1.dot(X) + b1
    A1 = np.maximum(Z1, 0)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2


def one_hot(Y):
    one_hot_Y = np.zeros((10, Y.size))
    one_hot_Y[Y, np.arange(Y.size)] = 1
    return one_hot_Y


def backward_prop(Z1, A1, Z2, A2, W2, X, Y):
    m = Y.size
    dZ2 = A2 - one_hot(Y)
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.sum(dZ2)
    dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
    dW1 = 1 / m * dZ1.dot(X.T)
    db1 = 1 / m * np.sum(dZ1)
    return dW1, db1, dW2, db2


def gradient_descent(X, Y, alpha, iterations):
    W1, b1, W2, b2 = init_params()
    for i in range(iterations):
        Z1, A1, Z2, A2 = forward_prop(W1, b1, W2, b2, X)
        dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2, W2, X, Y)
        W1 = W1 - alpha * dW1
        b1 = b1 - alpha * db1
        W2 = W2 - alpha * dW2
        b2 = b2 - alpha * db2
        if i % 100 == 0:
            print("iteration", i, "accuracy", np.mean(A2.argmax(axis=0) == Y))
    return W1, b1, W2, b2


gradient_descent(X_train, Y_train, 0.5, 501)
