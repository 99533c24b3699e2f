"""What it costs to sketch every step, what the sketch lets pass, and what it sees.

1. The sketch check of a recorded step against the bare PyTorch step of 784-128-50-50-25-10 in float32, at m = 60,000
and
   at m = 64, alternating. Targets: at most 0.3, and at most 1.0.
2. Honest products of many kinds of operands: how much of the limit they use, and how many are left to the dense check.
3. A whole matrix off by a relative error, and a single element: the smallest that is seen, beside what was derived.

Usage: ``python benchmarks/sketch.py [--samples M ...] [--steps N] [--cases N] [--seed N]``
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from backproof.equation_check import EquationChecker
from backproof.equations import equations
from backproof.network import Network
from backproof.rounding import format_of
from backproof.sketch import Screen
from backproof.sketch.products import LIMIT, ProductSketch
from backproof.sketch.sums import uses
from backproof.training import Training
from benchmarks.equation_check import NETWORK, training
from implementations import torch_network

Array = NDArray[Any]
TARGETS = {60_000: 0.3, 64: 1.0}


def speed(m: int, steps: int) -> list[str]:
    """Medians of the check and of the bare step, and the median of their ratios."""
    given = training(m, steps + 1)
    checker = EquationChecker(NETWORK, given.dtype, Screen(NETWORK, given.dtype))
    runs = 3 if m > 10_000 else 41
    checks, bare, dense = [], [], 0
    torch_network.train(training(m, 1))
    for step in torch_network.record(given):
        start = time.perf_counter()
        result = checker.check(step, given.X, given.Y)
        checks.append(time.perf_counter() - start)
        dense += len(result.checks)
        bare.append(_bare(given, runs))
    ratio = statistics.median(a / b for a, b in zip(checks[1:], bare[1:], strict=True))
    check, step_time = statistics.median(checks[1:]), statistics.median(bare[1:])
    target = f"≤ {TARGETS[m]}" if m in TARGETS else "-"
    return [f"{m:,}", f"{1e3 * step_time:.2f} ms", f"{1e3 * check:.2f} ms", f"{ratio:.2f}", target, str(dense)]


def _bare(given: Training, runs: int) -> float:
    """Seconds of one unrecorded step: the difference of two runs, without the set-up."""
    times = []
    for steps in (1, runs):
        some = Training(NETWORK, given.parameters, given.X, given.Y, (None,) * steps)
        start = time.perf_counter()
        torch_network.train(some)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (runs - 1)


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "signed": lambda g, shape: g.standard_normal(shape),
    "sparse": lambda g, shape: g.standard_normal(shape) * (g.random(shape) < 0.1),
    "positive": lambda g, shape: g.random(shape),
    "constant": lambda g, shape: np.full(shape, g.random()),
    "of many sizes": lambda g, shape: g.standard_normal(shape) * 10.0 ** g.uniform(-6, 6, (shape[0], 1)),
}


def one(A: Array, B: Array, C: Array, seed: int) -> float:
    """Units that the sketch of ``C = A·B`` finds."""
    network = Network("one", (A.shape[1], len(A)), ("identity",), "mse", "real")
    (equation,) = (e for e in equations(network) if e.target == "Z1")
    tensors = {"X": B, "W1": A, "b1": np.zeros((len(A), 1), A.dtype), "Z1": C}
    products: Any = [(equation, equation.rule)]
    sketch = ProductSketch(products, uses(products), tensors, format_of(A.dtype), np.random.default_rng(seed))
    return sketch.fractions()["Z1"] * LIMIT


def cases(generator: np.random.Generator, kind: str, dtype: str, count: int) -> Iterator[tuple[Array, Array]]:
    for _ in range(count):
        p, K, q = (int(2 ** generator.uniform(0, 9)) for _ in range(3))
        yield KINDS[kind](generator, (p, K)).astype(dtype), KINDS[kind](generator, (K, q)).astype(dtype)


def honest(count: int, seed: int) -> list[list[str]]:
    """Of each kind of operands and format: the most units, and how many products are left to the dense check."""
    rows = []
    for dtype in ("float32", "float64"):
        for kind in KINDS:
            generator = np.random.default_rng([seed, len(rows)])
            units = [one(A, B, A @ B, i) for i, (A, B) in enumerate(cases(generator, kind, dtype, count))]
            left = sum(not unit <= LIMIT for unit in units)
            rows.append([dtype, kind, f"{np.median(units):.2g}", f"{max(units):.3g}", f"{left} of {count}"])
    return rows


def seen(count: int, seed: int) -> list[list[str]]:
    """Errors of some sizes in honest products of signed operands, and the share of them that is seen."""
    rows = []
    for where in ("every element", "one element"):
        for size in (1e-6, 1e-5, 1e-4, 1e-3):
            generator, found = np.random.default_rng([seed, 99]), 0
            for i, (A, B) in enumerate(cases(generator, "signed", "float32", count)):
                C = A @ B
                if where == "one element":
                    index = tuple(int(generator.integers(n)) for n in C.shape)
                    C[index] += np.float32(size * np.linalg.norm(A[index[0]]) * np.linalg.norm(B[:, index[1]]))
                else:
                    C *= np.float32(1 + size)
                found += not one(A, B, C, i) <= LIMIT
            rows.append([where, f"{size:g}", f"{100 * found / count:.1f} %"])
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="*", default=[60_000, 64])
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heads = ["m", "PyTorch step", "sketch", "ratio", "target", "left to the dense check"]
    print(tabulate([speed(m, options.steps) for m in options.samples], heads, disable_numparse=True))
    if options.cases:
        with np.errstate(all="ignore"):
            heads = ["format", "operands", "median, units", "most", "left to the dense check"]
            print("\n" + tabulate(honest(options.cases, options.seed), heads, disable_numparse=True))
            heads = ["error in", "of ||A_i|| ||B_j||, or relative", "seen"]
            print("\n" + tabulate(seen(options.cases, options.seed), heads, disable_numparse=True))


if __name__ == "__main__":
    main()
