"""Mini-batches in what is reported: the batch's own shape, and a sample's index in the data, not in the batch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backproof.batches import Batches, by_sample, in_data
from backproof.settings import Settings
from backproof.settings import batches as drawn
from tests.cli_support import Outcome, call, enter, faulty, project, summary_of
from tests.support import BY_NAME, training

SAMPLES, SIZE, STEPS = 50, 20, 4
RUN = ("--samples", SAMPLES, "--batch-size", SIZE, "--steps", STEPS)
GIVEN = drawn(SAMPLES, Settings(samples=SAMPLES, batch_size=SIZE, steps=STEPS))
PARTIAL, PLACE, UNIT = 2, 7, 1
"""The step, its column and the unit that the fault is planted in."""
PLANTED = """
if step.index == 2:
    for name in {names}:
        tensors[name] = np.array(tensors[name])
        tensors[name][1, 7] += 1e3
"""


def verified(folder: Path, capsys: Any, monkeypatch: Any, names: tuple[str, ...] = (), run: Any = RUN) -> Path:
    enter(project(folder, faulty(PLANTED.format(names=names))), monkeypatch)
    assert call(capsys, "verify", *run, "--keep-recordings").code == bool(names)
    return folder / "reports"


def sample() -> int:
    batch = GIVEN[PARTIAL]
    assert batch is not None and len(batch) == SAMPLES - 2 * SIZE and batch[PLACE] != PLACE
    return int(batch[PLACE])


def rows(outcome: Outcome, start: str) -> list[str]:
    return [line for line in outcome.out.splitlines() if line.startswith(start)]


@pytest.mark.parametrize("name", ["Z2", "A2", "dA2", "dZ2"])
def test_the_column_of_a_worst_element_is_the_sample(tmp_path, capsys, monkeypatch, name):
    folder = verified(tmp_path, capsys, monkeypatch, (name,))
    wanted, where = [UNIT, sample()], f"{name}[{UNIT}, {sample()}]"
    layer = json.loads((folder / "small" / "layer-2.json").read_text())
    for kind in ("equations", "agreement"):
        found = layer[kind][name]["by"]["mine"]["worst"]
        assert (found["step"], found["index"]) == (PARTIAL, wanted)
    assert (folder / "small" / "layer-2.md").read_text().count(f" {where} ") == 2
    recording = folder / "recordings" / "small" / "mine"
    checked = call(capsys, "check", recording)
    assert checked.code == 1 and where in checked.out
    assert "the sample's index in the data, not its place in the batch" in checked.out


def test_the_column_of_a_gap_is_the_sample(tmp_path, capsys, monkeypatch):
    honest = verified(tmp_path / "a", capsys, monkeypatch) / "recordings" / "small" / "mine"
    wrong = verified(tmp_path / "b", capsys, monkeypatch, ("dZ2",)) / "recordings" / "small" / "mine"
    for pair in ((honest, wrong), (wrong, honest)):
        compared = call(capsys, "compare", *pair)
        (row,) = rows(compared, "dZ2 ")
        assert compared.code == 1 and f"dZ2[{UNIT}, {sample()}]" in row
        assert f"{STEPS} steps of 10 to {SIZE} of {SAMPLES} samples" in compared.out
        assert "the sample's index in the data, not its place in the batch" in compared.out


def test_the_column_of_a_weight_stays(tmp_path, capsys, monkeypatch):
    folder = verified(tmp_path, capsys, monkeypatch, ("dW1",))
    layer = json.loads((folder / "small" / "layer-1.json").read_text())
    for kind in ("equations", "agreement"):
        assert layer[kind]["dW1"]["by"]["mine"]["worst"]["index"] == [UNIT, PLACE]


def test_shapes_are_the_batchs(tmp_path, capsys, monkeypatch):
    folder = verified(tmp_path, capsys, monkeypatch)
    facts = summary_of(folder)["networks"]["small"]
    assert (facts["samples"], facts["batches"]) == (SAMPLES, {"smallest": 10, "largest": SIZE})
    layer = json.loads((folder / "small" / "layer-2.json").read_text())
    assert layer["equations"]["Z2"]["shape"] == [4, SIZE] and layer["equations"]["dW2"]["shape"] == [4, 5]
    page = (folder / "small" / "layer-2.md").read_text()
    assert "50 samples in batches of 20, the smallest of 10, 4 steps" in page
    shown = dict(re.findall(r"^\| (\w+) = .*?\| ([^|]+?) +\|", page, re.MULTILINE))
    assert {name for name, shape in shown.items() if shape == "4 × 10–20"} == {"Z2", "A2", "dA2", "dZ2"}
    assert (shown["dW2"], shown["db2"], shown["b2_next"]) == ("4 × 5", "4 × 1", "4 × 1")
    checked = call(capsys, "check", folder / "recordings" / "small" / "mine")
    assert f"{STEPS} steps of 10 to {SIZE} of {SAMPLES} samples, float32" in checked.out


def test_whole_batches_and_full_data(tmp_path, capsys, monkeypatch):
    folder = verified(tmp_path / "a", capsys, monkeypatch, run=("--samples", 12, "--batch-size", 6, "--steps", 3))
    page = (folder / "small" / "layer-2.md").read_text()
    assert "12 samples in batches of 6, 3 steps" in page and "| 4 × 6 " in page and "12 |" not in page
    assert "3 steps of 6 of 12 samples" in call(capsys, "check", folder / "recordings" / "small" / "mine").out
    folder = verified(tmp_path / "b", capsys, monkeypatch, run=("--samples", 12, "--steps", 3))
    page = (folder / "small" / "layer-2.md").read_text()
    assert "; 12 samples, 3 steps" in page and "| 4 × 12 " in page
    checked = call(capsys, "check", folder / "recordings" / "small" / "mine").out
    assert "3 steps of 12 samples, float32" in checked and "its place in the batch" not in checked


def test_a_value_that_is_not_finite_says_what_its_column_counts(tmp_path, capsys, monkeypatch):
    spoil = PLANTED.format(names=("A2",)).replace("+= 1e3", "= np.nan")
    enter(project(tmp_path, faulty(spoil)), monkeypatch)
    outcome = call(capsys, "verify", *RUN)
    assert outcome.code == 1 and f"at ({UNIT}, {PLACE}); the column is its place in the batch" in outcome.out


def test_what_has_a_column_for_each_sample():
    network = BY_NAME["five_layer"]
    for name, shape in network.shapes(37).items():
        assert by_sample(name) == (shape[1:] == (37,)), name
    assert in_data("dA1", (3, 0), np.array([9, 8])) == (3, 9)
    assert in_data("W1_next", (3, 0), np.array([9, 8])) == (3, 0) and in_data("loss", (0, 0), np.array([9])) == (0, 0)
    assert in_data("Z1", (3, 1), None) == (3, 1)


def test_sizes_of_batches():
    batches = Batches.of(training(BY_NAME["two_layer"], 9, batches=(None, np.array([4, 4]), None)))
    assert (batches.smallest, batches.largest, batches.gathered, str(batches)) == (2, 9, True, "2 to 9")
    whole = Batches.of(training(BY_NAME["two_layer"], 9))
    assert (whole.smallest, whole.largest, whole.gathered, str(whole)) == (9, 9, False, "9")
