"""Coin flips: where two runs of one training take different sides of a kink.

At a kink of ReLU (Z = 0) the derivative jumps. Two honest runs whose Z straddle 0 by less than rounding has moved it
have different gradients from there on, with no bug anywhere: the distance between them, which grew smoothly so far,
jumps by orders of magnitude. So the first flips are named, and a distance from the float64 run is explained from
there on; one that leaves the replicas' envelope before any flip is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.agreement import FLOOR, MULTIPLE
from backproof.rounding import format_of
from backproof.trajectory import FreeStep

Array = NDArray[Any]

KEPT = 8
"""Flips that are kept of a run: the first ones; how many there were is counted."""


@dataclass(frozen=True)
class Flip:
    """One unit of one sample that is on different sides of a kink in a run and in the float64 run.

    Attributes:
        sample: its index in the data.
        value, float64: Z in the run, and in the float64 run.
        by_rounding: whether they are no further apart than the replicas' Z and the format allow.
    """

    step: int
    layer: int
    unit: int
    sample: int
    value: float
    float64: float
    by_rounding: bool

    def __str__(self) -> str:
        return (
            f"step {self.step}, layer {self.layer}, unit {self.unit}, sample {self.sample}: "
            f"Z = {self.value:.3g}, in float64 {self.float64:.3g}"
        )


class Flips:
    """The coin flips of one run, step by step."""

    def __init__(self) -> None:
        self.first: list[Flip] = []
        self.count = 0
        self.steps = 0

    def add(self, step: int, tensors: Mapping[str, Array], samples: Array | None, free: FreeStep) -> None:
        """Take in one step of the run, beside the float64 run's same step."""
        before = self.count
        for name, wide in free.kinked.items():
            Z = tensors[name]
            different = (Z > 0) != (wide > 0)
            count = int(np.count_nonzero(different))
            if not count:
                continue
            self.count += count
            largest = float(np.abs(wide).max())
            bound = MULTIPLE * (free.spread[name] + FLOOR * format_of(Z.dtype).unit_roundoff * largest)
            for unit, column in np.argwhere(different)[: KEPT - len(self.first)]:
                sample = int(column if samples is None else samples[column])
                value, other = float(Z[unit, column]), float(wide[unit, column])
                near = abs(value - other) <= bound
                self.first.append(Flip(step, int(name[1:]), int(unit), sample, value, other, near))
        self.steps += self.count > before

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values of the flips that are kept."""
        return [asdict(flip) for flip in self.first]
