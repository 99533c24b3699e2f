"""What ``check_backprop`` costs: a healthy step against the step itself, and a diagnosis of failures in every layer.

    python -m benchmarks.check_backprop

784-128-10, ReLU and softmax, m = 1,000, in float32 and float64. Targets: a healthy check at most 3 times the step in
NumPy; a step in which every gradient of every layer is wrong, named, in at most 2 s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import backproof
from benchmarks.random_steps import Arrays, Case, arrays_of

REPEAT = 15
SAID: dict[str, Any] = {"activations": ["relu", "softmax"], "loss": "cross_entropy", "learning_rate": 0.1}


def step(q: Arrays) -> tuple[Any, ...]:
    """The step as one writes it."""
    W1, b1, W2, b2, X, Y = (q[name] for name in ("W1", "b1", "W2", "b2", "X", "Y"))
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.maximum(0, Z1)
    Z2 = W2 @ A1 + b2
    E = np.exp(Z2 - Z2.max(axis=0))
    A2 = E / E.sum(axis=0)
    loss = -np.log(A2[Y == 1]).sum() / m
    dZ2 = (A2 - Y) / m
    dW2, db2 = dZ2 @ A1.T, dZ2.sum(axis=1, keepdims=True)
    dZ1 = (W2.T @ dZ2) * (Z1 > 0)
    dW1, db1 = dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True)
    return loss, W1 - 0.1 * dW1, b1 - 0.1 * db1, W2 - 0.1 * dW2, b2 - 0.1 * db2


def seconds(function: Callable[[], Any]) -> float:
    """Of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Print both."""
    for dtype in ("float32", "float64"):
        q = arrays_of(Case((784, 128, 10), ("relu", "softmax"), "cross_entropy", 1000, dtype=dtype, seed=3))
        wrong = {name: 2 * array if name[0] == "d" else array for name, array in q.items()}
        wrong |= {"dZ1": q["dA1"], "db1": np.full_like(q["db1"], q["db1"].sum()), "dW2": q["dW2"][::-1].copy()}
        healthy, failing = (partial(backproof.check_backprop, arrays, **SAID) for arrays in (q, wrong))
        healthy(), step(q)
        pairs = [(seconds(partial(step, q)), seconds(healthy)) for _ in range(REPEAT)]
        ratio = median(check / plain for plain, check in pairs)
        failures = len(failing().failures)
        print(
            f"{dtype}: step {1e3 * median(plain for plain, _ in pairs):.1f} ms, healthy check "
            f"{1e3 * median(check for _, check in pairs):.1f} ms, {ratio:.2f} times the step (at most 3); "
            f"{failures} failures named in {median(seconds(failing) for _ in range(3)):.2f} s (at most 2)"
        )


if __name__ == "__main__":
    main()
