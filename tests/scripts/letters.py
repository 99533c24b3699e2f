"""The sums are called a, the activations z, the output y, the labels t; the gradients are W1 in a dict."""
import numpy as np
from keeping import keep

np.random.seed(0)
class Net:
    def __init__(self, i, h, o):
        self.params = {}
        self.params['W1'] = np.random.randn(i, h)*.5; self.params['b1'] = np.random.randn(h)*.1
        self.params['W2'] = np.random.randn(h, o)*.5; self.params['b2'] = np.random.randn(o)*.1
        self.grads = {}
    def forward(self, x):
        W1, W2 = self.params['W1'], self.params['W2']
        b1, b2 = self.params['b1'], self.params['b2']
        z1 = np.dot(x, W1) + b1
        a1 = np.maximum(0, z1)
        z2 = np.dot(a1, W2) + b2
        e = np.exp(z2 - z2.max(1, keepdims=True))
        y = e / e.sum(1, keepdims=True)
        return y
    def loss(self, x, t):
        y = self.forward(x)
        return -np.sum(np.log(y[np.arange(len(t)), t] + 1e-7)) / len(t)
    def gradient(self, x, t):
        W1, W2 = self.params['W1'], self.params['W2']
        b1, b2 = self.params['b1'], self.params['b2']
        grads = {}
        batch_num = x.shape[0]
        a1 = np.dot(x, W1) + b1
        z1 = np.maximum(0, a1)
        a2 = np.dot(z1, W2) + b2
        e = np.exp(a2 - a2.max(1, keepdims=True))
        y = e / e.sum(1, keepdims=True)
        dy = y.copy(); dy[np.arange(batch_num), t] -= 1; dy /= batch_num
        grads['W2'] = np.dot(z1.T, dy)
        grads['b2'] = np.sum(dy, axis=0)
        dz1 = np.dot(dy, W2.T)
        da1 = (a1 > 0) * dz1
        grads['W1'] = np.dot(x.T, da1)
        grads['b1'] = np.sum(da1, axis=0)
        keep(f"{i}-X", x)
        keep(f"{i}-Y", t)
        keep(f"{i}-W1", W1)
        keep(f"{i}-Z1", a1)
        keep(f"{i}-A1", z1)
        keep(f"{i}-Z2", a2)
        keep(f"{i}-A2", y)
        keep(f"{i}-dZ2", dy)
        keep(f"{i}-dA1", dz1)
        keep(f"{i}-dZ1", da1)
        keep(f"{i}-dW1", grads["W1"])
        keep(f"{i}-db2", grads["b2"])
        return grads
x_train = np.random.rand(50, 6); t_train = np.random.randint(0, 4, 50)
network = Net(6, 5, 4)
learning_rate = 0.1
train_loss_list = []
for i in range(100):
    mask = np.random.choice(50, 20)
    x_batch = x_train[mask]; t_batch = t_train[mask]
    grad = network.gradient(x_batch, t_batch)
    for key in ('W1', 'b1', 'W2', 'b2'):
        network.params[key] -= learning_rate * grad[key]
    keep(f"{i}-W1_next", network.params["W1"])
    loss = network.loss(x_batch, t_batch)
    train_loss_list.append(loss)
