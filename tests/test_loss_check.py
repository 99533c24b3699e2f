"""Losses: sums of terms. Every honest order passes, drift is settled, a dropped sample is seen; the parts by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof import loss_check
from backproof.check import Check
from backproof.elementwise import binary_cross_entropy, cross_entropy
from backproof.elementwise_check import check_elementwise
from backproof.equations import Elementwise, Equation
from backproof.evaluation import Context, Terms
from backproof.loss_check import LossYardstick, addition, check_loss, together
from backproof.operands import Operands
from backproof.rounding import FORMATS, format_of
from backproof.verdict import Verdict

Array = np.ndarray[Any, np.dtype[Any]]
EQUATION = Equation("loss", 1, Elementwise("cross_entropy", ("Z", "Y")), "loss")
U = 2.0**-24


def of(values: Array, scales: Array | None = None, divisor: int | None = None) -> Terms:
    """Terms, one for each sample, whose unit is their value unless told otherwise."""
    places = np.arange(values.size)
    scales = np.abs(values) if scales is None else scales
    return Terms(values.astype(np.float64), scales, np.zeros_like(places), places, divisor or values.size)


def judged(recorded: Any, terms: Terms, dtype: Any = np.float32) -> Check:
    return check_loss(EQUATION, np.asarray(recorded, dtype), terms, format_of(np.dtype(dtype)), 0)


def judged_from(loss: str, recorded: Any, Z: Array, Y: Array, divisor: int) -> Check:
    """The check of a loss of logits, as a recording's is made."""
    operands = Operands({"X": Z, "Z": Z, "Y": Y, "loss": np.asarray(recorded, Z.dtype)})
    fmt, rule = format_of(Z.dtype), Elementwise(loss, ("Z", "Y"))
    context = Context(divisor, 0.0, 0.1, fmt.smallest_normal)
    return check_elementwise(Equation("loss", 1, rule, "loss"), rule, operands, fmt, context, 0)


def samples(m: int, kind: str = "ordinary", dtype: str = "float32") -> tuple[Array, Array, Array]:
    """Logits of 10 classes, integer labels, and each sample's cross-entropy, all in the format."""
    generator = np.random.default_rng(m)
    Z = generator.standard_normal((10, m))
    if kind == "constant":
        Z[:] = Z[:, :1]
    y = np.zeros((1, m), int) if kind == "constant" else generator.integers(0, 10, (1, m))
    Z = Z.astype(dtype)
    shifted = Z - Z.max(axis=0)
    log_sum = np.log(np.exp(shifted).sum(axis=0, keepdims=True))
    return Z, y, (log_sum - np.take_along_axis(shifted, y, axis=0))[0]


def in_order(terms: Array) -> Any:
    return np.add.accumulate(terms)[-1]


ORDERS = {
    "pairwise": lambda t, m: t.sum() / t.dtype.type(m),
    "front to back": lambda t, m: in_order(t) / t.dtype.type(m),
    "back to front": lambda t, m: in_order(t[::-1]) / t.dtype.type(m),
    "shuffled": lambda t, m: in_order(np.random.default_rng(5).permutation(t)) / t.dtype.type(m),
    "divided first": lambda t, m: in_order(t / t.dtype.type(m)),
    "a Python float": lambda t, m: sum(map(float, t)) / m,
}


@pytest.mark.parametrize("kind", ["ordinary", "constant"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 2, 447, 5000, 60_000])
def test_every_honest_order_is_rounding(m: int, dtype: str, kind: str) -> None:
    Z, y, terms = samples(m, kind, dtype)
    for name, order in ORDERS.items():
        check = judged_from("cross_entropy", order(terms, m), Z, y, m)
        assert check.verdict is Verdict.ROUNDING, f"{name}: {check.message}"


def test_a_masked_matrix_is_the_same_sum() -> None:
    Z, y, _ = samples(3000)
    Y = np.eye(10, dtype=np.float32)[:, y[0]]
    p = np.exp(Z - Z.max(axis=0))
    masked = -Y * np.log(p / p.sum(axis=0))
    for value in (masked.sum(), in_order(masked.ravel()), in_order(masked.T.ravel()), masked.sum(axis=1).sum()):
        assert judged_from("cross_entropy", value / np.float32(3000), Z, Y, 3000).verdict is Verdict.ROUNDING


def faults(terms: Array, order: Any) -> dict[str, Any]:
    """A mean that lost one sample of about mean loss, or was divided by m - 1."""
    m = terms.size
    typical = int(np.abs(terms - terms.mean()).argmin())
    return {"dropped": order(np.delete(terms, typical), m), "m - 1": order(terms, m - 1)}


@pytest.mark.parametrize("m", [64, 2000, 10_000, 60_000])
@pytest.mark.parametrize("order", ["pairwise", "a Python float"])
def test_one_sample_in_60_000_is_missed(m: int, order: str) -> None:
    Z, y, terms = samples(m)
    for name, value in faults(terms, ORDERS[order]).items():
        check = judged_from("cross_entropy", value, Z, y, m)
        assert check.verdict is not Verdict.ROUNDING, name


@pytest.mark.parametrize("order", ["front to back", "back to front", "divided first"])
def test_one_sample_in_10_000_is_missed_by_any_order(order: str) -> None:
    Z, y, terms = samples(10_000)
    for name, value in faults(terms, ORDERS[order]).items():
        assert judged_from("cross_entropy", value, Z, y, 10_000).verdict is not Verdict.ROUNDING, name


def test_drift_is_settled_and_a_wrong_constant_in_the_same_data_is_not() -> None:
    """Equal terms round the same way each time: far above the budget, and as far as a running sum really drifts."""
    Z, y, terms = samples(60_000, "constant")
    drifting = in_order(terms) / np.float32(60_000)
    check = judged_from("cross_entropy", drifting, Z, y, 60_000)
    assert check.residuals.over == 1 and check.verdict is Verdict.ROUNDING
    assert "honest orders of summation drift as far" in check.message
    off = drifting - terms[0]
    worse = judged_from("cross_entropy", terms[0] + 4 * off, Z, y, 60_000)
    assert worse.verdict is Verdict.SUSPECT and "drift of honest orders" in worse.message
    assert judged_from("cross_entropy", 1.05 * terms[0], Z, y, 60_000).verdict is Verdict.BUG


@pytest.mark.parametrize("z", [0.0, 5.0, 15.0, 17.0, 40.0, 800.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_that_vanish(z: float, dtype: str) -> None:
    """Saturated outputs: where ``log(1 + e^-z)`` is under half an ulp of 1, or of z, it is lost, m times alike."""
    m = 1000
    Z = np.array([[z], [0.0]], dtype) + np.zeros((2, m), dtype)
    top = Z.max(axis=0)
    log_sum = np.log(np.exp(Z - top).sum(axis=0))
    for terms in (log_sum - (Z[0] - top), (top + log_sum) - Z[0]):
        value = terms.sum() / terms.dtype.type(m)
        assert judged_from("cross_entropy", value, Z, np.zeros((1, m), int), m).verdict is Verdict.ROUNDING
    log_term = np.log1p(np.exp(-np.abs(Z)))
    Y = np.array([[1.0], [0.0]], dtype) + np.zeros_like(Z)
    value = ((1 - Y) * Z - (np.minimum(Z, 0) - log_term)).mean()
    assert judged_from("binary_cross_entropy", value, Z, Y, 2 * m).verdict is Verdict.ROUNDING


def test_additions_by_hand() -> None:
    """Partial sums 2, 3, 4 (the first term is no addition): half a grid step is 2u, 2u and 4u."""
    assert addition(np.ones(4), U) == pytest.approx(U * np.sqrt((4 + 4 + 16) / 3), rel=1e-14)
    assert addition(np.array([5.0]), U) == addition(np.array([0.0, 0.0, 0.0]), U) == 0
    assert addition(np.array([1e200, 1e200, -1e200]), U) == pytest.approx(1e200 * U, rel=0.7)
    assert np.isfinite(addition(np.full(9, 1e307), U))


def test_front_and_back_both_count() -> None:
    """1 and then small terms: from the front every partial sum is large."""
    values = np.array([1.0, *[1e-4] * 100])
    forwards, backwards = addition(values, U), addition(values[::-1], U)
    assert forwards > 2 * backwards
    for order in (values, values[::-1]):
        chance = LossYardstick.of(of(order, np.zeros(101)), FORMATS["float32"]).chance
        assert chance * 101 == pytest.approx(forwards, rel=1e-12)


def test_terms_alike_err_alike() -> None:
    errors = np.array([2.0, 2.0, 2.0, 2.0])
    assert together(np.array([100.0, 100.0, 100.0, 100.0]), errors) == 8
    assert together(np.array([100.0, 200.0, 300.0, 400.0]), errors) == 4
    assert together(np.array([100.0, 100.5, 200.0, 200.2]), errors) == pytest.approx(np.sqrt(4**2 + 4**2))
    assert together(np.array([0.0, 0.5, -0.5, 0.9]), errors) == 8  # lost altogether
    assert together(np.array([1.0, 2.0]), np.zeros(2)) == 0
    assert together(np.array([1e300, 2e300]), np.array([1e284, 1e284])) == pytest.approx(np.sqrt(2) * 1e284)


def test_the_unit_by_hand() -> None:
    terms = of(np.array([3.0, 5.0]), np.array([4.0, 6.0]))
    yardstick = LossYardstick.of(terms, FORMATS["float32"])
    assert yardstick.chance == pytest.approx(U * 8 / np.sqrt(3) / 2)
    own = U * np.hypot(4, 6) / 2
    assert yardstick.unit == pytest.approx(np.hypot(yardstick.chance, own) + U * 4)
    assert yardstick.ceiling == pytest.approx(3 * U * 4 + 8 * 4 * U * 5, rel=1e-5)
    assert yardstick.floor == 2 * 2.0**-126 * 3


@given(st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=30), st.booleans())
def test_no_order_of_summation_passes_the_ceiling(values: list[float], mean: bool) -> None:
    """The terms themselves exact: the ceiling is then gamma_(K+1) of the sum of their absolute values, a proof."""
    array = np.array(values, np.float32)
    terms = of(array, np.zeros(array.size), array.size if mean else 1)
    yardstick = LossYardstick.of(terms, FORMATS["float32"])
    exact = sum(map(Fraction, map(float, array)), Fraction(0)) / terms.divisor
    for value in loss_check.honest(terms, np.dtype(np.float32)):
        assert abs(Fraction(float(value)) - exact) <= Fraction(yardstick.ceiling + yardstick.floor) * Fraction(
            1001, 1000
        )


def test_the_honest_values_are_of_terms_and_of_samples_sums() -> None:
    Z, y, _ = samples(50)
    Y = (np.eye(10)[:, y[0]] * 0.5 + 0.05).astype(np.float32)
    operands = Z.astype(float), Y.astype(float)
    context = Context(50, 0.0, 0.1, 0.0)
    single = cross_entropy(np.zeros(()), context, operands[0], y).terms
    soft = cross_entropy(np.zeros(()), context, *operands).terms
    binary = binary_cross_entropy(np.zeros(()), context, *operands).terms
    assert single is not None and soft is not None and binary is not None
    for terms, count, forms in ((single, 50, 2), (soft, 500, 3), (binary, 500, 3)):
        assert terms.values.size == count and (np.diff(terms.samples) >= 0).all()
        values = [float(value) for value in loss_check.honest(terms, np.dtype(np.float32))]
        assert len(values) > 2 * forms * 10
        np.testing.assert_allclose(values, terms.loss, rtol=1e-4)
        orders = loss_check.orders(terms)
        assert len(orders) == 2 and sorted(orders[0]) == sorted(orders[1]) and not np.array_equal(*orders)
    first = soft.values[:10]
    log_p = operands[0][:, 0] - np.log(np.exp(operands[0][:, 0]).sum())
    np.testing.assert_allclose(first, -operands[1][:, 0] * log_p, rtol=1e-12)


def test_a_running_sum_over_samples_of_several_units_is_among_them() -> None:
    samples, units = np.divmod(np.arange(3 * 700), 3)
    values = np.resize([0.13, 0.71, 2.39], 2100)
    terms = Terms(values, values, units, samples, 700)
    each = np.bincount(samples, values).astype(np.float32)
    value = in_order(each) / np.float32(700)
    assert value in list(loss_check.honest(terms, np.dtype(np.float32)))
    assert value not in list(loss_check.honest(replace(terms, samples=np.arange(2100)), np.dtype(np.float32)))


def test_an_order_that_overflows_is_left_out() -> None:
    terms = of(np.full(10, 1e38, np.float32), divisor=10)
    assert 0 < loss_check.honest_error(terms, np.dtype(np.float32)) < 1e33  # divided before the sum, nothing overflows


def test_what_overflows_float64_cannot_be_judged() -> None:
    check = judged(1.0, of(np.full(3, 1.7e308)), np.float64)
    assert check.verdict is Verdict.SUSPECT and "cannot be judged" in check.message


def test_terms_of_no_size_agree_for_nothing() -> None:
    nothing = of(np.zeros(3))
    assert judged(0.0, nothing).vacuous == 1 and judged(0.0, nothing).verdict is Verdict.ROUNDING
    assert judged(1e-3, nothing).verdict is Verdict.BUG
    assert judged(1.0, of(np.ones(3))).vacuous == 0
