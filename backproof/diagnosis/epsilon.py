"""An ε in the loss's logarithm: fitted, and named where the fitted number is one that somebody writes down.

One number is explained by one number here, so the fit alone proves nothing; that it comes out as 1e-7 does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import written
from backproof.diagnosis.functions import activated
from backproof.rounding import BUDGET, format_of

Array = NDArray[Any]

SMALLEST, LARGEST = 1e-38, 0.5
STEPS = 60
"""Of the bisection, in the logarithm of ε."""
TINY = (1e-15, 1e-16, 2.0**-52)
"""Taken for an ε where the fit is no sharper than that: so near u rounding hides its digits, and people write these."""
WIDE = 1.5
"""Factor of ε over which the loss's slope is taken: of an ε near u, less is not resolved by float64."""
HARMLESS = 1e-3
"""Of the loss: a change that no curve shows; and of ε: nobody guards a logarithm with more."""


def candidates(case: Case, A: Array, right: float) -> Iterator[Candidate]:
    """``log(a + ε)`` and ``log(clip(a, ε, 1 − ε))``, of the cross-entropies."""
    if case.network.loss == "mse" or not ((A >= 0) & (A <= 1)).all():
        return
    with np.errstate(all="ignore"):
        for word, loss in _forms(case, A, right):
            yield from _fitted(case, word, loss)


Loss = Callable[[float], float]


def _forms(case: Case, A: Array, right: float) -> Iterator[tuple[str, Loss]]:
    Y, d = case.one_hot, case.context.divisor
    if case.network.loss == "cross_entropy":
        true = Y != 0
        y, p = Y[true], A[true]
        q = z = np.zeros(0)
    else:
        # y log a + (1 − y) log(1 − a)
        y, p, z, q = Y.ravel(), A.ravel(), 1 - Y.ravel(), 1 - A.ravel()
    for word, change in _changes():

        def loss(epsilon: float, change: Callable[[Array, float], Array] = change) -> float:
            return float(-((y * np.log(change(p, epsilon))).sum() + (z * np.log(change(q, epsilon))).sum()) / d + right)

        yield word, loss


def _changes() -> Iterator[tuple[str, Callable[[Array, float], Array]]]:
    yield "added to the probability", lambda p, epsilon: p + epsilon
    yield "a lower bound of the probability", lambda p, epsilon: np.maximum(p, epsilon)
    yield "a clip of the probability on both sides", lambda p, epsilon: np.clip(p, epsilon, 1 - epsilon)


def _fitted(case: Case, word: str, loss: Loss) -> Iterator[Candidate]:
    recorded, noise = float(case.recorded), BUDGET * float(case.unit)
    root = _root(lambda epsilon: loss(epsilon) - recorded)
    if root is None:
        return
    slope = (loss(root * WIDE) - loss(root / WIDE)) / (2 * np.log(WIDE))
    if not slope:
        return
    width = min(abs(noise / slope), 1.0)
    low, high = root * (1 - width), root * (1 + width)
    epsilon = written(low, high, tries=3) or next((value for value in TINY if low <= value <= high), None)
    if epsilon is None:
        return
    value = loss(epsilon)
    before = float(case.exact)
    change = abs(value - before) / abs(before) if np.isfinite(before) and before else np.inf
    judgement, harmless = _judgement(case, change, epsilon)
    text = f"an ε of {epsilon:.4g} stands in the logarithm ({word}): {judgement}"
    numbers = {"epsilon": epsilon, "relative change": change}
    yield Candidate("epsilon", text, np.asarray(value), 1, numbers, harmless)


def _root(off: Callable[[float], float]) -> float | None:
    """Where a function of ε changes its sign, by bisection in log ε; None where it does not."""
    low, high = SMALLEST, LARGEST
    below = off(low)
    if not np.isfinite(below) or below * off(high) >= 0:
        return None
    for _ in range(STEPS):
        middle = float(np.sqrt(low * high))
        if off(middle) * below > 0:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))


def _judgement(case: Case, change: float, epsilon: float) -> tuple[str, bool]:
    """In words, and whether it is harmless."""
    size = f"it changes the loss by {change:.2g} of itself"
    moved = _delta_moved(case)
    if moved is None:
        return f"{size}; whether a gradient depends on it cannot be seen", False
    L = case.network.depth
    free = moved <= 64 * format_of(case.operands.recorded(f"dZ{L}").dtype).unit_roundoff
    if not free and (moved > HARMLESS or case.get(f"dA{L}") is None):
        return f"{size}; the output's delta is not A − Y, see there", False
    harmless = max(change, epsilon) <= HARMLESS
    word = "harmless" if harmless else "the printed loss is wrong, the training is not"
    none = f"no gradient depends on it (dZ{L} has none)"
    beside = none if free else f"the output's delta is within {moved:.2g} of A − Y"
    return f"{word}: {size}, and {beside}", harmless


def _delta_moved(case: Case) -> float | None:
    """How far the output's recorded delta is from the one without an ε, ``A − Y`` of one sample."""
    L = case.network.depth
    dZ, Z = case.get(f"dZ{L}"), case.get(f"Z{L}")
    if dZ is None or Z is None or not case.network.joint:
        return None
    divisor = case.context.delta_divisor
    exact = (activated(case.network.activations[-1], Z, case.context.slope) - case.one_hot) / divisor
    return float(np.abs(dZ - exact).max()) * divisor
