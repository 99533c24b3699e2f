"""The arrays of one step in canonical form, with what had to be assumed to bring them into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.backprop import orientation as lying
from backproof.backprop.arrays import depth as depth_of
from backproof.backprop.derived import derive, effect, own_budget, with_benefit
from backproof.backprop.excerpt import holds
from backproof.backprop.orientation import Orientation
from backproof.equation_check import context_of, expected
from backproof.equations import Elementwise, Equation, Product, equations
from backproof.evaluation import Context
from backproof.network import Network
from backproof.operands import Operands
from backproof.rounding import Format, format_of

Array = NDArray[Any]


@dataclass
class Given:
    """One step's arrays.

    Attributes:
        orientation: sizes, samples, and how the arrays lay.
        recorded: what was given and has its shape, canonical form.
        misshapen: what was given and has another shape, turned as the others were.
        labels: the kind of Y, or None without a Y.
        dtype: the run's format.
        derived: absent arrays that were recomputed, in the run's format.
        uncertain: bounds on how far each of those may be from what the implementation used.
        said: what was assumed, one sentence each.
        rate: the learning rate, or None where it is not known: then no update can be checked.
        untold: hidden layers whose activation is not known, and why, in words.
        passed: layers whose dA has a part that is not checked, and why, in words: their output is also handed past the
            next ones, or a mask stands in it.
        slope: of leaky ReLU, or None where it is not known: then nothing that needs it can be.
    """

    orientation: Orientation
    recorded: dict[str, Array]
    misshapen: dict[str, Array]
    labels: str | None
    dtype: np.dtype[Any]
    derived: dict[str, Array] = field(default_factory=dict)
    uncertain: dict[str, Array] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    rate: float | None = None
    slope: float | None = None
    _finite: dict[int, tuple[Array, bool]] = field(default_factory=dict, repr=False)
    untold: dict[int, str] = field(default_factory=dict)
    passed: dict[int, str] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.orientation.sizes) - 1

    @property
    def known(self) -> dict[str, Array]:
        """What was given and what was recomputed."""
        return {**self.derived, **self.recorded}

    def given(self, name: str) -> bool:
        """Whether it was given, in its shape, and holds numbers only."""
        return name in self.recorded and self.finite(name)

    def finite(self, name: str) -> bool:
        """Whether it was given or recomputed, and holds numbers only."""
        array = self.recorded.get(name, self.derived.get(name))
        if array is None:
            return False
        if id(array) not in self._finite:
            self._finite[id(array)] = array, _all_finite(array)
        return self._finite[id(array)][1]

    def obstacle(self, equation: Equation) -> str:
        """Why an equation cannot be evaluated, in words; empty where it can."""
        rule, layer = equation.rule, equation.layer
        if layer in self.untold and equation.target in (f"A{layer}", f"dZ{layer}"):
            return f"the activation of layer {layer} {self.untold[layer]}"
        if equation.target[:2] == "dA" and (why := self.passed.get(int(equation.target[2:]))):
            return why
        if isinstance(rule, Elementwise) and rule.formula.endswith("leaky_relu") and self.slope is None:
            return "the slope of leaky ReLU was not given and shows nowhere"
        if equation.target.endswith("_next") and self.rate is None:
            return "the learning rate was not given and shows nowhere"
        for name in rule.operands:
            if name in self.misshapen:
                return f"its operand {name} has a wrong shape"
            if name not in self.recorded and name not in self.derived:
                return f"its operand {name} was not given"
            if not self.finite(name):
                return f"its operand {name} holds values that are not finite"
        return ""

    def recompute(self, equation: Equation, context: Context) -> bool:
        """Fill in an absent target whose operands are all there; False where they are not."""
        if self.obstacle(equation):
            return False
        shape, fmt = self.orientation.shape(equation.target), format_of(self.dtype)
        operands = Operands(self.tensors)
        with np.errstate(all="ignore"):
            value, uncertainty = derive(equation, operands, self.uncertain, fmt, context, shape)
            rounded = value.astype(self.dtype)
        self.derived[equation.target] = rounded
        self.uncertain[equation.target] = uncertainty + fmt.unit_roundoff * np.abs(value) + fmt.smallest_normal
        return True

    def benefited(self, equation: Equation, operands: Operands, fmt: Format, context: Context) -> tuple[Operands, int]:
        """The operands with a target that has the benefit of what recomputed operands leave open, and how many of its
        elements are no larger than that and their own rounding: they agree for nothing.
        """
        if self.uncertain.keys().isdisjoint(equation.rule.operands):
            return operands, 0
        recorded = operands.wide(equation.target)
        exact, unit = expected(equation, operands, fmt, context, recorded)
        moved = effect(equation, operands, self.uncertain, context, exact)
        budget = own_budget(equation, operands, fmt, context, exact, unit)
        hidden = int(np.count_nonzero(np.abs(exact) <= moved + budget + 4 * fmt.smallest_normal))
        return Operands({**self.tensors, equation.target: with_benefit(recorded, exact, moved)}), hidden

    @property
    def tensors(self) -> dict[str, Array]:
        """All that is known, with an X, which tells the number of samples."""
        return {"X": np.zeros((1, self.orientation.samples)), **self.known}

    def named(self, activations: Sequence[str]) -> list[str]:
        """The activations as one says them, ``unknown`` where they are."""
        return ["unknown" if layer in self.untold else name for layer, name in enumerate(activations, 1)]

    def copy(self) -> Given:
        """The same arrays; what is recomputed in one of the two does not show in the other."""
        return replace(
            self,
            derived=dict(self.derived),
            uncertain=dict(self.uncertain),
            said=list(self.said),
            untold=dict(self.untold),
        )


def _all_finite(array: Array) -> bool:
    """Whether all values are finite: they are where the sum of their squares is, which is quick, and may overflow."""
    flat = array.ravel(order="K")
    with np.errstate(all="ignore"):
        simple = array.dtype.name in ("float32", "float64") and np.isfinite(flat @ flat)
    return bool(simple) or bool(np.isfinite(array).all())


def given(arrays: Mapping[str, Array], layout: str | None, weights: str | None) -> Given:
    """Orient the arrays, bring them into canonical form, and supply absent biases (zero) and pre-activations.

    Raises:
        BackproofError: where the shapes tell no network, or Y is no labels of it.
    """
    ways = lying.orientations(arrays, depth_of(arrays), layout, weights)
    found = [_oriented(arrays, way) for way in ways]
    best = found[0] if len(found) == 1 else min(found, key=_contradictions)
    way = best.orientation
    if layout is None:
        best.said.append(f"samples in {way.layout}")
    if weights is None and any(name.startswith("W") for name in arrays):
        best.said.append(f"W is {way.weights.replace('_', ' x ').replace('in', 'in', 1)}")
    for layer in range(1, best.depth + 1):
        _supply(best, layer)
    return best


def _oriented(arrays: Mapping[str, Array], way: Orientation) -> Given:
    recorded: dict[str, Array] = {}
    misshapen: dict[str, Array] = {}
    said: list[str] = []
    kind = None
    dtype = _run_format(arrays)
    for name, array in arrays.items():
        if name == "X":
            canonical, word = lying.data(way, array)
            canonical = canonical.astype(dtype) if canonical.dtype.kind in "iub" else canonical
            said += [word] if word else []
        elif name == "Y":
            canonical, kind = lying.labels(way, array, dtype)
        else:
            canonical = way.canonical(name, array)
        fits = name == "Y" or canonical.shape == way.shape(name)
        (recorded if fits else misshapen)[name] = canonical
    return Given(way, recorded, misshapen, kind, dtype, said=said)


def _run_format(arrays: Mapping[str, Array]) -> np.dtype[Any]:
    """The coarsest format of any weight, else of any array: what absent arrays would have been held in."""
    floats = {name: array.dtype for name, array in arrays.items() if array.dtype.kind not in "iub" and name != "Y"}
    weights = [dtype for name, dtype in floats.items() if name.startswith("W")]
    chosen = weights or [dtype for name, dtype in floats.items() if name not in ("X", "loss")] or list(floats.values())
    return max(chosen, key=lambda dtype: format_of(dtype).unit_roundoff, default=np.dtype(np.float64))


def _contradictions(candidate: Given) -> int:
    """Products that fail on an excerpt: what tells a transposed square matrix."""
    count = 0
    for layer in range(1, candidate.depth + 1):
        below = "X" if layer == 1 else f"A{layer - 1}"
        product = Product(f"W{layer}", below, bias=f"b{layer}")
        gradient = Product(f"dZ{layer}", below, right_transposed=True)
        for target, rule in ((f"Z{layer}", product), (f"dW{layer}", gradient)):
            count += _fails(candidate, Equation(target, layer, rule, ""))
    return count


def _fails(candidate: Given, equation: Equation) -> bool:
    tensors = dict(candidate.recorded)
    rule = equation.rule
    if isinstance(rule, Product) and rule.bias is not None and rule.bias not in tensors:
        tensors[rule.bias] = np.zeros(candidate.orientation.shape(rule.bias), candidate.dtype)
    names = (equation.target, *rule.operands)
    if not all(name in tensors and np.isfinite(tensors[name]).all() for name in names):
        return False
    fmt = format_of(tensors[equation.target].dtype)
    return not holds(equation, tensors, fmt, Context(1, 0.0, 0.0, fmt.smallest_normal))


def _supply(step: Given, layer: int) -> None:
    """A bias of zero where nothing tells of one, and an absent Z that follows from X or a given A."""
    b, Z = f"b{layer}", f"Z{layer}"
    # A bias, its gradient or what it becomes, of any layer: then this layer's was only not given.
    traces = [name for name in (*step.recorded, *step.misshapen) if name.removeprefix("d").startswith("b")]
    if f"W{layer}" in step.recorded and not traces:
        step.derived[b] = np.zeros(step.orientation.shape(b), step.dtype)
        step.said.append(f"no bias was given: layer {layer} is taken to have none")
    below = "X" if layer == 1 else f"A{layer - 1}"
    if Z not in step.recorded and below in step.recorded:
        context = Context(1, 0.0, 0.0, format_of(step.dtype).smallest_normal)
        step.recompute(Equation(Z, layer, Product(f"W{layer}", below, bias=b), ""), context)


def fill_forward(step: Given, network: Network) -> None:
    """Recompute every absent Z and A that follows from what is there; no convention stands in them."""
    context = context_of(network, step.dtype, step.orientation.samples)
    for equation in equations(network):
        if equation.target[0] in "ZA" and equation.target not in step.known:
            step.recompute(equation, context)
