"""The rounding arithmetic: formats against other libraries, norms at the ends of the range, ULPs, Higham's bound."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backproof.equations import Product
from backproof.errors import BackproofError
from backproof.inner_products import PLAIN
from backproof.operands import Operands
from backproof.rounding import FORMATS, format_of, norms, ulps
from backproof.yardstick import Yardstick

Array = np.ndarray[Any, np.dtype[Any]]
FLOATS = {"float32": 32, "float64": 64}


def floats(dtype: str) -> st.SearchStrategy[float]:
    return st.floats(width=FLOATS[dtype], allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]


def finfo(name: str) -> Any:
    if name == "bfloat16":
        return pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed").finfo(name)
    return np.finfo(name)


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_those_of_other_libraries(name: str) -> None:
    fmt, info = FORMATS[name], finfo(name)
    assert fmt.name == name
    assert fmt.unit_roundoff == float(info.eps) / 2
    assert fmt.smallest_normal == float(info.tiny)
    assert fmt.largest == float(info.max)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_unit_roundoff_is_where_rounding_to_nearest_begins(dtype: str) -> None:
    kind, u = np.dtype(dtype).type, FORMATS[dtype].unit_roundoff
    assert kind(1) + kind(u) == 1  # a tie, to even
    assert kind(1) + np.nextafter(kind(u), kind(1)) > 1


def test_format_of_takes_dtypes_and_names_and_refuses_others() -> None:
    assert format_of(np.dtype("float32")) is format_of("float32") is FORMATS["float32"]
    with pytest.raises(BackproofError, match=r"int64.*float32"):
        format_of(np.dtype("int64"))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1.0, 1e160, 1e200])
def test_norms_neither_underflow_nor_overflow(scale: float, axis: int) -> None:
    matrix = np.array([[3.0, 4.0], [0.0, 0.0], [5.0, 12.0]]) * scale
    matrix = matrix.T if axis == 0 else matrix
    np.testing.assert_allclose(norms(matrix, axis), np.array([5.0, 0.0, 13.0]) * scale, rtol=4e-16)


def test_norms_of_rows_of_very_different_size() -> None:
    matrix = np.array([[3e-200, 4e-200], [3e200, 4e200], [0.6, 0.8], [5e-324, 0.0]])
    np.testing.assert_allclose(norms(matrix, 1), [5e-200, 5e200, 1.0, 5e-324], rtol=4e-16)


@pytest.mark.parametrize("dtype", FLOATS)
def test_neighbours_are_one_ulp_apart(dtype: str) -> None:
    @given(floats(dtype), st.booleans())
    def check(x: float, up: bool) -> None:
        here = np.array([x], dtype)
        with np.errstate(all="ignore"):
            there = np.nextafter(here, np.array([np.inf if up else -np.inf], dtype))
        assume(np.isfinite(there).all())
        # nextafter does not count -0.0 and 0.0 as two numbers, and neither do ULPs.
        assert ulps(here, there) == [1.0]

    check()


@pytest.mark.parametrize("dtype", FLOATS)
def test_ulps_are_symmetric_and_zero_only_for_equals(dtype: str) -> None:
    @given(floats(dtype), floats(dtype))
    def check(x: float, y: float) -> None:
        a, b = np.array([x], dtype), np.array([y], dtype)
        assert ulps(a, b) == ulps(b, a)
        assert (ulps(a, b)[0] == 0) == (x == y)
        assert ulps(a, a) == [0.0]

    check()


@pytest.mark.parametrize("dtype", FLOATS)
def test_ulps_across_zero_add_up(dtype: str) -> None:
    smallest = np.finfo(dtype).smallest_subnormal

    @given(st.integers(0, 1000), st.integers(0, 1000))
    def check(below: int, above: int) -> None:
        a, b = np.array([-below * smallest], dtype), np.array([above * smallest], dtype)
        assert ulps(a, b) == [float(below + above)]

    check()
    assert ulps(np.array([-0.0], dtype), np.array([0.0], dtype)) == [0.0]


def test_ulps_over_the_whole_range_do_not_wrap_around() -> None:
    for dtype, bits in FLOATS.items():
        top = np.array([np.finfo(dtype).max], dtype)
        exponents = 2**8 - 1 if bits == 32 else 2**11 - 1
        mantissas = 2 ** (23 if bits == 32 else 52)
        assert ulps(-top, top)[0] == pytest.approx(2 * (exponents * mantissas - 1), rel=1e-15)


def test_ulps_refuse_two_formats() -> None:
    with pytest.raises(BackproofError, match="float32 and float64"):
        ulps(np.zeros(1, np.float32), np.zeros(1))
    with pytest.raises(BackproofError, match="int64"):
        ulps(np.zeros(1, np.int64), np.zeros(1, np.int64))


def sequential(a: Array, b: Array) -> Any:
    total = a.dtype.type(0)
    for x, y in zip(a, b, strict=True):
        total = total + x * y
    return total


def inner_products(dtype: str) -> st.SearchStrategy[tuple[Array, Array]]:
    """Operands of 1 to 6 terms without underflow, many of them cancelling."""
    values = st.floats(-(2.0**20), 2.0**20, width=FLOATS[dtype]).filter(lambda x: x == 0 or abs(x) > 2.0**-20)  # type: ignore[arg-type]
    vectors = st.integers(1, 6).flatmap(lambda K: st.tuples(*[hnp.arrays(dtype, K, elements=values)] * 2))
    cancelling = vectors.map(lambda ab: (np.concatenate([ab[0], -ab[0]]), np.concatenate([ab[1], ab[1]])))
    return vectors | cancelling


@pytest.mark.parametrize("dtype", FLOATS)
def test_no_order_of_summation_passes_the_ceiling(dtype: str) -> None:
    u = Fraction(FORMATS[dtype].unit_roundoff)

    @given(inner_products(dtype), st.randoms(use_true_random=False))
    def check(operands: tuple[Array, Array], random: Any) -> None:
        a, b = operands
        order = random.sample(range(a.size), a.size)
        exact = sum((Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True)), Fraction(0))
        error = abs(Fraction(float(sequential(a[order], b[order]))) - exact)
        tensors = {"a": a[None], "b": b[:, None], "X": a[None]}
        yardstick = Yardstick.of(Product("a", "b"), Operands(tensors), FORMATS[dtype], PLAIN)
        # gamma_K = K u / (1 - K u), and Cauchy-Schwarz: the unit is at least u sum |a_k b_k|, up to its own rounding.
        K = a.size
        sizes = sum(abs(Fraction(float(x)) * Fraction(float(y))) for x, y in zip(a, b, strict=True))
        assert error <= K * u / (1 - K * u) * sizes
        unit = Fraction(float(yardstick.unit(slice(None), slice(None))[0, 0]))
        assert error <= Fraction(yardstick.ceiling) * unit * (1 + Fraction(1, 10**14))

    check()


def test_the_bound_is_tight_enough_to_fail() -> None:
    """A result off by 1.5 ceilings is above the bound that the property above holds to."""
    a, b = np.ones((1, 4), np.float32), np.ones((4, 1), np.float32)
    yardstick = Yardstick.of(Product("a", "b"), Operands({"a": a, "b": b, "X": a}), FORMATS["float32"], PLAIN)
    unit = yardstick.unit(slice(None), slice(None))[0, 0]
    assert abs((4 + 2.0**-20) - 4) < yardstick.ceiling * unit < abs((4 + 1.5 * 2.0**-20) - 4)


@pytest.mark.parametrize("bias", [False, True])
def test_ceiling_counts_the_bias_and_budget_never_passes_it(bias: bool) -> None:
    generator = np.random.default_rng(0)
    W, A = generator.standard_normal((2, 3)), generator.standard_normal((3, 4))
    operands = Operands({"W": W, "A": A, "b": np.ones((2, 1)), "X": A})
    yardstick = Yardstick.of(Product("W", "A", bias="b" if bias else None), operands, FORMATS["float32"], PLAIN)
    assert yardstick.ceiling == pytest.approx(4 if bias else 3, rel=1e-5)
    relative = np.array([[0.0, 1e3, 1e9]])
    assert (yardstick.budget(relative, 2.0**-24) <= yardstick.ceiling).all()
