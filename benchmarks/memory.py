"""What the memory of a long run does as it becomes longer: nothing, it is that of one step.

Peak resident memory of ``backproof train five_layer --batch-size 64``, every step sketched, float64 run and replicas
beside, for few and for many steps: each a process of its own. Target: at most 1.05 times as much for a hundred times as
many steps.

Usage: ``python -m benchmarks.memory [--steps 100 10000] [--data digits] [--implementation NAME ...] [--check MODE]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from tabulate import tabulate

TARGET = 1.05


def peak(arguments: list[str]) -> tuple[float, float]:
    """MiB that a command's process had resident at most, and the seconds it took.

    Raises:
        SystemExit: where the command did not end in 0: what it did not do needs no memory.
    """
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "backproof", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"backproof {' '.join(arguments)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: bytes there, KiB on Linux
    return usage.ru_maxrss * unit / 2**20, time.perf_counter() - start


def main() -> None:
    """Print one table; end with 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--implementation", nargs="+", default=["numpy", "torch", "jax"])
    parser.add_argument("--check", default="sketch")
    options = parser.parse_args()
    rows, first = [], 0.0
    for steps in options.steps:
        settings = ["--data", options.data, "--batch-size", "64", "--steps", str(steps), "--check", options.check]
        found, seconds = peak(["train", "five_layer", *settings, "--implementation", *options.implementation])
        first = first or found
        rows.append([f"{steps:,}", f"{found:.1f} MiB", f"{found / first:.3f}", f"{seconds:.0f} s"])
    print(tabulate(rows, ["steps", "peak memory", f"ratio (≤ {TARGET})", "time"], disable_numparse=True))
    if found / first > TARGET:
        raise SystemExit(f"missed: {found / first:.3f} times the memory")


if __name__ == "__main__":
    main()
