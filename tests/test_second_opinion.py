"""The second opinion: honest orders of summation, what they excuse and what they do not, and exact sums in float64."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof import inner_products as evaluations
from backproof.equations import ONES, Equation, Product
from backproof.inner_products import LANES, PLAIN, InnerProducts, block_sizes, gather, two_product
from backproof.operands import Operands
from backproof.product_check import check_product
from backproof.rounding import format_of
from backproof.verdict import Verdict

Array = np.ndarray[Any, np.dtype[Any]]
SUM = Product("dZ", ONES, right_transposed=True)
EQUATION = Equation("db", 1, SUM, "db = Σ dZ over samples")


def inner_products(K: int, dtype: str = "float32", n: int = 5, bias: bool = False) -> InnerProducts:
    generator = np.random.default_rng(K)
    left, right = generator.standard_normal((2, n, K)).astype(dtype)
    return InnerProducts(left, right, generator.standard_normal(n).astype(dtype) if bias else None)


def exactly(inner: InnerProducts) -> list[Fraction]:
    """The sums in rational arithmetic."""
    bias = np.zeros(len(inner.left)) if inner.bias is None else inner.bias
    rows = zip(inner.left, inner.right, bias, strict=True)
    return [
        sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, y, strict=True)), Fraction(float(c)))
        for x, y, c in rows
    ]


def test_orders_of_summation_differ() -> None:
    values = list(inner_products(1000, n=40).honest())
    # Sequential, reversed, in strided lanes and in blocks, each fused and not; and pairwise.
    assert len(values) == 2 * (2 + len(LANES) + len(block_sizes(1000))) + 1
    assert all(value.shape == (40,) and value.dtype == np.float32 for value in values)
    for i, first in enumerate(values):
        for second in values[:i]:
            assert not np.array_equal(first, second)


@pytest.mark.parametrize("K", [1, 2, 7, 8, 9, 100, 513, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_order_is_exact_on_integers(K: int, dtype: str) -> None:
    generator = np.random.default_rng(K)
    left, right = generator.integers(-20, 21, (2, 4, K)).astype(dtype)
    bias = generator.integers(-20, 21, 4).astype(dtype)
    inner = InnerProducts(left, right, bias)
    expected = np.array([float(value) for value in exactly(inner)])
    np.testing.assert_array_equal(inner.exact(), expected)
    for value in inner.honest():
        np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(inner.envelope(expected), np.zeros(4))


@pytest.mark.parametrize("size", [96, 192, 240, 320, 384, 448, 640, 768])
def test_the_block_sizes_of_matrix_libraries_are_among_the_orders(size: int) -> None:
    """Repeated operands, whose rounding errors drift: each block from its own zero, fused, then added to the rest."""
    assert_among_the_orders(1500, size)


@pytest.mark.parametrize("K", [384, 841])
def test_equal_parts_are_among_the_orders(K: int) -> None:
    assert block_sizes(K)[-1] < K and len(set(block_sizes(K))) == len(block_sizes(K))
    for parts in (2, 3, 4):
        assert_among_the_orders(K, -(-K // parts))


def assert_among_the_orders(K: int, size: int) -> None:
    __tracebackhide__ = True
    generator = np.random.default_rng(size)
    n = 100
    left, right = (generator.standard_normal((n, 3)).astype(np.float32)[:, np.arange(K) % 3] for _ in "AB")
    total = np.zeros(n, np.float32)
    for start in range(0, K, size):
        block = np.zeros(n, np.float32)
        for k in range(start, min(start + size, K)):
            block = (left[:, k].astype(np.float64) * right[:, k] + block).astype(np.float32)
        total = total + block
    inner = InnerProducts(left, right, None)
    exact = inner.exact()
    assert (np.abs(total - exact) <= inner.envelope(exact)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("K", [1, 3, 50, 700])
def test_every_order_is_within_the_ceiling(K: int, dtype: str) -> None:
    inner = inner_products(K, dtype, bias=True)
    assert inner.bias is not None
    u = format_of(dtype).unit_roundoff
    exact = np.array([float(value) for value in exactly(inner)])
    sizes = np.abs(inner.left.astype(np.float64) * inner.right).sum(axis=1) + np.abs(inner.bias)
    errors = [np.abs(value.astype(np.float64) - exact) for value in inner.honest()]
    assert (np.array(errors) <= (K + 1) * u * sizes * 1.001).all()
    np.testing.assert_array_equal(inner.envelope(exact), np.max(errors, axis=0))


def test_exact_sums_of_float64_are_exact() -> None:
    for K in (2, 30, 400):
        inner = inner_products(K, "float64", bias=True)
        assert list(inner.exact()) == [float(value) for value in exactly(inner)]  # float() rounds a Fraction once
        cancelling = InnerProducts(
            np.hstack([inner.left, inner.left]), np.hstack([inner.right, -inner.right]), inner.bias
        )
        assert inner.bias is not None
        np.testing.assert_array_equal(cancelling.exact(), inner.bias)


@given(*[st.floats(2.0**-400, 2.0**400) | st.floats(-(2.0**400), -(2.0**-400))] * 2)
def test_two_product_is_exact(a: float, b: float) -> None:
    high, low = two_product(np.array([a]), np.array([b]))
    assert high[0] == a * b
    assert Fraction(float(high[0])) + Fraction(float(low[0])) == Fraction(a) * Fraction(b)


def judged(dZ: Array, db: Array) -> Any:
    """The check of ``db = Σ dZ``."""
    operands = Operands({"dZ": dZ, "db": db, "X": dZ})
    return check_product(EQUATION, SUM, operands, format_of(dZ.dtype), PLAIN, 0)


def repeating(m: int = 20_000) -> Array:
    """Rows of one number each, as dead units and constant pixels make them: rounding errors all go one way."""
    return np.repeat(np.array([[0.1], [0.7], [-0.3], [1e-3]], np.float32), m, axis=1)


def test_sequential_sums_of_identical_terms_are_settled_as_rounding() -> None:
    dZ = repeating()
    check = judged(dZ, np.add.accumulate(dZ, axis=1)[:, -1:])
    assert check.residuals.fraction > 1 and check.residuals.over > 0
    assert check.verdict is Verdict.ROUNDING
    assert "honest orders of summation err as much" in check.message


@pytest.mark.parametrize("row", range(4))
def test_a_wrong_element_in_the_same_data_is_not(row: int) -> None:
    dZ = repeating()
    db = np.add.accumulate(dZ, axis=1)[:, -1:].copy()
    # The orders above err by up to 1e-3 of such a sum: 2 % is what no order does.
    db[row] *= 1.02
    check = judged(dZ, db)
    assert check.verdict is not Verdict.ROUNDING and check.residuals.index[0] == row


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "ROUNDING"), (6.0, "SUSPECT"), (40.0, "BUG")])
def test_the_multiples_of_the_worst_honest_error(factor: float, verdict: str) -> None:
    dZ = repeating()[:1]
    operands = Operands({"dZ": dZ, "db": np.zeros((1, 1), np.float32), "X": dZ})
    inner = gather(SUM, operands, np.array([0]), np.array([0]))
    exact = inner.exact()
    db = (exact + factor * inner.envelope(exact)).astype(np.float32)[:, None]
    assert judged(dZ, db).verdict is Verdict[verdict]


def test_beyond_the_ceiling_nobody_is_asked() -> None:
    dZ = np.ones((3, 10), np.float32)
    db = np.full((3, 1), 10, np.float32)
    assert judged(dZ, db).verdict is Verdict.ROUNDING
    check = judged(dZ, db + np.array([[0], [1e-4], [0]], np.float32))
    assert check.verdict is Verdict.BUG and check.residuals.beyond == 1
    assert "order of summation can reach" in check.message


def test_float64_suspects_are_recomputed_exactly() -> None:
    """Float64 BLAS is no judge of float64: a sum that it gets wrong, and the recording right, is no bug."""
    m = 4001
    rows = np.random.default_rng(0).standard_normal((3, m))
    rows[:, m // 2 :] *= 1e-3
    dZ = np.concatenate([rows, -rows[:, ::-1], np.full((3, 1), 1e-9)], axis=1)
    right = np.array([[float(sum(map(Fraction, row.tolist()), Fraction(0)))] for row in dZ])
    assert judged(dZ, right).verdict is Verdict.ROUNDING
    exact_right = gather(SUM, Operands({"dZ": dZ, "X": dZ}), np.arange(3), np.zeros(3, int)).exact()
    np.testing.assert_array_equal(exact_right, right[:, 0])
    wrong = right + 1e-3
    assert judged(dZ, wrong).verdict is Verdict.BUG


def test_an_honest_float64_error_above_the_screen_is_settled() -> None:
    """Rows of identical terms again, in the format in which yardstick and judged round alike."""
    dZ = np.repeat(np.array([[0.1], [0.7], [-0.3]]), 200_000, axis=1)
    db = np.add.accumulate(dZ, axis=1)[:, -1:]
    check = judged(dZ, db)
    assert check.residuals.over > 0 and check.verdict is Verdict.ROUNDING
    assert judged(dZ, db * (1 + 1e-8)).verdict is not Verdict.ROUNDING


def test_operands_are_gathered_as_the_product_reads_them() -> None:
    generator = np.random.default_rng(0)
    W, dZ, b = generator.standard_normal((4, 3)), generator.standard_normal((4, 5)), generator.standard_normal((3, 1))
    product = Product("W", "dZ", left_transposed=True, bias="b")
    operands = Operands({"W": W, "dZ": dZ, "b": b, "X": dZ})
    rows, columns = np.array([2, 0]), np.array([4, 1])
    inner = gather(product, operands, rows, columns)
    np.testing.assert_allclose(inner.exact(), (W.T @ dZ + b)[rows, columns], rtol=1e-14)
    gradient = gather(Product("dZ", "dZ", right_transposed=True), operands, rows, np.array([3, 1]))
    np.testing.assert_allclose(gradient.exact(), (dZ @ dZ.T)[rows, [3, 1]], rtol=1e-14)


def test_a_fused_float64_step_rounds_once() -> None:
    """``total + a b`` within half a unit in the last place (and 2^-50 of one) of the exact value, cancelling or not."""
    generator = np.random.default_rng(3)
    a, b = generator.standard_normal((2, 500))
    total = np.where(generator.random(500) < 0.5, generator.standard_normal(500), -a * b * (1 + 2.0**-50))
    fused, plain = evaluations._fused_multiply_add(total, a, b), total + a * b

    def errors(values: Array) -> list[Fraction]:
        exact = [Fraction(t) + Fraction(x) * Fraction(y) for t, x, y in zip(total, a, b, strict=True)]
        return [abs(Fraction(v) - e) / Fraction(float(np.spacing(abs(v)))) for v, e in zip(values, exact, strict=True)]

    assert max(errors(fused)) <= Fraction(1, 2) + Fraction(1, 2**50)
    assert max(errors(plain)) > 1  # two roundings, and the first is not small beside a sum that cancels
