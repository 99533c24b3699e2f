"""A ``backproof train`` that ends early, from the command line: a table, one line, and the right exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backproof.errors import BackproofError
from backproof.recording import Recording, RecordingWriter
from backproof.training import Step
from backproof.verify import verify_network
from reference import network as reference
from tests.cli_support import SMALL, WRAPPER, Outcome, call, enter, project
from tests.test_long_run import fake, long

OTHER = SMALL + SMALL.replace("networks.small", "networks.other")
FEW = ["--samples", "60", "--batch-size", "20", "--steps", "9", "--no-replicas"]


def ended(tmp_path: Path, monkeypatch: Any, capsys: Any, body: str, *arguments: str, networks: str = OTHER) -> Outcome:
    """A training by an implementation that does something in each step."""
    enter(project(tmp_path, WRAPPER.format(body=f"        {body}"), networks), monkeypatch)
    return call(capsys, "train", *arguments, *FEW)


def test_an_implementation_that_raises(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    told = ended(tmp_path, monkeypatch, capsys, "assert step.index < 4, 'no more'", "small", "--recordings", "kept")
    told.refused("implementation 'mine' raised AssertionError in step 4 of small: no more (")
    assert "Certified: 4 of 4 steps" in told.out and "Ended early: an error, which is told below." in told.out
    with pytest.raises(BackproofError, match="incomplete"):
        Recording(tmp_path / "kept" / "small" / "mine")


INTERRUPT = "if step.index == 4: raise KeyboardInterrupt"


def test_ctrl_c_ends_all_networks_with_a_verdict_on_what_was_done(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    told = ended(tmp_path, monkeypatch, capsys, INTERRUPT, "small", "other", "--output", "out")
    assert (told.code, told.err) == (0, "")
    assert "Certified: 4 of 4 steps" in told.out and "Ended early: interrupted after 4 steps." in told.out
    assert "\nother\n" not in told.out and (tmp_path / "out" / "small.md").exists()


def test_ctrl_c_after_a_finding_is_still_a_bug(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    body = f"tensors['dW1'] = tensors['dW1'] * np.float32(1.5)\n        {INTERRUPT}"
    told = ended(tmp_path, monkeypatch, capsys, body, "small")
    assert told.code == 1 and "Bug: 0 of 4 steps are certified." in told.out


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    write = RecordingWriter.write

    def full(self: RecordingWriter, step: Step) -> None:
        if step.index == 3:
            raise BackproofError("cannot write to kept: No space left on device; free some space")
        write(self, step)

    monkeypatch.setattr(RecordingWriter, "write", full)
    told = ended(tmp_path, monkeypatch, capsys, "pass", "small", "--recordings", "kept")
    told.refused("cannot write to kept: No space left on device")
    assert "Certified: 3 of 3 steps" in told.out


@pytest.mark.parametrize(("every", "certified"), [("1", 2), ("2", 1)])
def test_a_loss_that_overflows_is_no_mismatch(
    tmp_path: Path, monkeypatch: Any, capsys: Any, every: str, certified: int
) -> None:
    table = SMALL.replace("tanh", "relu")
    asked = ["small", "--learning-rate", "1e9", "--check-every", every]
    told = ended(tmp_path, monkeypatch, capsys, "pass", *asked, networks=table)
    assert (told.code, told.err) == (0, "")
    assert f"Diverged; {certified} of the 2 steps before that are certified." in told.out
    assert "left the finite numbers, first in step 2: Z" in told.out and "overflowed" in told.out


def test_recordings_are_replaced_where_that_is_asked_for(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    asked = ["small", "--recordings", "kept"]
    assert ended(tmp_path, monkeypatch, capsys, "pass", *asked).code == 0
    refused = call(capsys, "train", *asked, *FEW)
    refused.refused("holds a recording already; choose another folder, or pass --overwrite")
    assert not refused.out
    assert call(capsys, "train", *asked, *FEW, "--overwrite").code == 0


def test_a_recording_of_too_few_steps_that_verify_keeps_is_incomplete(tmp_path: Path) -> None:
    few = fake(lambda here, honest: (step for step in honest if step.index < 2))
    found = verify_network(long(steps=4), {"mine": few, "numpy": reference}, reference, tmp_path)
    assert found["implementations"]["mine"]["verdict"] == "bug"
    assert Recording(tmp_path / "numpy").steps_written == 4
    with pytest.raises(BackproofError, match="incomplete"):
        Recording(tmp_path / "mine")
