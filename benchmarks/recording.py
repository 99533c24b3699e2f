"""What recording costs: a recorded run over an unrecorded run of the same steps, for each implementation.

    python benchmarks/recording.py [--samples 2000] [--steps 4] [--repetitions 9] [--clock cpu]

The recorded steps are consumed and dropped, in memory. Both runs are timed in turns in one process, and the
ratio of their medians is what counts: seconds are this machine's, the ratio is the recorder's.

On a busy machine waiting threads distort the wall clock. Set OPENBLAS_NUM_THREADS, OMP_NUM_THREADS and PJRT_NPROC
to 1 there and take the processor's time (``--clock cpu``).
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from backproof.network import Network
from backproof.training import Step, Training
from reference.initialisation import initial_parameters

IMPLEMENTATIONS = {
    "numpy": "reference.network",
    "torch": "implementations.torch_network",
    "jax": "implementations.jax_network",
}
FIVE_LAYERS = Network("five_layer", (784, 128, 50, 50, 25, 10), ("relu", "relu", "relu", "relu", "softmax"))


def random_training(samples: int, steps: int, network: Network = FIVE_LAYERS) -> Training:
    """``steps`` full-batch steps of float32 on random images: rounding aside, the time does not depend on values."""
    generator = np.random.default_rng(0)
    X = generator.random((network.sizes[0], samples), dtype=np.float32)
    Y = np.eye(network.sizes[-1], dtype=np.float32)[:, generator.integers(0, network.sizes[-1], samples)]
    return Training(network, initial_parameters(network, 0, np.float32), X, Y, (None,) * steps)


def drop(steps: Iterable[Step]) -> None:
    """Consume the steps and keep none. To time writing as well, consume them with the recording's writer instead."""
    deque(steps, maxlen=0)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def seconds(action: Callable[[], Any], clock: str) -> float:
    """Time of one call, by one of the ``CLOCKS``."""
    start = CLOCKS[clock]()
    action()
    return CLOCKS[clock]() - start


def conditions(clock: str) -> str:
    """What the numbers depend on beside the code: the clock, and how busy the machine was before they were taken."""
    return f"{clock} clock, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def in_turns(actions: dict[str, Callable[[], Any]], repetitions: int, clock: str) -> dict[str, float]:
    """The median time of each action, all of them timed once a round: what else runs disturbs them alike."""
    for action in actions.values():
        action()  # compiles, allocates, starts threads
    rounds = [{name: seconds(action, clock) for name, action in actions.items()} for _ in range(repetitions)]
    return {name: median(times[name] for times in rounds) for name in actions}


def rows(training: Training, repetitions: int, clock: str) -> Iterable[list[str]]:
    """A line of the table for each implementation."""
    for name, module_name in IMPLEMENTATIONS.items():
        module = importlib.import_module(module_name)
        actions = {
            "train": lambda module=module: module.train(training),
            "record": lambda module=module: drop(module.record(training)),
        }
        times = in_turns(actions, repetitions, clock)
        per_step = {key: 1e3 * value / len(training.batches) for key, value in times.items()}
        ratio = times["record"] / times["train"]
        yield [name, f"{per_step['train']:.2f}", f"{per_step['record']:.2f}", f"{ratio:.2f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()
    training = random_training(arguments.samples, arguments.steps)
    header = ["implementation", "unrecorded, ms a step", "recorded, ms a step", "ratio"]
    print(f"{training.network.architecture}, m = {arguments.samples}, float32, steps consumed and dropped")
    print(f"{conditions(arguments.clock)}\n")
    print(
        tabulate(
            rows(training, arguments.repetitions, arguments.clock), header, tablefmt="github", disable_numparse=True
        )
    )


if __name__ == "__main__":
    main()
