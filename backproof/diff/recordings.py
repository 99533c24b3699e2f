"""Two recordings of one training, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.batches import in_data
from backproof.compare import Gap, comparable, paired, same_training
from backproof.equations import equations
from backproof.recording import Recording
from backproof.report.tables import element, number, percent, plain, precise
from backproof.rounding import ulps
from backproof.training import Step

Array = NDArray[Any]
HEADERS = ("quantity", "layer", "moved", "from step", "apart", "ULPs", "where", "step", "old", "new")


@dataclass(frozen=True)
class Place:
    """An element that is not the same on both sides; ``index`` counts a sample as the data does."""

    step: int
    index: tuple[int, ...]
    old: float
    new: float
    ulps: float


@dataclass
class Moved:
    """One quantity over all steps.

    Attributes:
        elements, moved: how many were compared, and how many of them differ; 0.0 and -0.0 do not.
        first: the first element, row by row, of the first step that has one.
        largest: where the two are furthest apart.
        odd: steps in which it could not be subtracted: absent on one side, of another shape or format, or not finite.
    """

    layer: int
    elements: int = 0
    moved: int = 0
    first: Place | None = None
    largest: Gap = field(default_factory=Gap)
    odd: list[int] = field(default_factory=list)

    def add(self, name: str, old: Step, new: Step) -> None:
        """Take in one step of both."""
        a, b = (step.tensors.get(name) for step in (old, new))
        if a is None or b is None or not comparable(a, b):
            if not _identical(a, b):
                self.odd.append(old.index)
            return
        different = np.flatnonzero(np.asarray(a != b))
        self.elements += a.size
        self.moved += different.size
        if different.size:
            self.largest.add(old, name, b)
            if self.first is None:
                index = tuple(int(i) for i in np.unravel_index(int(different[0]), a.shape))
                self.first = _place(name, old, a, b, index)


def _identical(a: Array | None, b: Array | None) -> bool:
    """Also of what is not finite: the same bits did not move."""
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _place(name: str, step: Step, a: Array, b: Array, index: tuple[int, ...]) -> Place:
    here, there = (np.atleast_1d(np.asarray(array[index])) for array in (a, b))
    apart = float(ulps(here, there)[0])
    return Place(step.index, in_data(name, index, step.samples), float(here[0]), float(there[0]), apart)


def moved(old: Recording, new: Recording) -> dict[str, Moved]:
    """Every quantity that an equation makes, in order of computation.

    Raises:
        BackproofError: when the two are not of the same training, or a recording is corrupt.
    """
    same_training(old, new)
    found = {equation.target: Moved(equation.layer) for equation in equations(old.network)}
    for a, b in paired(old, new):
        for name, quantity in found.items():
            quantity.add(name, a, b)
    return found


def rows(found: dict[str, Moved]) -> Iterator[list[str]]:
    """A line for each quantity that moved."""
    for name, it in found.items():
        if it.first is not None:
            gap = it.largest
            share = f"{it.moved} of {it.elements} ({percent(it.moved / it.elements)})"
            where = element(name, gap.index, gap.index)
            yield [
                name, str(it.layer), share, str(it.first.step), number(gap.absolute), number(gap.ulps), where,
                str(gap.step), *map(precise, gap.values),
            ]  # fmt: skip


def first(found: dict[str, Moved]) -> tuple[str, Place] | None:
    """The first quantity that moved, in order of steps and, within one, of computation."""
    places = [(name, it.first) for name, it in found.items() if it.first is not None]
    return min(places, key=lambda item: item[1].step, default=None)


def terminal(found: dict[str, Moved]) -> str:
    """The table, then where it began."""
    parts = [plain(list(rows(found)), HEADERS)] if first(found) else []
    parts += [
        f"{name} could not be subtracted in step {', '.join(map(str, it.odd[:5]))}{' …' if it.odd[5:] else ''}: absent "
        "on one side, of another shape or format, or not finite."
        for name, it in found.items()
        if it.odd
    ]
    return "\n\n".join([*parts, _sentence(found)])


def _sentence(found: dict[str, Moved]) -> str:
    if (start := first(found)) is None:
        compared = sum(it.elements for it in found.values())
        return f"Nothing moved: {compared} elements are the same to the last bit."
    name, place = start
    where = f"step {place.step}, layer {found[name].layer}, {element(name, place.index, place.index)}"
    return (
        f"First: {where}: {precise(place.old)} → {precise(place.new)}, {number(place.ulps)} ULPs. "
        "What follows it was computed from what had moved."
    )
