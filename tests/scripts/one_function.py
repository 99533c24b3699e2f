"""Gradient descent inside one function; the output becomes its delta in place; W and b are the first layer's."""

import numpy as np
from keeping import keep


def train(X, y, h=11, K=3, step_size=0.3, reg=0.0):
    D = X.shape[1]
    W = 0.5 * np.random.randn(D, h)
    b = 0.1 * np.random.randn(1, h)
    W2 = 0.5 * np.random.randn(h, K)
    b2 = 0.1 * np.random.randn(1, K)
    num_examples = X.shape[0]
    for i in range(500):
        keep(f"{i}-W1", W)
        keep(f"{i}-W2", W2)
        hidden_layer = np.maximum(0, np.dot(X, W) + b)
        scores = np.dot(hidden_layer, W2) + b2
        exp_scores = np.exp(scores)
        probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
        keep(f"{i}-A2", probs)
        correct_logprobs = -np.log(probs[range(num_examples), y])
        data_loss = np.sum(correct_logprobs) / num_examples
        loss = data_loss + 0.5 * reg * np.sum(W * W) + 0.5 * reg * np.sum(W2 * W2)
        if i % 100 == 0:
            print("iteration %d: loss %f" % (i, loss))
        dscores = probs
        dscores[range(num_examples), y] -= 1
        dscores /= num_examples
        dW2 = np.dot(hidden_layer.T, dscores)
        db2 = np.sum(dscores, axis=0, keepdims=True)
        dhidden = np.dot(dscores, W2.T)
        keep(f"{i}-dA1", dhidden)
        dhidden[hidden_layer <= 0] = 0
        dW = np.dot(X.T, dhidden)
        db = np.sum(dhidden, axis=0, keepdims=True)
        keep(f"{i}-X", X)
        keep(f"{i}-Y", y)
        keep(f"{i}-loss", loss)
        keep(f"{i}-A1", hidden_layer)
        keep(f"{i}-Z2", scores)
        keep(f"{i}-dZ2", dscores)
        keep(f"{i}-dZ1", dhidden)
        keep(f"{i}-dW1", dW)
        keep(f"{i}-db1", db)
        keep(f"{i}-dW2", dW2)
        dW2 += reg * W2
        dW += reg * W
        W += -step_size * dW
        b += -step_size * db
        W2 += -step_size * dW2
        b2 += -step_size * db2
        keep(f"{i}-W1_next", W)
    return W, b, W2, b2


np.random.seed(8)
N, D, K = 17, 2, 3
X = np.random.randn(N * K, D)
y = np.repeat(np.arange(K), N)
train(X, y)
