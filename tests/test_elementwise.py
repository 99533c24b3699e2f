"""The elementwise formulas against decimal arithmetic of 60 digits, the kinks, and what allows no rounding."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof import elementwise
from backproof.elementwise_check import check_elementwise
from backproof.equations import Elementwise, Equation
from backproof.evaluation import Context, Evaluation
from backproof.operands import Operands
from backproof.residuals import Residuals
from backproof.rounding import FORMATS
from backproof.verdict import Verdict
from tests.loss_truths import loss_truths
from tests.optimizer_truths import optimizer_truths

Array = np.ndarray[Any, np.dtype[Any]]
TAU = 2.0**-126
CONTEXT = Context(divisor=6, slope=0.25, step_size=0.1, tau=TAU, weight_decay=0.5)
Z = np.array([
    [-1e3, -30.0, -1.5, 3e-5, 0.7, 900.0], [2.0, -31.0, 1e-9, 0.0, 40.0, 899.0], [5.0, 1.0, -2.0, 0.1, 41.0, 1e3]
])  # fmt: skip
DA = np.array([[0.3, -2.0, 1e-12, 4.0, -0.7, 1e5]] * 3)
# Beyond 1 are what dropout makes of an activation.
A = np.array([
    [0.0, 1e-30, 0.3, 0.5, 0.999, 1.0], [0.1, 0.2, 0.4, 0.6, 1 - 1e-9, 2.5], [1e-5, 0.7, 0.8, 1.25, 0.02, 0.03]
])  # fmt: skip
SCALARS = (
    "cross_entropy", "binary_cross_entropy", "cross_entropy_of_output", "binary_cross_entropy_of_output", "mse"
)  # fmt: skip
ONE_HOT = np.eye(3)[:, [0, 1, 2, 0, 1, 2]]
INTEGERS = np.array([[0, 1, 2, 0, 1, 2]])
BINARY = np.array([[0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]])


def exp(x: Decimal) -> Decimal:
    return x.exp()


def sigmoid(z: Decimal) -> Decimal:
    return 1 / (1 + exp(-z))


def column(values: Array) -> list[Decimal]:
    return [Decimal(float(value)) for value in values]


def softmax(z: list[Decimal]) -> list[Decimal]:
    total = sum(map(exp, z))
    return [exp(x) / total for x in z]


def log_sum(z: list[Decimal]) -> Decimal:
    return sum((exp(x - max(z)) for x in z), Decimal(0)).ln()


def pointwise(function: Callable[..., Decimal], *arrays: Array) -> Array:
    return np.vectorize(lambda *values: float(function(*map(Decimal, map(float, values)))), otypes=[float])(*arrays)


def columnwise(function: Callable[..., list[Decimal]], *arrays: Array) -> Array:
    samples = zip(*(array.T for array in arrays), strict=True)
    return np.array([[*map(float, function(*map(column, columns)))] for columns in samples]).T


def delta(z: list[Decimal], y: list[Decimal]) -> list[Decimal]:
    return [(p - t) / 6 for p, t in zip(softmax(z), y, strict=True)]


def delta_unit(z: list[Decimal], y: list[Decimal]) -> list[Decimal]:
    spread = [p * (1 + abs(x - max(z)) + log_sum(z)) for p, x in zip(softmax(z), z, strict=True)]
    return [(s + t) / 6 for s, t in zip(spread, y, strict=True)]


def cross_entropy() -> tuple[float, float]:
    value = unit = Decimal(0)
    for z, y in zip(map(column, Z.T), INTEGERS[0], strict=True):
        value += log_sum(z) + max(z) - z[y]
        unit += max(z) - z[y] + log_sum(z) + max(Decimal(1), abs(max(z)))
    return float(value / 6), float(unit / 6)


def binary_cross_entropy() -> tuple[float, float]:
    value = unit = Decimal(0)
    for z, y in zip(column(Z.ravel()), column(BINARY.ravel()), strict=True):
        tail = (1 + exp(-abs(z))).ln()
        value += max(z, Decimal(0)) - z * y + tail
        unit += max(max(z, Decimal(0)) + abs(z * y), abs(z)) + tail
    return float(value / 6), float(unit / 6)


QUARTER, TENTH = Decimal("0.25"), Decimal(CONTEXT.step_size)
ZERO = np.zeros_like(Z)


def truths() -> dict[str, tuple[tuple[Array, ...], Array | float, Array | float, Array | float]]:
    """Formula -> operands, exact value, unit, budget: the values and units from decimals."""
    tanh = pointwise(lambda z: (exp(2 * z) - 1) / (exp(2 * z) + 1), Z)
    wide = 6 + 2 * 3**0.5
    relu = np.where(Z > 0, Z, 0)
    leaky = pointwise(lambda z: z if z > 0 else QUARTER * z, Z)
    masked = np.where(Z > 0, DA, 0)
    masked[1, 3] = 0
    descended = pointwise(lambda w, g: w - TENTH * g, Z, DA)
    shrunk = pointwise(lambda w, g: w - TENTH * (g + w / 2), Z, DA)
    p = columnwise(softmax, Z)
    return {
        "relu": ((Z,), relu, np.abs(relu), 0.5),
        "identity": ((Z,), Z, np.abs(Z), 0.5),
        "leaky_relu": ((Z,), leaky, np.abs(leaky), np.where(Z < 0, 2, 0.5)),
        "tanh": ((Z,), tanh, np.abs(tanh), 8),
        "sigmoid": ((Z,), pointwise(sigmoid, Z), pointwise(sigmoid, Z), 6),
        "softmax": ((Z,), p, p * (1 + Z.max(axis=0) - Z), wide),
        "cross_entropy_delta": ((Z, ONE_HOT), columnwise(delta, Z, ONE_HOT), columnwise(delta_unit, Z, ONE_HOT), wide),
        "binary_cross_entropy_delta": (
            (Z, BINARY),
            pointwise(lambda z, y: (sigmoid(z) - y) / 6, Z, BINARY),
            pointwise(lambda z, y: (sigmoid(z) * (1 + abs(z)) + y) / 6, Z, BINARY),
            8,
        ),
        "cross_entropy": ((Z, INTEGERS), *cross_entropy(), 4),
        "binary_cross_entropy": ((Z, BINARY), *binary_cross_entropy(), 4),
        "through_relu": ((DA, Z), masked, np.abs(masked), 0.5),
        "through_leaky_relu": (
            (DA, Z),
            np.where(Z > 0, DA, 0.25 * DA),
            np.abs(np.where(Z > 0, DA, 0.25 * DA)),
            np.where(Z > 0, 0.5, 2),
        ),
        "through_tanh": ((DA, A), pointwise(lambda d, a: d * (1 - a * a), DA, A), np.abs(DA) * np.maximum(1, A * A), 4),
        "through_sigmoid": (
            (DA, A), pointwise(lambda d, a: d * a * (1 - a), DA, A), np.abs(DA * A) * np.maximum(1, A), 4
        ),
        "through_identity": ((DA,), DA, np.abs(DA), 0.5),
        "gradient_descent": (
            (Z, DA), descended, pointwise(lambda w, g: 2 * abs(TENTH * g) + abs(w - TENTH * g), Z, DA), 1.5
        ),
        "decayed_descent": (
            (Z, DA), shrunk, np.abs(0.2 * DA) + 2.1 * np.abs(Z) + np.abs(shrunk), 1.5,
        ),
        **loss_truths(DA, INTEGERS, BINARY), **optimizer_truths(Z, DA, A),
    }  # fmt: skip


def evaluation(name: str, operands: tuple[Array, ...]) -> Evaluation:
    recorded = np.zeros(()) if name in SCALARS else ZERO
    return elementwise.FORMULAS[name](recorded, CONTEXT, *operands)


@pytest.mark.parametrize("name", elementwise.FORMULAS)
def test_value_unit_and_budget_against_decimals(name: str) -> None:
    with localcontext(prec=60):
        operands, exact, unit, budget = truths()[name]
    got = evaluation(name, operands)
    assert np.shape(got.exact) == np.shape(exact)
    # A few roundings of float64 in each: far below the float32 units that they are the yardstick of.
    allowed = 16 * 2.0**-53 * np.asarray(unit) + 1e-300
    assert (np.abs(got.exact - exact) <= allowed).all()
    np.testing.assert_allclose(got.unit, unit, rtol=2e-13, atol=1e-300)
    np.testing.assert_allclose(np.broadcast_to(got.budget, np.shape(budget)), budget, rtol=1e-15)
    assert (np.asarray(got.floor) >= 4 * TAU).all()


def test_integer_and_one_hot_labels_are_the_same_labels() -> None:
    for name in ("cross_entropy", "cross_entropy_delta"):
        one_hot, integers = evaluation(name, (Z, ONE_HOT)), evaluation(name, (Z, INTEGERS))
        np.testing.assert_allclose(one_hot.exact, integers.exact, rtol=1e-15)
        np.testing.assert_allclose(one_hot.unit, integers.unit, rtol=1e-15)


def verdict(name: str, recorded: Array, *operands: Array) -> Verdict:
    """Of a recorded array, in its own format."""
    fmt = FORMATS[recorded.dtype.name]
    names = tuple(f"operand{i}" for i in range(len(operands)))
    tensors = {"target": recorded, "X": operands[0], **dict(zip(names, operands, strict=True))}
    context = Context(1, float(recorded.dtype.type(0.01)), float(recorded.dtype.type(0.1)), fmt.smallest_normal)
    equation = Equation("target", 1, Elementwise(name, names), "")
    return check_elementwise(equation, Elementwise(name, names), Operands(tensors), fmt, context, 0).verdict


def between(low: float, high: float) -> Callable[[float], float]:
    return lambda share: low + share * (high - low)


@pytest.mark.parametrize(("name", "slope"), [("through_relu", 0.0), ("through_leaky_relu", 0.01)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_kink_accepts_every_subgradient_and_nothing_else(name: str, slope: float, dtype: str) -> None:
    @given(st.floats(1e-3, 1e3), st.sampled_from([-1.0, 1.0]), st.floats(0, 1), st.sampled_from([0.0, -0.0]))
    def check(size: float, sign: float, share: float, zero: float) -> None:
        dA, kink = np.array([[sign * size]], dtype), np.array([[zero]], dtype)
        one_side = np.asarray(slope, dtype) * dA
        within = one_side + np.asarray(share, dtype) * (dA - one_side)
        within = np.clip(within, np.minimum(one_side, dA), np.maximum(one_side, dA))
        assert verdict(name, within, dA, kink) == Verdict.ROUNDING
        for outside in (1.001 * dA, (slope - 0.001) * dA, -dA):
            assert verdict(name, outside.astype(dtype), dA, kink) != Verdict.ROUNDING

    check()


@pytest.mark.parametrize(("name", "slope"), [("through_relu", 0.0), ("through_leaky_relu", 0.01)])
@pytest.mark.parametrize("z", [-1.0, -1e-30, 1e-30, 1.0])
def test_beside_the_kink_only_one_derivative_is_right(name: str, slope: float, z: float) -> None:
    dA, Z = np.array([[0.5]], np.float32), np.array([[z]], np.float32)
    right, wrong = (dA, np.float32(slope) * dA) if z > 0 else (np.float32(slope) * dA, dA)
    assert verdict(name, right, dA, Z) == Verdict.ROUNDING
    assert verdict(name, wrong, dA, Z) == Verdict.BUG
    assert verdict(name, (right + wrong) / 2, dA, Z) == Verdict.BUG


EXACT = ("relu", "identity", "leaky_relu", "through_relu", "through_leaky_relu", "through_identity")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_what_involves_no_rounding_rejects_one_ulp(name: str, dtype: str) -> None:
    @given(st.floats(2.0**-90, 2.0**90, width=32) | st.integers(-90, 90).map(lambda e: 2.0**e), st.booleans())
    def check(size: float, up: bool) -> None:
        value = np.array([[size]], dtype)
        off = np.nextafter(value, np.array([[np.inf if up else 0.0]], dtype))
        operands = (value, np.ones_like(value)) if name in ("through_relu", "through_leaky_relu") else (value,)
        assert verdict(name, value, *operands) == Verdict.ROUNDING
        assert verdict(name, off, *operands) == Verdict.BUG

    check()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", elementwise.FORMULAS)
def test_every_formula_fails_on_a_value_that_is_off_by_1e_3(name: str, dtype: str) -> None:
    """The value rounded to the format passes; one element of it times 1.001 is a bug."""
    operands = tuple(a if a.dtype.kind == "i" else a.astype(dtype) for a in truths_operands(name))
    scalar = name in SCALARS
    zero = np.zeros((), dtype) if scalar else np.zeros((3, 6), dtype)
    wide = [a if a.dtype.kind == "i" else a.astype(np.float64) for a in operands]
    slope, alpha = float(np.dtype(dtype).type(0.01)), float(np.dtype(dtype).type(0.1))
    exact = elementwise.FORMULAS[name](zero, Context(1, slope, alpha, 0.0), *wide).exact
    right = np.asarray(exact).astype(dtype)
    assert verdict(name, right, *operands) == Verdict.ROUNDING
    wrong = right.copy()
    wrong.flat[np.abs(right).argmax()] *= 1.001
    assert verdict(name, wrong, *operands) == Verdict.BUG


def truths_operands(name: str) -> tuple[Array, ...]:
    with localcontext(prec=60):
        return truths()[name][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_as_pytorch_and_as_the_textbook_write_it(dtype: str) -> None:
    """Forms of one loss with other intermediate values, for logits where those are far larger than the loss."""
    z = np.array([[-20.0, 20.0, -25.5, 33.3, -3.3]], dtype)
    y = np.array([[0.0, 1.0, 0.0, 1.0, 0.0]], dtype)
    log_sigmoid = np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))
    for form in ((1 - y) * z - log_sigmoid, np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))):
        assert verdict("binary_cross_entropy", form.sum(), z, y) == Verdict.ROUNDING
    logits = np.array([[1000.3], [1000.1], [999.2]], dtype)
    top = logits.max()
    labels = np.array([[1]])
    value = top + np.log(np.exp(logits - top).sum()) - logits[1, 0]
    assert verdict("cross_entropy", value, logits, labels) == Verdict.ROUNDING
    assert verdict("cross_entropy", np.asarray(top - logits[1, 0]), logits, labels) == Verdict.BUG


@pytest.mark.parametrize("name", ["through_tanh", "through_sigmoid"])
def test_through_an_output_that_dropout_has_scaled(name: str) -> None:
    """Both orders of the product, in float32, at |a| up to 10: as the docstrings' bounds have it."""
    draw = np.random.default_rng(1)
    dA, A = (draw.normal(size=(40, 500)).astype("float32") for _ in range(2))
    A = A * np.float32(3) if name == "through_tanh" else np.abs(A * np.float32(3))
    one = np.float32(1)
    forms = (dA * (one - A * A), dA - dA * A * A) if name == "through_tanh" else (dA * A * (one - A), dA * (A - A * A))
    assert [verdict(name, form, dA, A) for form in forms] == [Verdict.ROUNDING] * 2


@pytest.mark.parametrize("step_size", [0.1, 100.0])
def test_a_flushed_gradient_is_off_by_the_step_size(step_size: float) -> None:
    """XLA takes a dW of 5e-39 for 0: below tau, times a step size that may be large."""
    W, dW = np.full((1, 1), 1e-36), np.full((1, 1), 5e-39)
    context = Context(1, 0.0, step_size, TAU)
    value = elementwise.gradient_descent(W, context, W, dW)
    assert abs(W - value.exact) <= value.floor == 4 * TAU * (1 + step_size)
    assert abs(W + 10 * step_size * TAU + 10 * TAU - value.exact) > value.floor


def test_beyond_counts_only_what_is_above_the_budget() -> None:
    """The floor is in the fraction, not in the ceiling: 20 ceilings of a tiny unit may be half of the floor."""
    zeros = np.zeros((1, 3))
    residuals = Residuals((1, 3), keep_columns=False)
    residuals.add(zeros, zeros, ratio=np.array([[20.0, 20.0, 5.0]]), fraction=np.array([[0.5, 2.0, 1.5]]), ceiling=8.0)
    assert (residuals.over, residuals.beyond) == (2, 1)
