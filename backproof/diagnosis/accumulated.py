"""Gradients that were never reset: to each step's own, those of the steps before it are still added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case

Array = NDArray[Any]

PREVIOUS = "{}_previous"
"""Name under which a case has a gradient that the step before recorded."""


def candidates(case: Case, right: Array) -> Iterator[Candidate]:
    """``dW_l = dZ_l A_{l-1}ᵀ + the dW_l of the step before``, where that one was given.

    Args:
        right: this step's own gradient at the elements that are looked at, without a weight decay.
    """
    target = case.target
    earlier = case.get(PREVIOUS.format(target))
    if earlier is not None and earlier.any():
        text = f"{target} was not reset: it is this step's gradient plus the {target} of the step before"
        yield Candidate("accumulated", text, right + case.cut(earlier))
