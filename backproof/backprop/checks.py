"""The checks of one step's equations under one convention, each made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.backprop.bitwise import check_bits
from backproof.backprop.convention import Convention, dependents
from backproof.backprop.given import Given
from backproof.check import Check
from backproof.diagnosis.accumulated import PREVIOUS
from backproof.equation_check import check_equation, diagnosed
from backproof.equations import ONES, Elementwise, Equation, Product
from backproof.evaluation import Context
from backproof.operands import Operands
from backproof.rounding import format_of
from backproof.verdict import Verdict

Array = NDArray[Any]
Dtype = np.dtype[Any]
Checked = tuple[Check, Operands, Dtype]
"""A check, the operands and the format that it was made with."""


@dataclass(frozen=True)
class Memory:
    """What several conventions share on the same arrays.

    Attributes:
        settled: target -> its check, where no convention stands in it.
        explained: checks with their explanations, by what they depend on.
    """

    settled: dict[str, Checked] = field(default_factory=dict)
    explained: dict[Any, Check] = field(default_factory=dict)


class Checks:
    """Checks equations of one step under one convention.

    Args:
        step: the arrays; absent ones may be filled in between checks, and never change.
        earlier: gradients of the step before, canonical form, for the explanations.
        memory: of judges of the same arrays; added to.
    """

    def __init__(self, step: Given, convention: Convention, earlier: Mapping[str, Array], memory: Memory) -> None:
        self._step, self._convention, self._memory = step, convention, memory
        self._dependents = dependents(convention, step)
        self._earlier = {PREVIOUS.format(name): array for name, array in earlier.items()}
        self._own: dict[str, Checked] = {}
        self._operands: Operands | None = None

    def context(self, dtype: Dtype, target: str) -> Context:
        """The numbers of a target's equation."""
        return self._convention.context(dtype, self._step.orientation.samples, target)

    def usable(self, forms: Sequence[Equation]) -> list[Equation]:
        """The forms of an equation whose operands are there."""
        return [form for form in forms if not self._step.obstacle(form)]

    def best(self, target: str, usable: Sequence[Equation]) -> Checked:
        """The check of the form that comes nearest; of those that fail alike, the preferred."""
        known = self._own if target in self._dependents else self._memory.settled
        if target not in known:
            judged = []
            for equation in usable:
                judged.append(self._check(equation))
                if judged[-1][0].verdict is Verdict.ROUNDING:
                    break
            known[target] = min(judged, key=lambda item: (item[0].verdict, item[0].residuals.over > 0))
        return known[target]

    def _check(self, equation: Equation) -> Checked:
        """The check of one form, with the benefit of what recomputed operands leave open."""
        step = self._step
        dtype = judged_in(equation, step.known)
        context, fmt = self.context(dtype, equation.target), format_of(dtype)
        self._operands = operands = Operands(step.tensors, self._operands, unchanged=True)
        operands, hidden = step.benefited(equation, operands, fmt, context)
        check = check_bits(equation, operands, fmt, context) or check_equation(equation, operands, fmt, context)
        return replace(check, vacuous=max(check.vacuous, hidden)), operands, dtype

    def diagnosed(self, check: Check, operands: Operands, dtype: Dtype) -> Check:
        """The check with its explanations, which are looked for once where no convention stands in them."""
        key, explained = self._key(check.equation, dtype), self._memory.explained
        if key is not None and key in explained:
            return explained[key]
        target = check.equation.target
        # A mistake is looked for in what was recorded; what recomputed operands leave open is allowed beside it.
        raw = self._step.recorded[target]
        open_ = np.abs(raw - operands.wide(target)) if operands.recorded(target) is not raw else None
        known = {name: operands.recorded(name) for name in operands.names()}
        whole = Operands({**known, **self._earlier, target: raw})
        network, context = self._convention.network, self.context(dtype, target)
        found = diagnosed(check, network, whole, format_of(dtype), context, open_)
        if key is not None:
            explained[key] = found
        return found

    def _key(self, equation: Equation, dtype: Dtype) -> Any:
        """Equations of one key have the same operands and constants; None where that is not known."""
        if equation.target not in self._dependents:
            return equation
        rule, context = equation.rule, self.context(dtype, equation.target)
        if not isinstance(rule, Product) or not set(rule.operands) <= {*self._step.recorded, ONES}:
            return None
        return equation, context.divisor if rule.divided else 1, context.step_size, context.weight_decay


def judged_in(equation: Equation, known: Mapping[str, Array]) -> Dtype:
    """The format that an equation is judged in: the target's, or its operands' where theirs are all coarser (of an
    elementwise equation: any).
    """
    dtypes = [known[name].dtype for name in equation.rule.operands if name != "Y"]
    target = known[equation.target].dtype
    if isinstance(equation.rule, Elementwise):
        # What is made of one operand alone (1 − A²) is rounded in that operand's format.
        return max([target, *dtypes], key=lambda dtype: format_of(dtype).unit_roundoff)
    finest = min(dtypes, key=lambda dtype: format_of(dtype).unit_roundoff, default=target)
    return max(target, finest, key=lambda dtype: format_of(dtype).unit_roundoff)
