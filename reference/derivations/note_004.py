"""Note 004: three layers, ReLU, ReLU, softmax, log-likelihood; samples in rows, weights in x out.

The note's letters: n samples, d inputs, h units in the first hidden layer, c classes. It writes d for the second
hidden layer too, which is 3 wide in its example as the input is; here that width is e. The loss is a sum,
so no line has a 1/n.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]


def relu(x: Array) -> Array:
    """``max(x, 0)``, elementwise."""
    return np.maximum(x, 0)


def relu_prime(x: Array) -> Array:
    """``Relu'(x)``: 1 for x > 0, 0 elsewhere."""
    return np.where(x > 0, 1.0, 0.0)


def softmax(S: Array) -> Array:
    """``e^s_j / sum_k e^s_k`` of each row, shifted by the row's largest s against overflow."""
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def one_hot(labels: Array, c: int) -> Array:
    """``T``: n x c, a single 1 in each row."""
    T = np.zeros((len(labels), c))
    T[np.arange(len(labels)), labels] = 1
    return T


def forward(X: Array, W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array) -> Tensors:
    """Forward (3 layers).

    Returns:
        ``H``, ``A``, ``O``, ``q``, ``S``, ``P``.
    """
    H = X @ W1 + b1  # H = X W1 + b1         n x d, d x h, 1 x h -> n x h     4 x 2
    A = relu(H)  # A = Relu(X W1 + b1)   n x h                            4 x 2
    O = A @ W2 + b2  # O = A W2 + b2         n x h, h x e, 1 x e -> n x e     4 x 3  # noqa: E741
    q = relu(O)  # q = Relu(O)           n x e                            4 x 3
    S = q @ W3 + b3  # S = q W3 + b3         n x e, e x c, 1 x c -> n x c     4 x 2
    P = softmax(S)  # P = softmax(S)        n x c                            4 x 2
    return {"H": H, "A": A, "O": O, "q": q, "S": S, "P": P}


def loss(P: Array, T: Array) -> Array:
    """``L = -LogLikelihood(P)``: minus the sum over all samples of log P at the true class."""
    # 0 log 0 is taken as 0: a wrong class may have a probability that underflows.
    return -(T * np.log(P, out=np.zeros_like(P), where=T != 0)).sum()


def backward(X: Array, T: Array, W2: Array, W3: Array, cache: Tensors) -> Tensors:
    """Backward (3 layers); ``T`` is n x c, ``cache`` what :func:`forward` returned.

    Returns:
        ``dS``, ``dW3``, ``db3``, ``dq``, ``dO``, ``dW2``, ``db2``, ``dA``, ``dH``, ``dW1``, ``db1``.
    """
    dS = cache["P"] - T  # dL/ds = p - T                     n x c         4 x 2
    dW3 = cache["q"].T @ dS  # q^T (p - T)                       e x n, n x c  3 x 2
    db3 = dS.sum(axis=0, keepdims=True)  # 1 . dL/ds, 1 a row of n ones      1 x c         1 x 2
    dq = dS @ W3.T  # (p - T) W3^T                      n x c, c x e  4 x 3
    dO = relu_prime(cache["O"]) * dq  # Relu'(o) (.) dL/dq                n x e         4 x 3
    dW2 = cache["A"].T @ dO  # A^T [Relu'(o) (.) dL/dq]          h x n, n x e  2 x 3
    db2 = dO.sum(axis=0, keepdims=True)  # 1 . dL/do                         1 x e         1 x 3
    dA = dO @ W2.T  # dL/do W2^T                        n x e, e x h  4 x 2
    dH = relu_prime(cache["H"]) * dA  # f'(H) (.) dL/dA                   n x h         4 x 2
    dW1 = X.T @ dH  # X^T [f'(H) (.) dL/dA]             d x n, n x h  3 x 2
    db1 = dH.sum(axis=0, keepdims=True)  # 1 . dL/dH                         1 x h         1 x 2
    return {
        "dS": dS, "dW3": dW3, "db3": db3, "dq": dq, "dO": dO, "dW2": dW2, "db2": db2,
        "dA": dA, "dH": dH, "dW1": dW1, "db1": db1,
    }  # fmt: skip


def update(parameters: Tensors, gradients: Tensors, alpha: float) -> Tensors:
    """``W <- W - alpha dL/dW``, and b likewise; the note stops before it. A summed loss wants alpha over n."""
    return {name: array - alpha * gradients[f"d{name}"] for name, array in parameters.items()}


def example() -> tuple[Array, Array, Tensors]:
    """The note's 3-2-3-2 with n = 4, which draws dots: small numbers to follow by hand.

    No pre-activation is 0, every unit is off for some sample or other, and with t = ln 2 in the last layer the
    probabilities are 8/9, 8/9, 2/3 and 1/3 for the first class.

    Returns:
        ``X`` (4 x 3), ``T`` (4 x 2) and the parameters ``W1``, ``b1``, ..., ``b3``.
    """
    t = np.log(2)
    X = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]], float)
    parameters = {
        "W1": np.array([[2, -1], [3, 1], [-1, 3]], float),
        "b1": np.array([[-1, -2]], float),
        "W2": np.array([[2, -2, 2], [-2, 2, 1]], float),
        "b2": np.array([[-1, -1, -3]], float),
        "W3": t * np.array([[1, 0], [0, 1], [-1, 1]], float),
        "b3": t * np.array([[1, -1]], float),
    }
    return X, one_hot(np.array([0, 1, 1, 1]), 2), parameters
