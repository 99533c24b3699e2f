"""The second opinion on suspects: is the residual more than honest evaluations of the same inner product err?

A residual of at most :data:`SETTLED` times the worst error of the evaluations of :mod:`backproof.inner_products` is
rounding, one of :data:`REFUTED` times or more a bug.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Product
from backproof.inner_products import gather
from backproof.operands import Operands

Array = NDArray[Any]

SETTLED = 3.0
"""Times the worst honest evaluation that rounding may reach (worst honest ratio measured: 2.6)."""
REFUTED = 16.0
"""Times the worst honest evaluation from which a residual is called a bug."""
EXPLAINED = 2.0
"""Times the worst honest evaluation up to which the worst residuals speak for the smaller ones."""
WITNESSES = 512
"""Inner products, the worst and no two alike, that are evaluated before they may speak for the rest."""
CHUNK = 1 << 22
"""Operands evaluated at once, so that those of long inner products stay in memory."""


def chunk(K: int) -> int:
    """How many inner products of length K are evaluated at once: 64 to 512."""
    return min(max(CHUNK // K, 64), WITNESSES)


@dataclass(frozen=True)
class Opinion:
    """What the second opinion said of the suspects.

    Attributes:
        asked: elements that were re-evaluated.
        settled: how many of them honest evaluations explain.
        worst: the largest residual over the worst honest error of its element (inf where honest errors are zero).
        ceiling_broken: an element is above its ceiling by the exact residual.
        unjudged: elements whose exact value or honest errors are not finite: never settled.
    """

    asked: int
    settled: int
    worst: float
    ceiling_broken: bool = False
    unjudged: int = 0

    @property
    def speaks_for_the_rest(self) -> bool:
        """All that were asked are explained with room to spare, :data:`WITNESSES` of them or every suspect kept.

        Suspects come worst first, so what was not asked has smaller residuals, of operands of the same kind.
        """
        return self.settled == self.asked and self.worst <= EXPLAINED


@np.errstate(all="ignore")
def consult(
    product: Product,
    operands: Operands,
    recorded: Array,
    suspects: Array,
    unit: Array,
    ceiling: float,
    budget: Callable[[Array, Array], Array],
) -> Opinion:
    """Re-evaluate suspect elements, worst first, until one is not explained or the explained speak for the rest.

    Elements of equal operands are one inner product and are evaluated once.

    Args:
        recorded: the target as recorded.
        suspects: (n, 2) integer rows and columns, worst first.
        unit: (n,) the unit of each.
        ceiling: in units.
        budget: (exact, unit) of elements -> their budgets, in units: an exact residual within it settles a suspect.
    """
    groups, first = _pairs(product, operands, suspects)
    asked = settled = unjudged = 0
    worst = 0.0
    width = chunk(operands.recorded(product.left).shape[0 if product.left_transposed else 1])
    for start in range(0, len(first), width):
        if start >= WITNESSES and worst <= EXPLAINED:
            break
        inner = gather(product, operands, *suspects[first[start : start + width]].T)
        members = np.flatnonzero((groups >= start) & (groups < start + width))
        of, units = groups[members] - start, unit[members]
        values = inner.exact()
        exact = values[of]
        error = np.abs(recorded[suspects[members, 0], suspects[members, 1]].astype(np.float64) - exact)
        finite = np.isfinite(error)
        asked += len(members)
        broken = finite & (error > ceiling * units)
        if broken.any():
            return Opinion(asked, settled, float(np.max(error[broken] / units[broken])), ceiling_broken=True)
        # Written so that what is not a number stays open.
        open_ = ~(finite & (error <= budget(exact, units) * units))
        settled += int(np.count_nonzero(~open_))
        if open_.any():
            asking, back = np.unique(of[open_], return_inverse=True)
            envelope = inner.only(asking).envelope(values[asking])[back]
            judged = finite[open_] & np.isfinite(envelope)
            ratios = error[open_][judged] / envelope[judged]
            unjudged += int(np.count_nonzero(~judged))
            settled += int(np.count_nonzero(ratios <= SETTLED))
            worst = max(worst, float(ratios.max(initial=0.0)))
            if unjudged or worst > SETTLED:
                break
    return Opinion(asked, settled, worst, unjudged=unjudged)


def _pairs(product: Product, operands: Operands, suspects: Array) -> tuple[Array, Array]:
    """Which inner product each suspect is, numbered worst first, and the first suspect of each."""

    def left(index: Array) -> bytes:
        line = operands.line(product.left, product.left_transposed, 1, index).tobytes()
        return line if product.bias is None else line + operands.recorded(product.bias)[index].tobytes()

    def right(index: Array) -> bytes:
        return operands.line(product.right, product.right_transposed, 0, index).tobytes()

    rows, columns = _alike(left, suspects[:, 0]), _alike(right, suspects[:, 1])
    _, first, groups = np.unique(rows * len(suspects) + columns, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[groups], first[order]


def _alike(content: Callable[[Array], bytes], index: Array) -> Array:
    """A number for each index, the same for lines of the same bytes."""
    distinct, back = np.unique(index, return_inverse=True)
    seen: dict[bytes, int] = {}
    numbers = [seen.setdefault(hashlib.blake2b(content(distinct[i : i + 1])).digest(), len(seen))
               for i in range(len(distinct))]  # fmt: skip
    return np.array(numbers)[back]
