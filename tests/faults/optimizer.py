"""U: optimizers with a state or a decay. They show in a run of several steps, so they are planted in a whole run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from backproof.optimizer import Optimizer
from reference import optimizers as right


@dataclass(frozen=True)
class Wrong:
    """A wrong optimizer in the place of a right one.

    Attributes:
        id: of the list of mistakes, where it is in it.
        declared: what the network says.
        rule: ``(optimizer, g, W, state, alpha, t) -> (W', state')``, as in ``reference/optimizers.py``; None where a
            right optimizer is used with other constants.
        target, name: the first equation that fails, and the explanation that must come first.
        used: the optimizer that is used in the place of the declared one.
    """

    id: str
    declared: Optimizer
    target: str
    name: str
    rule: Callable | None = None
    used: Optimizer | None = None


def _adam(change_moments=None, step=None):
    """Adam with other moments, or another step from the right ones."""

    def rule(o, g, W, state, alpha, t):
        _, after = right.adam(o, g, W, state, alpha, t)
        if change_moments:
            after = change_moments(o, after, state, g, t)
        d = step(o, after, state, g, t) if step else _usual(o, after["m"], after["s"], t)
        return (W - alpha * d).astype(W.dtype), {key: np.asarray(array, W.dtype) for key, array in after.items()}

    return rule


def _usual(o, m, s, t):
    return (m / (1 - o.betas[0] ** t)) / (np.sqrt(s / (1 - o.betas[1] ** t)) + o.epsilon)


def _dampened(o, g, W, state, alpha, t):
    v = o.momentum * state["v"] + (1 - o.momentum) * g
    return W - alpha * v, {"v": v.astype(W.dtype)}


def _rate_inside(o, g, W, state, alpha, t):
    v = o.momentum * state["v"] + alpha * g
    return W - v, {"v": v.astype(W.dtype)}


def _forgotten(o, g, W, state, alpha, t):
    return W - alpha * g, {"v": g}


def _old_velocity(o, g, W, state, alpha, t):
    return W - alpha * state["v"], {"v": (o.momentum * state["v"] + g).astype(W.dtype)}


def _decay_without_rate(o, g, W, state, alpha, t):
    after, kept = right.adam(o, g, W, state, alpha, t)
    return after - W.dtype.type(o.decoupled) * W, kept


MOMENTUM, ADAM, ADAMW, RMSPROP = map(Optimizer, ("momentum", "adam", "adamw", "rmsprop"))
NESTEROV, L2 = Optimizer("nesterov"), Optimizer("adam", weight_decay=0.1)
EPSILON = replace(ADAM, epsilon=1e-4)

FAULTS = [
    Wrong("U3", MOMENTUM, "vW1_next", "momentum-dampened", _dampened),
    Wrong("", MOMENTUM, "vW1_next", "learning-rate-inside", _rate_inside),
    Wrong("", MOMENTUM, "vW1_next", "state-not-carried", _forgotten),
    Wrong("", MOMENTUM, "W1_next", "state-before-update", _old_velocity),
    Wrong("", MOMENTUM, "vW1_next", "other-decay-rate", used=replace(MOMENTUM, momentum=0.95)),
    Wrong("", MOMENTUM, "vW1_next", "decay-coupled", used=replace(MOMENTUM, weight_decay=1e-2)),
    Wrong("", MOMENTUM, "W1_next", "nesterov", used=NESTEROV),
    Wrong("", NESTEROV, "W1_next", "nesterov-missing", used=MOMENTUM),
    Wrong("U7", ADAM, "W1_next", "bias-correction-missing",
          _adam(step=lambda o, a, b, g, t: a["m"] / (np.sqrt(a["s"]) + o.epsilon))),
    Wrong("U9", ADAM, "mW1_next", "bias-correction-written-back",
          _adam(lambda o, a, b, g, t: {"m": a["m"] / (1 - o.betas[0] ** t), "s": a["s"]})),
    Wrong("U11", EPSILON, "W1_next", "epsilon-before-correction",
          _adam(step=lambda o, a, b, g, t: a["m"] / (1 - o.betas[0] ** t)
                / ((np.sqrt(a["s"]) + o.epsilon) / np.sqrt(1 - o.betas[1] ** t)))),
    Wrong("", ADAM, "W1_next", "bias-correction-step-off-by-one",
          _adam(step=lambda o, a, b, g, t: _usual(o, a["m"], a["s"], t + 1))),
    Wrong("", ADAM, "mW1_next", "moment-not-averaged",
          _adam(lambda o, a, b, g, t: {"m": o.betas[0] * b["m"] + g, "s": a["s"]})),
    Wrong("", ADAM, "sW1_next", "square-missing",
          _adam(lambda o, a, b, g, t: {"m": a["m"], "s": o.betas[1] * b["s"] + (1 - o.betas[1]) * np.abs(g)})),
    Wrong("", ADAM, "W1_next", "root-missing",
          _adam(step=lambda o, a, b, g, t: a["m"] / (1 - o.betas[0] ** t)
                / (a["s"] / (1 - o.betas[1] ** t) + o.epsilon))),
    Wrong("", EPSILON, "W1_next", "epsilon-inside-root", used=replace(EPSILON, epsilon_inside=True)),
    Wrong("", EPSILON, "W1_next", "other-epsilon", used=replace(EPSILON, epsilon=1e-5)),
    Wrong("", ADAM, "mW1_next", "other-decay-rate", used=replace(ADAM, betas=(0.8, 0.999))),
    Wrong("", ADAM, "mW1_next", "betas-swapped", used=replace(ADAM, betas=(0.999, 0.9))),
    Wrong("U17", ADAMW, "mW1_next", "decay-coupled", used=replace(ADAM, weight_decay=1e-2)),
    Wrong("U17", L2, "mW1_next", "decay-decoupled", used=replace(ADAMW, weight_decay=0.1)),
    Wrong("U19", ADAMW, "W1_next", "decay-without-learning-rate", _decay_without_rate),
    Wrong("", ADAMW, "W1_next", "decay-missing", used=ADAM),
    Wrong("", ADAMW, "W1_next", "decay-default-of-the-other-framework", used=replace(ADAMW, weight_decay=1e-4)),
    Wrong("", ADAMW, "W1_next", "weight-decay", used=replace(ADAMW, weight_decay=3e-2)),
    Wrong("U13", RMSPROP, "sW1_next", "decay-default-of-the-other-framework", used=replace(RMSPROP, decay=0.9)),
    Wrong("", replace(RMSPROP, epsilon=1e-4), "W1_next", "epsilon-inside-root",
          used=replace(RMSPROP, epsilon=1e-4, epsilon_inside=True)),
]  # fmt: skip
