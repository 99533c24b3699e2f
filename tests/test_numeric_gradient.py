"""A measured gradient in the place of a derived one is told by the lattice that its elements lie on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof import check_backprop
from benchmarks.random_steps import random_case
from tests.faults.planted import Planted, arrays, deep, mean, said
from tests.faults.precision import numeric


def found(seed, dtype, target, make):
    case = mean(replace(deep(random_case(seed)), dtype=dtype))
    result = check_backprop(arrays(case, [Planted("", "", target, make, ())]), **said(case))
    (failure,) = result.failures
    assert failure.equation == target
    return failure.explanations


@pytest.mark.parametrize("target", ["dW1", "db1", "dW2"])
@pytest.mark.parametrize(
    ("dtype", "step", "sides"),
    [("float64", 1e-10, 1), ("float64", 1e-7, 1), ("float64", 1e-5, 1), ("float64", 1e-5, 2), ("float32", 1e-3, 2)],
)
@pytest.mark.parametrize("seed", range(4))
def test_it_is_named_with_its_step(seed, dtype, step, sides, target):
    best = found(seed, dtype, target, numeric(step, sides, target[1:]))[0]
    assert best.name == "numeric-gradient"
    ratio = best.numbers["step"] / step
    # A loss just above a power of two has neighbours below it with places half as large.
    assert np.isclose(ratio, sides) or np.isclose(ratio, 1) or np.isclose(ratio, 2)


@pytest.mark.parametrize("seed", range(4))
def test_how_far_it_is_off_tells_a_tiny_step_from_one_side(seed):
    tiny, large = (found(seed, "float64", "dW1", numeric(step, 1, "W1"))[0].numbers["places"] for step in (1e-10, 1e-5))
    assert tiny < 100 < large


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_inaccurate_gradients_are_not(seed, dtype):
    for make in (
        lambda c, q, r: np.round(r, 4),
        lambda c, q, r: r + 1e-3 * np.abs(r).max() * np.random.default_rng(seed).normal(size=r.shape),
    ):
        names = [e.name for e in found(seed, dtype, "dW1", make)]
        assert "numeric-gradient" not in names


def test_few_elements_lie_on_some_lattice():
    """Three of them are not believed."""
    case = mean(replace(deep(random_case(0)), dtype="float64"))
    make = numeric(1e-6, 1, "b1")
    fault = Planted("", "", "db1", lambda c, q, r: np.where(np.arange(len(r))[:, None] < 3, make(c, q, r), 0), ())
    (failure,) = check_backprop(arrays(case, [fault]), **said(case)).failures
    assert "numeric-gradient" not in [e.name for e in failure.explanations]
