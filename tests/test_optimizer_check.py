"""The equations of optimizers: honest updates pass, what is wrong by 1e-5 does not, and the state has to be carried."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof import optimizer_formulas
from backproof.agreement import AgreementChecker
from backproof.equation_check import EquationChecker, check_equation, context_of
from backproof.equations import equations
from backproof.judge import Judge
from backproof.operands import Operands
from backproof.optimizer import KEYS, STATE, Optimizer
from backproof.replicas import Replicas
from backproof.rounding import format_of
from backproof.structure import flaws
from backproof.training import Step
from backproof.verdict import Verdict
from benchmarks.optimizers import WAYS, judged, numpy_steps, random_case
from reference import network as reference
from reference.optimizers import update
from tests.cli_support import INSTALLED
from tests.support import BY_NAME, training

every_optimizer = pytest.mark.parametrize("name", KEYS)
STATEFUL = [name for name in KEYS if STATE[name]]


@every_optimizer
@pytest.mark.parametrize("who", INSTALLED)
def test_honest_updates_pass_and_an_error_of_a_hundred_thousandth_does_not(who, name):
    if who == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    lines = {}
    with np.errstate(all="ignore"):
        for seed in range(7_001, 7_041):
            case = random_case(name, seed)
            judged(case, who, WAYS[who](case), lines)
    assert sum(line.checks for line in lines.values()) > 100
    assert not sum(line.alarms for line in lines.values())
    assert not sum(line.missed for line in lines.values())


def given(name, dtype="float32", steps=3):
    network = replace(BY_NAME["two_layer"], optimizer=Optimizer(name), learning_rate=0.01)
    return training(network, 40, dtype=dtype, batches=(None,) * steps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_optimizer
def test_every_quantity_of_the_update_is_checked_in_a_run(name, dtype):
    here = given(name, dtype)
    *_, step = reference.record(here)
    for target in (e.target for e in equations(here.network) if e.target.endswith("_next")):
        wrong = step.tensors[target].copy()
        wrong.flat[int(np.abs(wrong).argmax())] *= 1 + (1e-5 if dtype == "float32" else 1e-12)
        checker = EquationChecker(here.network, here.dtype)
        found = checker.check(Step(step.index, None, {**step.tensors, target: wrong}), here.X, here.Y)
        assert target in {check.equation.target for check in found.checks if check.verdict is not Verdict.ROUNDING}


@pytest.mark.parametrize("name", STATEFUL)
def test_a_state_that_is_not_carried_breaks_the_run(name):
    here = given(name)
    for changed, step_of in (("W1", 1), ("W1", 0)):
        state = f"{STATE[name][-1]}{changed}"
        judge = Judge(here, 3, None)
        for step in reference.record(here):
            tensors = dict(step.tensors)
            if step.index == step_of:
                tensors[state] = tensors[state] + np.float32(1e-3)
            judge.consume(Step(step.index, None, tensors))
        told = [finding.message for finding in judge.findings if finding.kind == "continuity"]
        left = "an optimizer's first state" if step_of == 0 else "step 0"
        why = "" if step_of else ": it is 0.001 throughout and not 0 [state-not-zero]"
        assert told == [f"{state} at the start of step {step_of} is not what {left} left{why}"]


@pytest.mark.parametrize("name", STATEFUL)
def test_a_state_that_is_missing_or_misshapen_is_a_flaw(name):
    here = given(name)
    (step, *_) = reference.record(here)
    state = f"{STATE[name][0]}b1"
    for kind, change in (("missing", None), ("shape", lambda a: a.T), ("dtype", lambda a: a.astype(np.float64))):
        tensors = {key: array for key, array in step.tensors.items() if key != state}
        if change is not None:
            tensors[state] = change(step.tensors[state])
        assert [(flaw.quantity, flaw.kind) for flaw in flaws(here.network, tensors, 40, here.dtype)] == [(state, kind)]


@pytest.mark.parametrize("name", STATEFUL)
def test_agreement_starts_from_the_runs_own_state(name):
    """At step 2 with the state of step 2: the same step with another state, or as another step, does not agree."""
    here = given(name)
    *_, step = reference.record(here)
    checker = AgreementChecker(Replicas(here, reference))
    assert all(item.verdict is Verdict.ROUNDING for item in checker.check(step))
    state = f"{STATE[name][-1]}W1"
    tensors = {**step.tensors, state: (1.01 * step.tensors[state]).astype(np.float32)}
    moved = {item.quantity for item in checker.check(Step(2, None, tensors)) if item.verdict is not Verdict.ROUNDING}
    assert f"{state}_next" in moved
    if name.startswith("adam"):
        late = checker.check(Step(3, None, step.tensors))
        assert {"W1_next", "b1_next"} <= {item.quantity for item in late if item.verdict is not Verdict.ROUNDING}


def passed_at_the_kink(here, samples):
    """The first step with ReLU'(0) = 1 for some samples, the update that follows from it included."""
    network, (step, *_) = here.network, reference.record(here)
    tensors = dict(step.tensors)
    tensors["dZ1"] = tensors["dZ1"].copy()
    tensors["dZ1"][:, samples] = tensors["dA1"][:, samples]
    tensors["db1"] = tensors["dZ1"].sum(axis=1, keepdims=True)
    gradients = {f"d{name}": tensors[f"d{name}"] for name in network.parameter_shapes()}
    alpha = np.float32(network.step_size(here.samples))
    after = update(network.optimizer, {**here.start, **tensors}, gradients, alpha, 1)
    return Step(0, None, tensors | {f"{name}_next": array for name, array in after.items()})


@every_optimizer
def test_samples_at_a_kink_are_left_out_of_the_update(name):
    """Samples of zeros lie exactly on the kink: with either derivative there the update agrees, state and all."""
    damped = {"epsilon": 1e-2} if "epsilon" in KEYS[name] else {}  # else the first step is the gradient's sign alone
    optimizer = Optimizer(name, weight_decay=0.1, **damped)
    network = replace(BY_NAME["two_layer"], optimizer=optimizer, learning_rate=0.01)
    here = training(network, 40)
    X = np.where(np.arange(40) < 5, 0, here.X).astype(np.float32)
    here = replace(here, X=X, parameters={**here.parameters, "b1": np.zeros_like(here.parameters["b1"])})
    step, checker = passed_at_the_kink(here, slice(0, 5)), AgreementChecker(Replicas(here, reference))
    (honest,) = reference.record(here)
    assert not np.allclose(step.tensors["b1_next"], honest.tensors["b1_next"], rtol=1e-3)
    found = checker.check(step)
    assert all(item.verdict is Verdict.ROUNDING and item.left_out == 5 for item in found), found
    wrong = checker.check(passed_at_the_kink(here, slice(0, 6)))
    failing = {item.quantity for item in wrong if item.verdict is not Verdict.ROUNDING}
    assert {f"{state}_next" for state in network.optimizer.state("b1")} <= failing


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_corrections_in_float32_are_honest_and_those_of_another_step_are_not(name, monkeypatch):
    """1 − 0.999 in float32 is off by 1.3e-5: more than a unit, and the same in every element."""
    case = random_case(name, 3)
    network = replace(case.network, optimizer=Optimizer(name), learning_rate=0.1)
    W, g = np.full((7, 9), 0.01, np.float32), np.ones((7, 9), np.float32)
    fmt, equation = format_of(W.dtype), next(e for e in equations(network) if e.target == "W1_next")
    (tensors,) = numpy_steps(replace(case, network=network, W=W, gradients=[g]))
    context = context_of(network, W.dtype, 1)
    m, s = (tensors[f"{kind}W1_next"].astype(np.float64) for kind in "ms")

    def judge(c1, c2):
        exact = optimizer_formulas._adam(context, W.astype(np.float64), m, s, c1, c2).exact
        arrays = {**tensors, "W1_next": exact.astype(np.float32), "X": np.ones((1, 1)), "Y": np.ones((1, 1))}
        return check_equation(equation, Operands(arrays), fmt, context).verdict

    narrow = (float(np.float32(1) - np.float32(beta)) for beta in network.optimizer.betas)
    assert judge(*narrow) is Verdict.ROUNDING
    assert judge(0.1, 0.001 * (1 + 1e-3)) is not Verdict.ROUNDING
    assert judge(*network.optimizer.corrections(2)) is Verdict.BUG
