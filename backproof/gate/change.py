"""What differs between the baseline and a run, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from backproof.gate.facts import Finding, Key, Used
from backproof.report.tables import percent


class Kind(IntEnum):
    """From bad to good; the order in which changes are listed."""

    VERDICT = 0
    """Worse than it was."""
    VANISHED = 1
    """Was checked, and is no longer there."""
    COVERAGE = 2
    """Fewer steps or elements were checked."""
    HEADROOM = 3
    """More of the budget was used than noise uses."""
    APPEARED = 4
    """Has no baseline: nobody has accepted it."""
    STILL = 5
    """A verdict that is not rounding, and was accepted."""
    IMPROVED = 6
    """A better verdict, more coverage, or less of the budget used."""

    @property
    def fails(self) -> bool:
        """Whether the gate closes."""
        return self < Kind.STILL

    @property
    def word(self) -> str:
        """``verdict``, ``vanished``, …"""
        return self.name.lower()


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        key: where; a network, an implementation or a layer that vanished or appeared as a whole is one change.
        before, after: None where there is nothing on that side, or it is more than one check.
        finding: what the run itself says of it.
    """

    kind: Kind
    key: Key
    before: Used | None = None
    after: Used | None = None
    finding: Finding | None = None

    @property
    def growth(self) -> float:
        """How many times as much of the budget is used."""
        return growth(self.before, self.after) if self.before and self.after else 0.0

    @property
    def sentence(self) -> str:
        """What happened, and what the run says of it; without the place, and not escaped."""
        return f"{self.fact} ({self.finding.text})" if self.finding else self.fact

    @property
    def fact(self) -> str:
        """What happened alone."""
        before, after = self.before, self.after
        if before is None or after is None:
            return "is not there any more" if self.kind is Kind.VANISHED else "is not in the baseline"
        if self.kind is Kind.STILL:
            return f"{after.verdict.word}, as in the baseline"
        parts = []
        if before.verdict != after.verdict:
            parts.append(f"{before.verdict.word} → {after.verdict.word}")
        if self.key.layer and self.kind is not Kind.COVERAGE:
            parts.append(f"used {percent_of(before)} → {percent_of(after)}")
        if (before.covered, before.of) != (after.covered, after.of):
            parts.append(f"checked {before.covered} of {before.of} → {after.covered} of {after.of}")
        elif self.kind is Kind.COVERAGE:
            parts.append(f"elements that could have been wrong {before.elements} → {after.elements}")
        return ", ".join(parts)

    @property
    def order(self) -> tuple[object, ...]:
        """Worst first: by kind, the worse verdict, what its run found first, growth, place; a layer before its run."""
        verdict = self.after.verdict if self.after else 0
        rank = self.finding.rank if self.finding else math.inf
        return self.kind, -verdict, rank, not self.key.layer, -self.growth, self.key


def growth(before: Used, after: Used) -> float:
    """``after`` in multiples of ``before``; of nothing it is infinite."""
    if after.fraction == before.fraction:
        return 1.0
    return after.fraction / before.fraction if before.fraction else math.inf


def percent_of(used: Used) -> str:
    """The fraction as people read it."""
    return percent(used.fraction if math.isfinite(used.fraction) else None)
