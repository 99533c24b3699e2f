"""The schedule of the learning rate: a pure function of the step, the same for every implementation.

    constant    1
    step        factor ^ floor(step / every)
    cosine      final + (1 − final) (1 + cos(π min(step, steps) / steps)) / 2

Each is multiplied with the network's learning rate in float64, and the product is rounded to the run's format once.
(``torch.optim.lr_scheduler.StepLR`` and ``CosineAnnealingLR``; ``optax.exponential_decay(staircase=True)`` and
``cosine_decay_schedule``; Loshchilov and Hutter, *SGDR*, 2017, equation 5 without restarts.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backproof.errors import BackproofError

KEYS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "constant": {},
    "step": {"every": int, "factor": (int, float)},
    "cosine": {"steps": int, "final": (int, float)},
}
"""Schedule -> its constants and their types."""


@dataclass(frozen=True)
class Schedule:
    """What the learning rate is multiplied with, step by step.

    Attributes:
        name: one of :data:`KEYS`.
        every: of ``step``: how many steps a rate lasts.
        factor: of ``step``: what it is then multiplied with; above 0, and at most 1.
        steps: of ``cosine``: how many steps the descent takes; afterwards the rate stays.
        final: of ``cosine``: the part of the rate that it ends at; from 0 to 1.

    Raises:
        BackproofError: for a value outside these.
    """

    name: str = "constant"
    every: int = 0
    factor: float = 0.1
    steps: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in KEYS:
            raise BackproofError(f"unknown schedule {self.name!r}; choose from {', '.join(KEYS)}")
        for key, needed in (("every", "step"), ("steps", "cosine")):
            if self.name == needed and getattr(self, key) < 1:
                raise BackproofError(f"schedule {self.name!r}: {key} must be at least 1, not {getattr(self, key)}")
        if not 0 < self.factor <= 1:
            raise BackproofError(f"schedule {self.name!r}: factor must be above 0 and at most 1, not {self.factor}")
        if not 0 <= self.final <= 1:
            raise BackproofError(f"schedule {self.name!r}: final must lie between 0 and 1, not {self.final}")

    def at(self, step: int) -> float:
        """The multiple of the learning rate in step ``step``, counted from 0."""
        if self.name == "step":
            return float(self.factor ** (step // self.every))
        if self.name == "cosine":
            turned = math.pi * min(step, self.steps) / self.steps
            return self.final + (1 - self.final) * (1 + math.cos(turned)) / 2
        return 1.0

    def to_dict(self) -> dict[str, Any]:
        """Its name and constants; :meth:`from_dict` undoes it."""
        return {"name": self.name, **{key: getattr(self, key) for key in KEYS[self.name]}}

    @classmethod
    def from_dict(cls, values: object) -> Schedule:
        """A schedule from its name, or from a table with a name and constants.

        Raises:
            BackproofError: for an unknown key or a value of the wrong type.
        """
        table = {"name": values} if isinstance(values, str) else values
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            raise BackproofError(f"schedule must be a name or a table with a name, not {values!r}")
        known = KEYS.get(table["name"], {})
        for key, value in table.items():
            if key != "name" and table["name"] in KEYS and key not in known:
                has = ", ".join(known) or "no constants"
                raise BackproofError(f"schedule {table['name']!r}: it has no {key}; it has {has}")
            if key in known and (not isinstance(value, known[key]) or isinstance(value, bool)):
                raise BackproofError(f"schedule {table['name']!r}: {key} has the wrong type: {value!r}")
        return cls(table["name"], **{key: table[key] for key in known if key in table})


CONSTANT = Schedule()
"""The same rate in every step."""
