"""Suspects near the end of the format, in great numbers, and all leaning one way."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from backproof import operands as operands_module
from backproof import parallel, product_check, second_opinion, slope
from backproof.equations import Equation, Product
from backproof.evaluation import Context
from backproof.inner_products import PLAIN, InnerProducts, gather, two_product
from backproof.operands import Operands
from backproof.product_check import check_product
from backproof.residuals import SPACED, SUSPECTS, Residuals
from backproof.rounding import format_of
from backproof.verdict import Verdict
from tests.test_second_opinion import SUM, exactly, judged, repeating

Array = np.ndarray[Any, np.dtype[Any]]


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
    return check_product(Equation("dW", 1, product, "dW = dZ X^T"), product, operands, format_of(dZ.dtype), PLAIN, 0)


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
    check = gradients(dZ, X, dW)
    assert check.residuals.over > SUSPECTS
    assert check.verdict is Verdict.ROUNDING, check.message
    asked = 4096 if alike else 512
    assert f"of the worst {asked}," in check.message
    assert f"as much as {SPACED} of all, evenly spaced, are off by" in check.message
    assert f"the other {check.residuals.over - asked} have smaller" in check.message


def test_many_suspects_with_a_wrong_constant_are_not_settled() -> None:
    dZ, X = np.full((80, 4000), 0.1, np.float32), np.full((80, 4000), 0.1, np.float32)
    check = gradients(dZ, X, in_order(dZ, X) * np.float32(1.001))
    assert check.residuals.over > SUSPECTS and check.verdict is not Verdict.ROUNDING


def half_drifting(levels: Array) -> tuple[Array, Array, Array]:
    """dZ, X and an honest dW: the elements of the upper rows drift, those of the lower half, with random dZ, do not."""
    m = 4000
    dZ, X = (np.repeat(levels[:, None], m, axis=1).astype(np.float32) for _ in "ab")
    dZ[len(dZ) // 2 :] = np.random.default_rng(0).standard_normal((len(dZ) - len(dZ) // 2, m))
    return dZ, X, in_order(dZ, X)


def moved(dZ: Array, X: Array, dW: Array, rows: slice, units: float) -> Array:
    """dW with some rows that many units off."""
    unit = 2.0**-24 * np.outer(np.linalg.norm(dZ, axis=1), np.linalg.norm(X, axis=1))
    wrong = dW.copy()
    wrong[rows] += units * unit[rows]
    return wrong


@pytest.mark.parametrize("levels", [np.linspace(0.3, 0.3003, 80), np.full(100, 0.3)], ids=["many", "one, repeated"])
def test_the_worst_do_not_speak_for_suspects_of_another_kind(levels: Array) -> None:
    """The worst drift, honestly; what is wrong lies below them, where nothing drifts.

    With one level all 4,096 suspects that are kept are one inner product, and none of them is wrong.
    """
    dZ, X, dW = half_drifting(levels)
    honest, n = gradients(dZ, X, dW), len(levels)
    assert honest.verdict is Verdict.ROUNDING and honest.residuals.over > 4 * second_opinion.WITNESSES
    wrong = gradients(dZ, X, moved(dZ, X, dW, slice(3 * n // 4, n), 7.0))
    worst = wrong.residuals.suspects[: SUSPECTS if len(set(levels)) == 1 else second_opinion.WITNESSES]
    assert (worst[:, 1] < n / 2).all() and wrong.residuals.over > honest.residuals.over + n * n / 10
    assert wrong.verdict is not Verdict.ROUNDING, wrong.message
    assert "honest order of summation errs" in wrong.message


def test_elements_of_every_block_are_kept_evenly() -> None:
    residuals = Residuals((4, 300), keep_columns=False)
    for start in (0, 100, 200):
        block, zeros = Residuals((4, 100), keep_columns=False), np.zeros((4, 100))
        block.add(zeros, zeros, ratio=zeros + 9, fraction=zeros + 2, ceiling=50.0)
        residuals.merge(block, start)
    rows, columns = residuals.spaced.T
    assert len(rows) == SPACED == 64 and set(rows) == {0, 1, 2, 3}
    assert [np.count_nonzero(columns // 100 == third) for third in range(3)] == [22, 21, 21]


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

    def narrow(product: Product, operands: Operands, rows: Array, columns: Array, context: Context) -> InnerProducts:
        widths.append(len(rows))
        return gather(product, operands, rows, columns, context)

    monkeypatch.setattr(second_opinion, "chunk", lambda K: 48)
    monkeypatch.setattr(slope, "gather", narrow)
    assert gradients(dZ, X, dW).message == whole.message
    assert widths == [48, 48, 32]


def test_partial_products_are_not_all_held() -> None:
    m, rows = 1024 * 160, 128
    dZ = np.broadcast_to(np.linspace(1, 2, rows, dtype=np.float32)[:, None], (rows, m))
    product = Product("dZ", "dZ", right_transposed=True)
    tracemalloc.start()
    try:
        total = product_check._summed(product, Operands({"dZ": dZ, "X": dZ[:, :1]}), PLAIN)(slice(None))
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
    def vacuous(product: Product) -> int:
        Z = operands.matrix("W", False) @ A
        tensors = {name: operands.recorded(name) for name in ("W", "A", "b", "X")}
        given = Operands({**tensors, "Z": Z + operands.recorded("b") if product.bias else Z})
        return check_product(Equation("Z", 1, product, ""), product, given, format_of("float64"), PLAIN, 0).vacuous

    W, A = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 0.0, 3.0], [1.0, 0.0, 3.0]])
    operands = Operands({"W": W, "A": A, "b": np.array([[0.0], [0.0], [5.0]]), "X": A})
    # Row 0 whole and column 1 of row 1; row 2 has a bias to get right.
    assert vacuous(Product("W", "A", bias="b")) == 3 + 1
    assert vacuous(Product("W", "A")) == 3 + 3 + 1
