"""How much of a budget was used, as a class of a colour scale: with a word for whoever sees no colours."""

from __future__ import annotations

from itertools import pairwise

STEPS = (0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 16.0, float("inf"))
"""Upper ends of the classes; from the seventh on the budget is exceeded."""
CLASSES = ("zero", "u1", "u2", "u3", "u4", "u5", "over1", "over2", "over3")
LEGEND = ("exact", *(f"{f'{low:.0%}' if low else 'more than 0'} to {high:.0%}" for low, high in pairwise(STEPS[:6])),
          "1 to 2 budgets", "2 to 16 budgets", "more than 16 budgets")  # fmt: skip


def place(fraction: float) -> int:
    """Index into :data:`CLASSES`."""
    return next((n for n, end in enumerate(STEPS) if fraction <= end), len(STEPS) - 1)


def class_of(fraction: float) -> str:
    """The class's name."""
    return CLASSES[place(fraction)]
