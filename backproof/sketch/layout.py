"""Where each array and product of a network stands in the sketch of a step: the same for all its steps.

An array Q that has a column for each sample takes part in one product ``C = M·Q (+ b)`` at most and in one that is
summed over samples, ``C = Q·Pᵀ`` or ``C = P·Qᵀ``. It is multiplied from both sides by vectors of ±1, T with a row for
each row of an array and S with one for each sample:

    from the left     Qᵀ·T, and Qᵀ·(Mᵀ·T) for its product M·Q
    from the right    Q·S, and Q·(Pᵀ·T) for its partner P
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import ONES, Equation, Product

Array = NDArray[Any]
Products = Sequence[tuple[Equation, Product]]


class Layout:
    """The places of one network's products.

    Args:
        products: of a step, with their rules.
        rows: of each array that they are made of.

    Attributes:
        through: the products ``C = M·Q (+ b)``, those with a bias first, of which there are ``biased``.
        summed: the products ``C = L·Rᵀ``.
        totals: the products ``C = L·1``.
        sizes: rows of each array that has a column for each sample. Backwards: what is multiplied with each other
            stands close, and may still be in the cache.
        rows: of each of them, where all stand below each other, ``height`` rows.
        starts: the first of them.
        partners: of each array the other one in a sum over samples.
        signed: the arrays that are multiplied by S.
        operands: the arrays whose norms are needed.
        columns: of each product through, the place of its Q among the operands.
        residuals: the rows of residuals of each product through, then of the rows of each sum, then of its columns.
        first: the first of them.
        judged: their targets.
        held: where, row for row, it stands what was multiplied from the right: twice the row, and 1 for a partner's.
        others: row for row, whose norm is in the unit as a whole: a place in ``sizes``.
        totalled: the rows of the totals.
        first_totals: the first of each of them.
    """

    def __init__(self, products: Products, rows: Mapping[str, int]) -> None:
        self.through = sorted(
            (each for each in products if not each[1].right_transposed and each[1].right != ONES),
            key=lambda each: each[1].bias is None,
        )
        self.summed = [each for each in products if each[1].right_transposed and each[1].right != ONES]
        self.totals = [each for each in products if each[1].right == ONES]
        self.biased = sum(rule.bias is not None for _, rule in self.through)
        self.sizes = {name: rows[name] for name in _backwards(products)}
        places = _stacked(self.sizes.values())
        self.height = places[-1].stop
        self.rows = dict(zip(self.sizes, places, strict=True))
        self.starts = np.array([place.start for place in places])
        self.partners = {r.left: r.right for _, r in self.summed} | {r.right: r.left for _, r in self.summed}
        self.signed = {name for e, rule in self.through for name in (e.target, rule.right)}
        used = {rule.right for _, rule in self.through} | self.partners.keys() | {r.left for _, r in self.totals}
        self.operands = [name for name in self.sizes if name in used]
        self.columns = np.array([self.operands.index(rule.right) for _, rule in self.through], np.intp)
        self._line_up()

    def _line_up(self) -> None:
        lines = [(e.target, e.target, 0, rule.right) for e, rule in self.through]
        lines += [(e.target, rule.left, 1, rule.right) for e, rule in self.summed]
        lines += [(e.target, rule.right, 1, rule.left) for e, rule in self.summed]
        self.judged = [target for target, *_ in lines]
        self.residuals = _stacked(self.sizes[name] for _, name, _, _ in lines)
        self.first = np.array([part.start for part in self.residuals])
        self.held = np.concatenate([2 * self._range(name) + slot for _, name, slot, _ in lines])
        places = list(self.sizes)
        self.others = np.concatenate([np.full(self.sizes[name], places.index(other)) for _, name, _, other in lines])
        self.totalled = np.concatenate([np.empty(0, np.intp), *(self._range(rule.left) for _, rule in self.totals)])
        self.first_totals = np.array([part.start for part in _stacked(self.sizes[r.left] for _, r in self.totals)])

    def _range(self, name: str) -> Array:
        return np.arange(self.rows[name].start, self.rows[name].stop)


def _backwards(products: Products) -> list[str]:
    names: dict[str, None] = {}
    for equation, rule in reversed(products):
        names |= dict.fromkeys((rule.left if rule.right_transposed else equation.target, rule.right))
    return [name for name in names if name != ONES]


def _stacked(sizes: Iterable[int]) -> list[slice]:
    """Slices of so many rows below each other."""
    sizes = list(sizes)
    return [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
