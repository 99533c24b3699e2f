"""Fitted constants, recognised as the numbers that a problem has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Case

Array = NDArray[Any]


def ratio(recorded: Array, array: Array) -> float | None:
    """Least-squares k of ``recorded = k array``; None where the array is zero."""
    square = float(np.vdot(array, array))
    return float(np.vdot(recorded, array)) / square if square else None


def combination(recorded: Array, *arrays: Array) -> Array | None:
    """Least-squares coefficients of ``recorded = sum_i c_i array_i``; None where they are not determined."""
    columns = np.column_stack([array.ravel() for array in arrays])
    scale = np.linalg.norm(columns, axis=0)
    if not scale.all():
        return None
    solution, _, rank, _ = np.linalg.lstsq(columns / scale, recorded.ravel(), rcond=1e-10)
    return np.asarray(solution / scale) if rank == len(arrays) else None


def known(case: Case) -> Iterator[tuple[float, str]]:
    """The constants that a mistake may bring in, with their names, the simplest first."""
    m, n = case.m, case.network.sizes[-1]
    alpha = case.context.step_size
    plain = [
        (2.0, "2"), (0.5, "1/2"), (float(m), "m"), (1 / m, "1/m"), (float(n), "the number of classes"),
        (1 / n, "1/(number of classes)"), (255.0, "255"), (1 / 255, "1/255"), (255 / 256, "255/256"),
        (alpha, "the learning rate"), (1 / alpha, "1/learning rate"), (1.0 / m**2, "1/m²"), (0.1, "0.1"),
        (0.9, "0.9"), (10.0, "10"),
    ]  # fmt: skip
    if m > 1:
        plain += [(m / (m - 1), "m/(m − 1)"), ((m - 1) / m, "(m − 1)/m")]
    plain += [(2 * k, f"2·{name}") for k, name in plain[2:6]] + [(k / 2, f"{name}/2") for k, name in plain[2:6]]
    yield -1.0, "−1"
    yield from plain
    yield from ((-k, f"−{name}") for k, name in plain)


def recognise(value: float, case: Case, tolerance: float = 1e-5) -> tuple[float, str]:
    """The known constant within a relative ``tolerance`` of a fitted one, or the plain number itself."""
    for constant, name in known(case):
        if abs(value - constant) <= tolerance * abs(constant):
            return constant, name
    return value, f"{value:.6g}"
