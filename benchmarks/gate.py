"""Does the gate stay quiet over honest reruns, and does every planted regression turn it red at its layer?

    python -m benchmarks.gate --reruns 240            # seeds from 1 on, in one and in two threads; about ten minutes
    python -m benchmarks.gate --reruns 0              # the planted regressions alone

A rerun trains the suite's networks, with narrow layers, on random data in NumPy, PyTorch and JAX, and writes the
summary that ``verify`` would. Reruns of one number of threads share a process; each is gated against the baselines of
the first seeds, made in two threads. A planted regression is a small change to a network written out equation by
equation (:mod:`benchmarks.regressions`). Exits 1 after a false alarm, or a regression that passes or is misplaced.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tabulate import tabulate

from backproof.gate.change import growth
from backproof.gate.facts import CHECKS, Facts, of_summary
from backproof.gate.judge import compare
from backproof.gate.words import cells
from benchmarks import regressions
from benchmarks.small_runs import rerun

BASELINES = 4
THREADS = ("2", "1")
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
LEVELS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8)
"""Fractions of the budget above which the largest growth is told."""


def run_all(folder: Path, reruns: int) -> None:
    """The reruns, half of them in one thread; a process for each number of threads, one after the other."""
    for number, threads in enumerate(THREADS):
        seeds = range(number, reruns, len(THREADS))
        environment = {**os.environ, **dict.fromkeys(VARIABLES, threads)}
        command = [sys.executable, "-m", "benchmarks.gate", "--into", str(folder), "--seeds", *map(str, seeds)]
        subprocess.run(command, env=environment, check=True)


def noise(runs: list[Facts]) -> Iterator[list[str]]:
    """For each check and level, the largest growth to a fraction above it, over all reruns and baselines."""
    pairs = [
        (growth(then, now), now.fraction, key)
        for before in runs[:BASELINES]
        for after in runs
        for key, now in after.entries.items()
        if (then := before.entries.get(key)) is not None
    ]
    for check in CHECKS:
        for level in LEVELS:
            above = [pair for pair in pairs if pair[2].check == check and pair[1] > level]
            largest = max(above, default=None)
            told = [f"{largest[0]:.2f}", f"{largest[1]:.3f}", str(largest[2])] if largest else ["-", "-", "-"]
            yield [check, f"{level:g}", str(len(above)), *told]


def alarms(runs: list[Facts]) -> int:
    """Comparisons in which the gate closed, each told."""
    count = 0
    for before in runs[:BASELINES]:
        for after in runs:
            if failures := compare(before, after).failures:
                count += 1
                print(f"{before.path.name} → {after.path.name}: {' '.join(cells(failures[0]))}")
    return count


def planted(folder: Path) -> int:
    """Regressions that pass, or are not named at their layer first."""
    rows, missed = [], 0
    for regression in regressions.REGRESSIONS:
        found = regressions.gated(regression, folder)
        ok = regressions.named(regression, found)
        missed += not ok
        first = cells(found.failures[0]) if found.failures else ["-"] * 6
        rows.append([regression.name, regression.place, "yes" if ok else "NO", first[0], first[5][:60]])
    print(tabulate(rows, ["planted", "where", "named there", "kind", "first change"], disable_numparse=True))
    return missed


def main() -> int:
    """Rerun, gate, plant, and print what was counted."""
    parser = argparse.ArgumentParser(description="False alarms and misses of the gate.")
    parser.add_argument("--reruns", type=int, default=240)
    parser.add_argument("--into", type=Path, help="write the summaries of --seeds there, and do nothing else")
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    options = parser.parse_args()
    if options.into:
        for seed in options.seeds:
            rerun(options.into / f"seed-{seed:05d}.json", seed)
        return 0
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_all(folder, options.reruns)
        runs = [of_summary(path) for path in sorted(folder.glob("seed-*.json"))]
        false = alarms(runs)
        if runs:
            headers = ["check", "used above", "pairs", "largest growth", "to", "where"]
            print(tabulate(list(noise(runs)), headers, disable_numparse=True))
        missed = planted(folder)
    checks = sum(len(run.entries) for run in runs)
    print(
        f"{len(runs)} reruns ({checks} checks), each against {min(BASELINES, len(runs))} baselines: {false} false "
        f"alarms; {missed} of {len(regressions.REGRESSIONS)} planted regressions missed; "
        f"{time.perf_counter() - start:.0f} s"
    )
    return int(bool(false or missed))


if __name__ == "__main__":
    sys.exit(main())
