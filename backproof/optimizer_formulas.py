"""The equations of optimizers with a state or a decay: exact values, units, budgets.

A unit counts every rounding of the longest of the evaluation orders that are in use, each at the size of what is
rounded, so that to first order an honest result is off by one unit at most: PyTorch's ``lerp``, ``addcmul`` and
``addcdiv`` in the order of ``torch.optim`` (plain, foreach and fused), optax's, and the textbook's. A fused
multiply-add rounds once where two are counted. The budget is 1.5 units, as for gradient descent. Constants (β, ε, λ)
are the specification's, in float64, and count as rounded once where they are used; the step size is rounded already.
``docs/rounding.md`` has what was measured.

``g`` is the gradient, ``dW + λ W`` where the decay is coupled, and errs by ``2 |λ W| + |g|`` then: λ, the product, the
sum.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.evaluation import Context, Evaluation, Formula

Array = NDArray[Any]

BUDGET = 1.5
POWERS = (0, -1, 1)
"""Units in the last place by which a library's βᵗ may be off where it is computed in float32."""


def _gradient(context: Context, dW: Array, W: Array | None) -> tuple[Array, Array]:
    """``g``, and what it errs by, without the factor u."""
    decay = context.optimizer.coupled
    if not decay or W is None:
        return dW, np.zeros_like(dW)
    g = dW + decay * W
    return g, 2 * np.abs(decay * W) + np.abs(g)


def velocity(recorded: Array, context: Context, v: Array, dW: Array, W: Array | None = None) -> Evaluation:
    """``mu v + g``; unit ``2 |mu v| + |v'|`` and that of g: mu, its product, the sum."""
    g, off = _gradient(context, dW, W)
    kept = context.optimizer.momentum * v
    exact = kept + g
    return Evaluation(exact, 2 * np.abs(kept) + off + np.abs(exact), BUDGET, 4 * context.tau)


def first_moment(recorded: Array, context: Context, m: Array, dW: Array, W: Array | None = None) -> Evaluation:
    """``beta m + (1 - beta) g``; unit ``2 beta |m| + 2 (1 - beta) |g| + |m'|``, and what a ``lerp`` may take.

    PyTorch evaluates ``m + w (g - m)`` with w = 1 − β (w, the difference and the product round at ``w |g - m|``), and
    from w = 1/2 on ``g - (g - m) (1 - w)``, where 1 − w is off by ``u (w + 1 - w)``.
    """
    beta = context.optimizer.betas[0]
    g, off = _gradient(context, dW, W)
    lerp = 3 * (1 - beta) if beta > 0.5 else 1 + 2 * beta
    exact = beta * m + (1 - beta) * g
    unit = max(2 * beta, lerp) * np.abs(m) + max(2 * (1 - beta), lerp) * np.abs(g)
    return Evaluation(exact, unit + (1 - beta) * off + np.abs(exact), BUDGET, 4 * context.tau)


def second_moment(recorded: Array, context: Context, s: Array, dW: Array, W: Array | None = None) -> Evaluation:
    """``beta s + (1 - beta) g^2``; unit ``2 beta s + (1 - beta) (3 g^2 + 2 |g| off) + s'``, off being that of g.

    The factor 1 − β, the square and the product round once each; flushing (1 − β) g below tau costs ``tau |g|``.
    """
    beta = context.optimizer.second
    g, off = _gradient(context, dW, W)
    exact = beta * s + (1 - beta) * g * g
    unit = 2 * beta * np.abs(s) + (1 - beta) * (3 * g * g + 2 * np.abs(g) * off) + np.abs(exact)
    return Evaluation(exact, unit, BUDGET, 4 * context.tau * (1 + np.abs(g)))


def sgd_descent(recorded: Array, context: Context, W: Array, dW: Array) -> Evaluation:
    """``w - alpha (g + lambda w)``; unit ``alpha (2 |g| + off) + |w'|``."""
    g, off = _gradient(context, dW, W)
    return _descent(context, W, g, off)


def momentum_descent(recorded: Array, context: Context, W: Array, v: Array) -> Evaluation:
    """``w - alpha v'``; unit ``2 |alpha v'| + |w'|``, as for gradient descent."""
    return _descent(context, W, v, np.zeros_like(v))


def nesterov_descent(recorded: Array, context: Context, W: Array, v: Array, dW: Array) -> Evaluation:
    """``w - alpha d`` with ``d = g + mu v'``, which errs by ``2 |mu v'| + |d|`` and what g does."""
    g, off = _gradient(context, dW, W)
    ahead = context.optimizer.momentum * v
    d = g + ahead
    return _descent(context, W, d, off + 2 * np.abs(ahead) + np.abs(d))


def _descent(context: Context, W: Array, d: Array, off: Array) -> Evaluation:
    alpha = context.step_size
    exact = W - alpha * d
    unit = alpha * (2 * np.abs(d) + off) + np.abs(exact)
    return Evaluation(exact, unit, BUDGET, 4 * context.tau * (1 + alpha))


def adam_descent(recorded: Array, context: Context, W: Array, m: Array, s: Array) -> Evaluation:
    """``w - alpha m^ / (sqrt(s^) + eps)`` with ``m^ = m'/(1 - beta1^t)``, ``s^ = s'/(1 - beta2^t)``; of AdamW less
    ``alpha lambda w``. Unit ``9 |step| + |w'|``, and ``2 |w| + 4 |alpha lambda w|`` where w decays.

    PyTorch rounds alpha/(1 − β₁ᵗ), √(1 − β₂ᵗ), ε, the root, its quotient and the sum, the quotient by it and the
    product: 8, α itself being one more; optax takes as many. The factor 1 − αλ of w and its product, or the terms
    λ, λ w, their sum with the step and α, are the decay's.

    Where float64 corrections do not fit, those that are evaluated in float32 are tried: ``1 - 0.999^t`` loses three
    digits there (JAX without 64 bits, PyTorch with ``capturable``), but the same three in every element of the array.
    """
    c1, c2 = context.optimizer.corrections(context.t)
    value = _adam(context, W, m, s, c1, c2)
    if context.unit_roundoff <= 2.0**-53 or _fits(recorded, value, context):
        return value
    for first, second in product(*(_narrow(beta, context.t) for beta in context.optimizer.betas)):
        other = _adam(context, W, m, s, first, second)
        if _fits(recorded, other, context):
            return other
    return value


adamw_descent = adam_descent


def _adam(context: Context, W: Array, m: Array, s: Array, c1: float, c2: float) -> Evaluation:
    optimizer, alpha = context.optimizer, context.step_size
    divisor, doubt = _divisor(context, s, c2)
    step, decay = alpha * (m / c1) / divisor, alpha * optimizer.decoupled * W
    exact = W - decay - step
    unit = 9 * np.abs(step) + np.abs(exact)
    if optimizer.decoupled:
        unit = unit + 2 * np.abs(W) + 4 * np.abs(decay)
    floor = 4 * context.tau * (1 + alpha / (c1 * divisor)) + np.abs(step) * doubt
    return Evaluation(exact, unit, BUDGET, floor)


def rmsprop_descent(recorded: Array, context: Context, W: Array, s: Array, dW: Array) -> Evaluation:
    """``w - alpha g / (sqrt(s') + eps)``; unit ``5 |step| + |w'|`` and what g errs by: the root, ε and the sum, the
    reciprocal (or quotient), its product with g and that with α.
    """
    g, off = _gradient(context, dW, W)
    alpha = context.step_size
    divisor, doubt = _divisor(context, s, 1.0)
    step = alpha * g / divisor
    exact = W - step
    unit = 5 * np.abs(step) + alpha * off / divisor + np.abs(exact)
    return Evaluation(exact, unit, BUDGET, 4 * context.tau * (1 + alpha / divisor) + np.abs(step) * doubt)


def _divisor(context: Context, s: Array, correction: float) -> tuple[Array, Array]:
    """``sqrt(s/correction) + eps`` (or ``sqrt(s/correction + eps)``), and how much of it hangs on an s below tau."""
    optimizer, above = context.optimizer, 0.0 if not context.optimizer.epsilon_inside else context.optimizer.epsilon
    s = np.maximum(s, 0)  # only a disturbed step has less, and a recorded one fails at its own equation
    root = np.sqrt(s / correction + above)
    divisor = root if optimizer.epsilon_inside else root + optimizer.epsilon
    return divisor, (np.sqrt((s + 4 * context.tau) / correction + above) - root) / divisor


def _fits(recorded: Array, value: Evaluation, context: Context) -> bool:
    allowed = context.unit_roundoff * BUDGET * value.unit + value.floor
    return bool((np.abs(recorded - value.exact) <= allowed).all())


def _narrow(beta: float, t: int) -> list[float]:
    """``1 - beta^t`` as float32 has it, the power off by a unit in the last place or by none."""
    power, one = np.float32(np.float64(np.float32(beta)) ** t), np.float32(1)
    return [float(one - np.float32(power + k * np.spacing(power))) for k in POWERS]


FORMULAS: dict[str, Formula] = {
    "velocity": velocity, "first_moment": first_moment, "second_moment": second_moment,
    "sgd_descent": sgd_descent, "momentum_descent": momentum_descent, "nesterov_descent": nesterov_descent,
    "adam_descent": adam_descent, "adamw_descent": adamw_descent, "rmsprop_descent": rmsprop_descent,
}  # fmt: skip
