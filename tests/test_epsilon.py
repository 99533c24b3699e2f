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
    """What is reported of the loss, as a failure or as harmless, and the verdict on the step."""
    case = mean(output(replace(random_case(seed), dtype=dtype)))
    case = replace(case, absent=absent)
    faults = [Planted("", "", "loss", lambda c, q, r: _loss(q, c, change), (), prepare=prepare)]
    if delta is not None:
        faults.append(Planted("", "", "dZ{L}", delta, ()))
    result = check_backprop(arrays(case, faults), **said(case))
    reported = (*result.failures, *result.harmless)
    return next((failure for failure in reported if failure.equation == "loss"), None), result


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
    assert failure.verdict == result.verdict == ("rounding" if harmless else "bug")
    assert {line.verdict for line in result.lines} == {"rounding", result.verdict}
    if harmless:
        assert not result.failures and f"loss: {best.sentence}" in result.notes
        assert str(result).startswith("All within rounding") and f"note: loss: an ε of {size:.4g}" in str(result)
        assert '"harmless": [{"equation": "loss"' in result.to_json()
    else:
        assert str(result).startswith(f"BUG in loss: an ε of {size:.4g}") and not result.harmless
    assert harmless or "the printed loss is wrong, the training is not" in best.sentence
    if size <= 1e-8:
        assert harmless


@pytest.mark.parametrize("size", SIZES)
def test_a_clip_is_fitted(size):
    failure, result = judged(0, classes, lambda p: np.maximum(p, size), prepare=_steep)
    best = failure.explanations[0]
    assert best.numbers["epsilon"] == size and f"({CLIPPED})" in best.sentence
    assert failure.verdict == result.verdict == ("rounding" if best.numbers["relative change"] <= 1e-3 else "bug")


def test_a_large_epsilon_is_not_harmless_however_little_it_changes():
    """A loss that is off by a little in float32 is met by some ε: none that somebody guards a logarithm with."""
    case = mean(binary(replace(random_case(34), dtype="float32")))
    faults = [Planted("", "", "loss", lambda c, q, r: r * (1 - 2.3972162108634677e-4), ())]
    result = check_backprop(arrays(case, faults), **said(case))
    best = result.failures[0].explanations[0]
    assert best.numbers["epsilon"] == 0.05 and best.numbers["relative change"] < 1e-3
    assert not best.harmless and result.verdict == "bug"


def _with_denominators(size, wrong=1.0):
    """A step of binary cross-entropy whose dA is ``-(Y / (A + ε)) + (1 - Y) / (1 - A + ε)``, as its loss has it."""
    case = mean(binary(replace(random_case(3), dtype="float64")))
    L = case.depth

    def gradient(q):
        A, Y = q[f"A{L}"], q["Y"]
        return ((1 - Y) / (1 - A + size) - Y / (A + size)) * wrong / case.divisor

    def delta(case, q, right):
        return gradient(q) * q[f"A{L}"] * (1 - q[f"A{L}"])

    faults = [
        Planted("", "", "loss", lambda c, q, r: _loss(q, c, lambda p: p + size), ()),
        Planted("", "", "dZ{L}", delta, ()),
    ]
    step = arrays(case, faults)
    return L, check_backprop({**step, f"dA{L}": gradient(step)}, **said(case))


@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e-6])
def test_an_epsilon_in_the_loss_and_in_the_denominators_of_its_derivative_is_harmless(size):
    L, result = _with_denominators(size)
    assert result.verdict == "rounding", str(result)
    found = {failure.equation: failure.explanations[0] for failure in result.harmless}
    assert found.keys() == {"loss", f"dA{L}"} and {best.name for best in found.values()} == {"epsilon"}
    assert {best.numbers["epsilon"] for best in found.values()} == {size}


def test_a_large_epsilon_in_the_denominators_is_none():
    L, result = _with_denominators(1e-2)
    assert result.verdict == "bug"
    assert {f.equation: f.explanations[0].name for f in result.failures} == {"loss": "epsilon", f"dA{L}": "epsilon"}


def test_an_epsilon_does_not_excuse_another_mistake_in_the_derivative():
    L, result = _with_denominators(1e-8, wrong=1 + 1e-6)
    assert result.verdict == "bug" and [f.equation for f in result.failures] == [f"dA{L}"]


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
