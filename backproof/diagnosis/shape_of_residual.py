"""What is said where no mistake is known: which elements are wrong, which way, and whether by one constant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WRONG = 8.0
"""Units above which an element is called wrong here."""
ALIKE = 1e-3
"""Relative spread up to which ratios are called one constant."""


def shape_of_residual(recorded: Array, exact: Array, unit: Array) -> str:
    """One line: which units and samples, the sign, the ratio; of one number, its ratio.

    Args:
        unit: element by element, u included.
    """
    with np.errstate(all="ignore"):
        wrong = np.atleast_2d(np.abs(recorded - exact) > WRONG * unit)
        return "; ".join(_facts(np.atleast_2d(recorded), np.atleast_2d(exact), wrong)) if wrong.any() else ""


def _facts(recorded: Array, exact: Array, wrong: Array) -> Iterator[str]:
    if recorded.size == 1:
        yield (
            f"it is {float(recorded[0, 0] / exact[0, 0]):.6g} times what it should be"
            if exact.any()
            else "it should be 0"
        )
        return
    rows, columns = np.asarray(wrong.any(axis=1)), np.asarray(wrong.any(axis=0))
    if wrong.sum() == 1:
        yield f"one element is wrong, at {tuple(int(i) for i in np.argwhere(wrong)[0])}"
        return
    yield f"wrong in {_which(rows, 'row')} and {_which(columns, 'column')}"
    off = (recorded - exact)[wrong]
    if (off > 0).all() or (off < 0).all():
        yield f"always too {'large' if off[0] > 0 else 'small'}"
    if (able := wrong & (exact != 0)).any():
        yield from _ratios(recorded, exact, able)


def _which(wrong: Array, word: str) -> str:
    count, of = int(np.count_nonzero(wrong)), len(wrong)
    if count == of:
        return f"all {of} {word}s" if of > 1 else f"the one {word}"
    return f"{word} {int(np.argmax(wrong))}" if count == 1 else f"{count} of {of} {word}s"


def _ratios(recorded: Array, exact: Array, able: Array) -> Iterator[str]:
    ratio = np.where(able, recorded / np.where(exact == 0, 1.0, exact), np.nan)
    if _alike(ratio[able]):
        yield f"the ratio is {np.median(ratio[able]):.6g} wherever it is wrong"
        return
    for axis, word in ((1, "row"), (0, "column")):
        lines = [line[~np.isnan(line)] for line in (ratio if axis else ratio.T)]
        several = [line for line in lines if len(line) > 1]
        if several and all(map(_alike, several)):
            yield f"each {word} has a ratio of its own"
            return


def _alike(values: Array) -> bool:
    middle = float(np.median(values))
    return bool(len(values) > 1 and np.abs(values - middle).max() <= ALIKE * abs(middle))
