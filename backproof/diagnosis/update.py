"""Mistakes of the update ``W_next = W − α dW``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import overwritten
from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import combination, ratio, recognise
from backproof.equations import Elementwise

Array = NDArray[Any]


def candidates(case: Case) -> Iterator[Candidate]:
    """Of plain gradient descent."""
    name = case.target.removesuffix("_next")
    W, dW, alpha = (case.cut(case[name]), case.cut(case[f"d{name}"]), case.context.step_size)
    yield overwritten.unchanged(case, name, W)
    if isinstance(case.equation.rule, Elementwise) and case.equation.rule.formula == "decayed_descent":
        text = f"the weight decay is missing: {name} − α·d{name} (λ = {case.context.weight_decay:.6g})"
        yield Candidate("weight-decay-missing", text, W - alpha * dW)
        W = W - alpha * case.context.weight_decay * W  # what is below takes the step from there
    yield Candidate("sign", f"the step has the wrong sign: {name} + α·d{name}", W + alpha * dW)
    yield Candidate("learning-rate-missing", f"the learning rate is missing: {name} − d{name}", W - dW)
    yield Candidate("only-the-step", f"{name} itself is missing: −α·d{name}", -alpha * dW)
    yield Candidate("no-gradient", f"{name}·(1 − α): the step is along {name}, not along d{name}", W - alpha * W)
    yield from _gradients(case, name, W, alpha)
    for word, factor in (("divided by m", 1 / case.m), ("times m", float(case.m)), ("doubled", 2.0), ("halved", 0.5)):
        yield Candidate("step-scaled", f"the step is {word}: {name} − ({word}) α·d{name}", W - factor * alpha * dW)
    yield from _fitted(case, name, W, dW)


def _gradients(case: Case, name: str, W: Array, alpha: float) -> Iterator[Candidate]:
    whole = case[f"d{name}"]
    if whole.shape[0] == whole.shape[1] > 1:
        text = f"the gradient is transposed: {name} − α·d{name}ᵀ"
        yield Candidate("gradient-transposed", text, W - alpha * case.cut(whole.T))
    for kind, gradient in case.quantities("dW", "db"):
        if kind != f"d{name}" and gradient.shape == whole.shape:
            text = f"the gradient is {kind}, not d{name}: {name} − α·{kind}"
            yield Candidate("gradient-of-another-layer", text, W - alpha * case.cut(gradient))
    if whole.size > 1:
        mean = np.full_like(W, whole.sum())
        yield Candidate("gradient-summed", f"every element takes the same step: {name} − α Σ d{name}", W - alpha * mean)


def _fitted(case: Case, name: str, W: Array, dW: Array) -> Iterator[Candidate]:
    alpha, moved = case.context.step_size, W - case.recorded
    step = ratio(moved, dW)
    if step is not None and alpha:
        word = recognise(step / alpha, case)[1]
        text = f"the learning rate is {step:.6g}, {word} times α = {alpha:.6g}"
        yield Candidate("learning-rate", text, W - step * dW, free=1, numbers={"learning rate": step})
    fitted = combination(moved, dW, W)
    if fitted is not None and alpha and abs(fitted[0] / alpha - 1) < 1e-3:
        decay = float(np.vdot(moved - alpha * dW, W) / np.vdot(W, W))
        text = f"weight decay: {name} − α·d{name} − {decay:.3g}·{name} (λ = {decay / alpha:.3g} when times α)"
        yield Candidate("weight-decay", text, W - alpha * dW - decay * W, free=1, numbers={"λ·α": decay})
    along = ratio(case.recorded, W)
    if along is not None and W.size > 2:
        text = f"{name}_next is {along:.6g} times {name}: the step is along {name}, not along d{name}"
        yield Candidate("no-gradient", text, along * W, free=1, numbers={"factor": along})
