"""Judges one run, one step at a time: structure, equations, continuity, and with a reference, agreement."""

from __future__ import annotations

from dataclasses import dataclass

from backproof.agreement import AgreementChecker
from backproof.batches import Batches, by_sample
from backproof.check import Check
from backproof.diagnosis import Explanation
from backproof.diagnosis.explanation import because
from backproof.equation_check import EquationChecker
from backproof.equations import Product, equations
from backproof.evidence import AgreementEvidence, EquationEvidence, Json, significant
from backproof.flips import Flips
from backproof.replicas import Replicas
from backproof.structure import Flaw
from backproof.training import Step, Training
from backproof.trajectory import Continuity, FreeStep, after_update
from backproof.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in order of discovery.

    Attributes:
        layer: 0 where it belongs to no layer (a step that is missing, say).
        explanations: of the mistake, best first; looked for the first time that an equation fails.
    """

    step: int
    layer: int
    quantity: str
    kind: str
    verdict: Verdict
    message: str
    explanations: tuple[Explanation, ...] = ()

    def __str__(self) -> str:
        where = f"layer {self.layer}, " if self.layer else ""
        return f"{self.verdict.word} at step {self.step}, {where}{self.quantity}: {self.message}"

    def to_json(self) -> Json:
        """Plain values."""
        return {
            "step": self.step, "layer": self.layer, "quantity": self.quantity, "kind": self.kind,
            "verdict": self.verdict.word, "message": self.message,
            "explanations": [{"name": e.name, "sentence": e.sentence} for e in self.explanations],
        }  # fmt: skip


def _failure(check: Check) -> Finding:
    """A failing equation, its mistake first where one is known."""
    message = check.message
    if check.explanations:
        message = because(check.explanations, message)
    elif check.explanations is not None:
        message = f"{message}; no mistake that is known here explains it"
    equation = check.equation
    found = check.explanations or ()
    return Finding(check.step, equation.layer, equation.target, "equation", check.verdict, message, found)


class Judge:
    """Consumes the steps of one run and keeps the evidence; memory is that of one step.

    Args:
        training: what the run was given.
        steps: how many it has to leave.
        replicas: of the training; without them (no reference is configured) there is no agreement.
    """

    def __init__(self, training: Training, steps: int, replicas: Replicas | None) -> None:
        self._training = training
        self._expected_steps = steps
        self._equations = EquationChecker(training.network, training.dtype)
        self._agreement = None if replicas is None else AgreementChecker(replicas)
        self._continuity = Continuity(training.start)
        self.batches = Batches()
        self.equations = {e.target: EquationEvidence(e.text) for e in equations(training.network)}
        sizes = training.network.sizes
        self._sums = {
            e.target
            for e in equations(training.network)
            if isinstance(e.rule, Product) and not (e.target.startswith("dA") and sizes[e.layer + 1] == 1)
        }
        self.agreement: dict[str, AgreementEvidence] = {}
        self.findings: list[Finding] = []
        self.unchecked: dict[str, int] = {}
        self.uncompared: dict[str, int] = {}
        self.losses: list[float] = []
        self.distances: list[float] = []
        self.flips = Flips()
        self.used: list[float] = []
        self.steps = 0

    def consume(self, step: Step, free: FreeStep | None = None) -> None:
        """Judge one step; ``free`` is the float64 run's same step."""
        X, Y = self._training.batch(step.samples)
        result = self._equations.check(step, X, Y)
        self.steps += 1
        self.batches.add(X.shape[1], step.samples)
        self.findings += [self._flaw(flaw, step) for flaw in result.flaws]
        self.used.append(max((c.residuals.fraction for c in result.checks if self._tells(c)), default=0.0))
        for check in result.checks:
            target = check.equation.target
            self.equations[target].add(check, step.samples)
            if check.verdict is not Verdict.ROUNDING:
                self.findings.append(_failure(check))
        for equation in result.unchecked:
            self.unchecked[equation.target] = self.unchecked.get(equation.target, 0) + 1
        for message in self._continuity.check(step):
            self._find(step.index, "parameters", "continuity", Verdict.BUG, message, 0)
        if not result.flaws:
            self._compare(step, free)

    def _tells(self, check: Check) -> bool:
        """A single rounding always comes close to its bound; a sum tells more, and so does whatever fails."""
        return check.verdict is not Verdict.ROUNDING or check.equation.target in self._sums

    def _compare(self, step: Step, free: FreeStep | None) -> None:
        self.losses.append(float(step.tensors["loss"]))
        if free is not None:
            self.distances.append(free.distance(after_update(step)))
            self.flips.add(step.index, step.tensors, step.samples, free)
        if self._agreement is None:
            return
        agreements = self._agreement.check(step)
        for target in self.equations.keys() - {agreement.quantity for agreement in agreements}:
            self.uncompared[target] = self.uncompared.get(target, 0) + 1
        for agreement in agreements:
            self.agreement.setdefault(agreement.quantity, AgreementEvidence()).add(agreement, step.samples)
            if agreement.verdict is not Verdict.ROUNDING:
                message = (
                    f"{agreement.absolute:.3g} from the float64 reference, "
                    f"{agreement.fraction:.3g} times what its replicas allow"
                )
                self._find(step.index, agreement.quantity, "agreement", agreement.verdict, message, None)

    def _flaw(self, flaw: Flaw, step: Step) -> Finding:
        message = flaw.message
        if flaw.kind == "non-finite" and step.samples is not None and by_sample(flaw.quantity):
            message += "; the column is its place in the batch"
        layer = self._training.network.layer_of(flaw.quantity)
        return Finding(step.index, layer, flaw.quantity, flaw.kind, Verdict.BUG, message)

    def _find(self, step: int, quantity: str, kind: str, verdict: Verdict, message: str, layer: int | None) -> None:
        layer = self._training.network.layer_of(quantity) if layer is None else layer
        self.findings.append(Finding(step, layer, quantity, kind, verdict, message))

    def refuse_samples(self, index: int) -> None:
        """A step that was made of other samples than it was given: it counts, and nothing of it is judged."""
        self.steps += 1
        self._find(index, "samples", "samples", Verdict.BUG, "the step was made of other samples than it was given", 0)

    def add_surplus(self) -> None:
        """A step beyond those asked for: it counts, and nothing of it is judged."""
        self.steps += 1

    def finish(self, partial: bool = False) -> None:
        """Close the run: too few steps (unless ``partial``), too many, or nothing compared is a failure of its own."""
        if partial:
            self._expected_steps = self.steps
        if self.steps != self._expected_steps:
            surplus = self.steps > self._expected_steps
            left = f"more than {self._expected_steps}" if surplus else str(self.steps)
            message = f"{left} steps were left, {self._expected_steps} were asked for"
            index = min(self.steps, self._expected_steps)
            self._find(index, "steps", "surplus" if surplus else "missing", Verdict.BUG, message, 0)
        if not sum(evidence.covered for evidence in self.equations.values()):
            self._find(0, "equations", "coverage", Verdict.BUG, "no equation could be checked", 0)
        elif self._agreement and not self.agreement:
            self._find(0, "agreement", "coverage", Verdict.BUG, "nothing could be compared with the reference", 0)

    @property
    def verdict(self) -> Verdict:
        """The worst finding's."""
        return max((finding.verdict for finding in self.findings), default=Verdict.ROUNDING)

    @property
    def coverage(self) -> tuple[int, int]:
        """Equations checked on at least one element that could have been wrong, of those that the run has."""
        covered = sum(evidence.covered for evidence in self.equations.values())
        return covered, len(self.equations) * self._expected_steps

    def to_json(self) -> Json:
        """The run's headline; layers stand apart."""
        # A single rounding (an update, a product of one term) always comes close to its bound; a sum tells more. Of a
        # run that fails, the worst equation of any kind.
        failing = self.verdict is not Verdict.ROUNDING
        told = [item for item in self.equations.items() if item[1].steps and (failing or item[0] in self._sums)]
        target, tightest = max(told, key=lambda item: (item[1].verdict, item[1].fraction), default=("", None))
        covered, of = self.coverage
        used = {name: evidence.to_json()["fraction"] or 0.0 for name, evidence in self.agreement.items()}
        quantity = max(used, key=lambda name: used[name], default=None)
        return {
            "verdict": self.verdict.word,
            "coverage": {"checked": covered, "of": of},
            "unchecked": self.unchecked,
            "uncompared": self.uncompared,
            "tightest": None if tightest is None else {
                "equation": target,
                "fraction": significant(tightest.fraction),
                "ratio": significant(tightest.ratio),
                "ceiling": significant(tightest.ceiling, 6),
            },
            "agreement": None if quantity is None else {"quantity": quantity, "fraction": used[quantity]},
            "losses": [significant(loss, 8) for loss in self.losses],
            "distances": [significant(distance) for distance in self.distances],
            "flips": self.flips.to_json(),
            "flips_in_all": self.flips.count,
            "used_by_step": [significant(fraction) for fraction in self.used],
            "findings": [finding.to_json() for finding in self.findings[:FINDINGS]],
            "findings_in_all": len(self.findings),
        }  # fmt: skip


FINDINGS = 100
"""Findings kept in a report; the first ones are the causes."""
