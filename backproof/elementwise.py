"""The elementwise equations: what the exact result is, and how many units of it rounding may take.

Each formula is evaluated in float64 from the operand that implementations really work from (deltas and losses from the
logits Z, not from A), and returns an :class:`Evaluation`. ``u`` is left out of the units here: the check multiplies it
in. The budgets were measured over NumPy, PyTorch and JAX (``docs/rounding.md``) and double for float64 recordings,
where the yardstick rounds as much as what it judges. Above ``CEILING`` times the budget is a bug: no derivation bounds
a mathematical library's ``tanh``, but none in use errs by tens of units. A budget of ``EXACT`` is its own ceiling and
is not doubled: what involves no rounding is exact in float64 too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import losses, optimizer_formulas
from backproof.evaluation import EXACT, Context, Evaluation, Formula, summed

Array = NDArray[Any]


def _same(exact: Array, recorded: Array, context: Context, operand: Array) -> Evaluation:
    """No rounding at all. An exact 0 is a real check (ReLU below 0), unless no more came in than the floor hides."""
    vacuous = int(np.count_nonzero(np.abs(operand) <= 4 * context.tau))
    if np.array_equal(exact, recorded):
        return Evaluation(exact, np.abs(exact), EXACT, 4 * context.tau, vacuous)
    return Evaluation(exact, _magnitude(exact, recorded), EXACT, 4 * context.tau, vacuous)


def relu(recorded: Array, context: Context, Z: Array) -> Evaluation:
    """``max(z, 0)``: exact."""
    return _same(np.maximum(Z, 0), recorded, context, Z)


def identity(recorded: Array, context: Context, Z: Array) -> Evaluation:
    """``z``: exact."""
    return _same(Z, recorded, context, Z)


def leaky_relu(recorded: Array, context: Context, Z: Array) -> Evaluation:
    """``z`` or ``slope z``; unit ``|a|``, exact or recorded; one product on the negative side, budget 2."""
    exact = np.where(Z < 0, context.slope * Z, Z)
    return Evaluation(exact, _magnitude(exact, recorded), np.where(Z < 0, 2.0, EXACT), 4 * context.tau)


def tanh(recorded: Array, context: Context, Z: Array) -> Evaluation:
    """``tanh z``; unit ``|a|``; budget 8 (XLA's rational approximation takes 4.8)."""
    exact = np.tanh(Z)
    return Evaluation(exact, np.abs(exact), 8.0, 4 * context.tau)


def sigmoid(recorded: Array, context: Context, Z: Array) -> Evaluation:
    """``1 / (1 + e^-z)``; unit ``|a|``; budget 6."""
    exact = _sigmoid(Z)
    return Evaluation(exact, exact, 6.0, 4 * context.tau)


def softmax(recorded: Array, context: Context, Z: Array) -> Evaluation:
    """``e^z_i / sum e^z_j`` over the n classes; unit ``p (1 + |z - max|)``; budget ``6 + 2 sqrt(n)``.

    The factor |z − max| is the condition number of e^(z − max): its argument is rounded once.
    """
    shifted, p, _ = _softmax(Z)
    return Evaluation(p, p * (1 - shifted), 6 + 2 * np.sqrt(len(Z)), 4 * context.tau)


def cross_entropy_delta(recorded: Array, context: Context, Z: Array, Y: Array) -> Evaluation:
    """``(softmax(z) - y) / divisor``; unit ``(p (1 + |z - max| + log sum) + y) / divisor``.

    Budget ``6 + 2 sqrt(n)``.
    """
    shifted, p, log_sum = _softmax(Z)
    scale = p * (1 - shifted + log_sum)
    exact = p
    if Y.dtype.kind in "iu":
        columns = np.arange(Z.shape[1])
        exact[Y[0], columns] -= 1
        scale[Y[0], columns] += 1
    else:
        exact -= Y
        scale += Y
    divisor = context.delta_divisor
    return Evaluation(exact / divisor, scale / divisor, 6 + 2 * np.sqrt(len(Z)), 4 * context.tau)


def binary_cross_entropy_delta(recorded: Array, context: Context, Z: Array, Y: Array) -> Evaluation:
    """``(sigma(z) - y) / divisor``; unit ``(p (1 + |z|) + y) / divisor``; budget 8.

    ``|z|`` on both sides: JAX differentiates ``logaddexp(z, 0)``, which it does by ``e^(z - logaddexp(z, 0))``, and the
    logarithm is rounded at the size of z.
    """
    p = _sigmoid(Z)
    scale = (p * (1 + np.abs(Z)) + np.abs(Y)) / context.delta_divisor
    return Evaluation((p - Y) / context.delta_divisor, scale, 8.0, 4 * context.tau)


@losses.penalised
def cross_entropy(recorded: Array, context: Context, Z: Array, Y: Array) -> Evaluation:
    """``sum y (logsumexp(z) - z) / divisor``, a term for each y other than 0; the unit of a term is
    ``y (|z - max| + log sum + max(1, |max|))``.

    ``|max|``, because ``max + log sum`` is rounded before z is taken from it wherever the formula is evaluated
    as the textbook writes it.
    """
    shifted, _, log_sum = _softmax(Z)
    samples, units = (np.arange(Z.shape[1]), Y[0]) if Y.dtype.kind in "iu" else np.nonzero(Y.T)
    share = 1.0 if Y.dtype.kind in "iu" else Y[units, samples]
    true, log_sum = shifted[units, samples], log_sum[0, samples]
    scales = np.abs(true) + log_sum + np.maximum(1.0, np.abs(Z.max(axis=0)[samples]))
    return summed(share * (log_sum - true), np.abs(share) * scales, units, samples, context)


@losses.penalised
def binary_cross_entropy(recorded: Array, context: Context, Z: Array, Y: Array) -> Evaluation:
    """``sum (max(z, 0) - z y + log(1 + e^-|z|)) / divisor``, a term for each element; the unit of a term is the
    sum of the absolute values of its parts, and not under ``|z|`` (PyTorch's ``(1 - y) z - log sigma(z)`` takes z from
    z where y = 0 and z < 0).
    """
    positive, product, log_term = np.maximum(Z, 0), Z * Y, np.log1p(np.exp(-np.abs(Z)))
    scales = np.maximum(positive + np.abs(product), np.abs(Z)) + log_term
    samples, units = np.divmod(np.arange(Z.size), len(Z))
    return summed((positive - product + log_term).T.ravel(), scales.T.ravel(), units, samples, context)


def through_relu(recorded: Array, context: Context, dA: Array, Z: Array) -> Evaluation:
    """``dA`` where z > 0, else 0: exact. At z = 0 anything from 0 to dA is a subgradient and accepted."""
    exact = _at_kink(np.where(Z > 0, dA, 0.0), recorded, dA, Z, 0.0)
    return _same(exact, recorded, context, dA)


def through_leaky_relu(recorded: Array, context: Context, dA: Array, Z: Array) -> Evaluation:
    """``dA`` or ``slope dA``; unit ``|dZ|``; one product on the negative side, budget 2. At z = 0 as for ReLU."""
    exact = _at_kink(np.where(Z > 0, dA, context.slope * dA), recorded, dA, Z, context.slope)
    budget = np.where(Z > 0, EXACT, 2.0)
    return Evaluation(exact, _magnitude(exact, recorded), budget, 4 * context.tau * (1 + np.abs(dA)))


def through_tanh(recorded: Array, context: Context, dA: Array, A: Array) -> Evaluation:
    """``dA (1 - a^2)``; unit ``|dA| max(1, a^2)``, because 1 − a² cancels; budget 4.

    a², the difference and the product are rounded once each: ``|dA| (a^2 + 2 |1 - a^2|) u`` at most, which is 2 units
    for a tanh and 3 where |a| > 1 (an A that dropout has scaled).
    """
    unit = np.abs(dA) * np.maximum(1, A * A)
    return Evaluation(dA * (1 - A * A), unit, 4.0, 4 * context.tau * (1 + np.abs(dA)))


def through_sigmoid(recorded: Array, context: Context, dA: Array, A: Array) -> Evaluation:
    """``dA a (1 - a)``; unit ``|dA a| max(1, |a|)``; budget 4.

    As ``dA (a - a^2)`` it is off by ``|dA a| (|a| + 2 |1 - a|) u`` at most: 2 units up to a = 1, 3 above
    (a sigmoid that dropout has scaled).
    """
    unit = np.abs(dA * A) * np.maximum(1, np.abs(A))
    return Evaluation(dA * A * (1 - A), unit, 4.0, 4 * context.tau * (1 + np.abs(dA)))


def through_identity(recorded: Array, context: Context, dA: Array) -> Evaluation:
    """``dA``: exact."""
    return _same(dA, recorded, context, dA)


def through_softmax(recorded: Array, context: Context, dA: Array, A: Array) -> Evaluation:
    """``a (dA - sum_j dA_j a_j)``, the softmax Jacobian times dA; unit ``a (|dA| + sum_j |dA_j a_j|)``.

    Budget ``6 + 2 sqrt(n)`` for n classes, as for softmax: one inner product of length n, a difference and a product.
    """
    inner, size = (dA * A).sum(axis=0, keepdims=True), (np.abs(dA) * A).sum(axis=0, keepdims=True)
    return Evaluation(A * (dA - inner), A * (np.abs(dA) + size), 6 + 2 * np.sqrt(len(A)), 4 * context.tau)


def gradient_descent(recorded: Array, context: Context, W: Array, dW: Array) -> Evaluation:
    """``w - alpha g``, fused or not; unit ``2 |alpha g| + |w'|``: the product's rounding and the difference's.

    Budget 1.5. A gradient flushed to zero (XLA does so below tau) is off by tau times the step size.
    """
    change = context.step_size * dW
    exact = W - change
    return Evaluation(exact, 2 * np.abs(change) + np.abs(exact), 1.5, 4 * context.tau * (1 + context.step_size))


def decayed_descent(recorded: Array, context: Context, W: Array, dW: Array) -> Evaluation:
    """``w - alpha (g + lambda w)``, as such or as ``(1 - alpha lambda) w - alpha g``; unit
    ``2 |alpha g| + 2 |alpha lambda w| + 2 |w| + |w'|``: the factor of w and its product round once each.

    Budget 1.5, and tau as in :func:`gradient_descent`.
    """
    change, decay = context.step_size * dW, context.step_size * context.weight_decay * W
    exact = W - change - decay
    unit = 2 * (np.abs(change) + np.abs(decay) + np.abs(W)) + np.abs(exact)
    return Evaluation(exact, unit, 1.5, 4 * context.tau * (1 + context.step_size))


FORMULAS: dict[str, Formula] = optimizer_formulas.FORMULAS | {
    formula.__name__: formula
    for formula in (
        relu, identity, leaky_relu, tanh, sigmoid, softmax,
        cross_entropy, binary_cross_entropy, cross_entropy_delta, binary_cross_entropy_delta,
        losses.cross_entropy_of_output, losses.binary_cross_entropy_of_output, losses.mse,
        losses.output_minus_labels, losses.rounded_output_minus_labels,
        losses.cross_entropy_gradient, losses.binary_cross_entropy_gradient,
        losses.mse_gradient,
        through_relu, through_leaky_relu, through_tanh, through_sigmoid, through_identity, through_softmax,
        gradient_descent, decayed_descent,
    )
}  # fmt: skip


def _magnitude(exact: Array, recorded: Array) -> Array:
    return np.maximum(np.abs(exact), np.abs(recorded))


def _at_kink(exact: Array, recorded: Array, dA: Array, Z: Array, slope: float) -> Array:
    kink = Z == 0
    if not kink.any():
        return exact
    one_side, other_side = slope * dA, dA
    between = np.clip(recorded, np.minimum(one_side, other_side), np.maximum(one_side, other_side))
    return np.where(kink, between, exact)


def _sigmoid(Z: Array) -> Array:
    small = np.exp(-np.abs(Z))
    return np.asarray(np.where(Z < 0, small, 1.0) / (1 + small))


def _softmax(Z: Array) -> tuple[Array, Array, Array]:
    """``z - max``, the probabilities, and ``log sum e^(z - max)`` (1 x m)."""
    shifted = Z - Z.max(axis=0, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=0, keepdims=True)
    p /= total
    return shifted, p, np.log(total)
