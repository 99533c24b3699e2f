"""The notes' headline: each of their networks trained on MNIST to its end, every step certified, and its test accuracy.

Runs one ``backproof train`` for each network, in NumPy, PyTorch and JAX, each step sketched, and holds the accuracy of
every implementation against a target: 0.97 with three and with five layers, 0.92 with 784-10-10. Ends with 1 where one
is missed, or where a step is not certified.

Usage: ``python -m benchmarks.headline [NETWORK ...] [--data mnist|DIR]``; BACKPROOF_DATA_DIR names MNIST's folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

SETTINGS = {
    "five_layer": ("--optimizer adam --learning-rate 0.001 --epochs 5", 0.97),
    "two_layer": ("--optimizer momentum --learning-rate 0.02 --epochs 5", 0.92),
    "binary_tanh": ("--epochs 5", 0.99),
    "binary_relu": ("--epochs 5", 0.99),
    "binary_leaky_relu": ("--epochs 5", 0.99),
    "binary_identity": ("--epochs 5", 0.99),
    "sparse_labels": ("--optimizer momentum --learning-rate 0.02 --epochs 5", 0.92),
    "row_major": ("--optimizer momentum --learning-rate 0.02 --epochs 10", 0.97),
}
"""Network -> what it is trained with beside 64 samples in a batch, and the accuracy that is asked of it."""


def command(network: str, data: str) -> list[str]:
    """What a reader types after ``backproof``."""
    return ["train", network, "--data", data, *SETTINGS[network][0].split(), "--batch-size", "64"]


def trained(network: str, data: str, folder: Path) -> tuple[dict[str, Any], float]:
    """The facts of a run, and the seconds that the whole process took."""
    start = time.perf_counter()
    called = [sys.executable, "-m", "backproof", *command(network, data), "--output", str(folder)]
    result = subprocess.run(called, capture_output=True, text=True)
    if result.returncode == 2:
        raise SystemExit(result.stderr)
    return json.loads((folder / f"{network}.json").read_text()), time.perf_counter() - start


def row(network: str, facts: dict[str, Any], seconds: float) -> list[str]:
    """A network's line of the table."""
    runs, target = facts["runs"], SETTINGS[network][1]
    certified, steps = (sum(run[key] for run in runs.values()) for key in ("certified", "steps"))
    accuracies = [f"{100 * run['accuracy']:.2f} %" for run in runs.values()]
    return [network, SETTINGS[network][0], *accuracies, f"{target:.0%}", f"{certified}/{steps}", f"{seconds:.0f} s"]


def reached(network: str, facts: dict[str, Any]) -> bool:
    """Whether every step of every implementation is certified, and every accuracy is what was asked."""
    runs = facts["runs"].values()
    whole = all(run["certified"] == run["steps"] == facts["steps"] for run in runs)
    return whole and all(run["accuracy"] >= SETTINGS[network][1] for run in runs)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="*", choices=[*SETTINGS, []], default=[])
    parser.add_argument("--data", default="mnist")
    options = parser.parse_args()
    rows, missed, names = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for network in options.network or SETTINGS:
            facts, seconds = trained(network, options.data, Path(folder))
            names = list(facts["runs"])
            rows.append(row(network, facts, seconds))
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
            if not reached(network, facts):
                missed.append(network)
    print(tabulate(rows, ["network", "trained with", *names, "target", "certified", "time"], disable_numparse=True))
    if missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
