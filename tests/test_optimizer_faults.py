"""Wrong optimizers in the place of right ones: found at the equation that is wrong, and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof.judge import Judge
from backproof.training import Step
from backproof.verdict import Verdict
from reference import network as reference
from reference import optimizers
from tests.faults.optimizer import FAULTS, Wrong
from tests.support import BY_NAME, training

STEPS = 4
TIED = {
    ("state-before-update", "float32"), ("state-before-update", "float64"),
    ("bias-correction-written-back", "float32"), ("bias-correction-written-back", "float64"),
    ("decay-default-of-the-other-framework", "float32"),
}  # fmt: skip
"""What another mistake explains as well: in the first step, where the state is zero, or in float32 at a small λ."""


def run(wrong: Wrong, monkeypatch, dtype: str) -> Judge:
    """The judge after a run of the reference with the wrong rule in it."""
    network = replace(BY_NAME["two_layer"], optimizer=wrong.declared, learning_rate=0.01)
    given = training(network, 40, dtype=dtype, batches=(None,) * STEPS)
    used = wrong.used or wrong.declared
    if wrong.rule is not None:
        monkeypatch.setitem(optimizers.RULES, used.name, wrong.rule)
    # The zeros of a state that the wrong one has not, or has besides, are what an unaware recorder would leave.
    zeros = {name: np.zeros(shape, given.dtype) for name, shape in network.state_shapes().items()}
    zeros |= {f"{name}_next": array for name, array in zeros.items()}
    known = set(network.shapes(40))
    judge = Judge(given, STEPS, replicas=None)
    for step in reference.record(replace(given, network=replace(network, optimizer=used))):
        tensors = {name: array.astype(dtype) for name, array in {**zeros, **step.tensors}.items() if name in known}
        judge.consume(Step(step.index, step.samples, tensors))
    judge.finish()
    return judge


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wrong", FAULTS, ids=lambda wrong: f"{wrong.id or wrong.declared.name}-{wrong.name}")
def test_a_wrong_optimizer_is_found_and_named(wrong, dtype, monkeypatch):
    judge = run(wrong, monkeypatch, dtype)
    failing = [finding for finding in judge.findings if finding.kind == "equation"]
    explained = {finding.quantity: finding.explanations for finding in reversed(failing) if finding.explanations}
    updates = {e for e in judge.equations if e.endswith("_next")}
    assert judge.verdict is Verdict.BUG and {finding.quantity for finding in failing} <= updates
    assert wrong.target in explained, [str(finding) for finding in failing[:4]]
    best = [e for e in explained[wrong.target] if e.assumed == explained[wrong.target][0].assumed]
    names = [e.name for e in best]
    assert wrong.name == names[0] or ((wrong.name, dtype) in TIED and wrong.name in names), best


def test_a_right_optimizer_is_not(monkeypatch):
    for wrong in FAULTS:
        judge = run(Wrong("", wrong.declared, "", ""), monkeypatch, "float32")
        assert judge.verdict is Verdict.ROUNDING, judge.findings[:2]
