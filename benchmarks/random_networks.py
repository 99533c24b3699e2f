"""Random honest trainings: any depth, width, batch, format and loss, on plain and on degenerate data.

A case follows from its seed alone. Depths run from 1 to 12, widths from 1 to 2,048 and samples from 1 to 60,000, all
log-uniformly. The work of a case, ``m sum(fan_in fan_out)`` with a share for the elementwise functions, is bounded by a
limit that is drawn as well: small for most, up to 2e9 for a few. Where a draw exceeds it, samples or widths give way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from backproof.network import HIDDEN_ACTIVATIONS, OUTPUT_ACTIVATIONS, Network
from backproof.training import Array, Parameters, Training

DEEPEST, WIDEST, MOST_SAMPLES = 12, 2048, 60_000
ELEMENTWISE = 64
"""What an element of Z, A, dA and dZ costs, in multiplications of a product."""
WORK = ((0.9, 4.5, 6.4), (0.08, 6.4, 7.4), (0.02, 7.4, 9.3))
"""(share of the cases, log10 of the least and of the largest limit of the work)."""

DATA: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "normal": lambda g, shape: g.standard_normal(shape),
    "uniform": lambda g, shape: g.random(shape),
    "pixels": lambda g, shape: g.integers(0, 256, shape) / 255 * (g.random(shape) < 0.2),
    "sparse": lambda g, shape: g.standard_normal(shape) * (g.random(shape) < 0.05),
    "repeated features": lambda g, shape: np.repeat(g.standard_normal((1, shape[1])), shape[0], axis=0),
    "repeated samples": lambda g, shape: g.standard_normal(shape)[:, g.integers(0, max(1, shape[1] // 20), shape[1])],
    "constant": lambda g, shape: np.full(shape, g.choice((1.0, -1.0, 0.1, 1 / 3))),
    "zeros": lambda g, shape: np.zeros(shape),
    "offset": lambda g, shape: g.standard_normal(shape) + 1000,
    "1e-20": lambda g, shape: g.standard_normal(shape) * 1e-20,
    "1e18": lambda g, shape: g.standard_normal(shape) * 1e18,
    "any scale": lambda g, shape: g.standard_normal(shape) * 10.0 ** g.uniform(-20, 18),
    "mixed scales": lambda g, shape: g.standard_normal(shape) * 10.0 ** g.uniform(-8, 4, (shape[0], 1)),
}
"""Name -> X (features x m, float64) from a generator and the shape."""
LOSSES = (
    ("binary_cross_entropy", "sigmoid", "binary"), ("cross_entropy", "softmax", "one_hot"),
    ("cross_entropy", "softmax", "integer"), ("mse", "", "real"), ("mse", "", "binary"),
)  # fmt: skip
"""(loss, output, labels); mean squared error has any output. The cross-entropies of an output that is not joint with
them are left out: an honest one of saturated data is not finite.
"""
SHARES = (0.25, 0.25, 0.25, 0.15, 0.1)
WEIGHTS = {"plain": 0.7, "dead units": 0.15, "saturated": 0.15}
"""What is done to the initial parameters, and in what share of the cases."""


@dataclass(frozen=True)
class Case:
    """One random honest training and how it was drawn."""

    seed: int
    data: str
    weights: str
    training: Training

    @property
    def name(self) -> str:
        """The case in one line."""
        n, t = self.training.network, self.training
        batches = ",".join("all" if batch is None else str(len(batch)) for batch in t.batches)
        return (
            f"seed {self.seed}: {n.architecture} {','.join(n.activations)} {n.labels} {n.layout} {n.reduction} "
            f"{t.dtype} m={t.samples} batches {batches}, data {self.data}, weights {self.weights}"
        )

    @property
    def work(self) -> int:
        """Multiplications of a forward pass on all samples, the elementwise functions' share included."""
        return work(self.training.network.sizes, self.training.samples)


def work(sizes: tuple[int, ...] | list[int], m: int) -> int:
    """``m sum((fan_in + ELEMENTWISE) fan_out)``."""
    return m * sum((fan_in + ELEMENTWISE) * fan_out for fan_in, fan_out in pairwise(sizes))


def _log_uniform(generator: np.random.Generator, largest: int) -> int:
    # floor of a log-uniform on [1, largest + 1): 1 is drawn often, and the largest can be.
    return int(np.exp(generator.uniform(0, np.log(largest + 1))))


def random_sizes(generator: np.random.Generator) -> tuple[tuple[int, ...], int]:
    """Widths (features first) and number of samples, within a random limit of the work."""
    shares, least, largest = zip(*WORK, strict=True)
    row = int(generator.choice(len(WORK), p=shares))
    limit = 10.0 ** generator.uniform(least[row], largest[row])
    depth = _log_uniform(generator, DEEPEST)
    sizes = [_log_uniform(generator, WIDEST) for _ in range(depth + 1)]
    if generator.random() < 0.5:
        sizes[-1] = int(generator.choice((1, 2, 3, 10, 40)))
    m = int(generator.choice((1, 2, MOST_SAMPLES, 0), p=(0.04, 0.04, 0.02, 0.9))) or _log_uniform(
        generator, MOST_SAMPLES
    )
    samples_stay = m == MOST_SAMPLES or generator.random() < 0.5
    while work(sizes, m) > limit and max(*sizes, 1 if samples_stay else m) > 1:
        if not samples_stay and m > 1:
            m = max(1, m * 3 // 4)
        else:
            widest = int(np.argmax(sizes))
            sizes[widest] = max(1, sizes[widest] * 3 // 4)
    return tuple(sizes), m


def random_network(generator: np.random.Generator, sizes: tuple[int, ...]) -> Network:
    """Any activations, loss, label kind, layout, reduction, initialisation and learning rate."""
    loss, output, labels = (str(word) for word in generator.choice(LOSSES, p=SHARES))
    hidden = [str(name) for name in generator.choice(HIDDEN_ACTIVATIONS, len(sizes) - 2)]
    squared = loss == "mse"
    reduction = str(generator.choice(("mean", "mean_over_samples", "sum") if squared else ("mean", "sum")))
    return Network(
        name="random",
        sizes=sizes,
        activations=(*hidden, str(generator.choice(OUTPUT_ACTIVATIONS)) if squared else output),
        loss=loss,
        labels=labels,
        half=squared and bool(generator.integers(2)),
        weight_decay=float(generator.choice((0.0, 1e-4, 0.1), p=(0.8, 0.1, 0.1))),
        layout=str(generator.choice(("columns", "rows"))),
        reduction=reduction,
        slope=float(generator.choice((0.001, 0.01, 0.3))),
        initialisation=str(generator.choice(("he", "xavier"))),
        learning_rate=float(10.0 ** generator.uniform(-3, 0)),
        learning_rate_over_m=reduction == "sum" or bool(generator.random() < 0.3),
    )


def random_labels(generator: np.random.Generator, network: Network, m: int, dtype: np.dtype[np.floating]) -> Array:
    """Y of the network's kind; in a tenth of the cases every sample has the same label."""
    n = network.sizes[-1]
    if network.labels == "real":
        return generator.standard_normal((n, m)).astype(dtype)
    if network.labels == "binary":
        Y = generator.integers(0, 2, (n, m)).astype(dtype)
        return np.ones_like(Y) if generator.random() < 0.1 else Y
    y = np.zeros(m, np.int64) if generator.random() < 0.1 else generator.integers(0, n, m)
    if network.labels == "integer":
        return y[None]
    Y = np.zeros((n, m), dtype)
    Y[y, np.arange(m)] = 1
    return Y


def degenerate(generator: np.random.Generator, weights: str, network: Network, parameters: Parameters) -> Parameters:
    """The parameters with dead hidden units (bias -50 to -1000) or with logits times 30 to 1,000."""
    changed = dict(parameters)
    for layer in range(1, network.depth) if weights == "dead units" else ():
        b = changed[f"b{layer}"]
        dead = generator.random(b.shape) < generator.choice((0.2, 0.6, 1.0))
        changed[f"b{layer}"] = np.where(dead, -generator.uniform(50, 1000, b.shape), b).astype(b.dtype)
    if weights == "saturated":
        factor, W = 10.0 ** generator.uniform(np.log10(30), 3), changed[f"W{network.depth}"]
        changed[f"W{network.depth}"] = (factor * W).astype(W.dtype)
    return changed


def random_batches(generator: np.random.Generator, m: int) -> tuple[Array | None, ...]:
    """Two steps, on all samples in four of five cases, else on random mini-batches."""
    if m < 2 or generator.random() < 0.8:
        return (None, None)
    return tuple(generator.permutation(m)[: int(generator.integers(1, m))] for _ in range(2))


def random_case(seed: int, initial_parameters: Callable[[Network, int, np.dtype[np.floating]], Parameters]) -> Case:
    """The case of a seed; ``initial_parameters`` is the reference's."""
    generator = np.random.default_rng(seed)
    sizes, m = random_sizes(generator)
    network = random_network(generator, sizes)
    dtype = np.dtype(str(generator.choice(("float32", "float64"), p=(0.7, 0.3))))
    data = str(generator.choice(list(DATA)))
    weights = str(generator.choice(list(WEIGHTS), p=list(WEIGHTS.values())))
    X = DATA[data](generator, (sizes[0], m)).astype(dtype)
    Y = random_labels(generator, network, m, dtype)
    parameters = degenerate(generator, weights, network, initial_parameters(network, seed, dtype))
    return Case(seed, data, weights, Training(network, parameters, X, Y, random_batches(generator, m), seed, data))
