"""Which network and which convention the arrays follow: what was not said is inferred, and said.

The convention is the one under which the fewest equations fail, counted on excerpts (``excerpt.py``).
Candidates are tried in order of preference: the mean over samples, 1/m inside the output's delta, mean squared error
without 1/2. Where several tie and something fails, the one is taken under which the failures are explained with the
fewest constants (``check.py``); an earlier one wins what is still a tie.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from backproof.backprop.alternatives import alternatives
from backproof.backprop.decay import Decay
from backproof.backprop.excerpt import holds
from backproof.backprop.given import Given
from backproof.equation_check import context_of
from backproof.equations import AVERAGED, Equation
from backproof.errors import BackproofError
from backproof.evaluation import Context
from backproof.network import CHOICES, JOINT, LABELS, Network
from backproof.operands import Operands
from backproof.rounding import Format, format_of

REDUCTIONS = {
    "cross_entropy": ("mean", "sum"),
    "binary_cross_entropy": ("mean_over_samples", "mean", "sum"),
    "mse": ("mean_over_samples", "mean", "sum"),
}
"""Loss -> reductions in order of preference."""
SAYING = {
    "mean": "the mean over samples",
    "mean_over_samples": "the mean over samples",
    "sum": "the sum over samples",
    "delta": "1/m inside the output's delta",
    "gradient": "1/m in dW and db, not in the deltas",
    "update": "1/m in the update, not in the gradients",
}


@dataclass(frozen=True)
class Convention:
    """A network and where its 1/m stands.

    Attributes:
        averaged_in: one of :data:`backproof.equations.AVERAGED`.
        decay: where the network's weight decay stands, if it was inferred.
    """

    network: Network
    averaged_in: str = "delta"
    decay: Decay | None = None

    def context(self, dtype: np.dtype[Any], m: int, target: str) -> Context:
        """The numbers of the target's equation."""
        context = context_of(self.network, dtype, m, self.averaged_in)
        return context if self.decay is None else self.decay.within(context, target)

    def forms(self, recorded: Container[str]) -> dict[str, tuple[Equation, ...]]:
        """Its equations, by their targets (:func:`alternatives`)."""
        return alternatives(self.network, self.averaged_in, recorded, self.decay)

    def __str__(self) -> str:
        network = self.network
        reduction = SAYING[network.reduction]
        if network.reduction == "mean" and network.loss != "cross_entropy" and network.sizes[-1] > 1:
            reduction = "the mean over samples and output units"
        where = "" if network.reduction == "sum" else f", {SAYING[self.averaged_in]}"
        half = {True: " with ½", False: " without ½"}[network.half] if network.loss == "mse" else ""
        return f"{network.loss}{half}, {reduction}{where}"


@dataclass(frozen=True)
class Wanted:
    """What the caller said of the convention; None is to be inferred."""

    loss: str | None = None
    reduction: str | None = None
    averaged_in: str | None = None
    half: bool | None = None

    def __post_init__(self) -> None:
        for value, known, what in (
            (self.loss, CHOICES["loss"], "loss"),
            (self.reduction, CHOICES["reduction"], "reduction"),
            (self.averaged_in, AVERAGED, "averaged_in"),
        ):
            if value is not None and value not in known:
                raise BackproofError(f"unknown {what} {value!r}; choose from {', '.join(known)}")


def candidates(
    wanted: Wanted, sizes: Sequence[int], activations: Sequence[str], labels: str, **others: Any
) -> Iterator[Convention]:
    """Every convention that agrees with what was said, the preferred first.

    Args:
        others: of :class:`Network` (learning_rate, slope, weight_decay).

    Raises:
        BackproofError: when the loss that was asked for does not go with the labels or the output.
    """
    for loss in [wanted.loss] if wanted.loss else _losses(activations[-1], labels):
        for averaged_in, half, reduction in product(AVERAGED, (False, True), REDUCTIONS[loss]):
            if half and loss != "mse":
                continue
            if reduction == "sum" and averaged_in != "delta":
                continue  # a sum has no 1/m to stand anywhere
            if reduction == "mean" and loss != "cross_entropy" and sizes[-1] == 1 and wanted.reduction is None:
                continue  # one output unit: the two means are one
            said = ((wanted.reduction, reduction), (wanted.averaged_in, averaged_in), (wanted.half, half))
            if all(value in (None, found) for value, found in said):
                network = Network(
                    "yours", tuple(sizes), tuple(activations), loss, _fitting(labels, loss),
                    reduction=reduction, half=half, **others,
                )  # fmt: skip
                yield Convention(network, averaged_in)


def _losses(output: str, labels: str) -> list[str]:
    """Losses that the output and the labels admit, the one joint with the output first."""
    admitted = [
        loss
        for loss in ("cross_entropy", "binary_cross_entropy", "mse")
        if _fitting(labels, loss) in LABELS[loss] and (loss == "mse" or output in JOINT.values())
    ]
    return sorted(admitted, key=lambda loss: JOINT.get(loss) != output)


def _fitting(labels: str, loss: str) -> str:
    """The same labels by the name that the loss knows them by: one-hot ones are zeros and ones."""
    return "binary" if labels == "one_hot" and loss == "binary_cross_entropy" else labels


def nearest(found: Sequence[Convention], step: Given) -> list[Convention]:
    """The candidates under which the fewest equations that depend on it fail, in their order.

    Of those under which all these equations are the same ones, only the first; one under which nothing fails alone.
    """
    best: dict[tuple[Any, ...], Convention] = {}
    fewest = None
    seen: dict[Any, bool] = {}
    for convention in found:
        keys = tuple(_judged(convention, step, seen))
        failures = sum(not seen[key] for key in keys)
        if fewest is None or failures < fewest:
            best, fewest = {}, failures
        if failures == fewest:
            best.setdefault(keys, convention)
        if not failures:
            break
    return list(best.values())


def failing(convention: Convention, step: Given) -> set[str]:
    """Targets that depend on the convention and that fail under it."""
    seen: dict[Any, bool] = {}
    return {key[0] for key in list(_judged(convention, step, seen)) if not seen[key]}


def _judged(convention: Convention, step: Given, seen: dict[Any, bool]) -> Iterator[Any]:
    """A key for each target that depends on the convention; ``seen`` has whether one of its equations holds on an
    excerpt.
    """
    network, forms = convention.network, convention.forms(step.recorded)
    here = _filled(convention, step, forms)
    told = dependents(convention, step)
    for target, rules in forms.items():
        if not step.given(target) or target not in told:
            continue
        dtype = step.recorded[target].dtype
        context = convention.context(dtype, step.orientation.samples, target)
        usable = [rule for rule in rules if not here.obstacle(rule)]
        own = (network.loss, convention.averaged_in) if here is not step else ()
        key = (target, tuple(rule.rule for rule in usable), context, own)
        if usable and key not in seen:
            seen[key] = any(_holds(rule, here, format_of(dtype), context) for rule in usable)
        if usable:
            yield key


def _filled(convention: Convention, step: Given, forms: Mapping[str, Sequence[Equation]]) -> Given:
    """The step with what is absent of the output's dA and dZ, of the deltas on the way to the first derivative that was
    given, and of the updates' gradients, recomputed under the convention.
    """
    network, L = convention.network, convention.network.depth
    updated = {f"d{name.removesuffix('_next')}" for name in step.recorded if name.endswith("_next")}
    wanted = {f"dA{L}", f"dZ{L}"} | _until_given(forms, step) | (updated if step.rate is not None else set())
    absent = [name for name in forms if name in wanted and name not in step.recorded]
    if not absent:
        return step
    here = step.copy()
    context = context_of(network, step.dtype, step.orientation.samples, convention.averaged_in)
    for name in absent:
        here.recompute(forms[name][0], context)
    return here


def _holds(equation: Equation, step: Given, fmt: Format, context: Context) -> bool:
    tensors = step.tensors
    if not step.uncertain.keys().isdisjoint(equation.rule.operands):
        moved, _ = step.benefited(equation, Operands(tensors), fmt, context)
        tensors = {**tensors, equation.target: moved.recorded(equation.target)}
    return holds(equation, tensors, fmt, context)


def _until_given(forms: Mapping[str, Sequence[Equation]], step: Given) -> set[str]:
    """The absent deltas before the first derivative that was given, in the order of computation."""
    absent: set[str] = set()
    for name in forms:
        if name[0] == "d" and name in step.recorded:
            return absent
        if name[:2] in ("dZ", "dA"):
            absent.add(name)
    return set()


def dependents(convention: Convention, step: Given) -> set[str]:
    """Targets in whose equation a constant of the convention stands, or in an absent operand of it."""
    network, found = convention.network, set[str]()
    first = ("loss", f"dA{network.depth}", f"dZ{network.depth}")
    for target, rules in convention.forms(step.recorded).items():
        absent = {name for rule in rules for name in rule.rule.operands if name not in step.recorded}
        constant = target in first or target[:2] in ("dW", "db") or target.endswith("_next")
        if constant or not absent.isdisjoint(found):
            found.add(target)
    return found
