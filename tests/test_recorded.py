"""``verify --recordings``: the same judgement as of the run itself, without what computed it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backproof.files import sealed, unsealed
from backproof.recording.layout import MANIFEST
from tests.cli_support import call, enter, faulty, files_in, project, summary_of

RUN = ("--samples", 12, "--steps", 2)
TWO = """
[tool.backproof.networks.small]
sizes = [784, 5, 4, 10]
activations = ["relu", "tanh", "softmax"]

[tool.backproof.networks.other]
sizes = [784, 3, 10]
activations = ["relu", "softmax"]
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project with two networks, both recorded."""
    enter(project(tmp_path, networks=TWO), monkeypatch)
    return tmp_path


def record(capsys: Any, *more: object) -> None:
    outcome = call(capsys, "record", "small", "other", "--implementation", "mine", "--output", "kept", *RUN, *more)
    assert outcome.code == 0, outcome.err


def test_a_recording_is_judged_as_the_run_was(home, capsys):
    record(capsys)
    assert call(capsys, "verify", *RUN, "--output", "live").code == 0
    assert call(capsys, "verify", *RUN, "--recordings", "kept", "--output", "read").code == 0
    assert files_in(home / "read") == files_in(home / "live")


def test_no_implementation_has_to_be_there(home, capsys):
    record(capsys)
    table = (home / "pyproject.toml").read_text().replace('mine = "reference.network"', 'mine = "no_such_framework"')
    (home / "pyproject.toml").write_text(table)
    assert call(capsys, "verify", *RUN, "--output", "live").code == 2
    outcome = call(capsys, "verify", *RUN, "--recordings", "kept", "--output", "read")
    assert outcome.code == 0 and "All within rounding" in outcome.out


def test_one_network_is_found_in_the_folder_itself(home, capsys):
    assert call(capsys, "record", "small", "--implementation", "mine", "--output", "one", *RUN).code == 0
    assert call(capsys, "verify", "small", *RUN, "--recordings", "one", "--output", "read").code == 0


def test_a_mistake_in_a_recording_is_found(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path, faulty('tensors["dW2"] = tensors["dW2"] * 12'), networks=TWO), monkeypatch)
    record(capsys)
    assert call(capsys, "verify", *RUN, "--recordings", "kept", "--output", "read").code == 1
    finding = summary_of(tmp_path / "read")["networks"]["small"]["implementations"]["mine"]["findings"][0]
    assert (finding["quantity"], finding["layer"], finding["verdict"]) == ("dW2", 2, "bug")


OTHER = {
    "steps": (("--samples", 12, "--steps", 3), "another number of steps"),
    "seed": ((*RUN, "--seed", 1), "another initial parameters"),
    "samples": (("--samples", 13, "--steps", 2), "another data"),
    "format": ((*RUN, "--dtype", "float64"), "another dtype"),
}


@pytest.mark.parametrize("name", OTHER)
def test_other_settings_are_refused(name, home, capsys):
    settings, words = OTHER[name]
    record(capsys)
    call(capsys, "verify", *settings, "--recordings", "kept", "--output", "read").refused(words)
    assert not (home / "read" / "summary.json").exists()


def test_other_batches_are_a_finding(home, capsys):
    record(capsys)
    outcome = call(capsys, "verify", *RUN, "--batch-size", 6, "--recordings", "kept", "--output", "read")
    assert outcome.code == 1 and "other samples than it was given" in outcome.out


def test_usage(home, capsys):
    record(capsys)
    call(capsys, "verify", *RUN, "--recordings", "none").refused("none", "no recording")
    call(capsys, "verify", *RUN, "--recordings", "kept", "kept").refused("'mine'", "name it once")
    for option in (["--implementation", "mine"], ["--keep-recordings"]):
        call(capsys, "verify", *RUN, *option, "--recordings", "kept").refused("--recordings goes without")
    assert not (home / "reports").exists()


def reseal(path: Path, **changes: object) -> None:
    """A manifest with other entries, sealed anew."""
    path.write_bytes(sealed({**unsealed(path.read_bytes(), path), **changes}))


def test_recordings_of_two_environments_are_refused(home, capsys):
    record(capsys)
    reseal(home / "kept" / "other" / MANIFEST, versions={"numpy": "0.1"})
    call(capsys, "verify", *RUN, "--recordings", "kept").refused("other versions")


def test_the_source_is_what_recorded(home, capsys):
    record(capsys)
    for network in ("small", "other"):
        reseal(home / "kept" / network / MANIFEST, versions={"torch": "9.9"}, device="cuda:0", threads=7)
    assert call(capsys, "verify", *RUN, "--recordings", "kept", "--output", "read").code == 0
    made = json.loads((home / "read" / "summary.json").read_text())["environment"]["implementations"]["mine"]
    assert made == {"versions": {"torch": "9.9"}, "device": "cuda:0", "threads": 7}
