"""What it costs to sketch every step, what the sketch lets pass, and what it sees.

1. The sketch check of a recorded step of 60,000 samples against the bare PyTorch step of 784-128-50-50-25-10 in
   float32, alternating; and all checks of an epoch at batch 64 against the bare training of that epoch, between two of
   which it stands. Targets: at most 0.3, and at most 1.0.
2. Honest products of many kinds of operands: how much of the limit they use, and how many are left to the dense check.
3. A whole matrix off by a relative error, and a single element: the smallest that is seen, beside what was derived.

Usage: ``python benchmarks/sketch.py [--samples M] [--steps N] [--cases N] [--seed N]``
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from operator import add
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
from backproof.sketch.blocks import blocks
from backproof.sketch.layout import Layout
from backproof.sketch.products import LIMIT, ProductSketch
from backproof.training import Training
from benchmarks.equation_check import NETWORK, training
from implementations import torch_network

Array = NDArray[Any]
M, BATCH = 60_000, 64
STEP, EPOCH = 0.3, 1.0
"""Targets."""


def whole(m: int, steps: int) -> list[str]:
    """Medians of the check and of the bare step, and the median of their ratios."""
    given = training(m, steps + 1)
    checker = EquationChecker(NETWORK, given.dtype, Screen(NETWORK, given.dtype))
    checks, bare, dense = [], [], 0
    torch_network.train(training(m, 1))
    for step in torch_network.record(given):
        start = time.perf_counter()
        result = checker.check(step, given.X, given.Y)
        checks.append(time.perf_counter() - start)
        dense += len(result.checks)
        bare.append(_bare(given, 3))
    ratio = statistics.median(a / b for a, b in zip(checks[1:], bare[1:], strict=True))
    check, step_time = statistics.median(checks[1:]), statistics.median(bare[1:])
    return [f"a step of {m:,}", _ms(step_time), _ms(check), f"{ratio:.2f}", f"≤ {STEP}", str(dense)]


def epoch(m: int, seed: int) -> list[str]:
    """The same, step by step, of an epoch of mini-batches; the sums of both."""
    order = np.random.default_rng(seed).permutation(m)
    given = replace(training(m, 1), batches=tuple(order[start : start + BATCH] for start in range(0, m, BATCH)))
    checker = EquationChecker(NETWORK, given.dtype, Screen(NETWORK, given.dtype))
    torch_network.train(replace(given, batches=given.batches[:50]))
    before = _seconds(given)
    check, dense = 0.0, 0
    for step in torch_network.record(given):
        X, Y = given.X[:, step.samples], given.Y[:, step.samples]
        start = time.perf_counter()
        result = checker.check(step, X, Y)
        check += time.perf_counter() - start
        dense += len(result.checks)
    bare, steps = (before + _seconds(given)) / 2, len(given.batches)
    ratio = f"{check / bare:.2f}"
    return [f"{steps:,} steps of {BATCH}", _ms(bare / steps), _ms(check / steps), ratio, f"≤ {EPOCH}", str(dense)]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


def _seconds(given: Training) -> float:
    start = time.perf_counter()
    torch_network.train(given)
    return time.perf_counter() - start


def _bare(given: Training, runs: int) -> float:
    """Seconds of one unrecorded step: the difference of two runs, without the set-up."""
    one, more = (_seconds(replace(given, batches=(None,) * steps)) for steps in (1, runs))
    return (more - one) / (runs - 1)


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
    layout = Layout([(equation, equation.rule)], {name: len(array) for name, array in tensors.items()})
    sketch = ProductSketch(layout, tensors, format_of(A.dtype), np.random.default_rng(seed))
    return sketch.fractions(reduce(add, map(sketch.sums, blocks(B.shape[1]))))["Z1"] * LIMIT


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
    parser.add_argument("--samples", type=int, default=M)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heads = ["", "PyTorch, a step", "sketch, a step", "ratio", "target", "left to the dense check"]
    rows = [whole(options.samples, options.steps), epoch(options.samples, options.seed)]
    print(tabulate(rows, heads, disable_numparse=True))
    if options.cases:
        with np.errstate(all="ignore"):
            heads = ["format", "operands", "median, units", "most", "left to the dense check"]
            print("\n" + tabulate(honest(options.cases, options.seed), heads, disable_numparse=True))
            heads = ["error in", "of ||A_i|| ||B_j||, or relative", "seen"]
            print("\n" + tabulate(seen(options.cases, options.seed), heads, disable_numparse=True))


if __name__ == "__main__":
    main()
