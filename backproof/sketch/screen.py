"""The screen: which equations of a step pass a sketch, so that only the others need a dense check."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Elementwise, Product, equations
from backproof.evaluation import Context
from backproof.network import Network
from backproof.operands import Operands
from backproof.parallel import in_parallel
from backproof.rounding import format_of
from backproof.sketch.elementwise import fraction
from backproof.sketch.products import ProductSketch
from backproof.sketch.sums import BLOCK, squares, uses

Array = NDArray[Any]


class Screen:
    """Sketches the steps of one run.

    Args:
        network: the specification.
        dtype: the run's format.
        seed: of the signs, which are drawn anew for each step: what one step's signs miss, the next one's may see.
    """

    def __init__(self, network: Network, dtype: np.dtype[Any], seed: int = 0) -> None:
        listed = equations(network)
        self._products = [(e, e.rule) for e in listed if isinstance(e.rule, Product) and e.rule.decayed is None]
        self._roles = uses(self._products)
        self._elementwise = [(e, e.rule) for e in listed if isinstance(e.rule, Elementwise)]
        self._format = format_of(dtype)
        self._generator = np.random.default_rng(seed)
        self._data: tuple[Array, dict[str, tuple[Array, Array]]] | None = None

    def passed(self, operands: Operands, context: Context) -> dict[str, float]:
        """Target of each equation that passes -> the largest part of its limit that was used.

        An array that holds what is not finite fails the products that it takes part in.

        Args:
            operands: of a step whose arrays all have the shapes and formats of the specification.
        """
        names = {*self._roles, *(name for e, rule in self._products for name in (e.target, *rule.operands))}
        tensors = {name: operands.recorded(name) for name in names}
        known = self._measured(operands.recorded("X"))
        sketch = ProductSketch(self._products, self._roles, tensors, self._format, self._generator, known)
        found = sketch.fractions()
        for equation, rule in self._elementwise:
            found[equation.target] = fraction(equation, rule, operands, self._format, context)
        return {target: used for target, used in found.items() if used <= 1}

    def _measured(self, X: Array) -> dict[str, tuple[Array, Array]]:
        """Sums of squares of data that is the same object at each step, as in full-batch training, made once."""
        if self._data is not None and self._data[0] is X:
            return self._data[1]
        known: dict[str, tuple[Array, Array]] = {}
        if X.dtype.name in ("float32", "float64") and X.shape[1] > BLOCK:
            parts = [slice(start, start + BLOCK) for start in range(0, X.shape[1], BLOCK)]
            measured = in_parallel(lambda part: squares(X[:, part]), parts)
            rows = np.asarray(np.sum([rows for rows, _ in measured], axis=0, dtype=np.float64))
            known = {"X": (rows, np.concatenate([columns for _, columns in measured]))}
        self._data = X, known
        return known
