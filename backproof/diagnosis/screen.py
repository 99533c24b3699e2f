"""Which candidates are worth trying on all elements that are looked at: those that come near on a few of them.

What may be done to a candidate afterwards (:mod:`backproof.diagnosis.closing`) is a factor, a decay, and elements set
to zero. Where that leaves no more than is allowed, the least-squares residual of ``recorded = k candidate + c W`` over
elements other than zero is no longer than the vector of what is allowed there, for the fit minimises it. A candidate
that is a few times beyond is refused. Pairs of mistakes, of which a deep network of equal widths has thousands, are
made for these few elements only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.remaining import allowed
from backproof.diagnosis.thinned import excerpt
from backproof.rounding import Format

Array = NDArray[Any]

LINES = 16
"""Rows and columns of the elements on which a candidate is screened."""
SMALL = 16
"""Elements up to which every candidate is tried on all of them."""
BEYOND = 4.0
"""Lengths of what is allowed from which a candidate is refused: what is allowed grows with an array's largest element,
which is seldom among a few."""


def screened(case: Case, candidates: Sequence[Candidate], fmt: Format) -> list[Candidate]:
    """The candidates that come near on some elements, and those without a name: what follows them is a mistake."""
    if case.exact.size <= SMALL:
        return list(candidates)
    grid = _grid(case)
    near = _near(case, [_at(candidate, case, grid) for candidate in candidates], grid, fmt)
    return [candidate for candidate, fits in zip(candidates, near, strict=True) if fits or not candidate.name]


def screened_pairs(case: Case, make: Callable[[Case], Sequence[Candidate]], fmt: Format) -> list[Candidate]:
    """The same of two mistakes at once, which are made for a few elements first.

    Args:
        make: the pairs of a case.
    """
    if case.exact.size <= SMALL:
        return list(make(case))
    small = excerpt(case, LINES)
    found, grid = make(small), _grid(small)
    near = _near(small, [_at(candidate, small, grid) for candidate in found], grid, fmt)
    if not near.any():
        return []
    pairs, names = make(case), [candidate.name for candidate in found]
    if names == [candidate.name for candidate in pairs]:
        return [pair for pair, fits in zip(pairs, near, strict=True) if fits]
    kept = {name for name, fits in zip(names, near, strict=True) if fits}  # a pair that the excerpt does not have
    return [pair for pair in pairs if pair.name in kept or pair.name not in names]


def _grid(case: Case) -> Any:
    sizes = case.exact.shape
    return np.ix_(*(np.unique(np.linspace(0, n - 1, min(n, LINES)).astype(np.int64)) for n in sizes))


def _at(candidate: Candidate, case: Case, grid: Any) -> Array:
    """The candidate at these elements; not a number where it has another shape."""
    array = candidate.array()
    at = array[grid] if case.fits(array) else np.full_like(case.exact[grid], np.nan)
    return np.asarray(at.ravel(), np.float64)


def _near(case: Case, arrays: Sequence[Array], grid: Any, fmt: Format) -> Array:
    """Whether each candidate comes near; one that is not finite does not."""
    recorded = case.recorded[grid].ravel()
    able = recorded != 0
    if not able.any() or not arrays:
        return np.ones(len(arrays), bool)
    values = np.stack(arrays)[:, able]
    finite = np.isfinite(values).all(axis=1)
    values, r = np.where(finite[:, None], values, 0.0), recorded[able]
    bare, rest = _without_parameter(case, values, r, able, grid)
    factors = (bare @ rest) / np.maximum((bare * bare).sum(axis=1), np.finfo(np.float64).tiny)
    left = np.linalg.norm(rest - factors[:, None] * bare, axis=1)
    fitted = np.abs(factors[:, None] * values)
    units = np.broadcast_to(case.unit, case.exact.shape)[grid].ravel()[able]
    bound = np.linalg.norm(allowed(case, fitted.max(axis=1, keepdims=True), fitted, fmt, units), axis=1)
    return np.asarray(finite & ~(left > BEYOND * bound))


def _without_parameter(case: Case, values: Array, r: Array, able: Array, grid: Any) -> tuple[Array, Array]:
    """Candidates and recorded values with their part along W (or b) taken out, where a decay may have been added."""
    parameter = case.get(case.target[1:]) if case.target[:2] in ("dW", "db") else None
    if parameter is None:
        return values, r
    w = case.cut(parameter)[grid].ravel()[able]
    square = float(w @ w)
    if not square:
        return values, r
    return values - np.outer(values @ w / square, w), r - (r @ w / square) * w
