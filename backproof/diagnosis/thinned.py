"""Which elements of a failing equation the explanations are tried on: enough to tell mistakes apart, for little.

A mistake fills its whole array, so some hundreds of elements tell it as well as millions do. They are evenly spaced,
and those where the residual is worst are among them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import ALL, Case
from backproof.equations import Equation
from backproof.evaluation import Context
from backproof.network import Network
from backproof.operands import Operands

Array = NDArray[Any]

SAMPLES = 384
"""Samples of a target with a column for each that are looked at."""
GRID = 48
"""Rows and columns of a weight gradient (or its update) that are looked at."""


def samples_of(equation: Equation, operands: Operands, worst: Array) -> tuple[Operands, Any]:
    """The operands with the samples that are looked at, for a target that has a column for each; else all of them.

    Args:
        worst: columns of the target where the residual is worst.
    """
    m = operands.recorded("X").shape[1]
    if m <= SAMPLES or not _by_sample(equation.target):
        return operands, ALL
    columns = _some(m, SAMPLES, worst)
    names = operands.names()
    return Operands(
        {n: _columns(operands.recorded(n), columns) if _by_sample(n) else operands.recorded(n) for n in names}
    ), columns


def thinned(
    network: Network,
    equation: Equation,
    operands: Operands,
    context: Context,
    exact: Array,
    recorded: Array,
    unit: Array,
    whole: Operands,
    columns: Any,
) -> Case:
    """The case, cut down to the elements that are looked at."""
    if exact.ndim < 2 or _by_sample(equation.target) or exact.size <= GRID * GRID:
        return Case(network, equation, operands, context, exact, recorded, unit, ALL, columns, whole, exact)
    over = np.abs(recorded - exact) / unit
    row, column = np.unravel_index(int(over.argmax()), over.shape)
    rows, columns = _some(exact.shape[0], GRID, np.array([row])), _some(exact.shape[1], GRID, np.array([column]))
    grid = np.ix_(rows, columns)
    unit = np.broadcast_to(unit, exact.shape)[grid]
    return Case(network, equation, operands, context, exact[grid], recorded[grid], unit, rows, columns, whole, exact)


def excerpt(case: Case, lines: int) -> Case:
    """The case with a few of its samples, or a few rows and columns of its gradient."""
    unit = np.broadcast_to(case.unit, case.exact.shape)
    columns = _some(case.exact.shape[1], lines, np.empty(0, np.int64))
    if not _by_sample(case.target):
        if case.target.startswith("db"):
            return case  # a sum over all samples, for every unit
        grid = np.ix_(_some(case.exact.shape[0], lines, np.empty(0, np.int64)), columns)
        rows, places = _within(case.rows, grid[0].ravel()), _within(case.columns, columns)
        exact, recorded = case.exact[grid], case.recorded[grid]
        return replace(case, exact=exact, recorded=recorded, unit=unit[grid], rows=rows, columns=places)
    names = case.operands.names()
    operands = Operands(
        {n: _columns(case.operands.recorded(n), columns) if _by_sample(n) else case.operands.recorded(n) for n in names}
    )
    exact, recorded = case.exact[:, columns], case.recorded[:, columns]
    places = _within(case.columns, columns)
    case = replace(case, operands=operands, whole_operands=case.whole)
    return replace(case, exact=exact, recorded=recorded, unit=unit[:, columns], columns=places)


def _within(chosen: Any, places: Array) -> Array:
    return places if chosen is ALL else np.asarray(chosen)[places]


def _columns(array: Array, columns: Array) -> Array:
    return np.asarray(array[:, columns])


def _by_sample(name: str) -> bool:
    """Whether a quantity has a column for each sample."""
    return name in ("X", "Y") or name.rstrip("0123456789") in ("Z", "A", "dZ", "dA")


def _some(size: int, most: int, worst: Array) -> Array:
    even = np.linspace(0, size - 1, min(size, most)).astype(np.int64)
    return np.unique(np.concatenate([even, worst]))
