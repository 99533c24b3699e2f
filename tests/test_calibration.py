"""The calibration's random networks: a seeded sample of them raises no alarm, and one with an error in it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof.agreement import AgreementChecker
from backproof.replicas import Replicas
from benchmarks.calibration import Tally, calibrate, judge
from benchmarks.random_networks import DEEPEST, MOST_SAMPLES, WIDEST, WORK, random_case, random_sizes, work
from reference import network as reference
from reference.initialisation import initial_parameters
from tests.cli_support import INSTALLED

SMALL = 3e5
"""Work of the largest case here; the benchmark has the others."""
SEEDS = [seed for seed in range(7_000_000, 7_000_150) if work(*random_sizes(np.random.default_rng(seed))) <= SMALL][:40]
NO_JAX = 10**9


def case_of(seed):
    return random_case(seed, initial_parameters)


def ordinary(dtype):
    """The first deep case on all samples, with plain data and weights in its place, in the format asked for."""
    for seed in SEEDS:
        case = case_of(seed)
        given, sizes = case.training, case.training.network.sizes
        whole = all(batch is None for batch in given.batches)
        if whole and len(sizes) > 2 and min(*sizes, given.samples) > 2:
            X = np.random.default_rng(seed).standard_normal(given.X.shape).astype(dtype)
            Y = given.Y if given.network.labels == "integer" else given.Y.astype(dtype)
            parameters = initial_parameters(given.network, seed, dtype)
            plain = replace(given, X=X, Y=Y, parameters=parameters)
            return replace(case, data="normal", weights="plain", training=plain)
    raise AssertionError("no such case among the seeds")


def tally_of(case, factors, agreement=False):
    """What is counted of the NumPy reference's steps with some of the first step's quantities scaled."""
    steps = list(reference.record(case.training))
    scaled = {name: (array * factors.get(name, 1)).astype(array.dtype) for name, array in steps[0].tensors.items()}
    tally = Tally()
    checker = AgreementChecker(Replicas(case.training, reference)) if agreement else None
    judge(case, "numpy", [replace(steps[0], tensors=scaled), *steps[1:]], tally, checker)
    return tally


def alarmed(tally):
    return {kind for (kind, _, _), line in tally.lines.items() if line.alarms}


def test_honest_random_networks_raise_no_alarm(capsys):
    tally = Tally()
    calibrate(SEEDS, tally, jax_every=NO_JAX)
    assert tally.cases == len(SEEDS) == 40
    assert sum(line.checks for (kind, _, _), line in tally.lines.items() if kind == "agreement") > 100
    assert tally.checks > 50 * tally.cases * len(set(INSTALLED) - {"jax"})
    assert not tally.alarms, capsys.readouterr().out


@pytest.mark.parametrize(
    "seed", [910000680, 910000776, 910001124, 910001133, 910001145, 910002036, 930000417, 950000680, 950001040]
)
def test_what_was_a_false_alarm_is_none_any_more(seed):
    """A saturated delta of JAX, the drift of equal terms in PyTorch, and losses whose parts overflow before they do."""
    tally = Tally()
    calibrate([seed], tally, jax_every=1)
    assert tally.checks > 10 and not alarmed(tally)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("quantity", ["Z1", "dZ1", "dW1", "db1", "loss", "W1_next"])
def test_an_error_of_a_thousandth_is_an_alarm(quantity, dtype, capsys):
    case = ordinary(dtype)
    assert not tally_of(case, {}).alarms
    tally = tally_of(case, {quantity: 1.001})
    assert tally.alarms and tally.seeds == [case.seed]
    assert f"ALARM  numpy  {case.name}" in capsys.readouterr().out


def test_an_error_of_a_thousandth_is_an_alarm_of_the_agreement():
    case = ordinary("float32")
    assert "agreement" in alarmed(tally_of(case, {"dW1": 1.001}, agreement=True))
    assert not alarmed(tally_of(case, {}, agreement=True))


def test_a_value_that_is_not_finite_for_no_reason_is_an_alarm():
    assert alarmed(tally_of(ordinary("float32"), {"dW1": np.nan})) >= {"finite values"}


def test_an_overflow_is_told_and_is_no_alarm(capsys):
    case = ordinary("float32")
    huge = replace(case, training=replace(case.training, X=case.training.X * np.float32(1e38)))
    tally = tally_of(huge, {})
    assert tally.overflows == {case.seed} and not alarmed(tally)
    assert f"overflow  numpy  {huge.name}" in capsys.readouterr().out


def test_a_time_limit_that_has_passed_begins_no_case():
    tally = Tally()
    calibrate(SEEDS, tally, jax_every=NO_JAX, until=0.0)
    assert tally.cases == tally.checks == 0


def test_a_case_follows_from_its_seed():
    first, again, other = (case_of(seed) for seed in (7, 7, 8))
    assert first.name == again.name != other.name
    assert first.training.data_hash == again.training.data_hash != other.training.data_hash
    assert first.training.initial_hash == again.training.initial_hash


def test_the_draws_span_what_they_promise():
    drawn = [random_sizes(np.random.default_rng(seed)) for seed in range(3000)]
    depths, widths, samples = ({len(s) - 1 for s, _ in drawn}, {n for s, _ in drawn for n in s}, {m for _, m in drawn})
    assert depths == set(range(1, DEEPEST + 1))
    assert min(widths) == 1 and 0.9 * WIDEST < max(widths) <= WIDEST
    assert min(samples) == 1 and 2 in samples and max(samples) == MOST_SAMPLES
    assert max(work(*case) for case in drawn if max(*case[0], 1) > 1) <= 10 ** WORK[-1][-1]
