"""The tables of planted faults count what goes wrong, too: a mistake that is not found, elsewhere, or misnamed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import two_run_faults
from benchmarks.optimizer_faults import Row, rows, training_of
from tests.faults.optimizer import FAULTS, RMSPROP
from tests.faults.two_runs import FAULTS as TWO_RUNS
from tests.faults.two_runs import Run

WRONG = next(wrong for wrong in FAULTS if wrong.id == "U9")


def counted(wrong):
    row = Row(wrong)
    row.add(training_of(3, "float64", wrong.declared))
    return row.cases, row.detected, row.placed, row.first, row.tied


def test_an_optimizer_row():
    assert counted(WRONG) == (1, 1, 1, 0, 1)
    assert counted(replace(WRONG, name="moment-not-averaged")) == (1, 1, 1, 1, 0)
    assert counted(replace(WRONG, name="sign")) == (1, 1, 1, 0, 0)
    assert counted(replace(WRONG, target="sW1_next")) == (1, 1, 0, 0, 0)
    assert counted(replace(WRONG, rule=None)) == (1, 0, 0, 0, 0)
    assert counted(replace(WRONG, used=RMSPROP, rule=None)) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize("seed", [7])
def test_every_wrong_optimizer_in_other_networks(seed):
    for row in rows(seed, 2):
        assert (row.cases, row.detected, row.placed) == (4, 4, 4), row
        assert row.first + row.tied == 4 and (row.wrong.tied or not row.tied), row


def test_two_runs_without_a_difference_are_not_detected():
    equal = replace(TWO_RUNS[0], make=lambda t, draw: (Run(t), Run(t)))
    assert two_run_faults.names(equal, 0, "float32") == ("", set())


def test_a_name_is_read_from_what_is_said():
    said, names = two_run_faults.names(TWO_RUNS[0], 0, "float32")
    assert names == {TWO_RUNS[0].name} and f"[{TWO_RUNS[0].name}]" in said
