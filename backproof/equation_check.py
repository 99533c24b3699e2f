"""The first question: do the equations hold? Every recorded quantity, recomputed from its recorded operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.check import Check
from backproof.diagnosis import explain, samples_of, shape_of_residual, thinned
from backproof.diagnosis.candidate import ALL
from backproof.diagnosis.remaining import MARGIN
from backproof.elementwise_check import check_elementwise
from backproof.equations import Equation, Product, equations
from backproof.evaluation import Context, Evaluation
from backproof.loss_check import LossYardstick
from backproof.network import Network
from backproof.operands import Operands
from backproof.parallel import single_threaded_blas
from backproof.product_check import check_product, exact_product
from backproof.rounding import BUDGET, Format, format_of
from backproof.sketch import Screen
from backproof.structure import Flaw, flaws, sound
from backproof.training import Step
from backproof.vacuous import Vacuity
from backproof.verdict import Verdict
from backproof.yardstick import Yardstick

Array = NDArray[Any]

WORST = 64
"""Of the worst elements, whose samples a diagnosis looks at beside evenly spaced ones."""


@dataclass(frozen=True)
class StepChecks:
    """All that was found in one step.

    Attributes:
        checks: of the equations that were judged densely.
        unchecked: the equations that a flaw kept from being judged.
        sketched: target of each equation that passed its sketch -> the largest part of the limit that it used.
    """

    step: int
    flaws: list[Flaw]
    checks: list[Check]
    unchecked: list[Equation]
    sketched: Mapping[str, float] = field(default_factory=dict)


class EquationChecker:
    """Judges the steps of one run, one at a time.

    Args:
        network: the specification.
        dtype: the run's format.
        screen: what passes it is not judged densely, unless it holds nothing but zeros.
    """

    def __init__(self, network: Network, dtype: np.dtype[Any], screen: Screen | None = None) -> None:
        self._network = network
        self._screen = screen
        self._dtype = np.dtype(dtype)
        self._format = format_of(self._dtype)
        self._vacuity = Vacuity(self._format)
        self._equations = equations(network)
        self._operands: Operands | None = None
        self._explained: set[str] = set()

    def check(self, step: Step, X: Array, Y: Array) -> StepChecks:
        """Structure first, then every equation whose target and operands are sound, in order of computation."""
        m = X.shape[1]
        self._operands = operands = Operands({**step.tensors, "X": X, "Y": Y}, self._operands)
        context = context_of(self._network, self._dtype, m, step=step.index)
        passed = self._sketched(step, operands, context, m)
        if len(passed) == len(self._equations):
            return StepChecks(step.index, [], [], [], passed)
        found = flaws(self._network, step.tensors, m, self._dtype)
        unsound = {flaw.quantity for flaw in found}
        checks, unchecked = [], []
        with single_threaded_blas(), np.errstate(all="ignore"):
            for equation in self._equations:
                if equation.target in passed:
                    continue
                if unsound.isdisjoint((equation.target, *equation.rule.operands)):
                    check = check_equation(equation, operands, self._format, context, step.index)
                    checks.append(self._diagnosed(check, operands, context))
                else:
                    unchecked.append(equation)
        named = [_overflow(flaw, self._network, operands, self._format, context, unsound) for flaw in found]
        return StepChecks(step.index, named, checks, unchecked, passed)

    def _sketched(self, step: Step, operands: Operands, context: Context, m: int) -> dict[str, float]:
        """What the screen lets pass, if there is one; nothing of a step whose structure is not the specification's."""
        if self._screen is None or not sound(self._network, step.tensors, m, self._dtype):
            return {}
        with single_threaded_blas(), np.errstate(all="ignore"):
            passed = self._screen.passed(operands, context)
        # Zeros pass every sketch; whether anything could have been wrong with them is the dense check's to say.
        return {t: used for t, used in passed.items() if not self._vacuity.suspected(t, operands.recorded(t))}

    def _diagnosed(self, check: Check, operands: Operands, context: Context) -> Check:
        """Name the mistake, the first time that an equation fails; a healthy run pays nothing."""
        target = check.equation.target
        if check.verdict is Verdict.ROUNDING or target in self._explained:
            return check
        self._explained.add(target)
        return diagnosed(check, self._network, operands, self._format, context)


def diagnosed(
    check: Check, network: Network, operands: Operands, fmt: Format, context: Context, open_: Array | None = None
) -> Check:
    """The same check with the explanations of its failure.

    Args:
        open_: how far recomputed operands may have moved the target, element by element.
    """
    equation, suspects = check.equation, check.residuals.suspects
    worst = suspects[:WORST, 2].astype(np.int64) if len(suspects) else np.array([check.residuals.index[1]])
    near, columns = samples_of(equation, operands, worst)
    recorded = near.wide(equation.target)
    exact, everywhere = expected(equation, near, fmt, context, recorded)
    if open_ is not None:
        everywhere = everywhere + (open_ if columns is ALL else open_[:, columns]) / MARGIN
    case = thinned(network, equation, near, context, exact, recorded, everywhere, operands, columns)
    found = tuple(explain(case, fmt))
    said = "" if found else shape_of_residual(recorded, exact, everywhere)
    return replace(check, explanations=found, message=f"{check.message}; {said}" if said else check.message)


def context_of(network: Network, dtype: np.dtype[Any], m: int, averaged_in: str = "delta", step: int = 0) -> Context:
    """The numbers of a batch of ``m`` in a step; slope, step size and λ as rounded in the format."""
    kind, divisor = np.dtype(dtype).type, network.divisor(m)
    step_size = network.step_size(m, step) / (divisor if averaged_in == "update" else 1)
    return Context(
        divisor,
        float(kind(network.slope)),
        float(kind(step_size)),
        format_of(dtype).smallest_normal,
        network.half,
        averaged_in != "delta",
        float(kind(network.weight_decay)),
        network.optimizer,
        step + 1,
        format_of(dtype).unit_roundoff,
    )


def check_equation(equation: Equation, operands: Operands, fmt: Format, context: Context, step: int = 0) -> Check:
    """Judge one equation of one step; target and operands must be finite and of the right shape."""
    if isinstance(equation.rule, Product):
        return check_product(equation, equation.rule, operands, fmt, context, step)
    return check_elementwise(equation, equation.rule, operands, fmt, context, step)


def _overflow(
    flaw: Flaw, network: Network, operands: Operands, fmt: Format, context: Context, unsound: set[str]
) -> Flaw:
    """Call a non-finite value an overflow where the exact value, from finite operands, is beyond the format."""
    equation = next((e for e in equations(network) if e.target == flaw.quantity), None)
    if flaw.kind != "non-finite" or equation is None or not unsound.isdisjoint(equation.rule.operands):
        return flaw
    with np.errstate(all="ignore"):
        exact = (
            _sums(equation, operands, context) if flaw.quantity == "loss" else _evaluate(equation, operands, context)
        )
    largest = float(np.nanmax(np.abs(exact), initial=0.0))
    if largest <= fmt.largest and not np.isinf(exact).any():
        return flaw
    message = f"{flaw.quantity} overflowed: its exact value reaches {largest:.3g}, {fmt.name} ends at {fmt.largest:.3g}"
    return Flaw(flaw.quantity, "overflow", message)


def _sums(equation: Equation, operands: Operands, context: Context) -> Array:
    """What a loss is made of: a mean is summed before it is divided or halved, squares before they decay, and a
    logarithm of softmax takes all z from the largest.
    """
    terms = _evaluation(equation.rule, operands, context, operands.wide(equation.target)).terms
    if terms is None:
        raise TypeError(f"{equation.text} does not say of which terms it is the sum")
    squares = terms.penalty.sum() * 2 / context.weight_decay if context.weight_decay else 0.0
    operand = operands.wide(equation.rule.operands[0])
    span = np.ptp(operand, axis=0).max()
    return np.array([terms.values.sum() * (2 if context.half else 1), squares, span])


def _evaluation(rule: Any, operands: Operands, context: Context, recorded: Array) -> Evaluation:
    return elementwise.FORMULAS[rule.formula](recorded, context, *map(operands.wide, rule.operands))


def _evaluate(equation: Equation, operands: Operands, context: Context) -> Array:
    rule = equation.rule
    if isinstance(rule, Product):
        return exact_product(rule, operands, context)
    return _evaluation(rule, operands, context, operands.wide(equation.target)).exact


def expected(
    equation: Equation, operands: Operands, fmt: Format, context: Context, recorded: Array
) -> tuple[Array, Array]:
    """The exact array of an equation, and its unit, u included.

    Args:
        recorded: the target in float64; it decides where the equation leaves a choice (at a kink).
    """
    rule = equation.rule
    if isinstance(rule, Product):
        yardstick = Yardstick.of(rule, operands, fmt, context)
        return exact_product(rule, operands, context), yardstick.unit(slice(None), slice(None))
    value = _evaluation(rule, operands, context, recorded)
    if value.terms is not None:
        loss = LossYardstick.of(value.terms, fmt)
        return value.exact, np.asarray(loss.unit + loss.floor / BUDGET)
    return value.exact, fmt.unit_roundoff * value.unit + value.floor
