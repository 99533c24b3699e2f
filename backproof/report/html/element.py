"""One element that is off, in numbers as people read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backproof.evidence import Json
from backproof.report.tables import element, number, percent, precise


@dataclass(frozen=True)
class Element:
    """An element, what was recorded and what is right, how far apart that is."""

    name: str
    recorded: str
    exact: str
    ulps: str
    used: str
    step: int


def ulps(recorded: float, exact: float, u: float) -> float | None:
    """``|recorded − exact|`` in units in the last place of ``exact`` in a format of unit roundoff ``u``; None at 0.

    ``ulp(x) = 2u·2^⌊log₂|x|⌋``; subnormal numbers have larger ones, so theirs are overstated.
    """
    if exact == 0 or not math.isfinite(exact):
        return None
    return abs(recorded - exact) / math.ldexp(2 * u, math.frexp(exact)[1] - 1)


def of(target: str, found: Json, shape: list[int], u: float) -> Element:
    """As a table shows it; ``found`` has index, recorded, exact, step and perhaps fraction."""
    recorded, exact = float(found["recorded"]), float(found["exact"])
    off = ulps(recorded, exact, u)
    used = percent(found["fraction"]) if "fraction" in found else ""
    name = element(target, [int(place) for place in found["index"]], shape)
    return Element(
        name, precise(recorded), precise(exact), "-" if off is None else number(off), used, int(found["step"])
    )
