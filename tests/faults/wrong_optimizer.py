"""A wrong optimizer as data, and the run of the reference in which it stands in the place of the right one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np

from backproof.judge import Finding, Judge
from backproof.optimizer import Optimizer
from backproof.training import Step, Training
from reference import network as reference
from reference import optimizers


@dataclass(frozen=True)
class Wrong:
    """A wrong optimizer in the place of a right one.

    Attributes:
        id: of the list of mistakes, where it is in it.
        what: a few words.
        declared: what the network says.
        target, name: the first equation that fails, and the explanation that must come first.
        rule: ``(optimizer, g, W, state, alpha, t) -> (W', state')``, as in ``reference/optimizers.py``; None where a
            right optimizer is used with other constants.
        used: the optimizer that is used in the place of the declared one.
        also: kinds of quantity (``v m s W b``) whose equations the mistake breaks beside those of the target's kind.
        tied: what another mistake explains as well where the equation first fails; the name is then one of several.
    """

    id: str
    what: str
    declared: Optimizer
    target: str
    name: str
    rule: Callable | None = None
    used: Optimizer | None = None
    also: str = ""
    tied: bool = False


def run(wrong: Wrong, given: Training) -> Judge:
    """The judge after a run of the reference with the wrong rule in it; it judges by what the network declares."""
    network = given.network
    used = wrong.used or wrong.declared
    rules = {used.name: wrong.rule} if wrong.rule is not None else {}
    # The zeros of a state that the wrong one has not, or has besides, are what an unaware recorder would leave.
    zeros = {name: np.zeros(shape, given.dtype) for name, shape in network.state_shapes().items()}
    zeros |= {f"{name}_next": array for name, array in zeros.items()}
    known = set(network.shapes(1))
    judge = Judge(given, len(given.batches), replicas=None)
    with patch.dict(optimizers.RULES, rules):
        for step in reference.record(replace(given, network=replace(network, optimizer=used))):
            tensors = {name: array.astype(given.dtype) for name, array in {**zeros, **step.tensors}.items()}
            judge.consume(Step(step.index, step.samples, {k: array for k, array in tensors.items() if k in known}))
    judge.finish()
    return judge


def failing(judge: Judge) -> list[Finding]:
    """The equations that fail, in order of discovery."""
    return [finding for finding in judge.findings if finding.kind == "equation"]


def placed(wrong: Wrong, judge: Judge) -> bool:
    """The target fails, and no equation of a kind that the mistake leaves alone."""
    found = {finding.quantity for finding in failing(judge)}
    kinds = {*("Wb" if wrong.target[0] == "W" else wrong.target[0]), *wrong.also}
    return wrong.target in found and all(name.endswith("_next") and name[0] in kinds for name in found)


def best_names(wrong: Wrong, judge: Judge) -> list[str]:
    """The names that the target was given where it first failed: the best, and those that assume as much."""
    first = next((finding.explanations for finding in failing(judge) if finding.quantity == wrong.target), ())
    return [explanation.name for explanation in first if explanation.assumed == first[0].assumed]
