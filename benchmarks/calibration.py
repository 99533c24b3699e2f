"""Are the budgets right? Fresh random honest networks, judged by the equation check; every alarm is a false one.

    python -m benchmarks.calibration --count 300            # a seed from the clock, printed
    python -m benchmarks.calibration --seed 41 --count 1    # one case again, by its seed

Each seed is one case: a network, its data, a format, two steps of every implementation that is installed (JAX compiles
for seconds, so it takes part in every tenth case only; ``--jax-every 1`` changes that). The table has a line for each
kind of equation, implementation and format: checks, elements above the budget settled by the second opinion, slopes
settled by it, the largest ratio (in units), the largest part of the budget, and the alarms (verdict not "rounding").
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tabulate import tabulate

from backproof import config
from backproof.check import Check
from backproof.equation_check import EquationChecker
from backproof.equations import Elementwise
from backproof.network import HIDDEN_ACTIVATIONS, Network
from backproof.training import Array, Training
from backproof.verdict import Verdict

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = (1, 2, 3, 5, 8, 10, 17, 32, 50, 100, 128, 300, 784)
KINDS = ("normal", "uniform", "pixels", "sparse", "constant columns", "repeated samples", "saturated", "tiny", "zeros")


@dataclass(frozen=True)
class Case:
    """One random honest training and how it was drawn."""

    seed: int
    kind: str
    training: Training

    @property
    def name(self) -> str:
        """The case in one line."""
        n, t = self.training.network, self.training
        return (
            f"seed {self.seed}: {n.architecture} {','.join(n.activations)} {n.labels} {n.layout} {n.reduction} "
            f"{t.dtype} m={t.samples} {self.kind}"
        )


@dataclass
class Line:
    """What is counted of one kind of equation, implementation and format."""

    checks: int = 0
    opinions: int = 0
    slopes: int = 0
    ratio: float = 0.0
    fraction: float = 0.0
    alarms: int = 0
    seeds: list[int] = field(default_factory=list)

    def add(self, check: Check, seed: int) -> None:
        """Count one check of the case ``seed``."""
        self.checks += 1
        residuals = check.residuals
        self.ratio, self.fraction = max(self.ratio, residuals.ratio), max(self.fraction, residuals.fraction)
        self.opinions += bool(residuals.over)
        self.slopes += bool(check.message) and not residuals.over
        if check.verdict is not Verdict.ROUNDING:
            self.alarms += 1
            if seed not in self.seeds:
                self.seeds.append(seed)


def random_network(generator: np.random.Generator) -> Network:
    """Depth 1 to 6, any activations, loss, label kind, layout and reduction."""
    depth = int(generator.integers(1, 7))
    binary = bool(generator.random() < 0.3)
    sizes = [int(n) for n in generator.choice(WIDTHS, depth + 1)]
    sizes[-1] = int(generator.integers(1, 4)) if binary else int(generator.choice((1, 2, 3, 10, 40)))
    hidden = [str(name) for name in generator.choice(HIDDEN_ACTIVATIONS, depth - 1)]
    return Network(
        name="random",
        sizes=tuple(sizes),
        activations=(*hidden, "sigmoid" if binary else "softmax"),
        loss="binary_cross_entropy" if binary else "cross_entropy",
        labels="binary" if binary else str(generator.choice(("one_hot", "integer"))),
        layout=str(generator.choice(("columns", "rows"))),
        reduction=str(generator.choice(("mean", "sum"))),
        slope=float(generator.choice((0.001, 0.01, 0.3))),
        initialisation=str(generator.choice(("he", "xavier"))),
        learning_rate=float(10.0 ** generator.uniform(-3, 0)),
        learning_rate_over_m=True,
    )


def random_inputs(generator: np.random.Generator, kind: str, features: int, m: int) -> Array:
    """X (features x m, float64) of one of :data:`KINDS`."""
    normal = generator.standard_normal((features, m))
    if kind == "uniform":
        return generator.random((features, m))
    if kind == "pixels":
        return generator.integers(0, 256, (features, m)) / 255 * (generator.random((features, m)) < 0.2)
    if kind == "sparse":
        return normal * (generator.random((features, m)) < 0.05)
    if kind == "constant columns":
        return np.where(generator.random((1, m)) < 0.5, normal[:1, :], normal)
    if kind == "repeated samples":
        return normal[:, generator.integers(0, max(1, m // 20), m)]
    return normal * {"saturated": 300.0, "tiny": 1e-18, "zeros": 0.0}.get(kind, 1.0)


def random_case(seed: int) -> Case:
    """Everything about a case follows from its seed."""
    generator = np.random.default_rng(seed)
    network = random_network(generator)
    m = int(np.exp(generator.uniform(0, np.log(3000))))
    dtype = np.dtype(generator.choice(("float32", "float64"), p=(0.7, 0.3)))
    kind = str(generator.choice(KINDS))
    X = random_inputs(generator, kind, network.sizes[0], m).astype(dtype)
    n = network.sizes[-1]
    labels = generator.integers(0, max(n, 2), (n, m)) if network.labels == "binary" else generator.integers(0, n, m)
    Y = {
        "binary": lambda: (labels > 0).astype(dtype),
        "integer": lambda: labels[None].astype(np.int64),
        "one_hot": lambda: np.eye(n, dtype=dtype)[:, labels],
    }[network.labels]()
    reference = config.require(ROOT).reference_module()
    return Case(seed, kind, Training(network, reference.initial_parameters(network, seed, dtype), X, Y, (None, None)))


def judge(case: Case, implementation: str) -> Iterator[Check]:
    """All checks of the case's two steps. A value that is not finite ends the case: overflow is no rounding."""
    training = case.training
    checker = EquationChecker(training.network, training.dtype)
    for step in config.require(ROOT).implementation(implementation).record(training):
        found = checker.check(step, training.X, training.Y)
        if found.flaws:
            print(f"not judged  {implementation}  {case.name}: {found.flaws[0].message}")
            return
        yield from found.checks


def calibrate(seeds: range, jax_every: int) -> dict[tuple[str, str, str], Line]:
    """Judge every case; print each alarm with its case."""
    lines: dict[tuple[str, str, str], Line] = {}
    for seed in seeds:
        case = random_case(seed)
        for name in config.require(ROOT).installed():
            if name == "jax" and seed % jax_every:
                continue
            for check in judge(case, name):
                rule = check.equation.rule
                kind = rule.formula if isinstance(rule, Elementwise) else check.equation.target.rstrip("0123456789")
                lines.setdefault((kind, name, str(case.training.dtype)), Line()).add(check, seed)
                if check.verdict is not Verdict.ROUNDING:
                    print(f"ALARM  {name}  {case.name}\n       {check.equation.text}: {check.message}")
    return lines


def report(lines: dict[tuple[str, str, str], Line]) -> str:
    """The table."""
    header = (
        "equation", "implementation", "format", "checks", "above budget", "slopes",
        "ratio", "fraction", "alarms", "seeds",
    )  # fmt: skip
    rows = [
        (*key, line.checks, line.opinions, line.slopes, f"{line.ratio:.3g}", f"{line.fraction:.3g}", line.alarms,
         " ".join(map(str, line.seeds[:3])))
        for key, line in sorted(lines.items())
    ]  # fmt: skip
    return tabulate(rows, header, disable_numparse=True)


def main() -> int:
    """0 when no honest equation alarmed, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=None, help="of the first case; by default from the clock")
    parser.add_argument("--count", type=int, default=100, help="cases, one a seed")
    parser.add_argument("--jax-every", type=int, default=10, help="JAX takes part where the seed is a multiple of this")
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else time.time_ns() // 10**6 % 10**9
    print(f"seed {first}, {arguments.count} cases", flush=True)
    lines = calibrate(range(first, first + arguments.count), arguments.jax_every)
    print(report(lines))
    alarms, checks = sum(line.alarms for line in lines.values()), sum(line.checks for line in lines.values())
    print(f"{checks} checks, {alarms} alarms")
    return 1 if alarms or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
