"""What is absent, recomputed from what is there: its value in float64 and how far rounding may have put it elsewhere.

An equation with a recomputed operand cannot be judged as sharply as one whose operands were recorded: the
implementation used its own value, which differs by that operand's rounding. So every recomputed array carries an
uncertainty E, an absolute bound for each element, and a check gets the benefit of it: a residual counts only as far as
it exceeds what E does to the result (:func:`effect`).

    product      |L| E_R + E_L |R| + E_L E_R      (|L R - (L + dL)(R + dR)|, term by term)
    elementwise  the change of the result when each uncertain operand is moved by +E and by -E; where classes are
                 coupled (softmax, ``p - y``), ``p (e^(2 max E) - 1)``: no z moves by more than max E, and no sum of
                 e^z by more than a factor e^(max E); a loss is moved term by term
    own          what the equation's budget allows the implementation's own evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import elementwise
from backproof.equation_check import expected
from backproof.equations import Elementwise, Equation, Product
from backproof.evaluation import EXACT, Context, Evaluation
from backproof.operands import Operands
from backproof.rounding import Format
from backproof.yardstick import Yardstick

Array = NDArray[Any]
Uncertain = Mapping[str, Array]


def derive(
    equation: Equation, operands: Operands, uncertain: Uncertain, fmt: Format, context: Context, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Value of an absent target, and its uncertainty: what its operands' does to it, and its own budget."""
    exact, unit = expected(equation, operands, fmt, context, np.zeros(shape))
    budget = own_budget(equation, operands, fmt, context, exact, unit)
    return exact, effect(equation, operands, uncertain, context, exact) + budget


def own_budget(
    equation: Equation, operands: Operands, fmt: Format, context: Context, exact: Array, unit: Array
) -> Array:
    """What the equation's budget allows, element by element; 0 where nothing rounds."""
    rule = equation.rule
    if isinstance(rule, Product):
        yardstick = Yardstick.of(rule, operands, fmt, context)
        return np.asarray(yardstick.budget(exact / unit, fmt.unit_roundoff) * unit)
    value = elementwise.FORMULAS[rule.formula](np.zeros_like(exact), context, *map(operands.wide, rule.operands))
    rounds = np.asarray(value.budget) != EXACT
    return np.asarray(np.where(rounds, value.budget * fmt.unit_roundoff * value.unit + value.floor, 0.0))


def effect(equation: Equation, operands: Operands, uncertain: Uncertain, context: Context, exact: Array) -> Array:
    """How far the uncertainty of its operands may move the target, element by element."""
    names = [name for name in equation.rule.operands if name in uncertain]
    if not names:
        return np.zeros_like(exact)
    if isinstance(equation.rule, Product):
        return _through_product(equation.rule, operands, uncertain, context)
    return _through_formula(equation.rule, operands, uncertain, context, exact)


def _through_product(product: Product, operands: Operands, uncertain: Uncertain, context: Context) -> Array:
    def sides(name: str, transposed: bool) -> tuple[Array, Array]:
        size = np.abs(operands.wide(name))
        error = np.broadcast_to(uncertain.get(name, np.zeros(1)), size.shape)
        return (size.T, error.T) if transposed else (size, error)

    left, left_error = sides(product.left, product.left_transposed)
    right, right_error = sides(product.right, product.right_transposed)
    total = (left + left_error) @ right_error
    if product.left in uncertain:
        total = total + left_error @ right
    return np.asarray(total / context.divisor if product.divided else total)


def _through_formula(
    rule: Elementwise, operands: Operands, uncertain: Uncertain, context: Context, exact: Array
) -> Array:
    given = [operands.wide(name) for name in rule.operands]
    if rule.formula in COUPLED:
        errors = [uncertain.get(name, np.zeros(1)) for name in rule.operands]
        return COUPLED[rule.formula](given, errors, context)
    formula, total = elementwise.FORMULAS[rule.formula], np.zeros_like(exact)
    here = formula(exact, context, *given)
    for place, name in enumerate(rule.operands):
        if name in uncertain:
            moved = (formula(exact, context, *_with(given, place, sign * uncertain[name])) for sign in (1.0, -1.0))
            total = total + np.maximum(*(_apart(here, there) for there in moved))
    return np.asarray(total)


def _apart(here: Evaluation, there: Evaluation) -> Array:
    """How far two evaluations are apart; of a loss term by term, for moved all the same way its terms may cancel."""
    if here.terms is None or there.terms is None:
        return np.asarray(np.abs(there.exact - here.exact))
    return np.asarray(np.abs(there.terms.values - here.terms.values).sum() / here.terms.divisor)


def _with(given: list[Array], place: int, change: Array) -> list[Array]:
    return [array + change if i == place else array for i, array in enumerate(given)]


def _softmax_change(given: list[Array], errors: list[Array], context: Context) -> Array:
    Z, E = given[0], errors[0]
    p = elementwise.softmax(Z, context, Z).exact
    return np.asarray(p * np.expm1(2 * E.max(axis=0, keepdims=True)))


def _delta_change(given: list[Array], errors: list[Array], context: Context) -> Array:
    return _softmax_change(given, errors, context) / context.delta_divisor


def _loss_change(given: list[Array], errors: list[Array], context: Context) -> Array:
    """``logsumexp(z) - z_true`` changes by at most twice the sample's largest E."""
    return np.asarray(2 * errors[0].max(axis=0).sum() / context.divisor)


def _jacobian_change(given: list[Array], errors: list[Array], context: Context) -> Array:
    """Of ``a (dA - sum_j dA_j a_j)``, first order in both."""
    (dA, A), (E_dA, E_A) = given, errors
    size = np.abs(dA)
    by_delta = A * (E_dA + (A * E_dA).sum(axis=0, keepdims=True))
    by_output = E_A * (size + (size * A).sum(axis=0, keepdims=True)) + A * (size * E_A).sum(axis=0, keepdims=True)
    return np.asarray(by_delta + by_output)


COUPLED: dict[str, Callable[[list[Array], list[Array], Context], Array]] = {
    "softmax": _softmax_change,
    "cross_entropy_delta": _delta_change,
    "cross_entropy": _loss_change,
    "through_softmax": _jacobian_change,
}


def with_benefit(recorded: Array, exact: Array, moved: Array) -> Array:
    """The recorded array, each element brought nearer to ``exact`` by what uncertain operands may have moved it."""
    residual = recorded - exact
    return np.asarray(exact + np.sign(residual) * np.maximum(np.abs(residual) - moved, 0.0))
