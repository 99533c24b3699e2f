"""A gradient that was not derived but measured: ``(f(θ + ε) − f(θ))/ε``, or the central difference over 2ε.

The difference of two numbers of a format is a whole number of their last places, and exact where they are close
(Sterbenz). So every element of such a gradient is a whole multiple of ``last place of the loss / ε``, whatever the
network: that tells it from any derivative, and tells ε.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import decay
from backproof.diagnosis.candidate import Candidate, Case
from backproof.rounding import format_of

Array = NDArray[Any]

STEPS = tuple(factor * 10.0**-k for k in range(16, 0, -1) for factor in (1, 2))
"""Divisors ε and 2ε; each gives a finer lattice than the one before it."""
FEWEST = 4
"""Elements other than zero from which a lattice is believed."""
SPARE = 8
"""Bits that a multiple must leave free of the format's, at least: what fills them is a multiple of anything. An element
that leaves s of them free is by chance as near to a lattice as 4 units of its own rounding once in ``2^s/8``."""
CHANCE = 36
"""Bits of evidence that all elements must give together: with 64 lattices tried, by chance once in 10^9."""


def candidates(case: Case) -> Iterator[Candidate]:
    """The lattice that all elements lie on, if there is one."""
    loss = case.get("loss")
    if loss is None or not loss.any() or np.count_nonzero(case.recorded) < FEWEST:
        return
    u = format_of(case.operands.recorded(case.target).dtype).unit_roundoff
    place = float(2 * u * 2.0 ** np.floor(np.log2(np.abs(loss))))
    for step in STEPS:
        # A loss just below a power of two has places half as large as one above it.
        for lattice in (place / step, place / 2 / step):
            if _on(lattice, case.recorded, u):
                yield _found(case, lattice, place, step)
                return


def _on(lattice: float, recorded: Array, u: float) -> bool:
    multiple = recorded / lattice
    spare = max(SPARE, 3 + CHANCE / np.count_nonzero(recorded))
    if np.abs(multiple).max() > 2.0**-spare / u:
        return False
    return bool((np.abs(multiple - np.rint(multiple)) <= 4 * u * np.abs(multiple)).all())


def _found(case: Case, lattice: float, place: float, step: float) -> Candidate:
    off = float(np.abs(case.recorded - case.exact).max())
    text = (
        f"{case.target} is a numeric gradient: each element is a whole number of last places of the loss over "
        f"{step:g}; it is off by {off / (place / step):.3g} of them at most (a few: the step is too small; many: the "
        "difference is one-sided, or the step too large)"
    )
    value = np.rint(case.recorded / lattice) * lattice
    value = value - decay.decayed(case, np.zeros_like(value))  # which is added to whatever a family proposes
    return Candidate("numeric-gradient", text, value, free=1, numbers={"step": step, "places": off / (place / step)})
