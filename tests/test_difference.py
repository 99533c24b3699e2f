"""Two arrays element by element: every measure against its definition, and what is no number."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backproof import difference as module
from backproof.difference import difference
from backproof.errors import BackproofError
from backproof.rounding import format_of, ulps

DTYPES = (np.float16, np.float32, np.float64, ml_dtypes.bfloat16)
every_format = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2048)


def pair(dtype: object, size: int = 10_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers a few roundings apart, no zero among them."""
    generator = np.random.default_rng(seed)
    b = (generator.normal(size=size) + 0.001).astype(dtype)
    u = format_of(np.dtype(dtype)).unit_roundoff
    return (b.astype(np.float64) * (1 + u * generator.integers(-6, 7, size))).astype(dtype), b


def definitions(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        relative = np.where(x == y, 0, np.abs(x - y) / np.abs(y))
    return {"absolute": np.abs(x - y), "relative": relative, "ulps": ulps(a, b).reshape(a.shape)}


def assert_defined(a: np.ndarray, b: np.ndarray) -> None:
    """Each value is that of its index, and largest up to what ranking in the format costs."""
    found, u = difference(a, b), format_of(np.dtype(np.promote_types(a.dtype, np.float32))).unit_roundoff
    for (name, values), slack in zip(definitions(a, b).items(), (2, 4, 0), strict=True):
        value, index = getattr(found, name)
        assert value == (values[index] if index is not None else 0)
        assert value >= values.max() * (1 - slack * u) or (value == values.max() == np.inf)
    assert (found.elements, found.finite, found.mismatched) == (a.size, a.size, 0)
    squares = np.square(a.astype(np.longdouble) - b.astype(np.longdouble)).mean()
    # Norms below the smallest normal float64 are on its coarsest grid.
    assert found.rms == pytest.approx(float(np.sqrt(squares)), rel=(module.ROW + 3) * u, abs=2.0**-1070)


@every_format
@pytest.mark.parametrize("size", [1, 7, 1024, 2048, 10_000])
def test_every_measure_is_its_definition(dtype: object, size: int):
    assert_defined(*pair(dtype, size))


@every_format
@pytest.mark.parametrize("seed", range(20))
def test_blocks_whose_ulps_are_not_counted_hold_no_more_of_them(
    dtype: object, seed: int, monkeypatch: pytest.MonkeyPatch
):
    """Many small blocks of one thread; within a block numbers of one size, just above or below a power of two."""
    monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(module, "processors", lambda: 1)
    generator = np.random.default_rng(seed)
    sizes = np.repeat(2.0 ** generator.integers(-3, 4, 200), 8) * (1 + generator.choice([-1e-2, 1e-2, 0.9], 1600))
    b = sizes.astype(dtype)
    u = format_of(np.dtype(dtype)).unit_roundoff
    a = (b.astype(np.float64) * (1 + u * generator.integers(-12, 13, 1600))).astype(dtype)
    assert_defined(a, b)
    counted = definitions(a, b)["ulps"]
    assert difference(a, b).ulps.at == (int(counted.argmax()),)


@every_format
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_of_any_finite_numbers(dtype: object, data: st.DataObject):
    bits = np.dtype(f"uint{8 * np.dtype(dtype).itemsize}")
    drawn = data.draw(arrays.arrays(bits, (2, data.draw(st.integers(1, 40)))))
    a, b = drawn.view(dtype)
    limit = np.float64(1e150)
    with np.errstate(invalid="ignore"):  # a signalling NaN warns where it is cast
        x, y = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(x) & np.isfinite(y) & (np.abs(x) < limit) & (np.abs(y) < limit)
    if finite.any():
        assert_defined(a[finite], b[finite])


@every_format
@pytest.mark.parametrize("at", [0, 2047, 2048, 9_999])
def test_a_planted_element_is_the_worst_wherever_it_stands(dtype: object, at: int):
    a, b = pair(dtype)
    a[at] = -3 * b[at] - 10
    found = difference(a, b)
    assert found.absolute.at == found.ulps.at == (at,)
    assert found.absolute.value == float(np.abs(a[at].astype(np.float64) - b[at].astype(np.float64)))
    assert found.ulps.value == ulps(a[at : at + 1], b[at : at + 1])[0]


@every_format
def test_opposite_signs_are_as_far_apart_as_there_are_numbers_between(dtype: object):
    tiny = np.zeros(4096, dtype)
    one = np.ones(1, f"int{8 * tiny.itemsize}").view(dtype)[0]  # the smallest subnormal
    a, b = tiny + one, tiny - one
    assert difference(a, b).ulps == (2.0, (0,))
    big = np.full(4096, 3, dtype)
    assert difference(big, -big).ulps.value == ulps(big[:1], -big[:1])[0]


def test_signed_zeros_are_equal():
    found = difference(np.zeros(5), -np.zeros(5))
    assert found.absolute == found.relative == found.ulps == (0.0, None)
    assert found.rms == 0 and found.finite == 5


@every_format
@pytest.mark.parametrize("block", [0, 1])
def test_what_is_not_finite_is_counted_and_measured_nowhere(dtype: object, block: int):
    nan, inf = np.nan, np.inf
    a, b = pair(dtype)
    clean = difference(a, b)
    at = slice(2048 * block + 5, 2048 * block + 12)
    b[at] = a[at]
    a[at] = [nan, nan, inf, inf, -inf, 1.0, 1.0]
    b[at] = [nan, 1.0, inf, -inf, -inf, nan, inf]
    found = difference(a, b)
    assert (found.elements, found.finite, found.mismatched) == (a.size, a.size - 7, 4)
    assert found.absolute.value <= clean.absolute.value and np.isfinite(found.rms)
    assert 0 < found.ulps.value <= clean.ulps.value


def test_of_nothing_finite_nothing_was_measured():
    found = difference(np.full(3, np.nan), np.full(3, np.nan))
    assert (found.finite, found.mismatched, found.absolute.at, found.rms) == (0, 0, None, 0.0)
    for shape in ((0,), (3, 0)):
        empty = difference(np.zeros(shape), np.zeros(shape))
        assert (empty.elements, empty.finite, empty.absolute, empty.rms) == (0, 0, (0.0, None), 0.0)


def test_a_zero_that_should_be_none_is_infinitely_far():
    a, b = pair(np.float32)
    b[77], a[[5, 9]], b[[5, 9]] = 0, 0, 0
    assert difference(a, b).relative == (np.inf, (77,))
    a[77] = 0
    assert np.isfinite(difference(a, b).relative.value)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_squares_neither_underflow_nor_overflow(scale: float):
    a, b = (array * np.float32(scale) for array in pair(np.float32))
    assert_defined(a, b)
    wide = difference(np.array([1e200, 0.0]), np.array([0.0, 1e-200]))
    assert wide.rms == pytest.approx(1e200 / 2**0.5, rel=1e-15)


def test_differences_beyond_float32_are_measured_in_float64():
    top = np.float32(3e38)
    assert difference(np.full(3, top), np.full(3, -top)).absolute == (2 * float(top), (0,))


@pytest.mark.parametrize("view", [np.transpose, lambda x: x[::2], lambda x: x[:, 1:], lambda x: x[3, 4]])
def test_any_memory_order_gives_the_index_of_the_array(view: object):
    a, b = (array.reshape(100, 100) for array in pair(np.float32))
    assert_defined(view(a), view(b))
    assert_defined(view(a), view(b).copy())


def test_one_shape_and_one_known_format():
    for a, b, said in (
        (np.zeros((2, 3)), np.zeros((3, 2)), r"float64 \(2, 3\) and float64 \(3, 2\)"),
        (np.zeros(2, np.float32), np.zeros(2), r"float32 \(2,\) and float64"),
        (np.zeros(2, np.int64), np.zeros(2, np.int64), "int64"),
    ):
        with pytest.raises(BackproofError, match=said):
            difference(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hard", [False, True])
def test_temporaries_do_not_grow_with_the_arrays(dtype: object, hard: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BLOCK", 1 << 18)
    a, b = pair(dtype, 12_000_000)
    if hard:
        a[::1000] = np.nan
    tracemalloc.start()
    found = difference(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.mismatched == (12_000 if hard else 0) and peak < 64e6
