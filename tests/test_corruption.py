"""Recordings that were damaged: flipped bits, truncation, foreign files, another run's files. Each is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backproof.errors import BackproofError
from backproof.files import sealed, unsealed
from backproof.recording import Recording
from backproof.recording.layout import MANIFEST, STEPS, step_file
from tests.recordings import FILES, WRITTEN, content, write
from tests.refusals import refusal

FIXTURE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FOREIGN = [b"", b"[]", b"[1]", b"null", b"3", b'"text"', b"{}", b'{"crc32": 1}', b"\xff\xfe", b"GIF89a"]


def refused_or_identical(whole: Path, folder: Path) -> bool:
    """True when it was refused; anything that is not the recording, or another error, fails."""
    __tracebackhide__ = True
    message = ""
    try:
        found = content(folder)
    except BackproofError as error:
        message = str(error)
    else:
        assert found == content(whole)
    assert "\n" not in message
    return bool(message)


def test_a_whole_recording_is_read(whole: Path) -> None:
    assert [step[0] for step in content(whole)[1:]] == [0, 1, 2]
    assert sorted(path.name for path in whole.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_refused_or_changes_nothing(name: str, whole: Path, copied: Path) -> None:
    original = (whole / name).read_bytes()

    @FIXTURE
    @given(st.integers(0, len(original) - 1), st.integers(0, 7))
    def check(at: int, bit: int) -> None:
        damaged = bytearray(original)
        damaged[at] ^= 1 << bit
        (copied / name).write_bytes(damaged)
        refused = refused_or_identical(whole, copied)
        # Only white space of the manifest may differ and mean the same.
        assert refused or name == MANIFEST

    check()


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_refused(name: str, whole: Path, copied: Path) -> None:
    original = (whole / name).read_bytes()

    @FIXTURE
    @given(st.integers(0, len(original) - 2) | st.integers(0, 40))
    def check(length: int) -> None:
        (copied / name).write_bytes(original[:length])
        assert refused_or_identical(whole, copied)

    check()
    (copied / name).write_bytes(original + original[-100:])
    assert refused_or_identical(whole, copied)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, copied: Path) -> None:
    (copied / name).unlink()
    message = refusal(lambda: content(copied))
    assert name in message and "missing" in message


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_file_is_refused(foreign: bytes, name: str, copied: Path) -> None:
    (copied / name).write_bytes(foreign)
    assert refusal(lambda: content(copied))


def test_swapped_steps_are_refused(copied: Path) -> None:
    first, last = (copied / step_file(index) for index in (0, 2))
    data = first.read_bytes()
    first.write_bytes(last.read_bytes())
    last.write_bytes(data)
    assert "not what was written" in refusal(lambda: content(copied))


def test_a_dropped_and_a_repeated_line_are_refused(copied: Path) -> None:
    lines = (copied / STEPS).read_bytes().splitlines(keepends=True)
    for kept in (lines[:2], lines[1:], [lines[0], *lines], [lines[1], lines[0], lines[2]]):
        (copied / STEPS).write_bytes(b"".join(kept))
        assert "steps listed where 3 were written" in refusal(lambda: content(copied))


def reseal(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A manifest that is whole, and says something else."""
    manifest = unsealed((folder / MANIFEST).read_bytes(), folder)
    change(manifest)
    (folder / MANIFEST).write_bytes(sealed(manifest))


def test_another_schema_is_named(copied: Path) -> None:
    reseal(copied, lambda manifest: manifest.update(schema=99))
    assert "schema 99, this version reads 1" in refusal(lambda: Recording(copied))


@pytest.mark.parametrize(("key", "what"), [("initial_hash", "initial parameters"), ("data_hash", "data")])
def test_a_wrong_hash_is_named(key: str, what: str, copied: Path) -> None:
    reseal(copied, lambda manifest: manifest.update({key: "0" * 32}))
    assert f"the {what} are not those that were recorded" in refusal(lambda: Recording(copied))


def test_a_manifest_of_another_network_is_refused(copied: Path) -> None:
    reseal(copied, lambda manifest: manifest["network"].update(sizes=[12, 5, 4]))
    assert "W1" in refusal(lambda: Recording(copied)) or "parameters" in refusal(lambda: Recording(copied))


def test_sample_indices_outside_the_data_are_refused(tmp_path: Path) -> None:
    for samples in ([6], [-1], []):
        step = replace(WRITTEN[0], samples=np.array(samples, np.int64))
        write(tmp_path / str(samples), [step])
        assert "sample ind" in refusal(lambda samples=samples: content(tmp_path / str(samples)))


def test_a_seal_is_of_the_content(tmp_path: Path) -> None:
    assert unsealed(sealed({"a": 1, "b": [2.5, "é"]}), tmp_path) == {"a": 1, "b": [2.5, "é"]}
    opened = json.loads(sealed({"a": 1}))
    opened["a"] = 2
    assert "changed after it was written" in refusal(lambda: unsealed(json.dumps(opened).encode(), tmp_path))


def test_steps_are_not_yielded_before_they_are_verified(copied: Path) -> None:
    damaged = bytearray((copied / step_file(1)).read_bytes())
    damaged[-1] ^= 1
    (copied / step_file(1)).write_bytes(damaged)
    steps = Recording(copied).steps()
    assert next(steps).index == 0
    assert "not what was written" in refusal(lambda: next(steps))
