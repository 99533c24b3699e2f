"""``backproof diff``: what moved between two runs, by how many ULPs, where first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.diff.recordings import first, moved
from backproof.diff.summaries import moves
from backproof.gate.facts import of_summary
from backproof.recording import Recording, RecordingWriter, Source
from backproof.training import Training
from reference.network import record
from tests.cli_support import call
from tests.gate_support import check, written
from tests.support import BY_NAME, training

STEPS = 3
GIVEN = replace(training(BY_NAME["two_layer"], m=12), batches=(None,) * STEPS)


def recorded(folder: Path, change: Any = None, given: Training = GIVEN) -> Recording:
    """A recording of the reference; ``change`` alters the tensors of a step before they are written."""
    with RecordingWriter(folder, given, Source("numpy", {"numpy": "2"}, 1)) as writer:
        for step in record(given):
            tensors = {name: np.array(array) for name, array in step.tensors.items()}
            if change is not None:
                change(step.index, tensors)
            writer.write(replace(step, tensors=tensors))
    return Recording(folder)


def after_some(index: int, tensors: Any) -> None:
    """One element of step 1 by 3 ULPs, another of step 2 by far more, and an earlier equation of step 2."""
    if index == 1:
        tensors["dW2"][1, 2] = stepped(tensors["dW2"][1, 2], 3)
    if index == 2:
        tensors["dW2"][0, 0] *= 2
        tensors["Z1"][0, 5] = stepped(tensors["Z1"][0, 5], 1)


def stepped(value: Any, count: int) -> Any:
    for _ in range(count):
        value = np.nextafter(value, np.float32(np.inf))
    return value


def test_the_same_run_does_not_move(tmp_path, capsys):
    recorded(tmp_path / "a"), recorded(tmp_path / "b")
    outcome = call(capsys, "diff", tmp_path / "a", tmp_path / "b")
    assert outcome.code == 0 and "Nothing moved" in outcome.out and "to the last bit" in outcome.out


def test_what_moved_by_how_many_ulps_and_where_first(tmp_path, capsys):
    found = moved(recorded(tmp_path / "a"), recorded(tmp_path / "b", after_some))
    assert {name for name, it in found.items() if it.moved} == {"Z1", "dW2"}
    assert found["dW2"].moved == 2 and found["dW2"].elements == STEPS * 4 * 4
    start = first(found)
    assert start is not None and start[0] == "dW2"  # of an earlier step than Z1, which comes before it within a step
    assert (start[1].step, start[1].index, start[1].ulps) == (1, (1, 2), 3.0)
    assert (found["dW2"].largest.step, found["dW2"].largest.index) == (2, (0, 0))
    outcome = call(capsys, "diff", tmp_path / "a", tmp_path / "b")
    assert outcome.code == 0 and "First: step 1, layer 2, dW2[1, 2]: " in outcome.out and ", 3 ULPs" in outcome.out


def test_the_sign_of_zero_does_not_move(tmp_path):
    def zeros(index: int, tensors: Any) -> None:
        tensors["A1"][tensors["A1"] == 0] = -0.0

    found = moved(recorded(tmp_path / "a"), recorded(tmp_path / "b", zeros))
    assert np.signbit(next(iter(Recording(tmp_path / "b").steps())).tensors["A1"]).any()
    assert first(found) is None


@pytest.mark.parametrize("side", ["a", "b"])
def test_what_cannot_be_subtracted_is_told(side, tmp_path, capsys):
    def broken(index: int, tensors: Any) -> None:
        if index == 1:
            tensors["dW1"][0, 0] = np.nan
        if index == 2:
            del tensors["db1"]

    for name in ("a", "b"):
        recorded(tmp_path / name, broken if name == side else None)
    out = call(capsys, "diff", tmp_path / "a", tmp_path / "b").out
    assert "dW1 could not be subtracted in step 1" in out and "db1 could not be subtracted in step 2" in out


def test_the_same_nan_does_not_move(tmp_path):
    def broken(index: int, tensors: Any) -> None:
        tensors["dW1"][0, 0] = np.nan

    found = moved(recorded(tmp_path / "a", broken), recorded(tmp_path / "b", broken))
    assert not found["dW1"].odd and first(found) is None


def test_a_sample_is_counted_as_the_data_counts_it(tmp_path):
    given = replace(GIVEN, batches=(np.array([7, 3, 9]),))

    def change(index: int, tensors: Any) -> None:
        tensors["Z2"][1, 2] *= 2

    found = moved(recorded(tmp_path / "a", given=given), recorded(tmp_path / "b", change, given))
    assert found["Z2"].first is not None and found["Z2"].first.index == found["Z2"].largest.index == (1, 9)


def test_runs_of_another_training_are_refused(tmp_path, capsys):
    recorded(tmp_path / "a")
    recorded(tmp_path / "b", given=replace(training(BY_NAME["two_layer"], m=12, seed=1), batches=(None,) * STEPS))
    call(capsys, "diff", tmp_path / "a", tmp_path / "b").refused("differ in initial parameters")


# Summaries


def test_summaries_are_put_side_by_side(tmp_path, capsys):
    def change(content: Any) -> None:
        check(content).update(fraction=0.19)
        check(content, "Z2", "agreement").update(fraction=0.6, ulps=40.0)
        content["environment"]["python"] = "4"
        content["networks"]["two"]["implementations"]["jax"]["losses"][1] = 1.5

    old, new = written(tmp_path / "old"), written(tmp_path / "new", change)
    found = moves(of_summary(old), of_summary(new))
    assert [move.key.what for move in found] == ["Z2 (agreement)", "Z1 (equation)"]
    outcome = call(capsys, "diff", tmp_path / "old", new)
    assert outcome.code == 0 and "differs: python 3 there, 4 here" in outcome.out
    rows = [line.split() for line in outcome.out.splitlines() if line.startswith("one ")]
    assert rows[0][-2:] == ["3", "40"] and rows[1][-2:] == ["-", "-"]
    assert "two by jax: step 1, 1.0 → 1.5" in outcome.out and "2 of 32 checks moved." in outcome.out


def test_what_is_not_comparable_is_still_shown(tmp_path, capsys):
    written(tmp_path / "old"), written(tmp_path / "new", lambda s: s["settings"].update(dtype="float64"))
    outcome = call(capsys, "diff", tmp_path / "old", tmp_path / "new")
    assert outcome.code == 0 and "differs: dtype float32 there, float64 here" in outcome.out


def test_two_of_a_kind(tmp_path, capsys):
    recorded(tmp_path / "a")
    written(tmp_path / "s")
    (tmp_path / "empty").mkdir()
    call(capsys, "diff", tmp_path / "a", tmp_path / "s").refused("two of a kind")
    call(capsys, "diff", tmp_path / "empty", tmp_path / "s").refused("holds neither")
    call(capsys, "diff", tmp_path / "s", tmp_path / "none").refused("missing")
    (tmp_path / "s" / "summary.json").write_text("{")
    call(capsys, "diff", tmp_path / "s", tmp_path / "s").refused("not valid JSON")
