"""The first complete steps of a run. Passes of one sample each with one update after them are one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backproof.tracing.ledger import Pass
from backproof.tracing.sightings import Array
from backproof.tracing.step import Step, step_of
from backproof.tracing.unpatched import np
from backproof.tracing.update import turn, uphill

LARGEST = 4096
"""Samples of one step that are gathered one at a time: of more, each is a step of its own."""
SAMPLED = ("X", "Y", "Z", "A", "dZ", "dA")


class Steps:
    """Takes passes in; ``found`` are the complete steps, at most as many as were asked for."""

    def __init__(self, wanted: int, arrived: Callable[[Step], None] = lambda step: None) -> None:
        self.wanted = wanted
        self.arrived = arrived
        self.found: list[Step] = []
        self.partial: Step | None = None
        """The last pass that was no complete step."""
        self._gathered: list[Step] = []
        self._bare: list[Step] = []
        """Complete steps in which no gradient was seen: updates of a script that names none, or weights made anew after
        an evaluation, which is told by the steps that follow.
        """

    def add(self, passed: Pass) -> bool:
        """Take a pass; whether no more are wanted."""
        step = step_of(passed)
        if step is None or not step.complete:
            self.partial = step or self.partial
        elif step.samples == 1 and not step.moved and len(self._gathered) < LARGEST:
            self._gathered.append(_light(step) if self._gathered else step)
        else:
            self._keep(merged([*self._gathered, step]) if self._gathered and _alike(self._gathered, step) else step)
            self._gathered = []
        return len(self.found) >= self.wanted

    def finish(self) -> None:
        """The run is over: single samples that no update followed are steps of their own."""
        for step in self._gathered[:1] if not self.found else []:
            self._keep(step)
        for step in self._bare:
            self._arrive(step)

    def _keep(self, step: Step) -> None:
        """Take a step; one without gradients only when it is known that others have none either."""
        if self.found or any(key[:2] in ("dZ", "dA", "dW", "db") for key in step.quantities):
            self._bare = []
            self._arrive(step)
            return
        self._bare.append(step)
        if len(self._bare) >= self.wanted:
            for bare in self._bare:
                self._arrive(bare)
            self._bare = []

    def _arrive(self, step: Step) -> None:
        if len(self.found) < self.wanted:
            self.found.append(step)
            self.arrived(step)


def _light(step: Step) -> Step:
    """Without the arrays that the last pass of the step has anyway: one dW a sample would fill the memory."""
    return replace(step, quantities={key: s for key, s in step.quantities.items() if key[:2] not in ("dW", "db")})


def _alike(gathered: list[Step], step: Step) -> bool:
    return step.samples == 1 and gathered[0].network.widths == step.network.widths


def merged(passes: list[Step]) -> Step:
    """One step of many samples: what has samples is stacked in rows, the rest is what stood there at the update."""
    last = passes[-1]
    for step in passes:
        if step.turned:  # which way the gradients point shows in what all of them come to
            turn(step)
    quantities = dict(last.quantities)
    for key, seen in last.quantities.items():
        if key.rstrip("0123456789") in SAMPLED:
            rows = [_row(p.quantities[key].value) for p in passes if key in p.quantities]
            if len(rows) == len(passes) and len({row.shape for row in rows}) == 1:
                quantities[key] = replace(seen, value=np.concatenate(rows))
            else:
                del quantities[key]
    quantities.pop("loss", None)
    for key in [key for key in quantities if key.startswith(("W", "b")) and not key.endswith("_next")]:
        quantities[key] = passes[0].quantities.get(key, quantities[key])
    notes = list(dict.fromkeys(note for p in passes for note in p.notes))
    notes.append(f"{len(passes)} samples that the script takes one at a time before an update are one batch here")
    step = Step(last.network, quantities, last.learning_rate, notes)
    if uphill(step):
        turn(step)
    return step


def _row(value: Array) -> Array:
    return np.asarray(value).reshape(1, -1)
