"""Two recordings of the same training, side by side: each judged, and how far they are from each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.batches import in_data
from backproof.diagnosis import two_runs
from backproof.difference import difference
from backproof.equations import equations
from backproof.errors import BackproofError
from backproof.judge import Judge
from backproof.recording import Recording
from backproof.replicas import Replicas
from backproof.rounding import ulps
from backproof.training import Reference, Step
from backproof.verdict import Verdict

Array = NDArray[Any]


@dataclass
class Gap:
    """The largest difference of one quantity between two runs.

    Attributes:
        absolute: over all steps, at ``step`` and ``index`` (a sample's column is its index in the data); ``values`` are
            both sides there.
        first: at the first step, where both started from the same parameters.
        ulps: at that element, in units in the last place.
    """

    absolute: float = -1.0
    first: float = 0.0
    step: int = 0
    index: tuple[int, ...] = ()
    values: tuple[float, float] = (0.0, 0.0)
    ulps: float = 0.0

    def add(self, step: Step, name: str, b: Array) -> None:
        """Take in a quantity of one step and that of the other run, of one shape and format."""
        a = step.tensors[name]
        largest, index = difference(a, b).absolute
        if step.index == 0:
            self.first = largest
        if largest > self.absolute:
            index = index or (0,) * a.ndim  # nothing differs: the first element stands for all
            self.absolute, self.step, self.index = largest, step.index, in_data(name, index, step.samples)
            self.values = float(a[index]), float(b[index])
            self.ulps = float(ulps(np.atleast_1d(np.asarray(a[index])), np.atleast_1d(np.asarray(b[index])))[0])


@dataclass
class Comparison:
    """Both judges and the gaps, in order of computation."""

    judges: tuple[Judge, Judge]
    gaps: dict[str, Gap] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worse of the two runs."""
        return max(judge.verdict for judge in self.judges)


def compare_recordings(
    first: Recording, second: Recording, reference: Reference | None, progress: Callable[[], None] = lambda: None
) -> Comparison:
    """Judge both recordings step by step and measure the gaps between them.

    Raises:
        BackproofError: when they are not of the same training: another network, format, initial parameters, data,
            number of steps, or other samples in a step.
    """
    same_training(first, second)
    # Same data and same initial parameters, so one set of replicas serves both.
    replicas = None if reference is None else Replicas(first.training, reference)
    comparison = Comparison(
        (Judge(first.training, first.steps_written, replicas), Judge(second.training, second.steps_written, replicas)),
        {equation.target: Gap() for equation in equations(first.network)},
    )
    for steps in paired(first, second):
        for judge, step in zip(comparison.judges, steps, strict=True):
            judge.consume(step)
        for name, gap in comparison.gaps.items():
            a, b = (step.tensors.get(name) for step in steps)
            if a is not None and b is not None and comparable(a, b):
                gap.add(steps[0], name, b)
        progress()
    for judge in comparison.judges:
        judge.finish()
    return comparison


def paired(first: Recording, second: Recording) -> Iterator[tuple[Step, Step]]:
    """The steps of two recordings of one training, side by side.

    Raises:
        BackproofError: when a step holds other samples than its fellow.
    """
    for a, b in zip(first.steps(), second.steps(), strict=True):
        if not _same_samples(a, b):
            found = _batches(first, second)
            cause = f": {found[1]} [{found[0]}]" if found else ""
            raise BackproofError(
                f"step {a.index}: the two recordings do not hold the same samples{cause}; they are not compared"
            )
        yield a, b


def same_training(first: Recording, second: Recording) -> None:
    """Refuse two recordings that are not of one training.

    Raises:
        BackproofError: one line that says in what they differ, and why where the arrays tell.
    """
    for what, a, b in (
        ("network", first.network, second.network),
        ("dtype", first.dtype, second.dtype),
        ("initial parameters", first.initial_hash, second.initial_hash),
        ("data", first.data_hash, second.data_hash),
        ("number of steps", first.steps_written, second.steps_written),
    ):
        if a != b:
            named = f": {a} and {b}" if not hasattr(a, "sizes") else f": {a.name} and {b.name}"
            named += _cause(what, first, second)
            raise BackproofError(
                f"{first.folder} and {second.folder} differ in {what}{named}; "
                "only runs of the same training are compared"
            )


def _cause(what: str, A: Recording, B: Recording) -> str:
    """Why the two differ, where the arrays themselves tell."""
    found = None
    if what == "data":
        found = two_runs.data(*({"X": run.training.X, "Y": run.training.Y} for run in (A, B)))
    elif what == "initial parameters":
        found = two_runs.parameters(A.training.parameters, B.training.parameters)
    elif what == "number of steps":
        found = _batches(A, B)
    return f": {found[1]} [{found[0]}]" if found else ""


def _batches(A: Recording, B: Recording) -> tuple[str, str] | None:
    first, second = ([step.samples for step in run.steps()] for run in (A, B))
    return two_runs.batches(first, second, A.training.samples)


def comparable(a: Array, b: Array) -> bool:
    """Whether two arrays are of one shape and format, and finite."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.isfinite(a).all() and np.isfinite(b).all())


def _same_samples(a: Step, b: Step) -> bool:
    same = a.samples is b.samples is None or (
        a.samples is not None and b.samples is not None and np.array_equal(a.samples, b.samples)
    )
    return a.index == b.index and same
