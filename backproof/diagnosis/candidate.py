"""What an explanation is given (:class:`Case`) and what it proposes (:class:`Candidate`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.equations import Equation
from backproof.evaluation import Context
from backproof.network import Network
from backproof.operands import Operands

Array = NDArray[Any]
ALL: Any = ...

JOIN = " + "
"""Between the names of two mistakes in one equation."""


class AbsentError(LookupError):
    """A mistake is made of a quantity that the step has not: it cannot be tried."""


class Part(NamedTuple):
    """One operand of an equation as it may have been taken: right (no name), or wrong."""

    name: str
    text: str
    array: Array


@dataclass(frozen=True)
class Candidate:
    """One mistake, or two in one equation.

    Attributes:
        name: stable, for programs and tests: ``mask-missing``; two are joined by `` + ``.
        sentence: plain words with the formula.
        value: what the equation would have produced, float64, at the elements that are looked at; or what makes it.
        free: constants that were fitted to the recorded array; each makes the explanation weaker.
        numbers: what supports it.
        harmless: see :class:`backproof.diagnosis.Explanation`.
    """

    name: str
    sentence: str
    value: Array | Callable[[], Array]
    free: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    harmless: bool = False

    @property
    def mistakes(self) -> int:
        """How many it takes."""
        return self.name.count(JOIN) + 1 if self.name else 0

    def array(self) -> Array:
        """The value, made where it was not yet."""
        return np.asarray(self.value() if callable(self.value) else self.value)


def as_far_as_known(candidates: Iterator[Candidate]) -> Iterator[Candidate]:
    """Without those that take a quantity that was neither given nor recomputed, and what the family has after them."""
    try:
        yield from candidates
    except AbsentError:
        return


def crossed(combine: Callable[..., Array], *sides: Sequence[Part], most: int) -> Iterator[Candidate]:
    """Every choice of one part from each side with one to ``most`` mistakes in it, those with one first."""
    choices = [(sum(bool(part.name) for part in choice), choice) for choice in product(*sides)]
    for wrong, choice in sorted(choices, key=lambda item: item[0]):
        if 0 < wrong <= most:
            mistakes = [part for part in choice if part.name]
            name, text = JOIN.join(p.name for p in mistakes), "; ".join(p.text for p in mistakes)
            yield Candidate(name, text, partial(combine, *(part.array for part in choice)))


@dataclass(frozen=True)
class Case:
    """A failing equation with everything that its step recorded.

    Attributes:
        operands: of a target with a column for each sample: those of the samples that are looked at.
        exact: what the equation gives, in float64, at the elements that are looked at.
        recorded: what was recorded there, in float64.
        unit: of the equation itself there, u included.
        rows, columns: of the target, that are looked at.
        most: mistakes that are combined in one candidate.
        whole_operands, all_exact: the operands with all samples, and what the equation gives everywhere.
    """

    network: Network
    equation: Equation
    operands: Operands
    context: Context
    exact: Array
    recorded: Array
    unit: Array
    rows: Any = ALL
    columns: Any = ALL
    whole_operands: Operands | None = None
    all_exact: Array | None = None
    most: int = 2

    def get(self, name: str) -> Array | None:
        """A recorded quantity in float64, or None where the step has none."""
        return self.operands.wide(name) if self.operands.has(name) else None

    def __getitem__(self, name: str) -> Array:
        """A quantity that the step must have.

        Raises:
            AbsentError: it has not.
        """
        if not self.operands.has(name):
            raise AbsentError(name)
        return self.operands.wide(name)

    @property
    def whole(self) -> Operands:
        """The operands with all samples, for a mistake that mixes them."""
        return self.whole_operands or self.operands

    def whole_exact(self) -> Array:
        """What the equation gives, at all elements of a target that is no sample's."""
        return self.exact if self.all_exact is None else self.all_exact

    def cut(self, array: Array) -> Array:
        """The elements that are looked at, of an array of the target's whole shape."""
        return np.asarray(array[self.rows][:, self.columns])

    @property
    def target(self) -> str:
        """Of the equation."""
        return self.equation.target

    @property
    def layer(self) -> int:
        """The equation's layer."""
        return self.equation.layer

    @property
    def below(self) -> str:
        """Name of the layer's input: X or the activation of the layer below."""
        return "X" if self.layer == 1 else f"A{self.layer - 1}"

    @property
    def activation(self) -> str:
        """Of the equation's layer."""
        return self.network.activations[self.layer - 1]

    @property
    def m(self) -> int:
        """Samples of the batch."""
        return int(self.whole.recorded("X").shape[1])

    @cached_property
    def one_hot(self) -> Array:
        """Y as a matrix of the output's shape, for explanations only."""
        return self.matrix(self["Y"])

    def matrix(self, Y: Array) -> Array:
        """Labels as a matrix of the output's shape."""
        if Y.dtype.kind not in "iu":
            return Y
        return np.asarray((np.arange(self.network.sizes[-1])[:, None] == Y).astype(np.float64))

    def fits(self, array: Array | None) -> bool:
        """Whether an array has the target's shape."""
        return array is not None and array.shape == self.exact.shape

    def quantities(self, *kinds: str) -> Iterator[tuple[str, Array]]:
        """Recorded quantities of these kinds, layer by layer; X among them where A is."""
        names = ["X"] if "A" in kinds else []
        names += [f"{kind}{n}" for n in range(1, self.network.depth + 1) for kind in kinds]
        for name in names:
            array = self.get(name)
            if array is not None:
                yield name, array
