"""What recording costs: a recorded run over an unrecorded run of the same steps, for each implementation.

    python benchmarks/recording.py [--samples 2000] [--steps 10] [--repetitions 9] [--clock cpu]

The recorded steps are consumed and dropped (handed over), or written to disk. All runs are timed in turns in one
process, and the ratio of their medians is what counts: seconds are this machine's, the ratio is the recorder's.

On a busy machine waiting threads distort the wall clock. Set OPENBLAS_NUM_THREADS, OMP_NUM_THREADS and PJRT_NPROC
to 1 there and take the processor's time (``--clock cpu``).
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

from backproof.judge import Judge
from backproof.network import Network
from backproof.recording import Recording, RecordingWriter, Source
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
    """Consume the steps and keep none."""
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


def write(steps: Iterable[Step], training: Training, name: str) -> None:
    """Write the steps into a folder that is thrown away."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RecordingWriter(Path(folder), training, Source(name, {}, 0)) as writer,
    ):
        for step in steps:
            writer.write(step)


def rows(training: Training, repetitions: int, clock: str) -> Iterable[list[str]]:
    """A line of the table for each implementation."""
    for name, module_name in IMPLEMENTATIONS.items():
        module = importlib.import_module(module_name)
        actions = {
            "train": lambda module=module: module.train(training),
            "record": lambda module=module: drop(module.record(training)),
            "write": lambda module=module, name=name: write(module.record(training), training, name),
        }
        times = in_turns(actions, repetitions, clock)
        per_step = {key: 1e3 * value / len(training.batches) for key, value in times.items()}
        ratios = [times[key] / times["train"] for key in ("record", "write")]
        yield [name, *(f"{value:.2f}" for value in (*per_step.values(), *ratios))]


def memory(samples: int) -> Iterable[list[str]]:
    """Peak memory of a process that writes 10 and 100 steps, and of one that checks what was written (Linux)."""
    for steps in (10, 100):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--samples", str(samples), "--steps", str(steps), "--only"]
            yield [str(steps), *(f"{peak([*command, kind, folder]):.0f}" for kind in ("write", "check"))]


def peak(command: list[str]) -> float:
    """Peak resident memory of a command, in MiB."""
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(said) / 1024


def only(kind: str, folder: Path, training: Training) -> None:
    """Write or check one recording by NumPy, and print this process's peak resident memory in KiB."""
    if kind == "write":
        module = importlib.import_module(IMPLEMENTATIONS["numpy"])
        with RecordingWriter(folder, training, Source("numpy", {}, 0)) as writer:
            for step in module.record(training):
                writer.write(step)
    else:
        recording = Recording(folder)
        judge = Judge(recording.training, recording.steps_written, None)
        for step in recording.steps():
            judge.consume(step)
    # VmHWM and not ru_maxrss, which a child takes over from the process that started it.
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "FOLDER"), help="what the memory table runs")
    arguments = parser.parse_args()
    training = random_training(arguments.samples, arguments.steps)
    if arguments.only:
        return only(arguments.only[0], Path(arguments.only[1]), training)
    header = ["implementation", "unrecorded, ms a step", "handed over", "written", "ratio (≤ 1.5)", "ratio (≤ 3)"]
    print(f"{training.network.architecture}, m = {arguments.samples}, float32")
    print(f"{conditions(arguments.clock)}\n")
    print(
        tabulate(
            rows(training, arguments.repetitions, arguments.clock), header, tablefmt="github", disable_numparse=True
        )
    )
    print("\nPeak memory, MiB\n")
    header = ["steps", "recording NumPy", "checking the recording"]
    print(tabulate(memory(arguments.samples), header, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
