"""Parameters that were recorded as the update left them: the equations that read them fail, and say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof import check_backprop
from backproof.optimizer import Optimizer
from backproof.training import Step
from backproof.trajectory import Continuity
from benchmarks.random_steps import arrays_of, random_case
from reference import network as reference
from tests.faults.planted import deep, said
from tests.support import BY_NAME, check_of, judge, training

SEEDS = range(8)


def best(explanations):
    return [e.name for e in explanations if e.assumed == explanations[0].assumed]


def step(seed, *layers):
    """A step whose parameters, of some layers, are those after it."""
    case = deep(random_case(seed))
    arrays = arrays_of(case)
    for n in layers or range(1, case.depth + 1):
        arrays |= {f"{kind}{n}": arrays[f"{kind}{n}_next"] for kind in "Wb"}
    return case, arrays


@pytest.mark.parametrize("seed", SEEDS)
def test_every_equation_that_reads_them_is_named(seed):
    case, arrays = step(seed)
    result = check_backprop(arrays, **said(case))
    found = {failure.equation: best(failure.explanations) for failure in result.failures}
    layers = range(1, case.depth + 1)
    updates = {f"{kind}{n}_next" for kind in "Wb" for n in layers}
    assert found.keys() == {f"Z{n}" for n in layers} | {f"dA{n}" for n in layers[:-1]} | updates
    assert {names[0] for names in found.values()} == {"parameters-overwritten"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("told", [True, False])
def test_without_what_the_update_left_the_learning_rate_is_fitted(seed, told):
    case, arrays = step(seed)
    arrays = {name: array for name, array in arrays.items() if not name.endswith("_next")}
    failures = check_backprop(arrays, **(said(case) if told else {})).failures
    assert failures and all(best(failure.explanations) == ["parameters-overwritten"] for failure in failures)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_layer_alone(seed):
    case, arrays = step(seed, 1)
    failures = check_backprop(arrays, **said(case)).failures
    assert {failure.equation for failure in failures} == {"Z1", "W1_next", "b1_next"}
    assert {best(failure.explanations)[0] for failure in failures} == {"parameters-overwritten"}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_not_updated_is_not_taken_for_it(seed):
    case = deep(random_case(seed))
    kept = {name: lambda c, q, right, name=name: q[name[:-5]] for name in ("W1_next", "b1_next")}
    failures = check_backprop(arrays_of(case, kept), **said(case)).failures
    assert {failure.equation for failure in failures} == set(kept)
    assert {best(failure.explanations)[0] for failure in failures} == {"not-updated"}


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_after_the_update_in_the_product_are_another_mistake(seed):
    case = deep(random_case(seed))
    right = arrays_of(case)
    updated = [name for name in right if f"{name}_next" in right]
    after, before = (
        {name: right[f"{name}_next"] for name in updated},
        {f"{name}_next": right[name] for name in updated},
    )
    swapped = right | after | before
    found = {f.equation: best(f.explanations) for f in check_backprop(swapped, **said(case)).failures}
    assert found["Z1"] == found["dA1"] == ["weights-updated"]
    ahead = right | {name: 2 * right[name] - right[f"{name}_next"] for name in updated}
    ahead = {name: array for name, array in ahead.items() if not name.endswith("_next")}
    for failure in check_backprop(ahead, **said(case)).failures:
        assert "parameters-overwritten" not in [e.name for e in failure.explanations], failure.explanations


@pytest.mark.parametrize("optimizer", ["momentum", "nesterov", "adam", "rmsprop"])
def test_under_an_optimizer_with_state(optimizer):
    """The step is what the recorded state gives; the zeros of before it were kept."""
    given = training(replace(BY_NAME["two_layer"], optimizer=Optimizer(optimizer)))
    (honest,) = reference.record(given)
    tensors = dict(honest.tensors)
    tensors |= {name: tensors[f"{name}_next"] for name in given.parameters}
    found = judge(given, Step(0, None, tensors))
    for target in ("Z1", "Z2", "dA1", "W1_next", "b2_next"):
        assert best(check_of(found, target).explanations)[0] == "parameters-overwritten"


def test_continuity_says_why():
    W, other = np.ones((2, 3)), np.zeros((2, 3))
    said = Continuity({"W1": W}).check(Step(0, None, {"W1": other, "W1_next": other}))
    assert said == [
        "W1 at the start of step 0 is not what the initial parameters left: it is W1_next, changed in place or copied "
        "without depth [parameters-overwritten]"
    ]
    state = Continuity({"sW1": other}).check(Step(0, None, {"sW1": other + 0.1, "sW1_next": W}))
    assert state == [
        "sW1 at the start of step 0 is not what an optimizer's first state left: it is 0.1 throughout and not 0 "
        "[state-not-zero]"
    ]
    uneven = Continuity({"W1": W}).check(Step(0, None, {"W1": other, "W1_next": W}))
    assert uneven == ["W1 at the start of step 0 is not what the initial parameters left"]
