"""U: optimizers with a state or a decay. They show in a run of several steps, so they are planted in a whole run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backproof.optimizer import Optimizer
from reference import optimizers as right
from tests.faults.wrong_optimizer import Wrong


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


def _dampening(share, skipped):
    """``v = mu v + (1 - share) g``, in PyTorch not in the first step."""

    def rule(o, g, W, state, alpha, t):
        v = o.momentum * state["v"] + (1 if skipped and t == 1 else 1 - share) * g
        return W - alpha * v.astype(W.dtype), {"v": v.astype(W.dtype)}

    return rule


def _amsgrad(corrected):
    """The root is of the largest s so far, or of the largest s that was corrected; the state has no place for it."""
    largest = {}

    def rule(o, g, W, state, alpha, t):
        _, after = right.adam(o, g, W, state, alpha, t)
        s, c2 = after["s"], 1 - o.betas[1] ** t
        here = s / c2 if corrected else s
        _, before = largest.pop(id(state["s"]), (None, here))
        top = np.maximum(before, here)
        largest[id(s)] = s, top  # s itself is kept with it, or its id could become another's
        root = np.sqrt(top if corrected else top / c2) + o.epsilon
        return (W - alpha * (after["m"] / (1 - o.betas[0] ** t)) / root).astype(W.dtype), after

    return rule


def _adagrad(o, g, W, state, alpha, t):
    s = (state["s"] + g * g).astype(W.dtype)
    return (W - alpha * g / (np.sqrt(s) + o.epsilon)).astype(W.dtype), {"s": s}


def _ascent(o, g, W, state, alpha, t):
    after, kept = right.adam(o, g, W, state, alpha, t)
    return W + (W - after), kept


def _weights_only(o, g, W, state, alpha, t):
    """A bias is a row or a column, and so are the weights of an output of one unit."""
    after, kept = right.adam(o, g, W, state, alpha, t)
    return (W if 1 in W.shape else after), kept


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
FALLING = replace(ADAM, betas=(0.9, 0.95))
"""With β₂ = 0.999 s grows for a thousand steps in which no gradient is 30 times smaller than before."""

FAULTS = [
    Wrong("U1", "wrong sign", ADAM, "W1_next", "sign", _ascent),
    Wrong("U3", "momentum as a moving average", MOMENTUM, "vW1_next", "momentum-dampened", _dampened),
    Wrong("U5", "dampening in every step", MOMENTUM, "vW1_next", "momentum-dampened", _dampening(0.3, False)),
    Wrong("U5", "dampening from the second step on", MOMENTUM, "vW1_next", "momentum-dampened", _dampening(0.3, True)),
    Wrong("", "learning rate inside v", MOMENTUM, "vW1_next", "learning-rate-inside", _rate_inside, also="Wb"),
    Wrong("", "v forgotten", MOMENTUM, "vW1_next", "state-not-carried", _forgotten),
    Wrong("", "v of before the step", MOMENTUM, "W1_next", "state-before-update", _old_velocity, tied=True),
    Wrong("", "another μ", MOMENTUM, "vW1_next", "other-decay-rate", used=replace(MOMENTUM, momentum=0.95)),
    Wrong("", "decay in g", MOMENTUM, "vW1_next", "decay-coupled", used=replace(MOMENTUM, weight_decay=1e-2)),
    Wrong("", "Nesterov's step", MOMENTUM, "W1_next", "nesterov", used=NESTEROV),
    Wrong("", "plain momentum's step", NESTEROV, "W1_next", "nesterov-missing", used=MOMENTUM),
    Wrong("U7", "no bias correction", ADAM, "W1_next", "bias-correction-missing",
          _adam(step=lambda o, a, b, g, t: a["m"] / (np.sqrt(a["s"]) + o.epsilon))),
    Wrong("U9", "bias correction written back", ADAM, "mW1_next", "bias-correction-written-back",
          _adam(lambda o, a, b, g, t: {"m": a["m"] / (1 - o.betas[0] ** t), "s": a["s"]}), tied=True),
    Wrong("U11", "ε before the correction", EPSILON, "W1_next", "epsilon-before-correction",
          _adam(step=lambda o, a, b, g, t: a["m"] / (1 - o.betas[0] ** t)
                / ((np.sqrt(a["s"]) + o.epsilon) / np.sqrt(1 - o.betas[1] ** t)))),
    Wrong("", "bias correction of the next step", ADAM, "W1_next", "bias-correction-step-off-by-one",
          _adam(step=lambda o, a, b, g, t: _usual(o, a["m"], a["s"], t + 1))),
    Wrong("", "1 − β₁ missing", ADAM, "mW1_next", "moment-not-averaged",
          _adam(lambda o, a, b, g, t: {"m": o.betas[0] * b["m"] + g, "s": a["s"]})),
    Wrong("", "square missing", ADAM, "sW1_next", "square-missing",
          _adam(lambda o, a, b, g, t: {"m": a["m"], "s": o.betas[1] * b["s"] + (1 - o.betas[1]) * np.abs(g)})),
    Wrong("", "root missing", ADAM, "W1_next", "root-missing",
          _adam(step=lambda o, a, b, g, t: a["m"] / (1 - o.betas[0] ** t)
                / (a["s"] / (1 - o.betas[1] ** t) + o.epsilon))),
    Wrong("", "ε inside the root", EPSILON, "W1_next", "epsilon-inside-root",
          used=replace(EPSILON, epsilon_inside=True)),
    Wrong("", "another ε", EPSILON, "W1_next", "other-epsilon", used=replace(EPSILON, epsilon=1e-5)),
    Wrong("", "another β₁", ADAM, "mW1_next", "other-decay-rate", used=replace(ADAM, betas=(0.8, 0.999)), also="Wb"),
    Wrong("", "β₁ and β₂ swapped", ADAM, "mW1_next", "betas-swapped", used=replace(ADAM, betas=(0.999, 0.9)),
          also="sWb"),
    Wrong("U17", "L2 for decoupled decay", ADAMW, "mW1_next", "decay-coupled", used=replace(ADAM, weight_decay=1e-2),
          also="sWb"),
    Wrong("U17", "decoupled decay for L2", L2, "mW1_next", "decay-decoupled", used=replace(ADAMW, weight_decay=0.1),
          also="sWb"),
    Wrong("U19", "decay without the learning rate", ADAMW, "W1_next", "decay-without-learning-rate",
          _decay_without_rate),
    Wrong("", "decay missing", ADAMW, "W1_next", "decay-missing", used=ADAM),
    Wrong("", "optax's default decay", ADAMW, "W1_next", "decay-default-of-the-other-framework",
          used=replace(ADAMW, weight_decay=1e-4), tied=True),
    Wrong("", "another λ", ADAMW, "W1_next", "weight-decay", used=replace(ADAMW, weight_decay=3e-2)),
    Wrong("U13", "optax's default rate", RMSPROP, "sW1_next", "decay-default-of-the-other-framework",
          used=replace(RMSPROP, decay=0.9)),
    Wrong("U15", "Adagrad for RMSprop", RMSPROP, "sW1_next", "squares-summed", _adagrad, tied=True),
    Wrong("", "ε inside the root", replace(RMSPROP, epsilon=1e-4), "W1_next", "epsilon-inside-root",
          used=replace(RMSPROP, epsilon=1e-4, epsilon_inside=True)),
    Wrong("U21", "AMSGrad, the largest s", FALLING, "W1_next", "amsgrad", _amsgrad(False)),
    Wrong("U21", "AMSGrad, the largest ŝ", FALLING, "W1_next", "amsgrad", _amsgrad(True)),
    Wrong("U23", "biases not updated", ADAM, "b1_next", "not-updated", _weights_only, also="W"),
]  # fmt: skip
