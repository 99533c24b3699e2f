"""Two arrays compared element by element: ``backproof.difference`` beside what people assert closeness with.

    python benchmarks/difference.py [--elements 100000000] [--repetitions 3]

Random float32 numbers and the same a few roundings off, so that no block is equal and none is special. The peers are
asked whether all are within a relative 1e-5, which they are; the difference measures four errors and three places.
All are timed in turns in one process, and the best time of each counts.
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable
from typing import Any

import chex
import numpy as np
import torch
from recording import conditions, seconds
from tabulate import tabulate

from backproof.difference import difference


def data(elements: int) -> tuple[Any, Any]:
    """Standard normal numbers, and each of them up to 3 roundings off."""
    generator = np.random.default_rng(0)
    a = generator.standard_normal(elements, dtype=np.float32)
    off = generator.integers(-3, 4, elements, dtype=np.int8).astype(np.float32)
    off *= np.float32(2.0**-24)
    off += 1
    off *= a
    return a, off


def actions(a: Any, b: Any) -> dict[str, Callable[[], Any]]:
    """What is timed; ``read`` is the largest element of both, one thread."""
    return {
        "difference": lambda: difference(a, b),
        "numpy.testing.assert_allclose": lambda: np.testing.assert_allclose(a, b, rtol=1e-5),
        "torch.testing.assert_close": lambda: torch.testing.assert_close(
            torch.from_numpy(a), torch.from_numpy(b), rtol=1e-5, atol=0
        ),
        "chex.assert_trees_all_close": lambda: chex.assert_trees_all_close(a, b, rtol=1e-5),
        "read": lambda: (a.max(), b.max()),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--elements", type=int, default=100_000_000)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    timed = actions(*data(arguments.elements))
    print(f"{conditions('wall')}, {torch.get_num_threads()} threads of PyTorch\n")
    rounds = [{name: seconds(run, "wall") for name, run in timed.items()} for _ in range(arguments.repetitions)]
    best = {name: min(times[name] for times in rounds) for name in timed}
    rows = [[name, f"{1e3 * time:.0f}", f"{time / best['difference']:.1f}"] for name, time in best.items()]
    print(tabulate(rows, ["", "ms", "/ difference"], tablefmt="github", disable_numparse=True))
    tracemalloc.start()
    print(f"\n{timed['difference']()}\npeak of temporaries: {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
