"""How the cost of checking grows with samples, width, depth and steps, beside the bytes that a check has to read.

A recorded step of the reference (float32, ReLU, softmax) is judged by the sketch and by the dense check. Along each
axis the processor's time is set against the bytes of all arrays of the steps (X and Y included), and an exponent is
fitted to the two on logarithmic scales: 1 is linear in the data read. Every product of a dense check multiplies once
more, so along width, where operations grow faster than the data, it cannot be linear; the sketch has to be.

Usage: ``python -m benchmarks.growth [--repetitions 5] [--output docs/growth.png]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from tabulate import tabulate

from backproof.equation_check import EquationChecker
from backproof.network import Network
from backproof.sketch import Screen
from backproof.training import Step, Training
from benchmarks.recording import random_training
from reference import network as reference

ROOT = Path(__file__).parent.parent
Case = tuple[int, tuple[int, ...], int]
"""Samples, sizes, steps."""
FIVE_LAYERS = (784, 128, 50, 50, 25, 10)
AXES: dict[str, Callable[[int], Case]] = {
    "samples": lambda n: (n, FIVE_LAYERS, 1),
    "width": lambda n: (4000, (n, n, n, n, 10), 1),
    "depth": lambda n: (4000, (*(100,) * n, 10), 1),
    "steps": lambda n: (1000, FIVE_LAYERS, n),
}
VALUES = {
    "samples": (2000, 4000, 8000, 16_000, 32_000, 64_000),
    "width": (64, 128, 256, 512, 1024),
    "depth": (2, 4, 8, 16, 32),
    "steps": (2, 4, 8, 16, 32),
}
MODES = ("sketch", "dense")
LINEAR = 1.1
"""The exponent of the sketch that is let pass: what one run's scatter moves it by is under 0.1."""


def checker(training: Training, mode: str) -> EquationChecker:
    """What judges a run in a mode."""
    network, dtype = training.network, training.dtype
    return EquationChecker(network, dtype, Screen(network, dtype) if mode == "sketch" else None)


def seconds(training: Training, step: Step, steps: int, mode: str, repetitions: int) -> float:
    """Median processor time of judging the step so many times, by one checker, warm."""
    times = []
    for _ in range(repetitions + 1):
        judge = checker(training, mode)
        start = time.process_time()
        for _ in range(steps):
            judge.check(step, training.X, training.Y)
        times.append(time.process_time() - start)
    return median(times[1:])


def measured(case: Case, repetitions: int) -> tuple[int, list[float]]:
    """Bytes that the steps hold, and the seconds of each mode."""
    samples, sizes, steps = case
    activations = ("relu",) * (len(sizes) - 2) + ("softmax",)
    training = random_training(samples, 1, Network("growing", sizes, activations))
    (step,) = reference.record(training)
    read = sum(array.nbytes for array in step.tensors.values()) + training.X.nbytes + training.Y.nbytes
    return steps * read, [seconds(training, step, steps, mode, repetitions) for mode in MODES]


def exponent(read: list[int], times: list[float]) -> float:
    """Of the power of the bytes read that fits the times best."""
    return float(np.polyfit(np.log(read), np.log(times), 1)[0])


def picture(found: dict[str, tuple[list[int], list[list[float]]]], output: Path) -> None:
    """Time against bytes, a panel for each axis, with lines of exponent 1 to compare with."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    for axes, (axis, (read, times)) in zip(figure.subplots(2, 2).flat, found.items(), strict=True):
        size = np.array(read) / 2**20
        for mode, marker, values in zip(MODES, "os", np.transpose(times), strict=True):
            label = f"{mode}, exponent {exponent(read, list(values)):.2f}"
            (line,) = axes.loglog(size, 1e3 * values, marker, linestyle="-", label=label)
            straight = 1e3 * values[-1] * size / size[-1]
            axes.loglog(size, straight, linestyle=":", color=line.get_color(), alpha=0.7)
        axes.set_title(f"{axis}: {', '.join(f'{value:,}' for value in VALUES[axis])}", fontsize=10)
        axes.set_xlabel("data read, MiB")
        axes.set_ylabel("processor time, ms")
        for side in (axes.xaxis, axes.yaxis):
            side.set_major_locator(LogLocator(subs=(1, 2, 5)))
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            side.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.2)
        axes.legend(frameon=False, fontsize=9)
    figure.suptitle("What a check costs beside what it reads (dotted: in proportion)", fontsize=11)
    figure.savefig(output, dpi=110, metadata={"Software": None})


def main() -> None:
    """Print one table, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "growth.png")
    options = parser.parse_args()
    found, rows = {}, []
    for axis, values in VALUES.items():
        read, times = [], []
        for value in values:
            size, spent = measured(AXES[axis](value), options.repetitions)
            read.append(size)
            times.append(spent)
            rows.append([axis, f"{value:,}", f"{size / 2**20:.1f} MiB", *(f"{1e3 * t:.1f} ms" for t in spent)])
        fitted = [f"exponent {exponent(read, list(column)):.2f}" for column in np.transpose(times)]
        rows.append([axis, "", "", *fitted])
        found[axis] = (read, times)
    print(tabulate(rows, ["axis", "", "data read", *MODES], disable_numparse=True))
    picture(found, options.output)
    if steep := [axis for axis, (read, times) in found.items() if exponent(read, [t[0] for t in times]) > LINEAR]:
        raise SystemExit(f"the sketch is not linear in the data read along: {', '.join(steep)}")


if __name__ == "__main__":
    main()
