"""Random correct training steps in plain NumPy, as people write them: every layout, orientation and convention.

A step is written out here once more, in the layout of the case and independent of the reference and of the engine's
equations, so that what the checks say of it is a finding about the checks. ``faults`` replaces one quantity by a wrong
one; what comes after it is computed from the wrong value, as in a script with that mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]
Fault = Callable[["Case", Arrays, Array], Array]
"""(case, the quantities so far, the right value) -> the wrong one."""

HIDDEN = ("relu", "leaky_relu", "tanh", "sigmoid", "identity")
PAIRS = (
    ("softmax", "cross_entropy"), ("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"),
    ("sigmoid", "mse"), ("identity", "mse"), ("tanh", "mse"), ("softmax", "mse"),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One step's network, data and convention.

    Attributes:
        rows: samples in rows (and W in x out unless ``torch_like``).
        torch_like: rows with W out x in.
        averaged_in: ``delta``, ``gradient`` or ``update``.
        divisor: what the loss divides by.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    m: int
    dtype: str = "float64"
    rows: bool = False
    torch_like: bool = False
    integer_labels: bool = False
    reduction: str = "mean_over_samples"
    averaged_in: str = "delta"
    half: bool = False
    slope: float = 0.01
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    seed: int = 0
    absent: tuple[str, ...] = field(default=())

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.sizes) - 1

    @property
    def divisor(self) -> int:
        """Of the loss."""
        return {"sum": 1, "mean_over_samples": self.m, "mean": self.m * self.sizes[-1]}[self.reduction]

    @property
    def said(self) -> dict[str, Any]:
        """What a caller would tell ``check_backprop``."""
        said: dict[str, Any] = {"activations": list(self.activations), "loss": self.loss, "slope": self.slope}
        return said | {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}


def random_case(seed: int, largest: int = 24) -> Case:
    """A case that shows mistakes: unequal widths, a batch that is no width, more than one output (mostly)."""
    draw = np.random.default_rng([seed, 77])
    depth = int(draw.integers(1, 5))
    sizes = [int(n) for n in draw.choice(np.arange(2, largest), depth + 1, replace=False)]
    output, loss = PAIRS[draw.integers(len(PAIRS))]
    if output == "sigmoid" and draw.random() < 0.4:
        sizes[-1] = 1
    m = int(draw.choice([k for k in range(3, 3 * largest) if k not in sizes]))
    rows = bool(draw.integers(2))
    reductions = ("mean_over_samples", "sum") if loss == "cross_entropy" else ("mean_over_samples", "mean", "sum")
    reduction = str(draw.choice(reductions))
    return Case(
        tuple(sizes), (*(str(draw.choice(HIDDEN)) for _ in range(depth - 1)), output), loss, m,
        dtype=str(draw.choice(["float32", "float64"])), rows=rows, torch_like=rows and bool(draw.integers(2)),
        integer_labels=loss == "cross_entropy" and bool(draw.integers(2)), reduction=reduction,
        averaged_in="delta" if reduction == "sum" else str(draw.choice(["delta", "gradient", "update"])),
        half=loss == "mse" and bool(draw.integers(2)), slope=float(draw.choice([0.01, 0.1, 0.2])),
        learning_rate=float(draw.choice([0.01, 0.1, 1.0])), seed=seed,
    )  # fmt: skip


def arrays_of(
    case: Case, faults: Mapping[str, Fault] | None = None, prepare: Callable[[Case, Arrays], None] | None = None
) -> Arrays:
    """The arrays of one step under their keys, in the case's own layout.

    Args:
        prepare: changes data and parameters before anything is computed from them.
    """
    q = _data(case)
    if prepare is not None:
        prepare(case, q)
    forward(case, q, faults or {})
    backward(case, q, faults or {})
    update(case, q, faults or {})
    return {name: array for name, array in q.items() if name not in case.absent and not name.startswith("_")}


def _data(case: Case) -> Arrays:
    draw = np.random.default_rng([case.seed, 5])
    n, m, dtype = case.sizes[-1], case.m, case.dtype
    X = draw.normal(size=(case.sizes[0], m)).astype(dtype)
    if case.activations[-1] == "softmax" or case.loss == "cross_entropy":
        classes = draw.integers(0, n, m)
        Y = np.eye(n, dtype=dtype)[:, classes]
    elif case.loss == "binary_cross_entropy" or case.activations[-1] == "sigmoid":
        Y = draw.integers(0, 2, (n, m)).astype(dtype)
    else:
        Y = draw.normal(size=(n, m)).astype(dtype)
    q: Arrays = {"X": X.T.copy() if case.rows else X, "_Y": Y.T.copy() if case.rows else Y}
    q["Y"] = Y.argmax(axis=0) if case.integer_labels else q["_Y"]
    for layer in range(1, case.depth + 1):
        shape = (case.sizes[layer], case.sizes[layer - 1])
        W = draw.normal(size=shape) * np.sqrt(1.5 / shape[1])
        b = draw.normal(size=case.sizes[layer]) * 0.3
        out_in = not case.rows or case.torch_like
        q[f"W{layer}"] = np.ascontiguousarray(W if out_in else W.T).astype(dtype)
        q[f"b{layer}"] = b.astype(dtype) if case.rows else b[:, None].astype(dtype)
    return q


def keep(case: Case, q: Arrays, faults: Mapping[str, Fault], name: str, value: Any) -> None:
    """Store a quantity, or what a fault makes of it."""
    right = np.asarray(value)
    q[name] = np.asarray(faults[name](case, q, right)) if name in faults else right


def forward(case: Case, q: Arrays, faults: Mapping[str, Fault]) -> None:
    """``Z``, ``A`` and the loss."""
    A = q["X"]
    for layer in range(1, case.depth + 1):
        W, b = q[f"W{layer}"], q[f"b{layer}"]
        Z = (A @ (W.T if case.torch_like else W) if case.rows else W @ A) + b
        keep(case, q, faults, f"Z{layer}", Z)
        keep(case, q, faults, f"A{layer}", activate(case, case.activations[layer - 1], q[f"Z{layer}"]))
        A = q[f"A{layer}"]
    keep(case, q, faults, "loss", loss_of(case, q, A))


def activate(case: Case, name: str, Z: Array) -> Array:
    """As people write them."""
    axis = 1 if case.rows else 0
    if name == "softmax":
        E = np.exp(Z - Z.max(axis=axis, keepdims=True))
        return E / E.sum(axis=axis, keepdims=True)
    if name == "leaky_relu":
        return np.where(Z > 0, Z, Z.dtype.type(case.slope) * Z)
    return {
        "relu": lambda: np.maximum(0, Z),
        "tanh": lambda: np.tanh(Z),
        "sigmoid": lambda: 1 / (1 + np.exp(-Z)),
        "identity": lambda: Z.copy(),
    }[name]()


def loss_of(case: Case, q: Arrays, A: Array) -> Array:
    """From the output, as textbooks write it."""
    Y = q["_Y"]
    if case.loss == "mse":
        value = ((A - Y) ** 2).sum() / case.divisor * (0.5 if case.half else 1)
    elif case.loss == "cross_entropy":
        value = -np.log(A[Y == 1]).sum() / case.divisor
    else:
        value = -(Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum() / case.divisor
    if case.weight_decay:
        value += case.weight_decay / 2 * sum((q[f"W{n}"] ** 2).sum() for n in range(1, case.depth + 1))
    return np.asarray(value, case.dtype)


def derivative(case: Case, name: str, Z: Array, A: Array) -> Array:
    """``g'``, elementwise."""
    return {
        "relu": lambda: (Z > 0).astype(Z.dtype),
        "leaky_relu": lambda: np.where(Z > 0, Z.dtype.type(1), Z.dtype.type(case.slope)),
        "tanh": lambda: 1 - A**2,
        "sigmoid": lambda: A * (1 - A),
        "identity": lambda: np.ones_like(Z),
    }[name]()


def backward(case: Case, q: Arrays, faults: Mapping[str, Fault]) -> None:
    """The deltas and gradients, from the output to the input."""
    L, late = case.depth, case.averaged_in != "delta"
    for layer in range(L, 0, -1):
        Z, A, W = q[f"Z{layer}"], q[f"A{layer}"], q[f"W{layer}"]
        if layer == L:
            keep(case, q, faults, f"dZ{L}", output_delta(case, q, 1 if late else case.divisor))
        else:
            keep(case, q, faults, f"dZ{layer}", q[f"dA{layer}"] * derivative(case, case.activations[layer - 1], Z, A))
        dZ, below = q[f"dZ{layer}"], q["X"] if layer == 1 else q[f"A{layer - 1}"]
        over = case.divisor if case.averaged_in == "gradient" else 1
        product = (dZ.T @ below if case.torch_like else below.T @ dZ) if case.rows else dZ @ below.T
        decay = q[f"W{layer}"].dtype.type(case.weight_decay) * W if case.weight_decay else 0
        keep(case, q, faults, f"dW{layer}", product / over + decay if over > 1 else product + decay)
        sums = dZ.sum(axis=0) if case.rows else dZ.sum(axis=1, keepdims=True)
        keep(case, q, faults, f"db{layer}", sums / over if over > 1 else sums)
        if layer > 1:
            back = (dZ @ (W if case.torch_like else W.T)) if case.rows else W.T @ dZ
            keep(case, q, faults, f"dA{layer - 1}", back)


def output_delta(case: Case, q: Arrays, divisor: int) -> Array:
    """``dZ_L``, from the output."""
    A, Y, Z, output = q[f"A{case.depth}"], q["_Y"], q[f"Z{case.depth}"], case.activations[-1]
    if case.loss != "mse":
        return (A - Y) / divisor
    dA = (1 if case.half else 2) * (A - Y) / divisor
    if output == "softmax":
        return A * (dA - (dA * A).sum(axis=1 if case.rows else 0, keepdims=True))
    return dA * derivative(case, output, Z, A)


def update(case: Case, q: Arrays, faults: Mapping[str, Fault]) -> None:
    """Plain gradient descent."""
    rate = case.learning_rate / (case.divisor if case.averaged_in == "update" else 1)
    for layer in range(1, case.depth + 1):
        for name in (f"W{layer}", f"b{layer}"):
            keep(case, q, faults, f"{name}_next", q[name] - rate * q[f"d{name}"])
