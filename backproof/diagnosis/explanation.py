"""What is said of a mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ALSO = 3
"""Of the explanations that no data can tell from the best, how many are told."""


@dataclass(frozen=True)
class Explanation:
    """A mistake that leaves nothing but rounding when it is assumed.

    Attributes:
        name: stable: ``mask-missing``; ``mask-missing + factor`` when two were needed.
        sentence: plain words with the formula.
        left: the largest residual that is left, as a part of what rounding may leave.
        factor: the constant that was needed beside it, 1 when none was.
        assumed: constants that were fitted for it, and mistakes beyond the first; explanations that assume as much
            cannot be told apart by the data.
        numbers: what supports it: fitted constants, counts.
        harmless: it is seen to change nothing that is trained, and what is printed by next to nothing.
    """

    name: str
    sentence: str
    left: float
    factor: float = 1.0
    assumed: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    harmless: bool = False

    def __str__(self) -> str:
        return self.sentence

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name, "sentence": self.sentence, "left": float(f"{self.left:.3g}"), "factor": self.factor,
            "assumed": self.assumed, "numbers": {key: float(f"{value:.6g}") for key, value in self.numbers.items()},
            "harmless": self.harmless,
        }  # fmt: skip


def equals(explanations: Sequence[Explanation]) -> str:
    """What the data cannot tell from the best explanation, in words; empty where it stands alone."""
    best, *others = explanations
    return "; ".join([str(other) for other in others if other.assumed == best.assumed][:ALSO])


def because(explanations: Sequence[Explanation], message: str) -> str:
    """The best explanation with what was found in brackets, and what the data cannot tell it from."""
    equal = equals(explanations)
    also = f"; the data cannot tell it from: {equal}" if equal else ""
    return f"{explanations[0]} ({message}{also})"
