"""The small map of where the residuals are: every element is in its cell, and a cell says what it holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof import error_map
from backproof.residuals import WORST, Residuals

SIDES = st.integers(1, 200)


def by_hand(fraction: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Element by element: cell i * cells // n in each direction."""
    cells = error_map.empty(rows, columns)
    for (i, j), value in np.ndenumerate(fraction):
        cell = (i * cells.shape[0] // rows, j * cells.shape[1] // columns)
        cells[cell] = max(cells[cell], value)
    return cells


@given(SIDES, SIDES, st.integers(1, 60), st.integers(0, 9))
def test_blocks_add_up_to_the_map_of_the_whole(rows, columns, width, seed):
    fraction = np.random.default_rng(seed).random((rows, columns))
    whole = error_map.empty(rows, columns)
    for start in range(0, columns, width):
        np.maximum(whole, error_map.of_block(fraction[:, start : start + width], start, columns), out=whole)
    assert whole.shape == (min(rows, 64), min(columns, 64))
    np.testing.assert_array_equal(whole, by_hand(fraction, rows, columns))


@given(st.floats(2.0**-10.5, 2.0**20))
def test_a_level_is_at_most_half_an_octave_above(value):
    ((read,),) = error_map.decoded(error_map.encoded(np.array([[value]])))
    assert value <= read * (1 + 1e-12) and read <= max(value, 2.0**-10.5) * 2**0.5 * (1 + 1e-12)


def test_nothing_is_zero_and_what_is_enormous_stays_a_level():
    assert error_map.encoded(np.array([[0.0, 1e-300, 1e300]])) == ["01/"]
    assert error_map.decoded(["01/"])[0][0] == 0.0


@pytest.mark.parametrize("rows", [[], [""], ["0", "00"], ["0" * 65], ["0"] * 65, ["0<"], ["é"]])
def test_what_is_no_map(rows):
    with pytest.raises(ValueError, match=r"map|substring"):
        error_map.decoded(rows)


def test_maps_of_batches_of_unequal_size():
    small, large = np.full((2, 3), 5.0), np.ones((2, 4))
    for merged in (error_map.merged(small, large), error_map.merged(large, small)):
        assert merged.tolist() == [[5, 5, 5, 1]] * 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (30, 40), (3, 2)])
def test_the_worst_elements_are_those_of_a_full_sort(shape):
    generator = np.random.default_rng(sum(shape))
    recorded, exact, ratio = (generator.random(shape) for _ in range(3))
    residuals = Residuals(shape, keep_columns=False)
    for start in range(0, shape[1], 7):
        part = slice(start, start + 7)
        block = Residuals(recorded[:, part].shape, False, start, shape[1])
        block.add(recorded[:, part], exact[:, part], ratio[:, part], ratio[:, part], 10.0)
        residuals.merge(block, start)
    wanted = sorted(((v, *i, recorded[i], exact[i]) for i, v in np.ndenumerate(ratio)), reverse=True)[:WORST]
    assert list(map(tuple, residuals.worst)) == wanted
