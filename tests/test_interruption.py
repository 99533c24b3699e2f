"""Recordings whose writer did not end well: killed, out of space, in the wrong folder; and what overwriting takes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from backproof.errors import BackproofError
from backproof.recording import Recording, RecordingWriter, Source
from backproof.recording.layout import STEPS, step_file
from backproof.training import Step, fingerprint
from reference import network as reference
from tests.recordings import WRITTEN, content, write
from tests.refusals import refusal
from tests.support import BY_NAME, ROOT, training


def interrupted(folder: Path, steps: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        write(folder, WRITTEN[:steps], interrupt=True)
    return folder


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_interrupted_recording_is_refused_or_cut_short(steps: int, whole: Path, tmp_path: Path) -> None:
    folder = interrupted(tmp_path, steps)
    assert "interrupted" in refusal(lambda: Recording(folder))
    assert content(folder, partial=True) == content(whole)[: 1 + steps]
    # What a killed process leaves of its current step: a temporary file, or a line without its end.
    (folder / (step_file(steps) + ".tmp")).write_bytes(b"half")
    lines = (folder / STEPS).read_bytes()
    for torn in (b'{"step": 1, "ten', lines[:30]):
        (folder / STEPS).write_bytes(lines + torn)
        assert content(folder, partial=True) == content(whole)[: 1 + steps]
    (folder / STEPS).write_bytes(lines[:40] + b"?" + lines[41:])
    assert refusal(lambda: content(folder, partial=True))


def test_an_interrupted_recording_without_a_whole_step_holds_nothing(tmp_path: Path) -> None:
    folder = interrupted(tmp_path, 0)
    for torn in (b"", b'{"step": 0'):
        (folder / STEPS).write_bytes(torn)
        assert "holds no step" in refusal(lambda: content(folder, partial=True))
    write(tmp_path / "empty", [])
    assert "holds no step" in refusal(lambda: content(tmp_path / "empty"))


WRITER = """
import sys
from pathlib import Path
from tests.recordings import write
from tests.test_interruption import endless

def told():
    for step in endless():
        yield step
        print(step.index, flush=True)

write(Path(sys.argv[1]), told())
"""


def endless() -> Iterator[Step]:
    """One step again and again, numbered."""
    return (replace(WRITTEN[0], index=index) for index in count())


def test_a_killed_process_leaves_its_whole_steps(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "killed")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while (last := int(process.stdout.readline())) < 20:
            pass
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert "interrupted" in refusal(lambda: Recording(tmp_path / "killed"))
    steps = content(tmp_path / "killed", partial=True)[1:]
    assert [step[0] for step in steps] == list(range(len(steps))) and len(steps) > last
    assert {step[2] for step in steps} == {fingerprint(WRITTEN[0].tensors)}


@pytest.mark.parametrize("limit", [100, 1500, 6000])
def test_a_full_disk_is_one_line_and_leaves_no_complete_recording(limit: int, tmp_path: Path) -> None:
    """A file size limit stands for the disk: it stops the data, a step, or the index in the middle of a line."""
    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, previous[1]))
    try:
        message = refusal(lambda: write(tmp_path / "full", endless()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, previous)
        signal.signal(signal.SIGXFSZ, handler)
    assert message.startswith(f"cannot write to {tmp_path / 'full'}: ") and "\n" not in message
    assert refusal(lambda: Recording(tmp_path / "full"))
    if limit == 6000:  # the index grew beyond it: the steps before are whole
        steps = content(tmp_path / "full", partial=True)[1:]
        assert steps and [step[0] for step in steps] == list(range(len(steps)))


def test_overwriting_is_asked_for(whole: Path, copied: Path) -> None:
    assert "holds a recording already" in refusal(lambda: write(copied))
    assert content(copied) == content(whole)
    write(copied, WRITTEN[:1], overwrite=True)
    assert content(copied) == content(whole)[:2]
    assert not (copied / step_file(1)).exists()


def test_an_interrupted_overwrite_never_reads_as_the_old_recording(copied: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(copied, WRITTEN[:1], interrupt=True, overwrite=True)
    assert "interrupted" in refusal(lambda: Recording(copied))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        assert "holds no recording" in refusal(lambda overwrite=overwrite: write(tmp_path, overwrite=overwrite))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot write to" in refusal(lambda: write(tmp_path / "file"))
    assert "cannot write to" in refusal(lambda: write(tmp_path / "file" / "below"))
    assert "holds no recording" in refusal(lambda: Recording(tmp_path / "file"))
    assert "holds no recording" in refusal(lambda: Recording(tmp_path / "absent"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot write to" in refusal(lambda: write(tmp_path / "new"))


def test_a_device_that_is_full_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "No space left on device" in refusal(lambda: write(tmp_path))


def test_what_a_writer_killed_at_once_leaves_can_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data.safetensors.tmp").write_bytes(b"half")
    given = training(BY_NAME["five_layer"], 9)
    with pytest.raises(BackproofError, match="--overwrite"):
        RecordingWriter(tmp_path, given, Source("numpy", {}, 1))
    with RecordingWriter(tmp_path, given, Source("numpy", {}, 1), overwrite=True) as writer:
        for step in reference.record(given):
            writer.write(step)
    assert len(list(Recording(tmp_path).steps())) == len(given.batches)
