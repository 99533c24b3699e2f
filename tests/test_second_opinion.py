"""The second opinion: honest orders of summation, what they excuse and what they do not, and exact sums in float64."""

from __future__ import annotations

import time
import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof import operands as operands_module
from backproof import parallel, product_check, second_opinion
from backproof.equations import ONES, Equation, Product
from backproof.operands import Operands
from backproof.product_check import Yardstick, check_product
from backproof.residuals import SUSPECTS
from backproof.rounding import format_of
from backproof.second_opinion import LANES, InnerProducts, block_sizes, gather, two_product
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
    return check_product(EQUATION, SUM, operands, format_of(dZ.dtype), 0)


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
    fused, plain = (second_opinion._multiply_add(total, a, b, fused) for fused in (True, False))

    def errors(values: Array) -> list[Fraction]:
        exact = [Fraction(t) + Fraction(x) * Fraction(y) for t, x, y in zip(total, a, b, strict=True)]
        return [abs(Fraction(v) - e) / Fraction(float(np.spacing(abs(v)))) for v, e in zip(values, exact, strict=True)]

    assert max(errors(fused)) <= Fraction(1, 2) + Fraction(1, 2**50)
    assert max(errors(plain)) > 1  # two roundings, and the first is not small beside a sum that cancels


HUGE = np.repeat(np.array([[1.1e303], [-0.7e304]]), 2000, axis=1)


def test_exact_sums_near_the_end_of_float64() -> None:
    """Factors above 2^996, where Veltkamp's splitting overflows; products that overflow and cancel; a huge bias."""
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((2, 3, 40))
    for left_scale, right_scale, bias in [(1e305, 1.0, 1e290), (1e200, 1e105, 1.7e308), (1e300, 1e-300, -1.7e308)]:
        inner = InnerProducts(left * left_scale, right * right_scale, np.full(3, bias) / 4)
        assert list(inner.exact()) == [float(value) for value in exactly(inner)]
    ends = np.array([[1.7e308, 1.7e308, 1.0]])
    assert InnerProducts(ends, np.array([[1.5, -1.5, 3.0]]), None).exact()[0] == 3.0
    assert InnerProducts(ends, np.ones((1, 3)), None).exact()[0] == np.inf  # the sum itself is not a float64
    high, low = two_product(np.array([1.1e305]), np.array([0.3]))
    assert Fraction(float(high[0])) + Fraction(float(low[0])) == Fraction(1.1e305) * Fraction(0.3)


def test_a_suspect_near_the_end_of_float64_is_judged() -> None:
    right = gather(SUM, Operands({"dZ": HUGE, "X": HUGE}), np.arange(2), np.zeros(2, int)).exact()[:, None]
    assert judged(HUGE, right).verdict is Verdict.ROUNDING
    unit = 2.0**-53 * np.sqrt(2000) * np.linalg.norm(HUGE / 1e303, axis=1, keepdims=True) * 1e303
    check = judged(HUGE, right + 1500 * unit)
    assert check.residuals.over and not check.residuals.beyond, "the second opinion is asked"
    assert check.verdict is Verdict.SUSPECT and "what the worst honest order of summation errs" in check.message


@pytest.mark.parametrize("broken", ["exact", "envelope"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_never_settled(broken: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    dZ = repeating()
    db = np.add.accumulate(dZ, axis=1)[:, -1:]
    original = getattr(InnerProducts, broken)

    def first_lost(self: InnerProducts, *args: Array) -> Array:
        found = original(self, *args)
        found[0] = value
        return np.asarray(found)

    monkeypatch.setattr(InnerProducts, broken, first_lost)
    check = judged(dZ, db)
    assert check.verdict is Verdict.SUSPECT and "cannot be judged" in check.message


def gradients(dZ: Array, X: Array, dW: Array) -> Any:
    """The check of ``dW = dZ X^T``."""
    product = Product("dZ", "X", right_transposed=True)
    operands = Operands({"dZ": dZ, "dW": dW, "X": X})
    return check_product(Equation("dW", 1, product, "dW = dZ X^T"), product, operands, format_of(dZ.dtype), 0)


def in_order(dZ: Array, X: Array) -> Array:
    """``dZ X^T``, each element summed front to back."""
    dW = np.zeros((len(dZ), len(X)), dZ.dtype)
    for k in range(dZ.shape[1]):
        dW += np.outer(dZ[:, k], X[:, k])
    return dW


@pytest.mark.parametrize("alike", [True, False], ids=["one pixel", "pixels of their own"])
def test_more_suspects_than_are_kept_are_settled(alike: bool) -> None:
    m = 4000
    levels = np.full((2, 80), 0.1) if alike else np.linspace(0.1, 0.11, 160).reshape(2, 80)
    dZ, X = (np.repeat(level[:, None], m, axis=1).astype(np.float32) for level in levels)
    dW = in_order(dZ, X)
    start = time.perf_counter()
    check = gradients(dZ, X, dW)
    seconds = time.perf_counter() - start
    assert check.residuals.over > SUSPECTS
    assert check.verdict is Verdict.ROUNDING, check.message
    asked = SUSPECTS if alike else second_opinion.WITNESSES
    assert f"of the worst {asked}," in check.message
    assert f"the other {check.residuals.over - asked} have smaller" in check.message
    assert seconds < 20


def test_many_suspects_with_a_wrong_constant_are_not_settled() -> None:
    dZ, X = np.full((80, 4000), 0.1, np.float32), np.full((80, 4000), 0.1, np.float32)
    check = gradients(dZ, X, in_order(dZ, X) * np.float32(1.001))
    assert check.residuals.over > SUSPECTS and check.verdict is not Verdict.ROUNDING


def test_equal_operands_are_evaluated_once_and_each_recorded_value_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = InnerProducts.exact

    def counted(self: InnerProducts) -> Array:
        asked.append(len(self.left))
        return original(self)

    monkeypatch.setattr(InnerProducts, "exact", counted)
    dZ, X = repeating()[[0, 1, 0, 0, 1]], repeating()[[0, 0, 0]]
    dW = in_order(dZ, X)
    assert gradients(dZ, X, dW).verdict is Verdict.ROUNDING
    assert asked[0] == 2
    # One of the elements that share their operands is wrong, and it is not the worst.
    dW[3, 2] = 2 * dW[0, 0] - (dZ[0].astype(np.float64) @ X[0])
    dW[3, 2] *= 0.98
    assert gradients(dZ, X, dW).verdict is not Verdict.ROUNDING


def test_the_same_weights_with_another_bias_are_another_inner_product() -> None:
    W, A = np.ones((2, 3)), np.ones((3, 1))
    operands = Operands({"W": W, "A": A, "b": np.array([[1.0], [2.0]]), "X": A})
    for bias, count in ((None, 1), ("b", 2)):
        groups, first = second_opinion._pairs(Product("W", "A", bias=bias), operands, np.array([[0, 0], [1, 0]]))
        assert len(first) == count and groups[1] == count - 1


def leaning_by_columns(seed: int) -> tuple[Array, Array]:
    """dZ and X of 128 elements of dW: the columns 1, 3, ... 125 all drift alike, the others do not drift."""
    generator = np.random.default_rng(seed)
    dZ, X = np.full((1, 400), 0.7), generator.standard_normal((128, 400))
    X[1:127:2] = 0.1
    return dZ, X


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_lean_of_every_other_element_is_settled(seed: int) -> None:
    """Of 64 evenly spaced elements none leans; of all 128, an honest order leans exactly as the recording does."""
    dZ, X = leaning_by_columns(seed)
    dW = in_order(dZ, X)
    check = gradients(dZ, X, dW)
    assert not check.residuals.over and "lean as much" in check.message
    assert check.verdict is Verdict.ROUNDING
    assert gradients(dZ, X, dW * (1 + 1e-14)).verdict is not Verdict.ROUNDING


def test_a_lean_is_compared_chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many elements at once as memory allows, and the same verdict and slopes whatever that number is."""
    dZ, X = leaning_by_columns(0)
    dW = in_order(dZ, X)
    whole = gradients(dZ, X, dW)
    widths = []

    def narrow(product: Product, operands: Operands, rows: Array, columns: Array) -> InnerProducts:
        widths.append(len(rows))
        return gather(product, operands, rows, columns)

    monkeypatch.setattr(product_check, "chunk", lambda K: 48)
    monkeypatch.setattr(product_check, "gather", narrow)
    assert gradients(dZ, X, dW).message == whole.message
    assert widths == [48, 48, 32]


def test_partial_products_are_not_all_held() -> None:
    m, rows = 1024 * 160, 128
    dZ = np.broadcast_to(np.linspace(1, 2, rows, dtype=np.float32)[:, None], (rows, m))
    product = Product("dZ", "dZ", right_transposed=True)
    tracemalloc.start()
    try:
        total = product_check._summed(product, Operands({"dZ": dZ, "X": dZ[:, :1]}))(slice(None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.allclose(total, m * np.outer(dZ[:, 0], dZ[:, 0].astype(np.float64)))
    every = len(parallel.blocks(parallel.BLOCK // 1024, m)) * total.nbytes
    assert every > 20e6 and peak < every / 2


def test_rows_of_zeros_take_the_fast_path_and_underflow_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = []
    original = operands_module.norms

    def counted(matrix: Array, axis: int) -> Array:
        slow.append(axis)
        return original(matrix, axis)

    monkeypatch.setattr(operands_module, "norms", counted)
    pixels = np.random.default_rng(0).random((5, 7))
    pixels[2], pixels[:, 4] = 0, 0
    for axis in (0, 1):
        measured = Operands({"X": pixels}).norms("X", False, axis)
        np.testing.assert_allclose(measured, np.linalg.norm(pixels, axis=axis), rtol=1e-15)
    assert not slow
    pixels[2, 1] = 1e-200
    assert Operands({"X": pixels}).norms("X", False, 1)[2] == 1e-200
    assert slow


def test_a_zero_product_with_a_zero_bias_is_vacuous() -> None:
    W, A = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 0.0, 3.0], [1.0, 0.0, 3.0]])
    operands = Operands({"W": W, "A": A, "b": np.array([[0.0], [0.0], [5.0]]), "X": A})
    # Row 0 whole and column 1 of row 1; row 2 has a bias to get right.
    assert Yardstick.of(Product("W", "A", bias="b"), operands, format_of("float64")).vacuous == 3 + 1
    assert Yardstick.of(Product("W", "A"), operands, format_of("float64")).vacuous == 3 + 3 + 1
