"""Judges the arrays of one step, equation by equation, in the order of computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.backprop.checks import Checks, Memory
from backproof.backprop.convention import Convention
from backproof.backprop.given import Given
from backproof.backprop.kinks import kink_note
from backproof.backprop.result import BackpropResult, Coverage, Failure, Line, line_of
from backproof.check import Check
from backproof.diagnosis import Case, Explanation
from backproof.diagnosis.not_finite import explain_not_finite
from backproof.diagnosis.precision import significant_bits
from backproof.diagnosis.shapes import explain_shape
from backproof.equation_check import expected
from backproof.equations import Elementwise, Equation
from backproof.operands import Operands
from backproof.parallel import single_threaded_blas
from backproof.rounding import format_of
from backproof.verdict import Verdict

Array = NDArray[Any]

NEARLY_ALL = 0.99
"""Part of an array's elements that may agree for nothing before its equation is no longer counted as checked: pixels
that are 0 in a whole batch and units that are dead are most of a gradient and no more than this.
"""


class StepJudge:
    """One step under one convention.

    Args:
        step: the arrays; absent ones are filled in as the equations are walked.
        convention: the network and where its 1/m stands.
        places: where arrays were made.
        earlier: gradients of the step before, canonical form, for the explanations.
        memory: what was found under other conventions and holds under any; added to.
    """

    def __init__(
        self,
        step: Given,
        convention: Convention,
        places: Mapping[str, str],
        earlier: Mapping[str, Array],
        memory: Memory,
    ) -> None:
        self._step, self._convention, self._places = step, convention, places
        self._checks = Checks(step, convention, earlier, memory)
        self._network = convention.network
        self._forms = convention.forms(step.recorded)
        self._failures: list[Failure] = []
        self._harmless: list[Failure] = []
        self._lines: list[Line] = []
        self._checked: list[str] = []
        self._unchecked: dict[str, str] = {}
        self._notes: list[str] = []

    def passes(self) -> bool:
        """Whether nothing fails; it is looked no further than to the first failure, and nothing is explained."""
        step = self._step
        if step.misshapen or not all(map(step.finite, step.recorded)):
            return False
        with single_threaded_blas(step.orientation.largest):
            return all(self._passing(target, forms) for target, forms in self._forms.items())

    def _passing(self, target: str, forms: tuple[Equation, ...]) -> bool:
        if target not in self._step.recorded:
            self._absent(target, forms[0])
            return True
        usable = self._checks.usable(forms)
        if not usable:
            return True
        check = self._checks.best(target, usable)[0]
        return check.verdict is Verdict.ROUNDING and not self._narrowed(target, check.equation)

    def result(self) -> BackpropResult:
        """Walk the equations."""
        step = self._step
        self._inputs()
        with single_threaded_blas(step.orientation.largest):
            for target, forms in self._forms.items():
                if target in step.recorded:
                    self._given(target, forms)
                elif target in step.misshapen:
                    self._misshapen(target, forms[0])
                else:
                    self._absent(target, forms[0])
        if (decay := self._convention.decay) is not None:
            self._notes.append(decay.said("loss" in self._checked))
        verdicts = [failure.verdict for failure in self._failures]
        verdict = "bug" if "bug" in verdicts else "suspect" if verdicts else "rounding"
        coverage = Coverage(tuple(self._checked), self._unchecked)
        network = self._network
        name = f"{network.architecture}, {', '.join(step.named(network.activations))}, {network.loss}; m = "
        name += f"{step.orientation.samples}, {step.dtype.name}"
        said = tuple(step.said)
        return BackpropResult(
            verdict, tuple(self._failures), coverage, said, tuple(self._notes), name, tuple(self._lines),
            tuple(self._harmless),
        )  # fmt: skip

    def _inputs(self) -> None:
        """What no equation produces, X, Y and the parameters, has to have its shape and hold numbers all the same."""
        step = self._step
        for name in sorted({*step.recorded, *step.misshapen} - self._forms.keys()):
            layer = int(name[1:]) if name[1:].isdecimal() else 0
            equation = Equation(name, layer, Elementwise("identity", ()), f"{name} is given")
            if name in step.misshapen:
                found, needed = _shape(step.misshapen[name].shape), _shape(step.orientation.shape(name))
                self._bug(equation, f"its shape is {found}, needed is {needed}")
            elif not step.finite(name):
                array = step.recorded[name]
                count = array.size - int(np.count_nonzero(np.isfinite(array)))
                self._bug(equation, f"{count} of {array.size} values are not finite")

    def _given(self, target: str, forms: tuple[Equation, ...]) -> None:
        array, usable = self._step.recorded[target], self._checks.usable(forms)
        if not np.isfinite(array).all():
            self._not_finite(target, forms, usable)
        elif not usable:
            self._unchecked[target] = self._step.obstacle(forms[0])
        else:
            self._judge(target, usable)

    def _judge(self, target: str, usable: list[Equation]) -> None:
        check, operands, dtype = self._checks.best(target, usable)
        row, column = check.residuals.index
        raw = self._step.recorded[target]
        recorded = float(raw if not raw.ndim else raw[row, column])
        elements = check.residuals.elements
        if check.verdict is Verdict.ROUNDING and check.vacuous >= max(NEARLY_ALL * elements, 1):
            small = f"its operands are zero, or so small that in {dtype.name} zero would pass"
            open_ = "what its recomputed operands leave open is more than its values"
            why = small if self._step.uncertain.keys().isdisjoint(check.equation.rule.operands) else open_
            part = "" if check.vacuous >= elements else f" (all but {elements - check.vacuous} of {elements} elements)"
            self._unchecked[target] = f"{why}: it agrees for nothing{part}"
            return
        if failed := check.verdict is not Verdict.ROUNDING:
            check = _mild(self._checks.diagnosed(check, operands, dtype))
            if self._is_own(check):
                return
        self._checked.append(target)
        if failed:
            self._report(check, self._recomputed(check.equation))
        elif self._narrowed(target, check.equation):
            self._narrow(target, check)
        elif note := kink_note(check.equation, operands, self._network.slope):
            self._notes.append(note)
        self._lines.append(line_of(check.equation.text, check, target, recorded))

    def _is_own(self, check: Check) -> bool:
        """Whether it is an activation that no mistake explains and that may be meant: then it is not checked."""
        target, layer, step = check.equation.target, check.equation.layer, self._step
        if target != f"A{layer}" or layer not in step.open or check.explanations:
            return False
        step.untold[layer] = "may be one that is not known here (no mistake explains it), and is not checked"
        self._unchecked[target] = step.obstacle(check.equation)
        return True

    def _recomputed(self, equation: Equation) -> str:
        names = [name for name in equation.rule.operands if name in self._step.derived and name[0] != "b"]
        if not names:
            return ""
        was, it = ("was", "it") if len(names) == 1 else ("were", "them")
        return f"; {' and '.join(names)} {was} not given and recomputed, so a mistake in {it} would show here"

    def _report(self, check: Check, addition: str = "") -> None:
        """A failure, or a note where the best explanation is harmless."""
        equation, target = check.equation, check.equation.target
        failure = Failure(
            target, equation.layer, equation.text, check.verdict.word, check.residuals.ratio,
            check.message + addition, check.explanations or (), self._places.get(target, ""),
        )  # fmt: skip
        if check.verdict is Verdict.ROUNDING:
            self._harmless.append(failure)
            self._notes.append(f"{target}: {failure.explanations[0].sentence}")
        else:
            self._failures.append(failure)

    def _misshapen(self, target: str, equation: Equation) -> None:
        array, needed = self._step.misshapen[target], self._step.orientation.shape(target)
        message = f"its shape is {_shape(array.shape)}, needed is {_shape(needed)}"
        explanations: list[Explanation] = []
        if not self._step.obstacle(equation) and np.isfinite(array).all():
            fmt, context = format_of(self._step.dtype), self._checks.context(self._step.dtype, target)
            operands = Operands(self._step.tensors)
            exact, unit = expected(equation, operands, fmt, context, np.zeros(needed))
            case = Case(self._network, equation, operands, context, exact, array.astype(np.float64), unit)
            explanations = explain_shape(case, fmt)
        self._bug(equation, message, tuple(explanations))

    def _not_finite(self, target: str, forms: tuple[Equation, ...], usable: list[Equation]) -> None:
        equation = forms[0]
        # A given operand of any form that is not finite may be where it comes from, and is a failure of its own.
        operands = {name for form in forms for name in form.rule.operands if name in self._step.recorded}
        if not all(self._step.finite(name) for name in operands):
            why = next(filter(None, map(self._step.obstacle, forms)), "")
            self._unchecked[target] = f"it holds values that are not finite; {why}"
            return
        array = self._step.recorded[target]
        finite = np.isfinite(array)
        count = array.size - int(np.count_nonzero(finite))
        value = array if not array.ndim else array[tuple(np.argwhere(~finite)[0])]
        message = f"{count} of {array.size} values are not finite, the first is {value}"
        message += "; its operands are finite" if usable else ""
        self._bug(equation, message, tuple(self._why_not_finite(usable)))

    def _why_not_finite(self, usable: list[Equation]) -> list[Explanation]:
        fmt, operands = format_of(self._step.dtype), Operands(self._step.tensors)
        for equation in usable:
            context = self._checks.context(self._step.dtype, equation.target)
            recorded = operands.wide(equation.target)
            exact, unit = expected(equation, operands, fmt, context, np.zeros_like(recorded))
            if found := explain_not_finite(Case(self._network, equation, operands, context, exact, recorded, unit)):
                return found
        return []

    def _bug(self, equation: Equation, message: str, explanations: tuple[Explanation, ...] = ()) -> None:
        """What has no residual: a wrong shape, a value that is no number."""
        target, place = equation.target, self._places.get(equation.target, "")
        if target in self._forms:
            self._checked.append(target)
        self._failures.append(
            Failure(target, equation.layer, equation.text, "bug", float("inf"), message, explanations, place)
        )

    def _absent(self, target: str, equation: Equation) -> None:
        """Recompute what others need; say what cannot be."""
        bias = target.removeprefix("d")
        if bias.startswith("b") and bias.removesuffix("_next") in self._step.derived:
            return  # the layer has no bias, and no such equation
        if target.endswith("_next") and not any(name.endswith("_next") for name in self._step.recorded):
            return  # no update was given
        if target.endswith("_next") or target == "loss":
            self._unchecked[target] = "it was not given"
            return
        filled = target in self._step.derived or self._step.recompute(
            equation, self._checks.context(self._step.dtype, target)
        )
        self._unchecked[target] = "it was not given" + (" and is recomputed where it is needed" if filled else "")

    def _narrowed(self, target: str, equation: Equation) -> bool:
        """Whether the result is held in a coarser format than every operand it was made of."""
        recorded = self._step.recorded
        of = [recorded[name].dtype for name in equation.rule.operands if name in recorded and name != "Y"]
        own = format_of(recorded[target].dtype).unit_roundoff
        return bool(of) and target != "loss" and all(format_of(dtype).unit_roundoff < own for dtype in of)

    def _narrow(self, target: str, check: Check) -> None:
        own = self._step.recorded[target].dtype.name
        finer = self._step.recorded[check.equation.rule.operands[0]].dtype.name
        message = f"it is held in {own}, its operands in {finer}"
        text = f"{target} is held in {own} where {finer} was promised: every later digit is lost"
        numbers = {"significant bits": float(significant_bits(self._step.recorded[target].dtype))}
        why = Explanation(f"held-in-{own}", text, check.residuals.fraction, numbers=numbers)
        self._report(replace(check, verdict=Verdict.BUG, message=message, explanations=(why,)))


def _mild(check: Check) -> Check:
    """Rounding where the best explanation is harmless: a choice that is seen to change nothing, as one at a kink is."""
    best = next(iter(check.explanations or ()), None)
    return replace(check, verdict=Verdict.ROUNDING) if best is not None and best.harmless else check


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) or "a single number"
