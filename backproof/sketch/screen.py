"""The screen: which equations of a step pass a sketch, so that only the others need a dense check."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import parallel
from backproof.equations import Elementwise, Equation, Product, equations
from backproof.evaluation import Context
from backproof.network import Network
from backproof.operands import Operands
from backproof.parallel import in_parallel, processors
from backproof.rounding import format_of
from backproof.sketch.blocks import BLOCK, blocks
from backproof.sketch.elementwise import fraction, fraction_of_loss
from backproof.sketch.layout import Layout
from backproof.sketch.products import ProductSketch, Sums, measure

Array = NDArray[Any]
Rules = list[tuple[Equation, Elementwise]]


class Screen:
    """Sketches the steps of one run.

    Args:
        network: the specification.
        dtype: the run's format.
        seed: of the signs, which are drawn anew for each step: what one step's signs miss, the next one's may see.
    """

    def __init__(self, network: Network, dtype: np.dtype[Any], seed: int = 0) -> None:
        listed = equations(network)
        rows = {name: shape[0] for name, shape in network.shapes(1).items() if shape} | {"X": network.sizes[0]}
        products = [(e, e.rule) for e in listed if isinstance(e.rule, Product) and e.rule.decayed is None]
        self._layout = Layout(products, rows)
        self._sampled, self._whole, self._losses = _sorted(network, listed)
        self._format = format_of(dtype)
        self._generator = np.random.default_rng(seed)
        self._data: tuple[Array, dict[str, tuple[Array, Array]]] | None = None

    def passed(self, operands: Operands, context: Context) -> dict[str, float]:
        """Target of each equation that passes -> the largest part of its limit that was used.

        An array that holds what is not finite fails the products that it takes part in.

        Args:
            operands: of a step whose arrays all have the shapes and formats of the specification.
        """
        X, fmt = operands.recorded("X"), self._format
        sketch = ProductSketch(self._layout, operands.all_recorded(), fmt, self._generator, self._measured(X))

        def judged(block: slice) -> tuple[Sums, Array]:
            """Each array is read once from memory, and used for everything while it lies in the cache."""
            used = [fraction(e, rule, operands, fmt, context, block) for e, rule in self._sampled]
            return sketch.sums(block), np.array(used)

        here = blocks(X.shape[1])
        share = -(-len(here) // processors())
        shares = [here[i : i + share] for i in range(0, len(here), share)]
        sums, sampled = reduce(_together, in_parallel(lambda some: reduce(_together, map(judged, some)), shares))
        found = sketch.fractions(sums)
        found |= zip((equation.target for equation, _ in self._sampled), sampled.tolist(), strict=True)
        found |= {e.target: fraction_of_loss(e, rule, operands, fmt, context) for e, rule in self._losses}
        for equation, rule in self._whole:
            found[equation.target] = self._of_whole(equation, rule, operands, context)
        return {target: used for target, used in found.items() if used <= 1}

    def _of_whole(self, equation: Equation, rule: Elementwise, operands: Operands, context: Context) -> float:
        """An equation of arrays that have no columns for samples."""

        def used(block: slice) -> float:
            return fraction(equation, rule, operands, self._format, context, block)

        cut = parallel.blocks(*operands.recorded(equation.target).shape)
        return used(cut[0]) if len(cut) == 1 else float(np.max(in_parallel(used, cut)))

    def _measured(self, X: Array) -> dict[str, tuple[Array, Array]]:
        """Sums of squares of data that is the same object at each step, as in full-batch training, made once; of data
        that nobody can change.
        """
        if X.flags.writeable:
            return {}
        if self._data is not None and self._data[0] is X:
            return self._data[1]
        known: dict[str, tuple[Array, Array]] = {}
        if X.dtype.name in ("float32", "float64") and X.shape[1] > BLOCK:
            columns = np.empty(X.shape[1], X.dtype)

            def measured(block: slice) -> Array:
                rows = np.empty(len(X), X.dtype)
                measure(X[:, block], rows, columns[block])
                return rows

            rows = np.asarray(np.sum(in_parallel(measured, blocks(X.shape[1])), axis=0, dtype=np.float64))
            known = {"X": (rows, columns)}
        self._data = X, known
        return known


def _together(some: tuple[Sums, Array], others: tuple[Sums, Array]) -> tuple[Sums, Array]:
    return some[0] + others[0], np.maximum(some[1], others[1])


def _sorted(network: Network, listed: Sequence[Equation]) -> tuple[Rules, Rules, Rules]:
    """The elementwise equations: of arrays with a column for each sample, of other arrays, and of the loss."""
    rules = [(e, e.rule) for e in listed if isinstance(e.rule, Elementwise)]
    one, two = network.shapes(1), network.shapes(2)
    sampled = [each for each in rules if one[each[0].target] != two[each[0].target]]
    losses = [each for each in rules if not one[each[0].target]]
    return sampled, [each for each in rules if each not in sampled and each not in losses], losses
