"""Certifies one run, a step at a time; what stays of a step is a few numbers.

A trajectory is right when every step is right: its equations hold, and it begins with the very bits that the step
before it left. The distance from the float64 run proves nothing after the first coin flip (:mod:`backproof.flips`);
before it, it may not leave the replicas' envelope:

    distance_t <= MULTIPLE (envelope_t + FLOOR u ||theta_t|| / ||theta_t − theta_0||)

Where it does, two more runs are asked, each of whose steps is off by a unit of every equation: replicas differ in the
order of summation only, and an optimizer that divides by a small root makes much of what formulas differ in.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.agreement import BUG, DISTURBANCES, FLOOR, MULTIPLE
from backproof.check import Check
from backproof.diagnosis.explanation import because
from backproof.disturbance import DisturbedRun
from backproof.equation_check import EquationChecker, StepChecks
from backproof.flips import Flips
from backproof.long_run.ending import overflowed
from backproof.rounding import format_of
from backproof.sketch import Screen
from backproof.structure import Flaw, sound
from backproof.training import Parameters, Step, Training
from backproof.trajectory import Continuity, FreeStep, after_update
from backproof.verdict import Verdict

Array = NDArray[Any]

MODES = ("dense", "sketch", "none")
"""How the equations of a step are checked."""
KEPT = 20
"""Findings that are kept of a run; how many there were is counted."""
NON_FINITE = ("non-finite", "overflow")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, at a step; ``quantity`` is an equation's target, or what else it is about."""

    step: int
    quantity: str
    verdict: Verdict
    message: str

    def __str__(self) -> str:
        return f"step {self.step}, {self.quantity}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"step": self.step, "quantity": self.quantity, "verdict": self.verdict.word, "message": self.message}


class Certifier:
    """Judges the steps of one run as they pass.

    Args:
        training: what the run was given.
        mode: one of :data:`MODES`.
        every: check the equations of each such step; continuity is checked at all of them.
    """

    def __init__(self, training: Training, mode: str = "sketch", every: int = 1) -> None:
        network, dtype = training.network, training.dtype
        screen = Screen(network, dtype, training.seed) if mode == "sketch" else None
        self._checker = None if mode == "none" else EquationChecker(network, dtype, screen)
        self._training, self._every = training, every
        self._continuity = Continuity(training.start)
        self._disturbed = [DisturbedRun(training, seed) for seed in DISTURBANCES]
        self.steps = 0
        self.certified = 0
        self.unchecked = 0
        self.dense: dict[str, int] = {}
        self.equations = 0
        self.vacuous: dict[str, int] = {}
        self.findings: list[Finding] = []
        self.found = 0
        self.verdict = Verdict.ROUNDING
        self.losses, self.distances, self.worst = array("d"), array("d"), array("d")
        self.flips = Flips()
        self.final: Parameters = dict(training.parameters)
        self.ended: Flaw | None = None

    def consume(self, step: Step, free: FreeStep | None = None) -> None:
        """Judge one step; ``free`` is the float64 run's same step."""
        found = self.found
        for message in self._continuity.check(step):
            self._find(step.index, "parameters", Verdict.BUG, message)
        checked = self._checker is not None and step.index % self._every == 0
        if checked:
            self._equations(step)
        else:
            self.ended = _not_finite(step)
        self.steps += 1
        if self.ended is not None:
            return
        self.unchecked += not checked
        self.certified += checked and found == self.found
        m = self._training.samples if step.samples is None else len(step.samples)
        if not sound(self._training.network, step.tensors, m, self._training.dtype):
            return  # found above where the step is checked; there is nothing to compare
        self.losses.append(float(step.tensors["loss"]))
        after = after_update(step)
        self.final = {name: after[name] for name in self.final}
        if free is not None:
            self._compare(step, free)

    def _equations(self, step: Step) -> None:
        assert self._checker is not None
        result = self._checker.check(step, *self._training.batch(step.samples))
        self.ended = next((flaw for flaw in result.flaws if flaw.kind in NON_FINITE), None)
        if self.ended is not None and not overflowed(self.ended, self._training, step):
            message = f"{self.ended.message}; its operands are finite, and far from where their products overflow"
            self._find(step.index, self.ended.quantity, Verdict.BUG, message)
        for flaw in result.flaws:
            if flaw.kind not in NON_FINITE:
                self._find(step.index, flaw.quantity, Verdict.BUG, flaw.message)
        self.equations += len(result.sketched) + len(result.checks)
        for check in result.checks:
            target = check.equation.target
            self.dense[target] = self.dense.get(target, 0) + 1
            if check.verdict is not Verdict.ROUNDING:
                self._find(step.index, target, check.verdict, _words(check))
            elif check.vacuous >= check.residuals.elements:
                self.vacuous[target] = self.vacuous.get(target, 0) + 1
        self.worst.append(_largest(result))

    def _compare(self, step: Step, free: FreeStep) -> None:
        self.flips.add(step.index, step.tensors, step.samples, free)
        distance = free.distance(self.final)
        self.distances.append(distance)
        if self.flips.count:
            self._explain(step.index)
            return
        told, bound = f"replicas are {free.envelope:.3g}", self._bound(free, free.envelope)
        if distance > bound and not any(finding.quantity == "distance" for finding in self.findings):
            # Replicas differ in the order of summation only, and honest formulas differ in more than that.
            widest = max(free.distance(self._parameters(run.after(step.index))) for run in self._disturbed)
            told, bound = f"{told} and steps off by a unit {widest:.3g}", max(bound, self._bound(free, widest))
            if distance > bound:
                verdict = Verdict.BUG if distance > BUG * bound else Verdict.SUSPECT
                message = f"{distance:.3g} from the float64 run where {told}, and no coin flip yet"
                self._find(step.index, "distance", verdict, message)

    def _bound(self, free: FreeStep, envelope: float) -> float:
        u = format_of(self._training.dtype).unit_roundoff
        size = float(np.sqrt(sum(float(np.vdot(wide, wide)) for wide in free.parameters.values())))
        return MULTIPLE * (envelope + FLOOR * u * size / free.travelled if free.travelled else envelope)

    def _parameters(self, after: Parameters) -> Parameters:
        return {name: after[name] for name in self._training.parameters}

    def _explain(self, step: int) -> None:
        """The first flips explain what follows only when rounding explains them."""
        first = self.flips.first[0]
        if first.step == step and not first.by_rounding and not self.findings:
            self._find(
                step, f"Z{first.layer}", Verdict.SUSPECT, f"a side of a kink that rounding does not explain: {first}"
            )

    def refuse_samples(self, index: int) -> None:
        """A step that was made of other samples than it was given: it counts, and nothing of it is judged."""
        self.steps += 1
        self._find(index, "samples", Verdict.BUG, "the step was made of other samples than it was given")

    def end_apart(self, why: str) -> None:
        """The run left the finite numbers, in its last step, and that is no divergence that all share."""
        if self.ended is not None and not self.found:
            self._find(self.steps - 1, self.ended.quantity, Verdict.BUG, f"{self.ended.message}; {why}")

    def add_surplus(self) -> None:
        """The run left more steps than were asked for; nothing of them is judged."""
        self._find(self.steps, "steps", Verdict.BUG, f"more than the {self.steps} steps that were asked for were left")

    def _find(self, step: int, quantity: str, verdict: Verdict, message: str) -> None:
        self.found += 1
        self.verdict = max(self.verdict, verdict)
        if len(self.findings) < KEPT:
            self.findings.append(Finding(step, quantity, verdict, message))


def _not_finite(step: Step) -> Flaw | None:
    """What an unchecked step hands on that is not finite: neither a distance nor a loss would tell."""
    for name, tensor in step.tensors.items():
        if (name == "loss" or name.endswith("_next")) and not np.isfinite(tensor).all():
            return Flaw(name, "non-finite", f"{name} is not finite")
    return None


def _words(check: Check) -> str:
    return because(check.explanations, check.message) if check.explanations else check.message


def _largest(result: StepChecks) -> float:
    """The largest part of its limit that an equation of the step used."""
    used = [*result.sketched.values(), *(check.residuals.fraction for check in result.checks)]
    return max(used, default=0.0)
