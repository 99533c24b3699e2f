"""Optimizers and schedules: what they may be, that three witnesses agree on them, and how they are refused."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

from backproof.errors import BackproofError
from backproof.network import Network
from backproof.optimizer import KEYS, Optimizer
from backproof.schedule import Schedule
from backproof.training import fingerprint
from backproof.verify import verify_network
from benchmarks.optimizers import WAYS, numpy_steps, random_case
from tests.cli_support import INSTALLED
from tests.refusals import refusal
from tests.support import BY_NAME, implementation, training

every_optimizer = pytest.mark.parametrize("name", KEYS)
TABLE = {"name": "n", "sizes": [3, 2], "activations": ["softmax"]}


@every_optimizer
@pytest.mark.parametrize("decay", [None, 0.0, 0.1])
def test_it_survives_a_table(name, decay):
    network = replace(Network.from_dict(TABLE), optimizer=Optimizer(name, weight_decay=decay))
    again = Network.from_dict(network.to_dict())
    assert again == network
    assert ("optimizer" in network.to_dict()) == (network.optimizer != Optimizer())
    assert Network.from_dict({**TABLE, "optimizer": name}).optimizer == Optimizer(name)


@pytest.mark.parametrize("schedule", [Schedule("step", every=3), Schedule("cosine", steps=9, final=0.1)])
def test_a_schedule_survives_a_table(schedule):
    network = replace(Network.from_dict(TABLE), schedule=schedule)
    assert Network.from_dict(network.to_dict()) == network
    assert "schedule" not in replace(network, schedule=Schedule()).to_dict()


BAD = {
    "unknown": ({"name": "adagrad"}, "unknown optimizer 'adagrad'; choose from sgd, momentum"),
    "no name": ({"momentum": 0.9}, "a name or a table with a name"),
    "number": (3, "a name or a table with a name"),
    "negative epsilon": ({"name": "adam", "epsilon": -1e-8}, "epsilon must be at least 1e-30"),
    "epsilon zero": ({"name": "rmsprop", "epsilon": 0}, "epsilon must be at least 1e-30"),
    "beta one": ({"name": "adamw", "betas": [0.9, 1.0]}, "beta must be at least 0 and below 1, not 1.0"),
    "beta nan": ({"name": "adam", "betas": [float("nan"), 0.9]}, "beta must be at least 0 and below 1"),
    "one beta": ({"name": "adam", "betas": [0.9]}, "betas must be two numbers"),
    "momentum": ({"name": "momentum", "momentum": 1.5}, "momentum must be at least 0 and below 1, not 1.5"),
    "no momentum": ({"name": "nesterov", "momentum": 0.0}, "momentum must be above 0; without it the optimizer is sgd"),
    "decay": ({"name": "rmsprop", "decay": -0.1}, "decay must be at least 0"),
    "weight decay": ({"name": "sgd", "weight_decay": -1.0}, "weight_decay must be finite and not negative"),
    "another's": ({"name": "sgd", "betas": [0.9, 0.99]}, "it has no betas; it has weight_decay"),
    "type": ({"name": "momentum", "momentum": "0.9"}, "momentum must be a number, not '0.9'"),
    "truth": ({"name": "adam", "epsilon_inside": 1}, "epsilon_inside must be true or false"),
}


@pytest.mark.parametrize(("values", "said"), BAD.values(), ids=BAD)
def test_what_is_no_optimizer(values, said):
    message = refusal(lambda: Network.from_dict({**TABLE, "optimizer": values}))
    assert message.startswith("network 'n': ") and said in message


def test_a_constant_that_it_has_not_is_refused_in_python_too():
    with pytest.raises(BackproofError, match="it has no momentum"):
        Optimizer("adam", momentum=0.5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("linear", "unknown schedule"), ({"name": "step"}, "every must be at least 1"),
        ({"name": "cosine", "steps": 0}, "steps must be at least 1"), ({"name": "cosine", "every": 2}, "has no every"),
        ({"name": "step", "every": 2, "factor": 0}, "factor must be above 0"),
        ({"name": "cosine", "steps": 2, "final": 2.0}, "final must lie between"),
        ({"name": "step", "every": 2.5}, "every has the wrong type"), (3, "a name or a table"),
    ],
)  # fmt: skip
def test_what_is_no_schedule(values, said):
    assert said in refusal(lambda: Network.from_dict({**TABLE, "schedule": values}))


def test_schedules_are_those_of_the_libraries():
    torch, optax = pytest.importorskip("torch"), pytest.importorskip("optax")
    step, cosine = Schedule("step", every=3, factor=0.5), Schedule("cosine", steps=8, final=0.25)
    lr = torch.optim.lr_scheduler
    for ours, theirs, jaxs in (
        (step, lambda o: lr.StepLR(o, 3, 0.5), optax.exponential_decay(1.0, 3, 0.5, staircase=True)),
        (cosine, lambda o: lr.CosineAnnealingLR(o, 8, eta_min=0.25), optax.cosine_decay_schedule(1.0, 8, 0.25)),
    ):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
        scheduler = theirs(optimizer)
        for index in range(9):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(ours.at(index), abs=1e-14)
            assert float(jaxs(index)) == pytest.approx(ours.at(index), abs=1e-6)
            optimizer.step()
            scheduler.step()
    assert cosine.at(8) == cosine.at(100) == 0.25 and Schedule().at(10**6) == 1.0


@every_optimizer
@pytest.mark.parametrize("who", ["torch", "jax"])
def test_the_reference_is_the_library_in_float64(who, name):
    if who not in INSTALLED:
        pytest.skip(f"{who} is not installed")
    if who == "jax":
        importlib.import_module("jax").config.update("jax_enable_x64", True)
    for seed in range(12):
        case = random_case(name, seed)
        case = replace(case, W=case.W.astype(np.float64), gradients=[g.astype(np.float64) for g in case.gradients])
        for ours, theirs in zip(numpy_steps(case), WAYS[who](case), strict=True):
            assert ours.keys() == theirs.keys()
            for key, array in ours.items():
                np.testing.assert_allclose(theirs[key], array, rtol=1e-12, atol=1e-12 * np.abs(array).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_optimizer
def test_a_run_ends_in_rounding(name, dtype):
    network = BY_NAME["row_major"]  # a sum, with α/m
    optimizer = Optimizer(name, weight_decay=0.01)
    network = replace(network, optimizer=optimizer, schedule=Schedule("step", every=2), learning_rate=0.02)
    batches = (None, None, np.arange(20), np.arange(20, 27))
    given = training(network, 40, dtype=dtype, batches=batches)
    facts = verify_network(given, {who: implementation(who) for who in INSTALLED}, implementation("numpy"))
    assert facts["verdict"] == "rounding", facts["implementations"]
    for run in facts["implementations"].values():
        assert run["coverage"]["checked"] == run["coverage"]["of"] == 4 * len(facts_equations(facts))
    assert {f"{s}_next" for s in network.state_shapes()} <= facts_equations(facts)


def facts_equations(facts):
    return {target for layer in facts["layers"].values() for target in layer["equations"]}


@every_optimizer
@pytest.mark.parametrize("who", INSTALLED)
def test_an_unrecorded_run_ends_in_the_same_bits(who, name):
    network = replace(BY_NAME["two_layer"], optimizer=Optimizer(name), learning_rate=0.01)
    given, module = training(network, 30, batches=(None,) * 3), implementation(who)
    *_, last = module.record(given)
    final = module.train(given)
    assert final.keys() == given.parameters.keys()
    for key, array in final.items():
        assert array.tobytes() == np.ascontiguousarray(last.tensors[f"{key}_next"]).tobytes(), key


@every_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("who", INSTALLED)
def test_a_run_that_goes_on_where_another_ended_is_the_whole_run(who, dtype, name):
    """The state and the number of steps before it are a run's to be given; a schedule goes on with the latter."""
    schedule = Schedule("step", every=2, factor=0.5)
    network = replace(BY_NAME["two_layer"], optimizer=Optimizer(name), learning_rate=0.01, schedule=schedule)
    whole, module = training(network, 30, batches=(None,) * 5, dtype=dtype), implementation(who)
    steps = list(module.record(whole))
    left = {key.removesuffix("_next"): array for key, array in steps[2].tensors.items() if key.endswith("_next")}
    rest = replace(whole.at(3, left), batches=(None,) * 2)
    for here, there in zip(module.record(rest), steps[3:], strict=True):
        assert here.index == there.index and fingerprint(here.tensors) == fingerprint(there.tensors)
    final, expected = module.train(rest), module.train(whole)
    assert fingerprint(final) == fingerprint(expected)


def test_torch_has_no_epsilon_inside():
    if "torch" not in INSTALLED:
        pytest.skip("torch is not installed")
    network = replace(BY_NAME["two_layer"], optimizer=Optimizer("rmsprop", epsilon_inside=True))
    given = training(network, 10)
    assert "no ε inside the root" in refusal(lambda: next(implementation("torch").record(given)))
    others = {who: implementation(who) for who in INSTALLED if who != "torch"}
    assert verify_network(given, others, implementation("numpy"))["verdict"] == "rounding"
