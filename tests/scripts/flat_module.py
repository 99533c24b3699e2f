# Everything at module level; the error is y - l2, and the weights are added to.
import numpy as np
from keeping import keep


def nonlin(x, deriv=False):
    if deriv == True:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))


np.random.seed(6)
X = np.random.rand(14, 4)
y = (np.random.rand(14, 3) > 0.5).astype(float)
syn0 = 2 * np.random.random((4, 6)) - 1
syn1 = 2 * np.random.random((6, 3)) - 1

for iter in range(10000):
    keep(f"{iter}-W1", syn0)
    l0 = X
    l1 = nonlin(np.dot(l0, syn0))
    l2 = nonlin(np.dot(l1, syn1))
    l2_error = y - l2
    if (iter % 1000) == 0:
        print("Error:" + str(np.mean(np.abs(l2_error))))
    l2_delta = l2_error * nonlin(l2, True)
    l1_error = l2_delta.dot(syn1.T)
    l1_delta = l1_error * nonlin(l1, True)
    keep(f"{iter}-X", l0)
    keep(f"{iter}-A1", l1)
    keep(f"{iter}-A2", l2)
    keep(f"{iter}-minus-dZ2", l2_delta)
    keep(f"{iter}-minus-dA1", l1_error)
    keep(f"{iter}-minus-dZ1", l1_delta)
    syn1 += l1.T.dot(l2_delta)
    syn0 += l0.T.dot(l1_delta)
    keep(f"{iter}-W1_next", syn0)
