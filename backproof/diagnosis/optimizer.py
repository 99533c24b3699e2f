"""Mistakes of an optimizer with a state or a decay, and what PyTorch and optax have differently by default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.diagnosis import overwritten
from backproof.diagnosis.candidate import Candidate, Case
from backproof.diagnosis.constants import ratio, written
from backproof.optimizer import Optimizer, is_state

Array = NDArray[Any]

DEFAULT_DECAYS = (1e-2, 1e-4)
"""λ of AdamW in PyTorch and in optax."""
DEFAULT_RATES = (0.99, 0.9)
"""ρ of RMSprop in PyTorch and in optax."""
EPSILONS = tuple(10.0**-k for k in range(3, 17))
"""What people write for ε."""
CLOSE = 1e-5
"""Relative half-width around a fitted rate in which a short decimal is looked for."""


def candidates(case: Case) -> Iterator[Candidate]:
    """Of a state, or of a parameter after the update."""
    return _of_state(case) if is_state(case.target) else _of_parameter(case)


def _of_state(case: Case) -> Iterator[Candidate]:
    optimizer, name = case.context.optimizer, case.target.removesuffix("_next")
    kind, W = name[0], name[1:]
    old, bare, w = (case.cut(case[quantity]) for quantity in (name, f"d{W}", W))
    keep = {"v": optimizer.momentum, "m": optimizer.betas[0], "s": optimizer.second}[kind]
    take = 1.0 if kind == "v" else 1 - keep

    def of(gradient: Array) -> Array:
        return gradient * gradient if kind == "s" else gradient

    g = of(bare + optimizer.coupled * w)
    yield Candidate("state-not-carried", f"{name} is forgotten: it starts from 0 in every step", take * g)
    yield Candidate("state-not-updated", f"{name} is not updated", old)
    if kind != "s":
        yield Candidate("sign", f"the gradient enters {name} with the wrong sign", keep * old - take * g)
    if kind == "v":
        yield from _of_velocity(case, old, g)
    else:
        yield from _of_moment(case, kind, old, g)
    if optimizer.coupled:
        text = f"λ·{W} is not added to d{W}: the decay is decoupled, or missing"
        yield Candidate("decay-decoupled", text, keep * old + take * of(bare))
    for decay in dict.fromkeys((optimizer.decoupled or optimizer.coupled, *DEFAULT_DECAYS)):
        if decay and decay != optimizer.coupled:
            text = f"λ·{W} is added to d{W} (λ = {decay:g}): the decay is coupled, as of torch.optim.Adam"
            yield Candidate("decay-coupled", text, keep * old + take * of(bare + decay * w))
    yield from _other_rate(case, name, old, g)


def _of_velocity(case: Case, v: Array, g: Array) -> Iterator[Candidate]:
    mu, alpha = case.context.optimizer.momentum, case.context.step_size
    yield Candidate(
        "momentum-dampened", "the gradient is dampened: μ·v + (1 − μ)·g, a moving average", mu * v + (1 - mu) * g
    )
    for sign, text in ((1, "μ·v + α·g"), (-1, "μ·v − α·g")):
        yield Candidate(
            "learning-rate-inside", f"the learning rate is inside the velocity: {text}", mu * v + sign * alpha * g
        )
    share = ratio(case.recorded - mu * v, g)
    short = written(share * (1 - CLOSE), share * (1 + CLOSE)) if share is not None and 0 < share < 1 else None
    if short is not None:
        text = f"the gradient is dampened: μ·v + {short:g}·g (dampening {1 - short:g})"
        yield Candidate("momentum-dampened", text, mu * v + short * g, free=1, numbers={"dampening": 1 - short})


def _of_moment(case: Case, kind: str, old: Array, g: Array) -> Iterator[Candidate]:
    optimizer, t = case.context.optimizer, case.context.t
    keep = optimizer.betas[0] if kind == "m" else optimizer.second
    yield Candidate("moment-not-averaged", f"the factor 1 − β is missing: {keep:g}·{kind} + g", keep * old + g)
    if kind == "s":
        yield Candidate("squares-summed", "the squares are summed and not averaged: s + g², as of Adagrad", old + g)
    text = f"the bias correction is written back into {kind}"
    yield Candidate("bias-correction-written-back", text, case.exact / (1 - keep**t))
    if kind == "s":
        yield Candidate("square-missing", "the gradient is not squared", keep * old + (1 - keep) * np.sqrt(g))
    if optimizer.name == "rmsprop":
        for rate in DEFAULT_RATES:
            if rate != keep:
                text = f"the decay rate is {rate:g}, the other framework's default, and not {keep:g}"
                value = rate * old + (1 - rate) * g
                yield Candidate("decay-default-of-the-other-framework", text, value)
    elif optimizer.betas[0] != optimizer.betas[1]:
        rate = optimizer.betas[1] if kind == "m" else optimizer.betas[0]
        yield Candidate("betas-swapped", f"the rate is {rate:g}: β₁ and β₂ are swapped", rate * old + (1 - rate) * g)


def _other_rate(case: Case, name: str, old: Array, g: Array) -> Iterator[Candidate]:
    """``recorded = k old + g`` or ``k old + (1 - k) g``, with a k that somebody writes down."""
    velocity = name[0] == "v"
    fitted = ratio(case.recorded - g, old if velocity else old - g)
    if fitted is None or not 0 < fitted < 1:
        return
    # 1 − k is what is seen of a k near 1.
    seen = fitted if velocity else 1 - fitted
    short = written(seen * (1 - CLOSE), seen * (1 + CLOSE))
    if short is not None:
        rate = short if velocity else 1 - short
        value = rate * old + (g if velocity else short * g)
        yield Candidate("other-decay-rate", f"{name} decays at {rate:g}", value, free=1, numbers={"rate": rate})


def _of_parameter(case: Case) -> Iterator[Candidate]:
    name, alpha = case.target.removesuffix("_next"), case.context.step_size
    W = case.cut(case[name])
    step = W - case.exact
    yield overwritten.unchanged(case, name, W)
    yield Candidate("sign", "the step has the wrong sign", W + step)
    if alpha:
        yield Candidate("learning-rate-missing", "the learning rate is missing", W - step / alpha)
    g = case.cut(case[f"d{name}"]) + case.context.optimizer.coupled * W
    kinds = {"v": _of_descent, "s": _of_root}
    for kept in case.context.optimizer.state(name)[-1:]:
        yield from kinds[kept[0]](case, name, W, g)
    yield from _decays(case, name, W)
    fitted = ratio(W - case.recorded, step)
    if fitted is not None and alpha:
        text = f"the learning rate is {fitted * alpha:.6g} and not {alpha:.6g}"
        yield Candidate("learning-rate", text, W - fitted * step, free=1, numbers={"learning rate": fitted * alpha})


def _of_descent(case: Case, name: str, W: Array, g: Array) -> Iterator[Candidate]:
    mu, alpha = case.context.optimizer.momentum, case.context.step_size
    v, old = (case.cut(case[quantity]) for quantity in (f"v{name}_next", f"v{name}"))
    if case.context.optimizer.name == "nesterov":
        yield Candidate(
            "nesterov-missing", f"the step is along v, without Nesterov's look ahead: {name} − α·v", W - alpha * v
        )
    else:
        yield Candidate("nesterov", f"the step looks ahead: {name} − α·(g + μ·v)", W - alpha * (g + mu * v))
    yield Candidate("state-before-update", f"the velocity is that before the step: {name} − α·v", W - alpha * old)
    yield Candidate("state-before-update", "it looks ahead along v before the step", W - alpha * (g + mu * old))
    yield Candidate("momentum-missing", f"the step is along the gradient: {name} − α·g", W - alpha * g)


def _of_root(case: Case, name: str, W: Array, g: Array) -> Iterator[Candidate]:
    """Adam and RMSprop: ``W - alpha (top/c1) / root(s/c2)``."""
    optimizer, alpha, t = case.context.optimizer, case.context.step_size, case.context.t
    adam = optimizer.name != "rmsprop"
    top, s = case.cut(case[f"m{name}_next"]) if adam else g, case.cut(case[f"s{name}_next"])
    c1, c2 = optimizer.corrections(t) if adam else (1.0, 1.0)
    kept = W - alpha * optimizer.decoupled * W

    def after(divisor: Array, numerator: Array = top, first: float = c1) -> Array:
        return np.asarray(kept - alpha * (numerator / first) / divisor)

    if adam:
        text = "the bias correction is missing"
        yield Candidate("bias-correction-missing", text, after(_root(optimizer, s), first=1.0))
        yield Candidate("bias-correction-missing", f"{text} of m", after(_root(optimizer, s / c2), first=1.0))
        yield Candidate("bias-correction-missing", f"{text} of s", after(_root(optimizer, s)))
        for other in (t - 1, t + 1):
            if other:
                a, b = optimizer.corrections(other)
                text = f"the bias correction is that of step {other}, not of step {t}, counted from 1"
                yield Candidate("bias-correction-step-off-by-one", text, after(_root(optimizer, s / b), first=a))
        yield Candidate(
            "momentum-missing", "the numerator is the gradient and not m", after(_root(optimizer, s / c2), g, 1.0)
        )
        text = "ε is added before the bias correction (Kingma and Ba's ε̂, as in TensorFlow)"
        yield Candidate("epsilon-before-correction", text, after((np.sqrt(s) + optimizer.epsilon) / np.sqrt(c2)))
        yield from _amsgrad(case, name, s, after)
    yield from ((Candidate(key, text, after(divisor))) for key, text, divisor in _epsilons(optimizer, s / c2))
    yield Candidate("root-missing", "the square root is missing", after(s / c2 + optimizer.epsilon))
    old = case.cut(case[f"s{name}"])
    before = case.cut(case[f"m{name}"]) if adam else g
    yield Candidate(
        "state-before-update", "the state is that before the step", after(_root(optimizer, old / c2), before)
    )


def _amsgrad(case: Case, name: str, s: Array, after: Callable[[Array], Array]) -> Iterator[Candidate]:
    """The largest s of this step and the one before, which of the second step is the largest of all."""
    optimizer, t = case.context.optimizer, case.context.t
    if t == 1:
        return
    old, (_, before), (_, now) = case.cut(case[f"s{name}"]), optimizer.corrections(t - 1), optimizer.corrections(t)
    text = "the root is of the largest s so far and not of s: AMSGrad, its maximum taken"
    largest = _root(optimizer, np.maximum(s, old) / now)
    yield Candidate("amsgrad", f"{text} before the bias correction, as in PyTorch", after(largest))
    largest = _root(optimizer, np.maximum(s / now, old / before))
    yield Candidate("amsgrad", f"{text} after the bias correction, as in optax", after(largest))


def _epsilons(optimizer: Optimizer, s: Array) -> Iterator[tuple[str, str, Array]]:
    """ε elsewhere, or another one."""
    epsilon = optimizer.epsilon
    if optimizer.epsilon_inside:
        yield (
            "epsilon-outside-root",
            f"ε is added to the root and not inside it: √s + {epsilon:g}",
            np.sqrt(s) + epsilon,
        )
    else:
        yield "epsilon-inside-root", f"ε is inside the root: √(s + {epsilon:g})", np.sqrt(s + epsilon)
    yield "epsilon-squared", f"ε² is inside the root: √(s + {epsilon:g}²)", np.sqrt(s + epsilon**2)
    yield "epsilon-missing", "ε is missing", np.sqrt(s)
    for other in EPSILONS:
        if not np.isclose(other, epsilon, rtol=1e-6):
            yield "other-epsilon", f"ε is {other:g} and not {epsilon:g}", _root(replace(optimizer, epsilon=other), s)


def _decays(case: Case, name: str, W: Array) -> Iterator[Candidate]:
    """``α λ W`` missing, with another λ, without α, or where none belongs."""
    optimizer, alpha = case.context.optimizer, case.context.step_size
    bare = case.exact + alpha * optimizer.decoupled * W
    known = optimizer.decoupled or optimizer.coupled
    if optimizer.decoupled:
        yield Candidate("decay-missing", f"α·λ·{name} is not taken away: the decay is missing, or coupled", bare)
        text = f"the decay is not multiplied with the learning rate: λ·{name}"
        yield Candidate("decay-without-learning-rate", text, bare - known * W)
    for decay in dict.fromkeys((known, *DEFAULT_DECAYS)):
        if decay and decay != optimizer.decoupled:
            other = "decay-default-of-the-other-framework" if optimizer.decoupled else "decay-decoupled"
            yield Candidate(other, f"{decay:g}·α·{name} is taken away", bare - alpha * decay * W)
    fitted = ratio(bare - case.recorded, alpha * W)
    if fitted:
        text = f"{fitted:.4g}·α·{name} is taken away (weight decay)"
        yield Candidate("weight-decay", text, bare - fitted * alpha * W, free=1, numbers={"λ": fitted})


def _root(optimizer: Optimizer, s: Array) -> Array:
    epsilon = optimizer.epsilon
    return np.asarray(np.sqrt(s + epsilon) if optimizer.epsilon_inside else np.sqrt(s) + epsilon)
