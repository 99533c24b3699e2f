"""Zeros in whole samples or units are no dropout, and zeros here and there are."""

from __future__ import annotations

import numpy as np
import pytest

import backproof
from benchmarks.random_steps import Case, arrays_of

LINES = {
    "samples-zeroed": lambda shape: (np.arange(shape[1]) % 5 != 3)[None, :],
    "units-zeroed": lambda shape: (np.arange(shape[0]) != 1)[:, None],
    "dropout": lambda shape: np.random.default_rng(0).random(shape) > 0.3,
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("target", ["dZ1", "dA1", "A1"])
@pytest.mark.parametrize("m", [20, 700])
def test_zeros_are_named_by_where_they_are(name, rows, target, m):
    case = Case((7, 6, 3), ("tanh", "softmax"), "cross_entropy", m, rows=rows, seed=1)
    q = arrays_of(case)
    columns = q[target].T if rows else q[target]
    wrong = columns * LINES[name](columns.shape)
    q[target] = np.ascontiguousarray(wrong.T if rows else wrong)
    result = backproof.check_backprop(q, case.activations, case.loss)
    failure = next(failure for failure in result.failures if failure.equation == target)
    assert failure.explanations[0].name == name
