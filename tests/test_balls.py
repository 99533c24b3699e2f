"""Enclosures of the exact step: they contain the truth, and they judge the float64 reference and the checks' own
arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest

flint = pytest.importorskip("flint", reason="python-flint is not installed")

from backproof import optimizer_formulas  # noqa: E402
from backproof.equation_check import expected  # noqa: E402
from backproof.equations import Equation, Product  # noqa: E402
from backproof.errors import BackproofError  # noqa: E402
from backproof.evaluation import Context  # noqa: E402
from backproof.network import Network  # noqa: E402
from backproof.operands import Operands  # noqa: E402
from backproof.rounding import FORMATS, format_of  # noqa: E402
from backproof.training import Training  # noqa: E402
from backproof.yardstick import Yardstick  # noqa: E402
from reference import balls  # noqa: E402
from reference.network import record  # noqa: E402
from tests.ball_support import NETWORKS, allowance, allowances, given_to, judged_by  # noqa: E402
from tests.ball_truths import DIGITS, ERROR, Truth, each  # noqa: E402
from tests.support import Array, Tensors  # noqa: E402

FLOAT64 = FORMATS["float64"]
SECOND_ORDER = 1 + 1e-9
"""What is counted to first order in u is off by some u of itself."""
every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
every_format = pytest.mark.parametrize("dtype", ["float32", "float64"])


def one_step(given: Training) -> Tensors:
    """The reference's quantities, to be changed."""
    return dict(next(iter(record(given))).tensors)


def enclosed(given: Training, **options: Any) -> dict[str, balls.Balls]:
    return balls.enclosures(given.network, given.start, given.X, given.Y, step=given.first, **options)


def local(given: Training, tensors: Mapping[str, Array]) -> dict[str, balls.Balls]:
    """Each quantity enclosed from the recorded operands of its own equation."""
    return enclosed(given, hand_on=lambda name, _: balls.balls(tensors[name]))


def outside(
    tensors: Mapping[str, Array], enclosures: Mapping[str, balls.Balls], allowed: Mapping[str, Array]
) -> list[str]:
    """Quantities with an element further outside of its enclosure than is allowed."""
    assert set(enclosures) == set(allowed)
    return [name for name, ball in enclosures.items() if escapes(tensors[name], ball, allowed[name])]


def escapes(value: Array, ball: balls.Balls, allowed: Array) -> bool:
    return bool((balls.distance(value, ball) > allowed).any())


def planted(value: Array, allowed: Array) -> Array:
    """The same with its largest element two and a half of what is allowed off: at most one may be honest."""
    wrong = value.astype(np.float64)
    at = np.unravel_index(np.argmax(np.abs(wrong)), wrong.shape)
    wrong[at] += 2.5 * np.broadcast_to(allowed, wrong.shape)[at]
    return wrong.astype(value.dtype)


# The enclosures themselves


@pytest.mark.parametrize("precision", [64, 128])
@every_network
def test_they_contain_a_high_precision_evaluation(network, precision):
    given = given_to(replace(network, sizes=(2,) * len(network.sizes)), m=2)
    found = enclosed(given, precision=precision)
    with mpmath.workdps(DIGITS):
        truth = Truth(given).step(list(found))
        for name, ball in found.items():
            assert truth[name].shape == ball.shape
            near = balls.widened(ball, np.full(ball.shape, ERROR))
            assert each(lambda near, exact: near.contains(flint.arb(exact)), near, truth[name]).all(), name
            assert balls.radii(ball).max() <= 2.0 ** (20 - precision), name


def test_more_bits_narrow_them():
    given = given_to(NETWORKS[0])
    wide, narrow = (enclosed(given, precision=bits) for bits in (128, 256))
    for name, ball in narrow.items():
        assert each(lambda outer, inner: outer.contains(inner), wide[name], ball).all(), name
        assert balls.radii(ball).max() <= 2.0**-120 * balls.radii(wide[name]).max(), name


# The reference's values, equation by equation


@every_format
@every_network
def test_every_recorded_value_lies_within_its_budget(network, dtype):
    given = given_to(network, dtype=dtype)
    tensors = one_step(given)
    assert outside(tensors, local(given, tensors), allowances(given, tensors)) == []


@every_format
@every_network
def test_a_value_planted_outside_is_caught(network, dtype):
    given = given_to(network, dtype=dtype)
    tensors = one_step(given)
    allowed, enclosures = allowances(given, tensors), local(given, tensors)
    for name, ball in enclosures.items():
        assert escapes(planted(tensors[name], allowed[name]), ball, allowed[name]), name


# The checks' own arithmetic

ROUNDINGS = {
    "relu": 0, "identity": 0, "through_relu": 0, "through_identity": 0,
    "leaky_relu": 1, "through_leaky_relu": 1,  # the product
    # Units that count the roundings themselves:
    **dict.fromkeys(optimizer_formulas.FORMULAS, 1), "gradient_descent": 1,
    "through_tanh": 2,  # a^2; the difference and the product, each at |1 - a^2| <= 1
    "through_sigmoid": 3,  # 1 - a and two products
    "mse_gradient": 2, "cross_entropy_gradient": 2,  # a difference or a quotient, and the division
    "binary_cross_entropy_gradient": 5,  # 1 - y, 1 - a, their quotient; the difference, the division
}  # fmt: skip
"""Formula of basic operations only -> units of float64 that its evaluation in float64 may be off by, counted."""


def own_error(equation: Equation, operands: Operands, context: Context) -> Array:
    """What a check's float64 value of an equation may be off by: proved for products and for basic operations.

    A product of K terms is off by gamma_K units whatever its order, softmax's Jacobian by n + 2 (an inner product of
    n terms, the difference, the product). No theorem bounds a library's exp, log and tanh: there it is one budget in
    float64, which is what the checks presume when they double it.
    """
    rule = equation.rule
    if isinstance(rule, Product):
        yardstick = Yardstick.of(rule, operands, FLOAT64, context)
        return yardstick.ceiling * yardstick.unit(slice(None), slice(None))
    unit = expected(equation, operands, FLOAT64, context, operands.wide(equation.target))[1]
    if rule.formula == "through_softmax":
        return (len(unit) + 2) * SECOND_ORDER * unit
    if rule.formula in ROUNDINGS:
        return ROUNDINGS[rule.formula] * SECOND_ORDER * unit
    return allowance(equation, operands, context, FLOAT64)


def own_values(given: Training, tensors: Tensors) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the checks compute for each equation, and what each may be off by."""
    listed, operands, context = judged_by(given, tensors)
    fmt, values = format_of(given.dtype), {}
    for equation in listed:
        values[equation.target] = expected(equation, operands, fmt, context, operands.wide(equation.target))[0]
    return values, {equation.target: own_error(equation, operands, context) for equation in listed}


def computed(network, dtype):
    """What the checks compute of one step, its enclosures, and what each may be off by."""
    given = given_to(network, dtype=dtype)
    tensors = one_step(given)
    values, allowed = own_values(given, tensors)
    return values, local(given, tensors), allowed


@every_format
@every_network
def test_what_a_check_computes_lies_within_float64_rounding(network, dtype):
    values, enclosures, allowed = computed(network, dtype)
    assert outside(values, enclosures, allowed) == []


@every_format
@every_network
def test_a_check_that_computes_something_else_is_caught(network, dtype):
    values, enclosures, allowed = computed(network, dtype)
    for name, value in values.items():
        assert escapes(value + 3e-14 * np.abs(value).max(), enclosures[name], allowed[name]), name


# End to end


def propagated(given: Training, allowed: Mapping[str, Array]) -> dict[str, balls.Balls]:
    """Where a run lies whose every equation keeps its budget, before its own: what is allowed is passed on."""

    def hand_on(name: str, ball: balls.Balls) -> balls.Balls:
        return balls.widened(ball, np.broadcast_to(allowed[name], ball.shape))

    return enclosed(given, hand_on=hand_on)


@every_network
def test_the_float64_reference_lies_within_the_propagated_budget(network):
    given = given_to(network)
    tensors = one_step(given)
    allowed = allowances(given, tensors)
    enclosures = propagated(given, allowed)
    assert outside(tensors, enclosures, allowed) == []
    for name, ball in enclosures.items():
        wrong = tensors[name] + 1e-10 * np.abs(tensors[name]).max()
        assert escapes(wrong, ball, allowed[name]), name


# Refusals


def small(**changes: object) -> Training:
    network = Network("small", (2, 2, 1), ("relu", "identity"), "mse", "real")
    return given_to(replace(network, **changes), m=3)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_a_ball_on_both_sides_of_a_kink_is_refused(activation):
    given = small(activations=(activation, "identity"))
    # Z = 1 + 2^-200 - 1: 128 bits round the product to 1.
    changed = {**given.parameters, "W1": np.array([[1.0, 2.0**-200], [1.0, 1.0]]), "b1": np.array([[-1.0], [0.5]])}
    X = np.array([[1.0, 3.0, 3.0], [1.0, 2.0, 2.0]])
    with pytest.raises(BackproofError, match="Z1 of unit 0, sample 0 is on both sides of the kink"):
        balls.enclosures(given.network, changed, X, given.Y)
    assert balls.enclosures(given.network, changed, X, given.Y, precision=256)["Z1"][0, 0] == flint.arb(2.0**-200)


def test_exactly_at_a_kink_the_lower_slope_holds():
    given = small(activations=("leaky_relu", "identity"), slope=0.25)
    found = enclosed(replace(given, parameters={**given.parameters, "W1": np.zeros((2, 2)), "b1": np.zeros((2, 1))}))
    assert each(lambda z: z.is_zero(), found["Z1"]).all()
    assert each(lambda dz, da: dz.overlaps(da / 4) and not dz.overlaps(da), found["dZ1"], found["dA1"]).all()


def test_nothing_is_compared_with_what_is_not_finite_or_of_another_shape():
    one = balls.balls(np.ones((2, 2)))
    with pytest.raises(BackproofError, match="not finite"):
        balls.distance(np.array([[1.0, np.nan], [1.0, 1.0]]), one)
    with pytest.raises(BackproofError, match="not finite"):
        balls.distance(np.ones((2, 2)), balls.balls(np.full((2, 2), np.inf)))
    with pytest.raises(BackproofError, match="shape"):
        balls.distance(np.ones((1, 2)), one)


def test_distance_and_widening_of_balls_worked_by_hand():
    ball = balls.widened(balls.balls(np.array([1.0, 1.0, -2.0])), np.array([0.5, 0.0, 0.25]))
    found = balls.distance(np.array([1.5, 1.0 + 2.0**-52, -3.0]), ball)
    assert found[:2].tolist() == [0.0, 2.0**-52]
    assert 0.75 * (1 - 2.0**-28) <= found[2] <= 0.75  # a radius has 30 bits and is rounded up
