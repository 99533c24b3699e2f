"""Losses of the output A and their derivatives dA: mean squared error, and the cross-entropies where the output is not
the one that they form one function of the logits with (see ``Network.joint``).

Here the operand that implementations work from is A itself. ``u`` is left out of the units, as in
:mod:`backproof.elementwise`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof.evaluation import Context, Evaluation, Formula, summed

Array = NDArray[Any]


def penalised(formula: Formula) -> Formula:
    """A loss that takes the network's weights after its own operands, and adds ``λ/2 sum W^2``."""

    @wraps(formula)
    def with_penalty(recorded: Array, context: Context, operand: Array, Y: Array, *weights: Array) -> Evaluation:
        value = formula(recorded, context, operand, Y)
        if not weights or value.terms is None:
            return value
        penalty = context.weight_decay / 2 * np.concatenate([np.square(W).ravel() for W in weights])
        terms = replace(value.terms, penalty=penalty)
        return replace(value, exact=np.asarray(terms.loss), unit=value.unit + penalty.sum(), terms=terms)

    return with_penalty


def _every_element(values: Array, scales: Array, context: Context) -> Evaluation:
    """A loss with a term for each element of units x samples."""
    samples, units = np.divmod(np.arange(values.size), len(values))
    return summed(values.T.ravel(), scales.T.ravel(), units, samples, context)


@penalised
def mse(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """``sum (a - y)^2 / divisor``, times 1/2 where the network says so; a term for each element, whose unit is the
    term itself: its difference and its square round once each.
    """
    values = np.square(A - Y) * (0.5 if context.half else 1.0)
    return _every_element(values, values, context)


@penalised
def cross_entropy_of_output(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """``-sum y log a / divisor``, a term for each y other than 0, whose unit is the term itself."""
    matrix = _one_hot(Y, A)
    samples, units = np.nonzero(matrix.T)
    values = -matrix[units, samples] * np.log(A[units, samples])
    return summed(values, np.abs(values), units, samples, context)


@penalised
def binary_cross_entropy_of_output(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """``-sum (y log a + (1 - y) log(1 - a)) / divisor``, a term for each element; the unit of a term is the sum of the
    absolute values of its parts and ``1 - y``: ``1 - a`` is rounded once, which is u of itself and u in its logarithm.
    """
    true = np.where(Y == 0, 0.0, -Y * np.log(A))
    other = np.where(Y == 1, 0.0, -(1 - Y) * np.log1p(-A))
    return _every_element(true + other, np.abs(true) + np.abs(other) + np.abs(1 - Y), context)


def output_minus_labels(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """``(a - y) / divisor``, the joint delta from the recorded output; unit ``|dZ|``; budget 4."""
    exact = (A - Y) / context.delta_divisor
    return Evaluation(exact, np.abs(exact), 4.0, 4 * context.tau)


def rounded_output_minus_labels(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """The same where the logits are not known: the delta may have been made of them, and A is their rounded function.

    Unit ``(a (1 + |log a|) + y) / divisor``, what softmax and sigmoid err by (``|z - max| <= |log a|``, and a small
    sigmoid is ``e^z``); budget ``6 + 2 sqrt(n)`` for n outputs, theirs, and 2 for the subtraction.
    """
    exact, logarithm = (A - Y) / context.delta_divisor, np.abs(np.log(np.where(A > 0, A, 1.0)))
    unit = (np.abs(A) * (1 + logarithm) + np.abs(Y)) / context.delta_divisor
    return Evaluation(exact, unit, 8 + 2 * np.sqrt(len(A)), 4 * context.tau)


def mse_gradient(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """``2 (a - y) / divisor``, without the 2 where the loss has 1/2; unit ``|dA|``; budget 4."""
    exact = (A - Y) * (1.0 if context.half else 2.0) / context.delta_divisor
    return Evaluation(exact, np.abs(exact), 4.0, 4 * context.tau)


def cross_entropy_gradient(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """``-y / a / divisor``; unit ``|dA|``; budget 4."""
    Y = _one_hot(Y, A)
    exact = np.where(Y == 0, 0.0, -Y / A) / context.delta_divisor
    return Evaluation(exact, np.abs(exact), 4.0, 4 * context.tau)


def binary_cross_entropy_gradient(recorded: Array, context: Context, A: Array, Y: Array) -> Evaluation:
    """``(a - y) / (a (1 - a)) / divisor``; unit ``|y / a| + |(1 - y) / (1 - a)|`` over the divisor, for the form with
    two terms cancels where y is neither 0 nor 1; budget 6.
    """
    true, other = np.where(Y == 0, 0.0, Y / A), np.where(Y == 1, 0.0, (1 - Y) / (1 - A))
    unit = (np.abs(true) + np.abs(other)) / context.delta_divisor
    return Evaluation((other - true) / context.delta_divisor, unit, 6.0, 4 * context.tau)


def _one_hot(Y: Array, A: Array) -> Array:
    """Integer labels as a matrix of A's shape; other labels as they are."""
    if Y.dtype.kind not in "iu":
        return Y
    return np.asarray((np.arange(len(A))[:, None] == Y).astype(np.float64))
