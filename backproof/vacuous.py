"""Arrays that hold nothing: a comparison of zeros with zeros agrees, and could not have found anything wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.rounding import Format

Array = NDArray[Any]

LEAST = 2.0**40
"""In smallest normal numbers: what is larger stands above every floor, which are of the order of K + √K(‖A‖ + ‖B‖) of
them. What is not is a candidate, and the dense check says whether its elements are vacuous."""


class Vacuity:
    """Looks whether the arrays of a run's steps hold anything, at the cost of one element where they do.

    Where an array held something in the last step it mostly does in this one, so that is looked at first.

    Args:
        fmt: the run's format.
    """

    def __init__(self, fmt: Format) -> None:
        self._least = LEAST * fmt.smallest_normal
        self._at: dict[str, int] = {}

    def suspected(self, name: str, array: Array) -> bool:
        """Whether no element of the array is above :data:`LEAST`."""
        at = self._at.get(name, 0)
        if at < array.size and abs(float(array.item(at))) > self._least:
            return False
        self._at[name] = at = int(np.abs(array).argmax())
        return not abs(float(array.item(at))) > self._least
