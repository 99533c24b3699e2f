"""Are the budgets right? Fresh random honest networks, judged as any run is; every alarm is a false one.

    python -m benchmarks.calibration --count 2000               # a seed from the clock, printed
    python -m benchmarks.calibration --seed 41 --count 1        # one case again, by its seed
    python -m benchmarks.calibration --count 100000 --minutes 5 # as many as fit

Each seed is one case (:mod:`benchmarks.random_networks`): a network, its data, a format, two steps of every
implementation that is installed. JAX compiles for seconds, so it takes part in every fortieth case only (``--jax-every
1`` changes that). Every third case whose work is small is compared with the reference's replicas too.

The table has a line for each kind of equation, and one for agreement, of each implementation and format: checks, those
with elements above the budget that the second opinion settled, slopes settled by it, the largest ratio (in units), the
largest part of the budget, and the alarms (verdict not "rounding"). A case that overflows ends there, with a line that
says so; its equations whose operands are finite are still counted. A value that is not finite although the exact one
fits the format, or that the recording lacks, is an alarm of its own ("finite values"). Set ``OMP_NUM_THREADS=1
OPENBLAS_NUM_THREADS=1``: the networks are too small for threads.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

from backproof import config
from backproof.agreement import AgreementChecker
from backproof.check import Check
from backproof.equation_check import EquationChecker
from backproof.equations import Elementwise
from backproof.replicas import Replicas
from backproof.training import Step
from backproof.verdict import Verdict
from benchmarks.random_networks import Case, random_case

ROOT = Path(__file__).resolve().parents[1]
AGREEMENT_EVERY = 3
AGREEMENT_WORK = 1e6
"""Largest work of a case that is compared with the replicas: they cost five more steps for each of its own."""


@dataclass
class Line:
    """What is counted of one kind of check, implementation and format."""

    checks: int = 0
    opinions: int = 0
    slopes: int = 0
    ratio: float = 0.0
    fraction: float = 0.0
    alarms: int = 0
    seeds: list[int] = field(default_factory=list)

    def count(self, fraction: float, alarm: bool, seed: int) -> None:
        """Count one check of the case ``seed``."""
        self.checks += 1
        self.fraction = max(self.fraction, fraction)
        if alarm:
            self.alarms += 1
            if seed not in self.seeds:
                self.seeds.append(seed)


@dataclass
class Tally:
    """Everything counted so far."""

    lines: dict[tuple[str, str, str], Line] = field(default_factory=dict)
    cases: int = 0
    overflows: set[int] = field(default_factory=set)

    @property
    def checks(self) -> int:
        """Equations and quantities judged."""
        return sum(line.checks for line in self.lines.values())

    @property
    def alarms(self) -> int:
        """Those that were not called rounding."""
        return sum(line.alarms for line in self.lines.values())

    @property
    def seeds(self) -> list[int]:
        """Of the cases with an alarm."""
        return sorted({seed for line in self.lines.values() for seed in line.seeds})

    def add(self, kind: str, name: str, case: Case, fraction: float, alarm: str) -> Line:
        """Count one check; ``alarm`` is what it says, or empty."""
        line = self.lines.setdefault((kind, name, str(case.training.dtype)), Line())
        line.count(fraction, bool(alarm), case.seed)
        if alarm:
            print(f"ALARM  {name}  {case.name}\n       {alarm}", flush=True)
        return line

    def add_check(self, check: Check, name: str, case: Case) -> None:
        """Count one equation of one step."""
        rule, residuals = check.equation.rule, check.residuals
        kind = rule.formula if isinstance(rule, Elementwise) else check.equation.target.rstrip("0123456789")
        alarm = "" if check.verdict is Verdict.ROUNDING else f"{check.equation.text}: {check.message}"
        line = self.add(kind, name, case, residuals.fraction, alarm)
        line.ratio = max(line.ratio, residuals.ratio)
        line.opinions += bool(residuals.over)
        line.slopes += bool(check.message) and not residuals.over


def judge(case: Case, name: str, steps: Iterable[Step], tally: Tally, agreement: AgreementChecker | None) -> None:
    """Count all checks of the steps that ``name`` recorded. A value that is not finite ends the case."""
    training = case.training
    checker = EquationChecker(training.network, training.dtype)
    for step in steps:
        found = checker.check(step, *training.batch(step.samples))
        for check in found.checks:
            tally.add_check(check, name, case)
        # What follows from an overflow is not finite either; the first flaw is the cause.
        first = found.flaws[0] if found.flaws else None
        overflow = first is not None and first.kind == "overflow"
        tally.add("finite values", name, case, 0.0, first.message if first and not overflow else "")
        if first:
            if overflow:
                tally.overflows.add(case.seed)
                print(f"overflow  {name}  {case.name}: {first.message}", flush=True)
            return
        for item in agreement.check(step) if agreement else ():
            honest = item.verdict is Verdict.ROUNDING
            alarm = "" if honest else f"agreement of {item.quantity}: {item.fraction:.3g} of the bound"
            tally.add("agreement", name, case, item.fraction, alarm)


def calibrate(seeds: Iterable[int], tally: Tally, jax_every: int, until: float = float("inf")) -> None:
    """Judge the case of every seed, until the monotonic clock reads ``until``; print each alarm with its case."""
    suite = config.require(ROOT)
    reference, names = suite.reference_module(), suite.installed()
    for seed in seeds:
        if time.monotonic() >= until:
            return
        case = random_case(seed, reference.initial_parameters)
        compared = seed % AGREEMENT_EVERY == 0 and case.work <= AGREEMENT_WORK
        agreement = AgreementChecker(Replicas(case.training, reference)) if compared else None
        for name in names:
            if name != "jax" or seed % jax_every == 0:
                judge(case, name, suite.implementation(name).record(case.training), tally, agreement)
        tally.cases += 1


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
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no case after this time")
    parser.add_argument("--jax-every", type=int, default=40, help="JAX takes part where the seed is a multiple of this")
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else time.time_ns() // 10**6 % 10**9
    print(f"seed {first}, {arguments.count} cases", flush=True)
    tally, start = Tally(), time.monotonic()
    try:
        seeds = range(first, first + arguments.count)
        calibrate(seeds, tally, arguments.jax_every, start + 60 * arguments.minutes)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    print(report(tally.lines))
    print(
        f"{tally.cases} cases from seed {first} in {time.monotonic() - start:.0f} s: {tally.checks} checks, "
        f"{tally.alarms} alarms, {len(tally.overflows)} cases ended in an overflow"
    )
    if tally.alarms:
        print("seeds with alarms:", *tally.seeds)
    return 1 if tally.alarms or not tally.checks else 0


if __name__ == "__main__":
    sys.exit(main())
