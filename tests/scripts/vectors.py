"""Everything in one dict, vectors of one sample, outer products; one name for the error of every layer."""
import numpy as np
from keeping import keep

number = 0

np.random.seed(1)
class DNN:
    def __init__(self, sizes, epochs=3, lr=0.01):
        self.sizes, self.epochs, self.lr = sizes, epochs, lr
        self.params = {'W1': np.random.randn(sizes[1], sizes[0]), 'W2': np.random.randn(sizes[2], sizes[1]), 'W3': np.random.randn(sizes[3], sizes[2])}
    def sigmoid(self, x, derivative=False):
        if derivative:
            return (np.exp(-x)) / ((np.exp(-x) + 1) ** 2)
        return 1 / (1 + np.exp(-x))
    def forward_pass(self, x_train):
        params = self.params
        params['A0'] = x_train
        params['Z1'] = np.dot(params['W1'], params['A0'])
        params['A1'] = self.sigmoid(params['Z1'])
        params['Z2'] = np.dot(params['W2'], params['A1'])
        params['A2'] = self.sigmoid(params['Z2'])
        params['Z3'] = np.dot(params['W3'], params['A2'])
        params['A3'] = self.sigmoid(params['Z3'])
        return params['A3']
    def backward_pass(self, y_train, output):
        params = self.params
        change_w = {}
        error = 2 * (output - y_train) / output.shape[0] * self.sigmoid(params['Z3'], derivative=True)
        keep(f"{number}-dZ3", error.reshape(1, -1))
        change_w['W3'] = np.outer(error, params['A2'])
        error = np.dot(params['W3'].T, error) * self.sigmoid(params['Z2'], derivative=True)
        change_w['W2'] = np.outer(error, params['A1'])
        error = np.dot(params['W2'].T, error) * self.sigmoid(params['Z1'], derivative=True)
        keep(f"{number}-dZ1", error.reshape(1, -1))
        change_w['W1'] = np.outer(error, params['A0'])
        return change_w
    def update_network_parameters(self, changes_to_w):
        for key, value in changes_to_w.items():
            self.params[key] -= self.lr * value
    def train(self, x_train, y_train):
        global number
        for it in range(self.epochs):
            for x, y in zip(x_train, y_train):
                output = self.forward_pass(x)
                changes_to_w = self.backward_pass(y, output)
                keep(f"{number}-X", x.reshape(1, -1))
                keep(f"{number}-Y", y.reshape(1, -1))
                keep(f"{number}-W2", self.params["W2"])
                keep(f"{number}-Z1", self.params["Z1"].reshape(1, -1))
                keep(f"{number}-A3", self.params["A3"].reshape(1, -1))
                keep(f"{number}-dW1", changes_to_w["W1"])
                keep(f"{number}-dW3", changes_to_w["W3"])
                self.update_network_parameters(changes_to_w)
                keep(f"{number}-W2_next", self.params["W2"])
                number += 1
dnn = DNN([9, 7, 6, 4])
dnn.train(np.random.rand(20, 9), np.eye(4)[np.random.randint(0, 4, 20)])
