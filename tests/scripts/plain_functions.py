# Digits from scratch, functions that return tuples, samples in columns.
import numpy as np
from keeping import keep

np.random.seed(1)
data = np.random.rand(57, 13)
labels_all = np.random.randint(0, 5, 57)
X_train = data[:41].T
Y_train = labels_all[:41]
X_dev = data[41:].T
Y_dev = labels_all[41:]
_, m_train = X_train.shape


def init_params():
    W1 = np.random.rand(7, 13) - 0.5
    b1 = np.random.rand(7, 1) - 0.5
    W2 = np.random.rand(5, 7) - 0.5
    b2 = np.random.rand(5, 1) - 0.5
    return W1, b1, W2, b2


def ReLU(Z):
    return np.maximum(Z, 0)


def softmax(Z):
    A = np.exp(Z) / sum(np.exp(Z))
    return A


def forward_prop(W1, b1, W2, b2, X):
    Z1 = W1.dot(X) + b1
    A1 = ReLU(Z1)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2


def ReLU_deriv(Z):
    return Z > 0


def one_hot(Y):
    one_hot_Y = np.zeros((Y.size, Y.max() + 1))
    one_hot_Y[np.arange(Y.size), Y] = 1
    one_hot_Y = one_hot_Y.T
    return one_hot_Y


def backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y):
    one_hot_Y = one_hot(Y)
    dZ2 = A2 - one_hot_Y
    dW2 = 1 / m_train * dZ2.dot(A1.T)
    db2 = 1 / m_train * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T.dot(dZ2) * ReLU_deriv(Z1)
    dW1 = 1 / m_train * dZ1.dot(X.T)
    db1 = 1 / m_train * np.sum(dZ1, axis=1, keepdims=True)
    keep("dZ2", dZ2)
    keep("dZ1", dZ1)
    return dW1, db1, dW2, db2


def update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha):
    W1 = W1 - alpha * dW1
    b1 = b1 - alpha * db1
    W2 = W2 - alpha * dW2
    b2 = b2 - alpha * db2
    return W1, b1, W2, b2


def get_predictions(A2):
    return np.argmax(A2, 0)


def get_accuracy(predictions, Y):
    return np.sum(predictions == Y) / Y.size


def make_predictions(X, W1, b1, W2, b2):
    _, _, _, A2 = forward_prop(W1, b1, W2, b2, X)
    return get_predictions(A2)


def gradient_descent(X, Y, alpha, iterations):
    W1, b1, W2, b2 = init_params()
    for i in range(iterations):
        keep(f"{i}-W1", W1)
        keep(f"{i}-b2", b2)
        Z1, A1, Z2, A2 = forward_prop(W1, b1, W2, b2, X)
        keep(f"{i}-X", X)
        keep(f"{i}-Z1", Z1)
        keep(f"{i}-A1", A1)
        keep(f"{i}-Z2", Z2)
        keep(f"{i}-A2", A2)
        dW1, db1, dW2, db2 = backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y)
        keep(f"{i}-dW1", dW1)
        keep(f"{i}-db1", db1)
        keep(f"{i}-dW2", dW2)
        keep(f"{i}-db2", db2)
        W1, b1, W2, b2 = update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha)
        keep(f"{i}-W1_next", W1)
        keep(f"{i}-b2_next", b2)
        if i % 2 == 0:
            print("Iteration:", i, get_accuracy(get_predictions(A2), Y))
            print("dev:", get_accuracy(make_predictions(X_dev, W1, b1, W2, b2), Y_dev))
    return W1, b1, W2, b2


W1, b1, W2, b2 = gradient_descent(X_train, Y_train, 0.1, 50)
