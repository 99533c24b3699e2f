"""The main job against the bare training: ``verify`` on its defaults over the same training, unrecorded and unchecked.

Both are whole processes, imports and compilation included, run in turn. Target: at most 3.
Usage: ``python benchmarks/verify.py [--repeat N]``
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parents[1]))

ROOT = Path(__file__).parent.parent
TARGET = 3.0


def bare() -> None:
    """Train every network in every implementation, as ``verify`` does, and look at nothing."""
    from backproof import data, settings, verify
    from backproof.config import require

    config, given = require(ROOT), settings.Settings()
    reference = verify.reference_of(config)
    assert reference is not None
    implementations = verify.modules(config, [])
    dataset = data.load(given.data)
    for network in config.select([]):
        training = settings.prepare(network, dataset, given, reference)
        for module in implementations.values():
            module.train(training)


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help="only train (what the other side of the ratio runs)")
    options = parser.parse_args()
    if options.bare:
        return bare()
    with tempfile.TemporaryDirectory() as folder:
        judged = [sys.executable, "-m", "backproof", "verify", "--output", folder]
        pairs = [(timed(judged), timed([sys.executable, __file__, "--bare"])) for _ in range(options.repeat)]
    rows = []
    for number, what in enumerate(("wall", "processor")):
        ratios = [a[number] / b[number] for a, b in pairs]
        medians = (statistics.median(side[number] for side in sides) for sides in zip(*pairs, strict=True))
        rows.append([what, *(f"{value:.1f} s" for value in medians), f"{statistics.median(ratios):.2f}", f"≤ {TARGET}"])
    print(tabulate(rows, ["time", "verify", "bare training", "ratio (median)", "target"], disable_numparse=True))


if __name__ == "__main__":
    main()
