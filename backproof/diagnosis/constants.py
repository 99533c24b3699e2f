"""Fitted constants, recognised as the numbers that a problem has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Case

Array = NDArray[Any]

CHANCE = 0.02
"""The most that a short decimal may owe to chance: how much of the line the intervals around its like may cover."""
CHANCE_OF_POWER = 0.05
"""The same of powers of ten, which is what people write."""


def ratio(recorded: Array, array: Array) -> float | None:
    """Least-squares k of ``recorded = k array``; None where the array is zero."""
    square = float(np.vdot(array, array))
    return float(np.vdot(recorded, array)) / square if square else None


def combination(recorded: Array, *arrays: Array) -> Array | None:
    """Least-squares coefficients of ``recorded = sum_i c_i array_i``; None where they are not determined."""
    columns = np.column_stack([array.ravel() for array in arrays])
    scale = np.linalg.norm(columns, axis=0)
    if not scale.all() or not np.isfinite(scale).all():
        return None
    solution, _, rank, _ = np.linalg.lstsq(columns / scale, recorded.ravel(), rcond=1e-10)
    return np.asarray(solution / scale) if rank == len(arrays) else None


def known(case: Case) -> Iterator[tuple[float, str]]:
    """The constants that a mistake may bring in, with their names, the simplest first."""
    m, n = case.m, case.network.sizes[-1]
    alpha = case.context.step_size
    plain = [
        (2.0, "2"), (0.5, "1/2"), (float(m), "m"), (1 / m, "1/m"), (float(n), "the number of classes"),
        (1 / n, "1/(number of classes)"), (float(m * n), "m·(number of classes)"),
        (1 / (m * n), "1/(m·number of classes)"), (m / n, "m/(number of classes)"),
        (n / m, "(number of classes)/m"), (255.0, "255"), (1 / 255, "1/255"), (255 / 256, "255/256"),
        *([(alpha, "the learning rate"), (1 / alpha, "1/learning rate")] if alpha else []),
        (1.0 / m**2, "1/m²"), (0.1, "0.1"), (0.9, "0.9"), (10.0, "10"),
    ]  # fmt: skip
    if m > 1:
        plain += [(m / (m - 1), "m/(m − 1)"), ((m - 1) / m, "(m − 1)/m")]
    plain += [(2 * k, f"2·{name}") for k, name in plain[2:8]] + [(k / 2, f"{name}/2") for k, name in plain[2:8]]
    yield -1.0, "−1"
    yield from ((k, name) for k, name in plain if k != 1)
    yield from ((-k, f"−{name}") for k, name in plain if k != 1)


def recognised(value: float | None, case: Case, tolerance: float = 1e-5) -> tuple[float, str] | None:
    """The known constant within a relative ``tolerance`` of a fitted one, or None where it is none of them."""
    if value is None or not np.isfinite(value) or value == 0:
        return None
    near = (pair for pair in known(case) if abs(value - pair[0]) <= tolerance * abs(pair[0]))
    return next(near, None)


def recognise(value: float, case: Case) -> tuple[float, str]:
    """The known constant, or the plain number itself."""
    return recognised(value, case) or (value, f"{value:.6g}")


def written(low: float, high: float, tries: int = 1) -> float | None:
    """The shortest decimal number between two positive numbers, if so short a number is no chance; None otherwise.

    Numbers of d digits with intervals of relative half-width w around them cover about ``0.8 w 10^d`` of the line,
    the powers of ten ``0.9 w``.

    Args:
        tries: formulas among which one may fit by chance.
    """
    if not 0 < low <= high or not np.isfinite(high):
        return None
    middle, width = low / 2 + high / 2, (high / 2 - low / 2) / (high / 2 + low / 2)
    power = float(f"1e{round(np.log10(middle))}")
    if low <= power <= high:
        return power if 0.9 * width * tries <= CHANCE_OF_POWER else None
    for digits in range(1, 5):
        short = float(f"{middle:.{digits - 1}e}")
        if low <= short <= high:
            return short if 0.8 * width * 10**digits * tries <= CHANCE else None
    return None
