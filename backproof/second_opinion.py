"""The second opinion on suspects: is the residual more than honest evaluations of the same inner product err?

A residual of at most :data:`SETTLED` times the worst error of the evaluations of :mod:`backproof.inner_products` is
rounding, one of :data:`REFUTED` times or more a bug.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Product
from backproof.evaluation import Context
from backproof.inner_products import PLAIN, gather
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
        asked: elements that were re-evaluated, the worst.
        settled: how many of them honest evaluations explain.
        worst: the largest residual over the worst honest error of its element (inf where honest errors are zero);
            over its unit where the ceiling is broken.
        ceiling_broken: an element is above its ceiling by the exact residual.
        unjudged: elements whose exact value or honest errors are not finite: never settled.
        sampled: elements re-evaluated besides, evenly spaced over all suspects, when there are more than were asked.
    """

    asked: int = 0
    settled: int = 0
    worst: float = 0.0
    ceiling_broken: bool = False
    unjudged: int = 0
    sampled: int = 0

    @property
    def refused(self) -> bool:
        """Some element is not explained."""
        return self.ceiling_broken or self.unjudged > 0 or self.worst > SETTLED

    @property
    def speaks_for_the_rest(self) -> bool:
        """All that were asked are explained with room to spare, :data:`WITNESSES` of them or every suspect kept.

        Suspects come worst first, so what was not asked has smaller residuals. Their operands may be of another kind,
        which is why some of them are re-evaluated too.
        """
        return not self.refused and self.settled == self.asked and self.worst <= EXPLAINED and self.sampled > 0

    def joined(self, other: Opinion) -> Opinion:
        """Both opinions in one."""
        worst = other.worst if other.ceiling_broken else max(self.worst, other.worst)
        return Opinion(
            self.asked + other.asked,
            self.settled + other.settled,
            worst,
            self.ceiling_broken or other.ceiling_broken,
            self.unjudged + other.unjudged,
            self.sampled + other.sampled,
        )


@dataclass(frozen=True)
class Question:
    """What is asked of suspect elements of one product.

    Attributes:
        recorded: the target as recorded.
        unit: (rows, columns) of elements -> their units.
        ceiling: in units.
        budget: (exact, unit) of elements -> their budgets, in units: an exact residual within it settles a suspect.
    """

    product: Product
    operands: Operands
    recorded: Array
    unit: Callable[[Array, Array], Array]
    ceiling: float
    budget: Callable[[Array, Array], Array]
    context: Context = PLAIN

    @property
    def at_once(self) -> int:
        """Inner products that are evaluated at once."""
        product = self.product
        return chunk(self.operands.recorded(product.left).shape[0 if product.left_transposed else 1])

    def ask(self, elements: Array, of: Array, distinct: Array) -> Opinion:
        """Re-evaluate elements whose operands are those of ``distinct[of]``."""
        rows, columns = distinct.T
        inner = gather(self.product, self.operands, rows, columns, self.context)
        values = inner.exact()
        exact, units = values[of], self.unit(*elements.T)
        error = np.abs(self.recorded[elements[:, 0], elements[:, 1]].astype(np.float64) - exact)
        finite = np.isfinite(error)
        broken = finite & (error > self.ceiling * units)
        if broken.any():
            return Opinion(len(elements), 0, float(np.max(error[broken] / units[broken])), ceiling_broken=True)
        # Written so that what is not a number stays open.
        open_ = ~(finite & (error <= self.budget(exact, units) * units))
        settled = int(np.count_nonzero(~open_))
        if not open_.any():
            return Opinion(len(elements), settled)
        asking, back = np.unique(of[open_], return_inverse=True)
        envelope = inner.only(asking).envelope(values[asking])[back]
        judged = finite[open_] & np.isfinite(envelope)
        ratios = error[open_][judged] / envelope[judged]
        settled += int(np.count_nonzero(ratios <= SETTLED))
        unjudged = int(np.count_nonzero(~judged))
        return Opinion(len(elements), settled, float(ratios.max(initial=0.0)), unjudged=unjudged)


@np.errstate(all="ignore")
def consult(question: Question, suspects: Array, spaced: Array, over: int) -> Opinion:
    """Re-evaluate suspect elements, worst first, until one is not explained or the explained speak for the rest.

    Elements of equal operands are one inner product and are evaluated once. Before the worst speak for the rest, some
    that are evenly spaced over all suspects are re-evaluated as well.

    Args:
        suspects: (n, 2) integer rows and columns, worst first.
        spaced: (k, 2) the same of evenly spaced suspects, at most 64 of them.
        over: how many suspects there are in all.
    """
    groups, first = _pairs(question.product, question.operands, suspects)
    opinion, width = Opinion(), question.at_once
    for start in range(0, len(first), width):
        if start >= WITNESSES and opinion.worst <= EXPLAINED:
            break
        members = np.flatnonzero((groups >= start) & (groups < start + width))
        distinct = suspects[first[start : start + width]]
        opinion = opinion.joined(question.ask(suspects[members], groups[members] - start, distinct))
        if opinion.refused:
            return opinion
    if opinion.asked < over and opinion.worst <= EXPLAINED:
        groups, first = _pairs(question.product, question.operands, spaced)
        checked = question.ask(spaced, groups, spaced[first])
        opinion = opinion.joined(replace(checked, asked=0, settled=0, sampled=len(spaced)))
    return opinion


def _pairs(product: Product, operands: Operands, suspects: Array) -> tuple[Array, Array]:
    """Which inner product each suspect is, numbered worst first, and the first suspect of each."""
    if product.decayed is not None:  # each element has a weight of its own
        return np.arange(len(suspects)), np.arange(len(suspects))

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
