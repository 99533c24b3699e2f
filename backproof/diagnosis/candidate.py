"""What an explanation is given (:class:`Case`) and what it proposes (:class:`Candidate`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Equation
from backproof.evaluation import Context
from backproof.network import Network
from backproof.operands import Operands

Array = NDArray[Any]


@dataclass(frozen=True)
class Candidate:
    """One mistake.

    Attributes:
        name: stable, for programs and tests: ``mask-missing``.
        sentence: plain words with the formula.
        array: what the equation would have produced, float64, in the target's shape.
        free: constants that were fitted to the recorded array; each makes the explanation weaker.
    """

    name: str
    sentence: str
    array: Array
    free: int = 0


@dataclass(frozen=True)
class Case:
    """A failing equation with everything that its step recorded.

    Attributes:
        exact: what the equation gives, in float64.
        recorded: what was recorded, in float64.
    """

    network: Network
    equation: Equation
    operands: Operands
    context: Context
    exact: Array
    recorded: Array

    def get(self, name: str) -> Array | None:
        """A recorded quantity in float64, or None where the step has none."""
        return self.operands.wide(name) if self.operands.has(name) else None

    def __getitem__(self, name: str) -> Array:
        return self.operands.wide(name)

    @property
    def layer(self) -> int:
        """The equation's layer."""
        return self.equation.layer

    @property
    def below(self) -> str:
        """Name of the layer's input: X or the activation of the layer below."""
        return "X" if self.layer == 1 else f"A{self.layer - 1}"

    @property
    def m(self) -> int:
        """Samples of the batch."""
        return int(self.operands.recorded("X").shape[1])

    @property
    def one_hot(self) -> Array:
        """Y as a matrix of the output's shape, for explanations only."""
        Y = self["Y"]
        if Y.dtype.kind not in "iu":
            return Y
        return np.asarray((np.arange(self.network.sizes[-1])[:, None] == Y).astype(np.float64))

    def fits(self, array: Array | None) -> bool:
        """Whether an array has the target's shape."""
        return array is not None and array.shape == self.exact.shape
