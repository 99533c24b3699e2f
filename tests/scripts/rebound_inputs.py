"""X becomes the sums and the activations of each layer in turn, and lists keep them; error is every delta."""
import numpy as np
from keeping import keep

number = 0

np.random.seed(6)
class MLP:
    def __init__(self, sizes):
        self.layer_sizes = sizes
        weights, biases = [], []
        for i in range(len(sizes)-1):
            weights.append(np.random.randn(sizes[i], sizes[i+1])); biases.append(np.random.randn(1, sizes[i+1]))
        self.weights, self.biases = weights, biases
        self.layer_act = [None]*len(sizes); self.layer_z = [None]*len(sizes)
    def sig(self, x): return 1/(1+np.exp(-x))
    def dsig(self, x): return self.sig(x)*(1-self.sig(x))
    def forward_pass(self, X):
        self.layer_act[0] = X; self.layer_z[0] = X
        for i in range(len(self.weights)-1):
            X = np.dot(X, self.weights[i]) + self.biases[i]
            self.layer_z[i+1] = X
            X = self.sig(X)
            self.layer_act[i+1] = X
        X = np.dot(X, self.weights[-1]) + self.biases[-1]
        self.layer_z[-1] = X
        X = self.sig(X)
        self.layer_act[-1] = X
        return self.layer_act[-1]
    def backward_pass(self, Y, batch_size):
        grad_w = [np.zeros_like(w) for w in self.weights]; grad_b = [np.zeros_like(b) for b in self.biases]
        error = (self.layer_act[-1]-Y)*self.dsig(self.layer_z[-1])
        grad_w[-1] = np.dot(self.layer_act[-2].T, error)/batch_size
        grad_b[-1] = np.sum(error, axis=0, keepdims=True)/batch_size
        for i in range(len(self.weights)-2, -1, -1):
            error = np.dot(error, self.weights[i+1].T)*self.dsig(self.layer_z[i+1])
            grad_w[i] = np.dot(self.layer_act[i].T, error)/batch_size
            grad_b[i] = np.sum(error, axis=0, keepdims=True)/batch_size
        return grad_w, grad_b
    def fit(self, X, Y, lr, epochs):
        global number
        for e in range(epochs):
            for k in range(0, len(X), 8):
                xb, yb = X[k:k+8], Y[k:k+8]
                self.forward_pass(xb)
                gw, gb = self.backward_pass(yb, len(xb))
                keep(f"{number}-X", xb)
                keep(f"{number}-Y", yb)
                keep(f"{number}-W1", self.weights[0])
                keep(f"{number}-Z1", self.layer_z[1])
                keep(f"{number}-A1", self.layer_act[1])
                keep(f"{number}-Z3", self.layer_z[3])
                keep(f"{number}-A3", self.layer_act[3])
                keep(f"{number}-dW1", gw[0])
                keep(f"{number}-dW3", gw[2])
                keep(f"{number}-db2", gb[1])
                for i in range(len(self.weights)):
                    self.weights[i] -= lr*gw[i]; self.biases[i] -= lr*gb[i]
                keep(f"{number}-W1_next", self.weights[0])
                number += 1
MLP([5, 7, 6, 3]).fit(np.random.rand(24, 5), np.eye(3)[np.random.randint(0, 3, 24)], 0.5, 4)
