"""The three answers: rounding, suspect, bug."""

from __future__ import annotations

from enum import IntEnum


class Verdict(IntEnum):
    """Ordered from good to bad, so that the verdict on many checks is their maximum."""

    ROUNDING = 0
    """Rounding explains it."""
    SUSPECT = 1
    """Above a budget or bound, or leaning one way, and neither proved impossible nor explained by an honest order."""
    BUG = 2
    """Rounding cannot explain it."""

    @property
    def word(self) -> str:
        """``rounding``, ``suspect`` or ``bug``."""
        return self.name.lower()
