"""What the enclosures of one exact step cost, beside the float64 step that they judge.

    python -m benchmarks.balls [--sizes 784 256 128 64 32 10] [--samples 64] [--bits 64 128 256]

ReLU and softmax on random data, processor time, the best of three. Beside the times: how far the float64 reference lies
outside of the end-to-end enclosures at most, and their largest radius, both in units of u times the quantity's largest
value.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tabulate import tabulate

from backproof.network import Network
from backproof.rounding import FORMATS
from backproof.training import Training
from reference import balls
from reference.initialisation import initial_parameters
from reference.network import record


def random_training(sizes: tuple[int, ...], samples: int) -> Training:
    """One float64 step on standard normal data."""
    network = Network("random", sizes, ("relu",) * (len(sizes) - 2) + ("softmax",))
    generator = np.random.default_rng(0)
    Y = np.eye(sizes[-1])[:, generator.integers(0, sizes[-1], samples)]
    X = generator.standard_normal((sizes[0], samples))
    return Training(network, initial_parameters(network, 0, "float64"), X, Y, (None,))


def best(action: Callable[[], Any], repetitions: int = 3) -> tuple[float, Any]:
    """Shortest processor time, and the result."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        result = action()
        times.append(time.process_time() - start)
    return min(times), result


def rows(training: Training, every: list[int]) -> Iterator[list[str]]:
    """A line for each precision."""
    usual, step = best(lambda: next(iter(record(training))))
    u = FORMATS["float64"].unit_roundoff
    for bits in every:
        given = training.network, training.parameters, training.X, training.Y
        seconds, found = best(lambda bits=bits, given=given: balls.enclosures(*given, precision=bits))
        units = {name: u * float(np.abs(step.tensors[name]).max()) for name in found}
        outside = max(balls.distance(step.tensors[name], ball).max() / units[name] for name, ball in found.items())
        radius = max(balls.radii(ball).max() / units[name] for name, ball in found.items())
        yield [str(bits), f"{seconds:.2f}", f"{1e3 * usual:.1f}", f"{outside:.2g}", f"{radius:.1e}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[784, 256, 128, 64, 32, 10])
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 128, 256])
    arguments = parser.parse_args()
    training = random_training(tuple(arguments.sizes), arguments.samples)
    header = ["bits", "enclosures, s", "float64 step, ms", "float64 outside, units", "largest radius, units"]
    table = rows(training, arguments.bits)
    print(tabulate(table, header, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
