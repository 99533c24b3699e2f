"""Does the gate stay quiet over honest reruns, and does every planted regression turn it red at its layer?

    python -m benchmarks.gate --reruns 240 --seed 1000    # about six minutes; a seed from the clock if none is given
    python -m benchmarks.gate --reruns 0                  # the planted regressions alone

A rerun trains the suite's networks, with narrow layers, on random data in NumPy, PyTorch and JAX, and writes the
summary that ``verify`` would. Each seed is run in two threads, in one, and with the kernels of an older processor; the
last two are gated against the first, and every rerun against the baselines of some other seeds. A planted regression
is a small change to a network written out equation by equation (:mod:`benchmarks.regressions`). Exits 1 after a false
alarm, or a regression that passes or is misplaced.
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
from backproof.gate.judge import FEW, compare
from backproof.gate.words import cells
from benchmarks import regressions
from benchmarks.small_runs import rerun

BASELINES = 10
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
OLD = {
    "OPENBLAS_CORETYPE": "Prescott", "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
}  # fmt: skip
VARIANTS = {
    "two threads": dict.fromkeys(THREADS, "2"),
    "one thread": dict.fromkeys(THREADS, "1"),
    "older kernels": {**dict.fromkeys(THREADS, "2"), **OLD},
}
"""What the libraries are told when they start; the first is what the others are held against."""
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Fractions of the budget above which the largest growth is told."""


Runs = dict[str, dict[int, Facts]]
Pairs = list[tuple[Facts, Facts]]


def run_all(folder: Path, seeds: range) -> Runs:
    """Every seed in every variant; a process for each variant, one after the other."""
    for variant, variables in VARIANTS.items():
        command = [sys.executable, "-m", "benchmarks.gate", "--into", str(folder / variant), "--seeds"]
        subprocess.run([*command, *map(str, seeds)], env={**os.environ, **variables}, check=bool(seeds))
    return {v: {seed: of_summary(folder / v / f"{seed}.json") for seed in seeds} for v in VARIANTS}


def pairs_of(runs: Runs) -> dict[str, Pairs]:
    """What is held against what, either way round."""
    base, *others = runs.values()
    pairs = {}
    for variant, other in zip(list(VARIANTS)[1:], others, strict=True):
        one_way = [(base[seed], other[seed]) for seed in base]
        pairs[variant] = one_way + [(b, a) for a, b in one_way]
    every = [(seed, facts) for run in runs.values() for seed, facts in run.items()]
    baselines = list(base.items())[:BASELINES]
    pairs["another seed"] = [(a, b) for one, a in baselines for other, b in every if one != other]
    return pairs


def noise(pairs: Pairs) -> Iterator[list[str]]:
    """For each check and level, the largest growth to a fraction above it, where the gate judges growth."""
    found = [
        (growth(then, now), now.fraction, key)
        for before, after in pairs
        for key, now in after.entries.items()
        if (then := before.entries[key]).elements >= FEW
    ]
    for check in CHECKS:
        for level in LEVELS:
            above = [one for one in found if one[2].check == check and one[1] > level]
            if above:
                largest = max(above)
                yield [check, f"{level:g}", str(len(above)), f"{largest[0]:.2f}", f"{largest[1]:.3f}", str(largest[2])]


def alarms(pairs: Pairs) -> int:
    """Comparisons in which the gate closed, each told."""
    count = 0
    for before, after in pairs:
        if failures := compare(before, after).failures:
            count += 1
            print(f"{before.path} → {after.path}: {' '.join(cells(failures[0], failures[0].fact))}")
    return count


def planted(folder: Path) -> int:
    """Regressions that pass, or are not named at their layer first."""
    rows, missed = [], 0
    for regression in regressions.REGRESSIONS:
        found = regressions.gated(regression, folder)
        ok = regressions.named(regression, found)
        missed += not ok
        first = [found.failures[0].kind.word, found.failures[0].fact] if found.failures else ["-", "-"]
        rows.append([regression.name, regression.place, "yes" if ok else "NO", *first])
    print(tabulate(rows, ["planted", "where", "named there", "kind", "first change"], disable_numparse=True))
    return missed


def main() -> int:
    """Rerun, gate, plant, and print what was counted."""
    parser = argparse.ArgumentParser(description="False alarms and misses of the gate.")
    parser.add_argument("--reruns", type=int, default=240, help="a third of them in each variant")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first; default: from the clock")
    parser.add_argument("--into", type=Path, help="write the summaries of --seeds there, and do nothing else")
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    options = parser.parse_args()
    if options.into:
        options.into.mkdir()
        for seed in options.seeds:
            rerun(options.into / f"{seed}.json", seed)
        return 0
    start, false = time.perf_counter(), 0
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as name:
        seeds = range(options.seed, options.seed + options.reruns // len(VARIANTS))
        pairs = pairs_of(run_all(Path(name), seeds))
        for what, several in pairs.items():
            false += (count := alarms(several))
            checks = sum(len(after.entries) for _, after in several)
            print(f"\n{what}: {len(several)} comparisons of {checks} checks, {count} false alarms\n")
            headers = ["check", "used above", "pairs", "largest growth", "to", "where"]
            print(tabulate(list(noise(several)), headers, disable_numparse=True))
        print()
        missed = planted(Path(name))
    print(
        f"\n{len(seeds) * len(VARIANTS)} reruns, {sum(map(len, pairs.values()))} comparisons, {false} false alarms; "
        f"{missed} of {len(regressions.REGRESSIONS)} planted regressions missed; {time.perf_counter() - start:.0f} s"
    )
    return int(bool(false or missed))


if __name__ == "__main__":
    sys.exit(main())
