"""Dropout: elements that are zero where they should not be, and the others scaled by one constant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Case
from backproof.diagnosis.constants import ratio
from backproof.diagnosis.functions import activated

Array = NDArray[Any]
Found = tuple[str, str, Array, int, dict[str, float]]

FEWEST = 8
"""Elements that must be kept, and be kept alike, before zeros are called dropout."""
SHARES = (0.02, 0.98)
"""Of elements dropped."""


def found(case: Case, array: Array) -> Iterator[Found]:
    """Of A and of the hidden layers' dZ and dA: the mask is read off, the scale is fitted on what is kept."""
    hidden = case.layer < case.network.depth
    if case.target[0] not in "A" and not (hidden and case.target[:2] in ("dZ", "dA")):
        return
    able = array != 0
    dropped = able & (case.recorded == 0)
    kept = able & ~dropped
    count, share = int(np.count_nonzero(kept)), int(np.count_nonzero(dropped)) / max(int(np.count_nonzero(able)), 1)
    scale = ratio(case.recorded[kept], array[kept]) if count else None
    if count < FEWEST or not SHARES[0] <= share <= SHARES[1] or not scale:
        return
    result, numbers = np.where(kept, scale * array, 0.0), {"dropped": share, "scale": scale}
    for word, axis in (("sample", 0), ("unit", 1)):
        if _whole_lines(able, dropped, axis):
            if abs(scale - 1) < 1e-4:
                text = f"{case.target} is zero for whole {word}s ({share:.0%} of its elements), and right elsewhere"
                yield f"{word}s-zeroed", text, np.where(kept, array, 0.0), 1, numbers
            return
    text = f"{share:.0%} of the elements of {case.target} are zero and the others {scale:.4g} times what they should be"
    if case.target.startswith("d") and (own := _scale_forward(case, dropped, able)) is not None:
        if abs(own / scale - 1) > 1e-4:
            said = (
                f"the mask of the dropout is applied, its scale is not: {scale:.4g} where A{case.layer} has {own:.4g}"
            )
            yield "dropout-scale-missing", said, result, 1, {**numbers, "scale forward": own}
            return
        text += f", as in A{case.layer}"
    yield "dropout", f"dropout is on: {text}{_reading(share, scale)}", result, 1, numbers


def _whole_lines(able: Array, dropped: Array, axis: int) -> bool:
    """Whether all that is dropped is in samples (axis 0) or units of which nothing is left: no dropout does that."""
    hit = dropped.any(axis=axis)
    of, left = able.sum(axis=axis)[hit], (able & ~dropped).sum(axis=axis)[hit]
    return not left.any() and bool((of > 1).any())


def _reading(share: float, scale: float) -> str:
    """Which probability the scale speaks for."""
    if abs(scale - 1) < 1e-4:
        return " (not scaled by 1/(1 − p))"
    p = 1 - 1 / scale
    if abs(p - share) < 0.1:
        return f" (p = {p:.3g} is dropped, the rest is divided by 1 − p)"
    if abs(1 / scale - share) < 0.1:
        return f" (scaled by 1/p, p = {1 / scale:.3g}, where 1/(1 − p) belongs)"
    return ""


def _scale_forward(case: Case, dropped: Array, able: Array) -> float | None:
    """The scale that the layer's A has on what it keeps, where it is dropped out with the same mask."""
    A, Z = case.get(f"A{case.layer}"), case.get(f"Z{case.layer}")
    if A is None or Z is None or not np.array_equal((A == 0) & able, dropped):
        return None
    right = activated(case.activation, Z, case.context.slope)
    kept = A != 0
    scale = ratio(A[kept], right[kept])
    if scale is None or np.abs(A[kept] - scale * right[kept]).max(initial=0.0) > 1e-3 * np.abs(A).max():
        return None
    return scale
