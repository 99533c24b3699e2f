"""The dense equation check of a step against the PyTorch step that it checks, at m = 60,000.

The step: forward, loss, backward and SGD of 784-128-50-50-25-10 in float32, unrecorded. The check: every equation of
the recorded step. Steps and checks alternate, the ratio is that of the medians. Target: at most 6.
Usage: ``python benchmarks/equation_check.py [--samples M] [--steps N]``
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from backproof.equation_check import EquationChecker
from backproof.network import Network
from backproof.training import Training
from backproof.verdict import Verdict
from implementations import torch_network
from reference.network import initial_parameters

NETWORK = Network("five_layer", (784, 128, 50, 50, 25, 10), ("relu",) * 4 + ("softmax",))
TARGET = 6.0


def training(m: int, steps: int) -> Training:
    """Random pixels, four in five of them black, as in MNIST; random labels."""
    generator = np.random.default_rng(0)
    X = generator.random((784, m), dtype=np.float32)
    X[generator.random((784, m), dtype=np.float32) < 0.8] = 0
    Y = np.eye(10, dtype=np.float32)[generator.integers(0, 10, m)].T.copy()
    X.flags.writeable = False  # as every command hands it over
    return Training(NETWORK, initial_parameters(NETWORK, 0, "float32"), X, Y, (None,) * steps)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    given = training(options.samples, options.steps + 1)
    one = training(options.samples, 1)
    checker = EquationChecker(NETWORK, given.dtype)
    checks, bare = [], []
    torch_network.train(one)
    for step in torch_network.record(given):
        start = time.perf_counter()
        result = checker.check(step, given.X, given.Y)
        checks.append(time.perf_counter() - start)
        assert not result.flaws
        assert all(check.verdict is Verdict.ROUNDING for check in result.checks)
        # Three steps and one: their difference is two steps without the set-up.
        times = []
        for steps in (1, 3):
            some = Training(NETWORK, given.parameters, given.X, given.Y, (None,) * steps)
            start = time.perf_counter()
            torch_network.train(some)
            times.append(time.perf_counter() - start)
        bare.append((times[1] - times[0]) / 2)
    check, step_time = statistics.median(checks[1:]), statistics.median(bare[1:])
    row = [f"{options.samples}", f"{step_time:.3f} s", f"{check:.3f} s", f"{check / step_time:.2f}", f"≤ {TARGET}"]
    print(tabulate([row], ["m", "PyTorch step", "dense check", "ratio", "target"], disable_numparse=True))


if __name__ == "__main__":
    main()
