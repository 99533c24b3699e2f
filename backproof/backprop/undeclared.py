"""A weight decay that nobody declared: inferred where one λ mends the equations of several arrays at once.

It is taken only if it is a number that somebody writes down, and it mends at least two equations, of which one is a dW,
while fewer fail than under any convention without it: one wrong dW alone stays a failure. Of a decay that stands in the
update λ may be over the size of the data set, which no array shows: there every layer has to agree on it instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backproof.backprop.alternatives import alternatives
from backproof.backprop.convention import Convention, failing
from backproof.backprop.decay import Decay
from backproof.backprop.given import Given
from backproof.diagnosis.constants import written
from backproof.equation_check import context_of
from backproof.equations import Equation, Product
from backproof.evaluation import Context
from backproof.rounding import format_of

Array = NDArray[Any]
GRID = 48
"""Rows and columns of a gradient that λ is fitted on."""
SPREAD = 6.0
"""Standard errors of the fit within which λ is looked for."""
AGREED = 1e-3
"""Relative width of the intervals of λ that layers have to agree within, where it need not be a short number."""
FEWEST = 2
"""Equations that it has to mend."""
LARGEST = 1.0
"""λ from which none is inferred: that much of W beside the gradient is another mistake."""
SHARE = 0.1
"""Part of a weight that an inferred decay in the update may take in one step: more is a term that was forgotten."""


class Fit(NamedTuple):
    """Least-squares λ of one layer, and where it may lie."""

    value: float
    low: float
    high: float


def undeclared(choice: Sequence[Convention], step: Given) -> list[Convention]:
    """The conventions with a decay under which the fewest equations fail, in their order; empty where none is better
    than those without.
    """
    found: list[tuple[int, Convention]] = []
    fewest = None
    for convention in choice:
        here = _whole(convention, step)
        without = failing(convention, here)
        fewest = len(without) if fewest is None else min(fewest, len(without))
        if len(without) < FEWEST:
            continue
        for decay in _proposed(convention, here):
            decayed = replace(convention, network=replace(convention.network, weight_decay=decay.rate), decay=decay)
            left = failing(decayed, here)
            mended = [target for target in without - left if decay.of(target)]
            if len(mended) >= FEWEST and any(target != "loss" for target in mended):
                found.append((len(left), decayed))
    least = min((left for left, _ in found), default=0)
    return [decayed for left, decayed in found if left == least < (fewest or 0)]


def _whole(convention: Convention, step: Given) -> Given:
    """The step with every absent dA, dZ and dW recomputed under the convention."""
    here, network = step.copy(), convention.network
    context = context_of(network, step.dtype, step.orientation.samples, convention.averaged_in)
    for target, forms in alternatives(network, convention.averaged_in, step.recorded).items():
        if target[:2] in ("dA", "dZ", "dW") and target not in step.recorded:
            here.recompute(forms[0], context)
    return here


def _proposed(convention: Convention, step: Given) -> Iterator[Decay]:
    """Every λ that a layer speaks for, with the penalties that may go with it."""
    m = step.orientation.samples
    forms = alternatives(convention.network, convention.averaged_in, step.recorded)
    context = context_of(convention.network, step.dtype, m, convention.averaged_in)
    late = context.divisor if convention.averaged_in == "update" else 1
    updates = list(_of_updates(step, context, late))
    rates: dict[tuple[str, float], str] = {}
    for place, fits in (("gradient", _of_gradients(step, forms, context)), ("update", updates)):
        for rate, text in (short for fit in fits for short in _short(fit, m)):
            rates.setdefault((place, rate), text)
    if (agreed := _agreed(updates, step)) is not None:
        rates.setdefault(("update", agreed), f"{agreed:.6g}")
    for (place, rate), text in rates.items():
        beside = rate * late if place == "update" else rate
        large = (1 + AGREED) * beside
        if large >= LARGEST or (place == "update" and large * (step.rate or 0.0) >= SHARE):
            continue  # what takes that much of a weight is no decay: a term was forgotten, or W stands for dW
        for penalty in dict.fromkeys((rate, rate / late, 0.0)):
            in_loss = "λ/2·Σ W²" if penalty == rate else f"λ/2·Σ W²/{late}"
            yield Decay(beside, place, penalty, text, in_loss)


def _short(fit: Fit, m: int) -> Iterator[tuple[float, str]]:
    """λ where it, or m times it, is a short number."""
    for scale, over in ((1, ""), (m, "/m")):
        number = written(fit.low * scale, fit.high * scale, tries=2)
        if number is not None:
            yield number / scale, f"{number:g}{over}"


def _agreed(fits: Sequence[Fit], step: Given) -> float | None:
    """λ on which the updates of all layers agree, where several do."""
    if len(fits) < FEWEST or len(fits) < step.depth:
        return None
    low, high = max(fit.low for fit in fits), min(fit.high for fit in fits)
    return (low + high) / 2 if 0 < low <= high <= low * (1 + AGREED) else None


def _of_gradients(step: Given, forms: Mapping[str, Sequence[Equation]], context: Context) -> Iterator[Fit]:
    """From ``dW − dZ·Aᵀ = λ W``."""
    for layer in range(1, step.depth + 1):
        equation = forms[f"dW{layer}"][0]
        W, dW, rule = f"W{layer}", f"dW{layer}", equation.rule
        if isinstance(rule, Product) and step.given(dW) and step.finite(W) and not step.obstacle(equation):
            rows, columns = map(_some, step.recorded[dW].shape)
            left, right = (step.known[name].astype(np.float64) for name in (rule.left, rule.right))
            product = left[rows] @ right[columns].T / (context.divisor if rule.divided else 1)
            grid = np.ix_(rows, columns)
            yield from _fitted(step.recorded[dW][grid] - product, step.known[W][grid], step)


def _of_updates(step: Given, context: Context, late: int) -> Iterator[Fit]:
    """From ``W − W_next − α/late dW = α λ W``, where α is known."""
    for layer in range(1, step.depth + 1):
        W, dW, after = f"W{layer}", f"dW{layer}", f"W{layer}_next"
        if step.rate is not None and step.given(after) and step.finite(W) and step.finite(dW):
            grid = np.ix_(*map(_some, step.recorded[after].shape))
            before, gradient = (step.known[name][grid].astype(np.float64) for name in (W, dW))
            moved = before - step.recorded[after][grid]
            yield from _fitted((moved / context.step_size - gradient) / late, before, step)


def _fitted(rest: Array, W: Array, step: Given) -> Iterator[Fit]:
    """Least squares of ``rest = λ W``; nothing where W has no part in it, or λ is negative."""
    W = W.astype(np.float64)
    square = float(np.vdot(W, W))
    if not square or not np.isfinite(square) or W.size < FEWEST:
        return
    value = float(np.vdot(rest, W)) / square
    error = float(np.linalg.norm(rest - value * W)) / np.sqrt(W.size * square)
    apart = SPREAD * error + 4 * format_of(step.dtype).unit_roundoff * abs(value)
    if value > apart:
        yield Fit(value, value - apart, value + apart)


def _some(size: int) -> Array:
    return np.unique(np.linspace(0, size - 1, min(size, GRID)).astype(np.int64))
