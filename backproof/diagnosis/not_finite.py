"""Values that are not finite though their operands are: the formula is evaluated as it was, in its own format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis.candidate import Case
from backproof.diagnosis.explanation import Explanation
from backproof.equations import Product
from backproof.rounding import format_of

Array = NDArray[Any]
Found = tuple[str, str, Array]

CLOSE = 64.0
"""Roundings that finite elements may be off by, of the largest one."""


def explain_not_finite(case: Case) -> list[Explanation]:
    """Formulas that give the same values where they are finite, and are not finite at the same elements."""
    found = []
    recorded = case.operands.recorded(case.target)
    with np.errstate(all="ignore"):
        for name, text, array in _candidates(case, recorded.dtype):
            if array.shape == recorded.shape and _alike(array.astype(recorded.dtype), recorded):
                count = float(np.count_nonzero(~np.isfinite(recorded)))
                found.append(Explanation(name, text, 0.0, numbers={"not finite": count}))
    return found


def _alike(array: Array, recorded: Array) -> bool:
    finite = np.isfinite(recorded)
    if not np.array_equal(np.isfinite(array), finite) or not np.array_equal(np.isnan(array), np.isnan(recorded)):
        return False
    size = float(np.abs(recorded[finite]).max(initial=0.0))
    allowed = CLOSE * format_of(recorded.dtype).unit_roundoff * size * np.sqrt(max(recorded.size, 1))
    return bool((np.abs(array[finite] - recorded[finite]) <= allowed).all())


def _candidates(case: Case, dtype: Any) -> Iterator[Found]:
    target, L = case.target, case.network.depth
    if target == "loss":
        yield from _loss(case, dtype)
    elif target == f"dA{L}" or (target == f"dZ{L}" and case.network.joint):
        yield from _delta(case, dtype)
    elif target.startswith("A"):
        yield from _activation(case, dtype)
    if isinstance(case.equation.rule, Product) and np.abs(case.exact).max() > format_of(dtype).largest:
        top = np.abs(case.exact).max()
        text = f"{target} overflows: its exact value reaches {top:.3g}, {np.dtype(dtype).name} ends before"
        yield "overflow", text, case.exact.astype(dtype)


def _activation(case: Case, dtype: Any) -> Iterator[Found]:
    A, Z = case.target, case[f"Z{case.layer}"].astype(dtype)
    E = np.exp(Z)
    top = float(Z.max())
    if case.activation == "softmax":
        text = f"e^Z overflows: softmax is computed without taking the largest away first (Z reaches {top:.4g})"
        yield "exp-overflow", f"{text}; {A} = e^Z / Σ e^Z", E / E.sum(axis=0, keepdims=True)
        shifted = np.exp(Z - Z.max())
        text = f"softmax is shifted by the largest of all samples, not of each: {A} is 0/0 in samples far below it"
        yield "shift-by-global-maximum", text, shifted / shifted.sum(axis=0, keepdims=True)
    if case.activation == "sigmoid":
        yield "exp-overflow", f"e^Z overflows: {A} = e^Z / (1 + e^Z), inf/inf where Z is large", E / (1 + E)
    if case.activation == "tanh":
        text = f"e^Z overflows: {A} = (e^Z − e^−Z) / (e^Z + e^−Z)"
        yield "exp-overflow", text, (E - 1 / E) / (E + 1 / E)
        yield "exp-overflow", text, (E**2 - 1) / (E**2 + 1)


def _output(case: Case, dtype: Any) -> Iterator[Array]:
    """The recorded A, and A made of Z as textbooks write it, in the format."""
    L, own = case.network.depth, case.network.activations[-1]
    A, Z = case.get(f"A{L}"), case.get(f"Z{L}")
    if A is not None:
        yield A.astype(dtype)
    if Z is not None:
        narrow = Z.astype(dtype)
        if own == "softmax":
            E = np.exp(narrow - narrow.max(axis=0, keepdims=True))
            yield E / E.sum(axis=0, keepdims=True)
        elif own == "sigmoid":
            yield 1 / (1 + np.exp(-narrow))


def _loss(case: Case, dtype: Any) -> Iterator[Found]:
    Y, d = case.one_hot.astype(dtype), case.context.divisor
    for A in _output(case, dtype):
        zeros = int(np.count_nonzero((A == 0) & (Y != 0)))
        if case.network.loss == "cross_entropy":
            text = f"log(0): the probability of the true class is exactly 0 in {zeros} samples"
            yield "log-of-zero", text, np.asarray(np.where(Y == 0, 0, -Y * np.log(A)).sum() / d)
            text = "0·log(0): a probability is exactly 0 where Y is 0, and 0 times −∞ is no number"
            yield "zero-times-log-of-zero", text, np.asarray((-Y * np.log(A)).sum() / d)
        if case.network.loss == "binary_cross_entropy":
            saturated = int(np.count_nonzero((A == 0) | (A == 1)))
            true, other = -Y * np.log(A), -(1 - Y) * np.log(1 - A)
            text = f"log(0): the sigmoid is exactly 0 or 1 in {saturated} elements, and wrong there"
            safe = np.where(Y == 0, 0, true) + np.where(Y == 1, 0, other)
            yield "log-of-zero", text, np.asarray(safe.sum() / d)
            text = f"0·log(0): the sigmoid is exactly 0 or 1 in {saturated} elements, and 0 times −∞ is no number"
            yield "zero-times-log-of-zero", text, np.asarray((true + other).sum() / d)


def _delta(case: Case, dtype: Any) -> Iterator[Found]:
    Y, d, target = case.one_hot.astype(dtype), case.context.delta_divisor, case.target
    for A in _output(case, dtype):
        saturated = A * (1 - A) if target.startswith("dZ") else None
        for word, dA in (
            ("−Y/A", -Y / A), ("(A − Y)/(A(1 − A))", (A - Y) / (A * (1 - A))),
            ("(1 − Y)/(1 − A) − Y/A", (1 - Y) / (1 - A) - Y / A),
        ):  # fmt: skip
            text = f"a division by 0: {target} has {word}, and an output is exactly 0 or 1"
            yield "division-by-zero", text, dA / d
            if saturated is not None:
                yield "division-by-zero", text, dA * saturated / d
