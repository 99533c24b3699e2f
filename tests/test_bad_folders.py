"""Folders that cannot be written, evidence that cannot be read, and files that are not ours to replace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backproof.evidence import SCHEMA
from tests.cli_support import call, enter, files_in, project, spawn, summary_of

RUN = ("--samples", 12, "--steps", 1)
OTHER = f"not schema {SCHEMA};"
COMMANDS: dict[str, tuple[Any, ...]] = {
    "verify": ("verify", *RUN),
    "record": ("record", "small", "--implementation", "mine", *RUN),
}
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    return enter(project(tmp_path), monkeypatch)


@pytest.fixture
def reports(at_home, capsys):
    """The reports of a finished run."""
    assert call(capsys, *COMMANDS["verify"]).code == 0
    return at_home / "reports"


# Writing


@every_command
def test_a_file_in_the_place_of_the_folder(at_home, capsys, command):
    (at_home / "taken").write_text("mine")
    for output in ("taken", "taken/deeper"):
        call(capsys, *COMMANDS[command], "--output", output).refused(
            f"cannot write to {output}", "choose another folder"
        )
    assert (at_home / "taken").read_text() == "mine"


@every_command
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(at_home, capsys, command):
    (at_home / "locked").mkdir(mode=0o500)
    call(capsys, *COMMANDS[command], "--output", "locked/r").refused("locked", "Permission denied")


@every_command
def test_a_name_that_no_file_can_have(at_home, capsys, command):
    call(capsys, *COMMANDS[command], "--output", "r" * 300).refused("cannot write to rrr", "too long")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_file_system_that_takes_no_files(at_home, capsys):
    call(capsys, *COMMANDS["verify"], "--output", "/proc/self/reports").refused("cannot write to /proc/self/reports")


def test_recordings_are_not_replaced_unasked(at_home, capsys):
    output = (*COMMANDS["record"], "--output", "r")
    assert call(capsys, *output).code == 0
    before = files_in(at_home / "r")
    call(capsys, *output).refused("r holds a recording already", "--overwrite")
    assert files_in(at_home / "r") == before
    assert call(capsys, *output, "--overwrite").code == 0


def test_a_folder_that_holds_something_else_is_no_place_for_a_recording(at_home, capsys):
    (at_home / "r").mkdir()
    (at_home / "r" / "thesis.tex").write_text("mine")
    for option in ((), ("--overwrite",)):
        call(capsys, *COMMANDS["record"], "--output", "r", *option).refused("r is not empty", "choose another folder")
    assert files_in(at_home / "r") == {"thesis.tex": b"mine"}


@pytest.mark.parametrize("content", [b'{"name": "an extension"}', b"", b"[" * 100_000, b'{"schema": 1}'])
def test_a_foreign_manifest_is_not_replaced(at_home, capsys, content):
    (at_home / "r").mkdir()
    (at_home / "r" / "manifest.json").write_bytes(content)
    (at_home / "r" / "steps.jsonl").write_text("mine")
    before = files_in(at_home / "r")
    for option in ((), ("--overwrite",)):
        call(capsys, *COMMANDS["record"], "--output", "r", *option).refused("manifest.json is not a recording's")
    assert files_in(at_home / "r") == before


def test_overwriting_removes_a_recording_s_own_names_only(at_home, capsys):
    output = (*COMMANDS["record"], "--output", "r")
    assert call(capsys, *output).code == 0
    mine = {"steps.jsonl.bak", "manifest.json.orig", "data.safetensors~", "step-final.safetensors", "notes.txt"}
    ours = {"steps.jsonl.tmp", "step-000007.safetensors", "step-000008.safetensors.tmp"}
    for name in mine | ours:
        (at_home / "r" / name).write_text("mine")
    assert call(capsys, *output, "--overwrite").code == 0
    left = set(files_in(at_home / "r"))
    assert mine <= left and not ours & left


def test_a_readme_of_the_user_is_not_replaced(at_home, capsys):
    (at_home / "README.md").write_text("# My project\n")
    call(capsys, *COMMANDS["verify"], "--output", at_home).refused("README.md is no report", "choose another folder")
    assert (at_home / "README.md").read_text() == "# My project\n"
    assert not (at_home / "small").exists()


# Reading


def change(path: Path, alter: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    alter(content)
    path.write_text(json.dumps(content))


EVIDENCE: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "empty folder": (lambda r: (r / "summary.json").unlink(), ["summary.json is missing", "run 'backproof verify'"]),
    "a folder for a summary": (
        lambda r: [(r / "summary.json").unlink(), (r / "summary.json").mkdir()], ["summary.json is missing"],
    ),
    "summary cut": (
        lambda r: (r / "summary.json").write_bytes((r / "summary.json").read_bytes()[:-9]),
        ["summary.json is not valid JSON"],
    ),
    "summary empty": (lambda r: (r / "summary.json").write_bytes(b""), ["summary.json is not valid JSON"]),
    "summary not UTF-8": (lambda r: (r / "summary.json").write_bytes(b'{"schema": "\xff"}'), ["not valid JSON"]),
    "summary a list": (lambda r: (r / "summary.json").write_text("[1]"), [f"summary.json: {OTHER}"]),
    "another schema": (lambda r: change(r / "summary.json", lambda s: s.update(schema=1)), [OTHER, "verify"]),
    "no schema": (lambda r: change(r / "summary.json", lambda s: s.pop("schema")), [OTHER]),
    "no networks": (lambda r: change(r / "summary.json", lambda s: s.pop("networks")), ["incomplete", "networks"]),
    "empty networks": (lambda r: change(r / "summary.json", lambda s: s["networks"].clear()), ["incomplete"]),
    "network without facts": (
        lambda r: change(r / "summary.json", lambda s: s["networks"].update(small={})), ["incomplete", "specification"],
    ),
    "an equation without numbers": (
        lambda r: change(r / "small" / "layer-1.json", lambda s: s["equations"]["Z1"].update(by={"mine": {}})),
        ["incomplete"],
    ),
    "layer missing": (lambda r: (r / "small" / "layer-2.json").unlink(), ["layer-2.json", "No such file", "verify"]),
    "layer cut": (lambda r: (r / "small" / "layer-2.json").write_text('{"schema"'), ["layer-2.json is not valid JSON"]),
    "layers exchanged": (
        lambda r: (r / "small" / "layer-2.json").write_bytes((r / "small" / "layer-3.json").read_bytes()),
        ["layer-2.json is the evidence of another layer"],
    ),
    "layer of another schema": (
        lambda r: change(r / "small" / "layer-3.json", lambda s: s.update(schema=0)), [f"layer-3.json: {OTHER}"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EVIDENCE)
def test_evidence_that_cannot_be_read(reports, capsys, case):
    spoil, words = EVIDENCE[case]
    spoil(reports)
    outcome = call(capsys, "report")
    outcome.refused("reports", *words)
    assert outcome.out == ""


def test_evidence_of_a_forger_stays_in_its_folder(reports, capsys):
    """A network called ../x in the summary neither reads nor writes outside of the reports."""
    outside = reports.parent / "x"
    outside.mkdir()
    for path in (reports / "small").iterdir():
        (outside / path.name).write_bytes(path.read_bytes().replace(b'"network": "small"', b'"network": "x"'))
    change(reports / "summary.json", lambda s: s["networks"].update({"../x": s["networks"].pop("small")}))
    before = files_in(outside)
    call(capsys, "report").refused("reports", "../x")
    assert call(capsys, *COMMANDS["verify"]).code == 0
    assert files_in(outside) == before


def test_the_summary_of_another_version_does_not_stand_in_the_way_of_a_new_run(reports, capsys):
    (reports / "summary.json").write_bytes(b'{"schema": 2, "backproof": "9"}')
    assert call(capsys, *COMMANDS["verify"]).code == 0
    assert summary_of(reports)["verdict"] == "rounding"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 2}', b"\xff", b'{"total": 3}', b"[" * 100_000])
def test_a_foreign_summary_is_not_replaced(reports, capsys, content):
    (reports / "summary.json").write_bytes(content)
    before = files_in(reports)
    call(capsys, *COMMANDS["verify"]).refused("summary.json is no summary of 'backproof verify'", "choose another")
    assert files_in(reports) == before


def test_a_foreign_folder_in_the_place_of_the_summary(reports, capsys):
    (reports / "summary.json").unlink()
    (reports / "summary.json").mkdir()
    before = files_in(reports)
    call(capsys, *COMMANDS["verify"]).refused("summary.json is no summary")
    assert files_in(reports) == before


def test_a_temporary_file_of_the_user_is_not_removed(reports, capsys):
    (reports / "README.md").write_text("# My project\n")
    (reports / "summary.json.tmp").write_text("mine")
    before = files_in(reports)
    call(capsys, *COMMANDS["verify"]).refused("README.md is no report")
    assert files_in(reports) == before


def test_without_any_configuration(tmp_path, reports, capsys, monkeypatch):
    """``check``, ``compare`` and ``report`` need none."""
    outside = tmp_path / "outside"
    call(capsys, *COMMANDS["record"], "--output", "r")
    (tmp_path / "pyproject.toml").unlink()
    outside.mkdir()
    monkeypatch.chdir(outside)
    assert call(capsys, "check", tmp_path / "r").code == 0
    compared = call(capsys, "compare", tmp_path / "r", tmp_path / "r")
    assert compared.code == 0 and "No reference is configured here: local checks only" in compared.out
    assert call(capsys, "report", "--output", reports).code == 0
    assert spawn("verify", cwd=outside).code == 2
