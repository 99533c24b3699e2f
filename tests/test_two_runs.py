"""What only two runs can show (data, initial weights, batches) is planted in one of them and named by 'compare'."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backproof import check_backprop
from backproof.diagnosis import two_runs
from backproof.errors import BackproofError
from benchmarks.random_steps import arrays_of, random_case
from tests.faults.planted import classes
from tests.faults.two_runs import FAULTS, Differs, Run, told, training_of

SEEDS = (0, 1, 2, 3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.id}-{fault.what}".strip("-"))
def test_what_differs_is_named(tmp_path, fault, dtype, seed):
    said = told(tmp_path, fault, training_of(seed, dtype))
    assert f"[{fault.name}]" in said and fault.words in said and "\n" not in said
    assert said.count("[") == said.count(f"[{fault.name}]"), said


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_run_may_be_the_wrong_one(tmp_path, seed):
    """What is said of B is then said of A."""
    for name in ("R3", "R5", "R7", "R11", "I9"):
        fault = next(fault for fault in FAULTS if fault.id == name)
        other = replace(fault, make=lambda t, draw, fault=fault: fault.make(t, draw)[::-1])
        assert f"[{fault.name}]" in told(tmp_path / name, other, training_of(seed))


def other_data(t, draw):
    return Run(t), Run(replace(t, X=draw.random(t.X.shape).astype(t.dtype)))


def test_what_is_not_related_gets_no_name(tmp_path):
    said = told(tmp_path, Differs("", "", "", "", other_data), training_of(1))
    assert "differ in data" in said and "[" not in said


def test_equal_runs_have_no_difference(tmp_path):
    assert told(tmp_path, Differs("", "", "", "", lambda t, draw: (Run(t), Run(t))), training_of(1)) == ""
    t = training_of(1)
    X, Y = t.X, t.Y
    assert two_runs.data({"X": X, "Y": Y}, {"X": X.copy(), "Y": Y.copy()}) is None
    assert two_runs.parameters(t.parameters, {name: array.copy() for name, array in t.parameters.items()}) is None


def test_less_than_an_epoch_does_not_tell_what_is_never_taken():
    order = np.arange(20)
    assert two_runs.batches([order[:5], order[5:10]], [order[:5], order[10:15]], 20)[0] == "batches-unrelated"


@pytest.mark.parametrize("rows", [True, False])
def test_a_one_hot_width_of_the_labels_is_told_where_arrays_are_checked(rows):
    """D7, where no recording refuses it first; what is not one-hot is only of a wrong shape."""
    case = replace(classes(random_case(3)), integer_labels=False, rows=rows, torch_like=False)
    arrays = arrays_of(case)
    n, y = case.sizes[-1] - 1, np.arange(case.m) % (case.sizes[-1] - 1)
    narrow = np.eye(n)[:, y].astype(case.dtype)
    for Y, hinted in ((narrow, True), (0.5 * narrow, False), (0 * narrow, False)):
        with pytest.raises(BackproofError) as caught:
            check_backprop({**arrays, "Y": Y.T if rows else Y})
        assert ("[one-hot-width]" in str(caught.value)) == hinted


def test_what_is_left_out_of_one_epoch_only_is_not_called_missing():
    order = np.arange(10)
    first, later = [order[:5], order[5:]], [order[::2], order[1::2]]
    partial = [order[:5], order[5:9]]
    assert two_runs.batches(first + later, [*partial, order[4:9], order[:4]], 10)[0] == "samples-missing"
    assert two_runs.batches(first + later, [*partial, order[5:], order[:4]], 10)[0] == "batches-unrelated"
