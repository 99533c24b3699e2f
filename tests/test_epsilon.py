"""An ε in a loss's logarithm: its size is found, and whether it does harm is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof import check_backprop
from benchmarks.random_steps import random_case
from tests.faults.planted import Planted, arrays, binary, classes, mean, said

ADDED, CLIPPED = "added to the probability", "a lower bound of the probability"
SIZES = [1e-12, 1e-8, 1e-5, 1e-3]


def _loss(q, case, change):
    A, Y = q[f"A{case.depth}"], q["Y"]
    value = Y * np.log(change(A))
    if case.loss == "binary_cross_entropy":
        value = value + (1 - Y) * np.log(change(1 - A))
    return -value.sum() / case.divisor


def _steep(case, q):
    """Some true classes are all but impossible."""
    q[f"W{case.depth}"] *= np.asarray(40, case.dtype)


def judged(seed, output, change, dtype="float64", prepare=None, absent=(), delta=None):
    """The failure of the loss, and the verdict on the step."""
    case = mean(output(replace(random_case(seed), dtype=dtype)))
    case = replace(case, absent=absent)
    faults = [Planted("", "", "loss", lambda c, q, r: _loss(q, c, change), (), prepare=prepare)]
    if delta is not None:
        faults.append(Planted("", "", "dZ{L}", delta, ()))
    result = check_backprop(arrays(case, faults), **said(case))
    return next((failure for failure in result.failures if failure.equation == "loss"), None), result


@pytest.mark.parametrize("output", [classes, binary])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_an_added_epsilon_is_fitted_and_judged_by_what_it_changes(seed, size, output):
    failure, result = judged(seed, output, lambda p: p + size)
    best = failure.explanations[0]
    assert best.name == "epsilon" and best.numbers["epsilon"] == size
    assert f"an ε of {size:.4g} stands in the logarithm ({ADDED})" in best.sentence
    harmless = best.numbers["relative change"] <= 1e-3
    assert best.harmless == harmless and ("harmless:" in best.sentence) == harmless
    assert failure.verdict == result.verdict == ("suspect" if harmless else "bug")
    assert {line.verdict for line in result.lines} == {"rounding", result.verdict}
    assert str(result).startswith(f"{result.verdict.upper()} in loss: an ε of {size:.4g}")
    assert harmless or "the printed loss is wrong, the training is not" in best.sentence
    if size <= 1e-8:
        assert harmless


@pytest.mark.parametrize("size", SIZES)
def test_a_clip_is_fitted(size):
    failure, result = judged(0, classes, lambda p: np.maximum(p, size), prepare=_steep)
    best = failure.explanations[0]
    assert best.numbers["epsilon"] == size and f"({CLIPPED})" in best.sentence
    assert failure.verdict == result.verdict == ("suspect" if best.numbers["relative change"] <= 1e-3 else "bug")


@pytest.mark.parametrize("size", [1e-12, 1e-8])
def test_an_epsilon_below_the_rounding_of_float32_is_rounding(size):
    failure, result = judged(0, classes, lambda p: p + np.float32(size), "float32")
    assert failure is None and result.verdict == "rounding"


def test_an_epsilon_whose_gradient_cannot_be_seen_is_not_called_harmless():
    L = mean(classes(random_case(0))).depth
    failure, _ = judged(0, classes, lambda p: p + 1e-8, absent=(f"dZ{L}",))
    best = failure.explanations[0]
    assert not best.harmless and "cannot be seen" in best.sentence and failure.verdict == "bug"


def test_an_epsilon_that_is_in_the_gradient_too_is_not_called_harmless():
    def delta(case, q, right):
        A, Y = q[f"A{case.depth}"], q["Y"]
        true = (A * Y).sum(axis=0)
        return right * true / (true + 1e-5)

    failure, result = judged(0, classes, lambda p: p + 1e-5, delta=delta)
    best = failure.explanations[0]
    assert not best.harmless and "see there" in best.sentence and result.verdict == failure.verdict == "bug"
