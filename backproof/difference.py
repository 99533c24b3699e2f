"""How far two arrays are apart, element by element, in one pass over both.

    absolute    |a - b|
    relative    |a - b| / |b|                 0 where a = b, infinite where only b is zero
    ulps        numbers of the format between a and b, plus one (:func:`backproof.rounding.ulps`)
    rms         sqrt(mean (a - b)^2)

All four are of the pairs of which both are finite. Of the others, equal infinities match, and so do two NaNs, whatever
their bits; the rest is counted as mismatched. 0.0 and -0.0 are 0 ULPs apart.

**What is exact.** Blocks are ranked in the arrays' own format (float32 for a narrower one), where ``a - b`` and the
quotient round once each; the winner's value is then taken in float64. So each value is that of the element which is
named, and no other element's is above it by more than ``2u`` of it for the absolute and ``4u`` for the relative
difference, with u of the format that ranked them. ULPs are counted in integers, and rounded only by being
returned as a float. The root mean square adds rows of :data:`ROW` squares in that format, which errs by at most
``(ROW + 3) u`` of each sum and half of that in the root (Higham, *Accuracy and Stability*, 3.1), and in practice by
1e-7 in float32; the rows' sums are added in float64.

**Why it is fast.** A block stays in the processor's caches for all of its passes, every one of which is a single
vectorised loop, and NumPy lets go of the interpreter in each, so that blocks run on all processors (smaller blocks
would fit better, and were slower: two threads waited for the interpreter). ULPs are counted only in blocks whose
relative difference allows more of them than an earlier block of the same thread's had. The indices cost nothing: only
the three winning blocks are looked at again. Nothing is allocated that grows with the arrays but one short tuple a
block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.errors import BackproofError
from backproof.parallel import in_parallel, processors
from backproof.rounding import FORMATS, Format, format_of, ulps

Array = NDArray[Any]
Pair = tuple[Array, Array]

BLOCK = 1 << 18
"""Elements of a block: both sides and two buffers of it are 4 MiB in float32."""
TASK = 32
"""Blocks that a thread takes at once, at most: handing one over costs as much as a pass."""
ROW = 1024
"""Squares that are added in the arrays' own format."""


class Worst(NamedTuple):
    """The largest difference of one kind and the index ``at`` which it stands; None where nothing differs."""

    value: float
    at: tuple[int, ...] | None


@dataclass(frozen=True)
class Difference:
    """Two arrays of one shape and format.

    Attributes:
        elements: pairs that were looked at.
        finite: those of which both are finite: what everything else is about. Where it is 0, nothing was measured.
        mismatched: those of which one is not finite and the other is not the same.
        absolute, relative, ulps: the largest, and the first index, in the order of the memory, at which it stands.
    """

    elements: int
    finite: int
    mismatched: int
    absolute: Worst
    relative: Worst
    ulps: Worst
    rms: float


class _Part(NamedTuple):
    """A block: its three largest, the 2-norm of its differences, and its counts."""

    absolute: float
    relative: float
    ulps: float
    norm: float
    finite: int
    mismatched: int


def difference(a: Array, b: Array) -> Difference:
    """Compare ``a`` with ``b``, to whose elements the relative difference is taken.

    Neither array is copied; what is allocated are blocks, a few megabytes a thread. An array that is not contiguous is
    read block by block through an iterator, which is slower.

    Raises:
        BackproofError: when shapes or formats differ, or the format is not one of :data:`FORMATS`.
    """
    a, b = np.asanyarray(a), np.asanyarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        raise BackproofError(
            f"two arrays of one shape and format are needed, not {a.dtype} {a.shape} and {b.dtype} {b.shape}"
        )
    kind = format_of(a.dtype)
    turned = a.flags.f_contiguous and b.flags.f_contiguous and not a.flags.c_contiguous
    read, size = _reader(*((a.T, b.T) if turned else (a, b))), a.size
    starts = range(0, size, BLOCK)
    some = min(TASK, -(-len(starts) // (2 * processors())) or 1)
    tasks = [starts[first : first + some] for first in range(0, len(starts), some)]
    parts = [part for each in in_parallel(lambda task: _task(read, kind, task), tasks) for part in each]

    def worst(name: str) -> Worst:
        values = [getattr(part, name) for part in parts]
        if max(values, default=0.0) == 0:
            return Worst(0.0, None)
        start = starts[values.index(max(values))]
        with np.errstate(all="ignore"):
            here = _measured(*read(start))[name]
        at = int(here.argmax())
        index = np.unravel_index(start + at, a.shape[::-1] if turned else a.shape)
        return Worst(float(here[at]), tuple(int(i) for i in (index[::-1] if turned else index)))

    finite = sum(part.finite for part in parts)
    rms = math.hypot(*(part.norm for part in parts)) / math.sqrt(max(finite, 1))
    mismatched = sum(part.mismatched for part in parts)
    return Difference(size, finite, mismatched, worst("absolute"), worst("relative"), worst("ulps"), rms)


def _reader(a: Array, b: Array) -> Callable[[int], Pair]:
    """The block of both arrays that starts at an element, as vectors; a view where an array is contiguous."""
    flat_a, flat_b = (x.reshape(-1) if x.flags.c_contiguous else x.flat for x in (a, b))
    return lambda start: (flat_a[start : start + BLOCK], flat_b[start : start + BLOCK])


def _task(read: Callable[[int], Pair], kind: Format, starts: range) -> list[_Part]:
    wide = np.float64 if kind.name == "float64" else np.float32
    buffer, integers = np.empty(BLOCK, wide), np.empty(BLOCK, np.int64 if wide is np.float64 else np.int32)
    parts: list[_Part] = []
    for a, b in map(read, starts):
        before = max((part.ulps for part in parts), default=0.0)
        parts.append(_quick(a, b, kind, buffer, integers, before) or _careful(a, b))
    return parts


def _quick(a: Array, b: Array, kind: Format, buffer: Array, integers: Array, before: float) -> _Part | None:
    """A block of ordinary numbers; None for any other.

    Args:
        before: the most ULPs in an earlier block. Where this one cannot have more, they are not counted, and it says 0:
            neighbours are at least ``u |y|`` apart, so that t of them make a relative difference of ``t u (1 - r)``.
    """
    buffer, integers, wide = buffer[: a.size], integers[: a.size], buffer.dtype
    x, y = a.astype(wide, copy=False), b.astype(wide, copy=False)
    d = np.subtract(x, y, out=buffer)
    top = float(max(np.maximum.reduce(d), -np.minimum.reduce(d)))
    if top == 0:
        return _Part(0.0, 0.0, 0.0, 0.0, a.size, 0)
    ranked = FORMATS[wide.name]
    # Not finite, or squares that overflow, or that lose more than u of their sum by underflow.
    if not math.sqrt(BLOCK * ranked.smallest_normal / ranked.unit_roundoff) < top < math.sqrt(ranked.largest / BLOCK):
        return None
    whole = a.size // ROW * ROW
    rows, rest = d[:whole].reshape(-1, ROW), d[whole:]
    norm = math.sqrt(np.vecdot(rows, rows).sum(dtype=np.float64) + float(rest.dot(rest)))
    quotient = np.divide(d, y, out=d)  # NaN where both are zero, which fmax and fmin pass over
    relative = float(max(np.fmax.reduce(quotient), -np.fmin.reduce(quotient)))
    if math.isinf(relative):
        return None
    # The quotient was rounded; 1.001 is more than any rounding of it.
    most = 1.001 * relative / ((1 - 1.001 * relative) * kind.unit_roundoff) if relative < 0.5 else math.inf
    apart = _ulps(a, b, kind, integers) if most >= before + 1 else 0.0
    return _Part(top, relative, apart, norm, a.size, 0)


def _ulps(a: Array, b: Array, kind: Format, integers: Array) -> float:
    """The largest distance in ULPs of finite numbers.

    The bits of two numbers of one sign are as many integers apart as the numbers are ULPs. With p bits after the point,
    those of finite numbers of different signs differ by at least 2^p, also where the subtraction wraps around, for the
    magnitudes' bits end 2^p short of the sign's. So below 2^p nothing needs to be told apart.
    """
    bits = np.dtype(f"int{8 * a.dtype.itemsize}")
    t = np.subtract(a.view(bits), b.view(bits), out=integers, dtype=integers.dtype)
    largest = max(int(np.maximum.reduce(t)), -int(np.minimum.reduce(t)))
    return float(largest) if largest * kind.unit_roundoff < 0.5 else float(ulps(a, b).max())


def _careful(a: Array, b: Array) -> _Part:
    """Any block."""
    measured = _measured(a, b)
    d = measured["absolute"]
    top = float(d.max())
    # Scaled by the largest, no square that matters underflows and none overflows.
    norm = top * math.sqrt(np.square(d / top).sum()) if 0 < top < math.inf else top
    finite = int(np.count_nonzero(measured["finite"]))
    relative, apart = float(measured["relative"].max()), float(measured["ulps"].max())
    return _Part(top, relative, apart, norm, finite, int(np.count_nonzero(measured["mismatched"])))


def _measured(a: Array, b: Array) -> dict[str, Array]:
    """Every measure of every element in float64; 0 where one of the two is not finite."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(x) & np.isfinite(y)
    d = np.where(finite, np.abs(x - y), 0.0)
    return {
        "absolute": d,
        "relative": np.where(d == 0, 0.0, d / np.abs(y)),
        "ulps": np.where(finite, ulps(a, b), 0.0),
        "finite": finite,
        "mismatched": ~(finite | (x == y) | (np.isnan(x) & np.isnan(y))),
    }
