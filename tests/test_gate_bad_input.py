"""A summary or a baseline that cannot be judged: one line, exit code 2, nothing written; and options that clash."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from backproof.gate import json_file
from tests.cli_support import Outcome, call, files_in
from tests.gate_support import check, kept, summary, written


def gate(capsys: Any, folder: Path, *more: object) -> Outcome:
    """The gate on the two files of a folder; whatever they are, nothing is written and no line acts."""
    before = files_in(folder)
    outcome = call(capsys, "gate", folder / "summary.json", "--baseline", folder / "baseline.json", *more)
    assert files_in(folder) == before
    assert "\x1b" not in outcome.out + outcome.err
    return outcome


@pytest.fixture
def folder(tmp_path):
    """A summary and its baseline, which pass."""
    kept(tmp_path)
    written(tmp_path)
    return tmp_path


def test_they_pass(folder, capsys):
    assert gate(capsys, folder).code == 0


def renamed(network: str) -> bytes:
    """A summary with a network of that name."""
    content = summary()
    content["networks"][network] = content["networks"].pop("one")
    return json.dumps(content).encode()


def of_run(name: str) -> bytes:
    """A summary with an implementation of that name."""
    content = summary()
    content["networks"]["one"]["implementations"][name] = content["networks"]["one"]["implementations"]["jax"]
    return json.dumps(content).encode()


WHOLE = json.dumps(summary()).encode()
RAW = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "truncated": (WHOLE[: len(WHOLE) // 2], "not valid JSON"),
    "no JSON": (b"<html>", "not valid JSON"),
    "binary": (b"\xff\xfe\x00{}", "not valid JSON"),
    "no object": (b"[1]", "list is no object"),
    "a number": (b"1", "1 is no object"),
    "nested without end": (b"[" * 200_000, "not valid JSON"),
    "nested as deep as it is read": (b'{"kind": ' + b"[" * 900 + b"]" * 900 + b"}", ""),
    "NaN": (b'{"schema": NaN}', "NaN is no number"),
    "infinite": (b'{"schema": Infinity}', "Infinity is no number"),
    "a key twice": (b'{"schema": 2, "schema": 2}', "twice"),
    "NUL": (b'{"schema": "\\u0000"}', "NUL"),
    "half a surrogate pair": (b'{"schema": "\\ud800"}', "not valid JSON"),
    "a number of many digits": (b'{"schema": ' + b"9" * 5000 + b"}", "not valid JSON"),
    "ten million entries": (b"{" + b'"a":1,' * 10_000_000 + b'"b":1}', "more than 4,000,000 values"),
    "another schema": (b'{"schema": 99, "kind": "backproof baseline", "networks": {}}', "schema"),
    "another program's": (b'{"name": "x"}', "no "),
}


@pytest.mark.parametrize("file", ["summary.json", "baseline.json"])
@pytest.mark.parametrize("name", RAW)
def test_a_file_that_is_none(name, file, folder, capsys):
    raw, word = RAW[name]
    (folder / file).write_bytes(raw)
    gate(capsys, folder).refused(str(folder / file), word)


@pytest.mark.parametrize("file", ["summary.json", "baseline.json"])
def test_a_file_that_is_too_large(file, folder, capsys, monkeypatch):
    monkeypatch.setattr(json_file, "MOST_BYTES", 2**20)
    with (folder / file).open("wb") as sparse:
        sparse.truncate(2**40)
    call(capsys, "gate", folder / "summary.json", "--baseline", folder / "baseline.json").refused("larger than 1 MiB")


@pytest.mark.parametrize("file", ["summary.json", "baseline.json"])
def test_no_file(file, folder, capsys):
    (folder / file).unlink()
    gate(capsys, folder).refused(str(folder / file), "missing")
    (folder / file).mkdir()
    gate(capsys, folder).refused(str(folder / file), "no regular file")


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "<script>", "\x1b[31m", "a\nb", "a b", "", "-x", "::error::", "\u202e"]
)
@pytest.mark.parametrize("make", [renamed, of_run])
def test_names_that_no_configuration_takes(name, make, folder, capsys):
    (folder / "summary.json").write_bytes(make(name))
    line = gate(capsys, folder).refused("is no name")
    assert "<script>" not in name or "'<script>'" in line


WRONG = {
    "fraction as text": (lambda s: check(s).update(fraction="0.2"), "fraction: '0.2'"),
    "negative fraction": (lambda s: check(s).update(fraction=-0.1), "fraction: -0.1"),
    "fraction as truth": (lambda s: check(s).update(fraction=True), "fraction: True"),
    "fraction beyond float64": (lambda s: check(s).update(fraction=10**400), "fraction: 1000"),
    "verdict": (lambda s: check(s).update(verdict="fine\n"), "verdict: 'fine\\n'"),
    "verdict as list": (lambda s: check(s).update(verdict=["bug"]), "list is no verdict"),
    "count": (lambda s: check(s).update(steps=1.5), "steps: 1.5"),
    "negative count": (lambda s: check(s).update(covered=-1), "covered: -1"),
    "more than all": (lambda s: check(s).update(covered=11), "covers 11 of 10"),
    "more for nothing than all": (lambda s: check(s).update(vacuous=99), "agree for nothing"),
    "no facts": (lambda s: check(s).clear(), "'elements' is missing"),
    "a layer of no number": (lambda s: s["networks"]["one"]["layers"].update(x={}), "no number of a layer"),
    "layer 0": (lambda s: s["networks"]["one"]["layers"].update({"0": {}}), "no number of a layer"),
    "findings": (lambda s: s["networks"]["one"]["implementations"]["jax"].update(findings=1), "1 is no array"),
    "checks without a run": (lambda s: s["networks"]["one"]["implementations"].pop("jax"), "and no such run"),
    "no networks": (lambda s: s.update(networks={}), "no check of anything"),
    "networks as list": (lambda s: s.update(networks=[]), "list is no object"),
    "no project": (lambda s: s.pop("project"), "'project' is missing"),
    "settings": (lambda s: s.update(settings=3), "settings: 3 is no object"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_summary_with_wrong_types(name, folder, capsys):
    change, words = WRONG[name]
    written(folder, change)
    gate(capsys, folder).refused(words)


INCOMPARABLE = {
    "project": (lambda s: s.update(project="theirs\x1b"), "project 'ours' there, 'theirs\\x1b' here"),
    "steps": (lambda s: s["settings"].update(steps=20), "steps 10 there, 20 here"),
    "samples": (lambda s: s["settings"].update(samples=5), "samples absent there, 5 here"),
    "format": (lambda s: s["settings"].update(dtype="float64"), "dtype float32 there, float64 here"),
    "sizes": (
        lambda s: s["networks"]["two"]["specification"].update(sizes=[4, 2]), "two: specification sizes [4, 3, 2] there"
    ),
    "batches": (lambda s: s["networks"]["two"]["batches"].update(smallest=1), "two: batches smallest 5 there, 1 here"),
}  # fmt: skip


@pytest.mark.parametrize("name", INCOMPARABLE)
def test_runs_that_are_not_comparable(name, folder, capsys):
    change, words = INCOMPARABLE[name]
    written(folder, change)
    gate(capsys, folder).refused("are not comparable", words)


def edit(folder: Path, change: Any, seal: bool) -> None:
    """Change the baseline by hand, and with ``seal`` its CRC too."""
    path = folder / "baseline.json"
    content = json.loads(path.read_bytes())
    change(content)
    if seal:
        del content["crc32"]
        content["crc32"] = zlib.crc32(json.dumps(content, sort_keys=True).encode())
    path.write_text(json.dumps(content), encoding="utf-8")


def row(content: Any) -> Any:
    """One check of the baseline."""
    return content["networks"]["one"]["implementations"]["torch"]["layers"]["1"]["Z1"]["equation"]


EDITS = {
    "fraction as text": (lambda c: row(c).__setitem__(0, "0.2"), "Z1.equation.0: '0.2' is no fraction"),
    "negative": (lambda c: row(c).__setitem__(0, -1), "-1 is no fraction"),
    "verdict": (lambda c: row(c).__setitem__(1, "good"), "'good' is no verdict"),
    "a column more": (lambda c: row(c).append(1), "array of 5 values"),
    "columns": (lambda c: c.update(columns=["verdict"]), "its columns are not"),
    "date": (lambda c: c.update(date="yesterday"), "no date"),
    "reason": (lambda c: c.update(reason=None), "None is no string"),
    "kind": (lambda c: c.update(kind="other"), "no baseline"),
    "schema": (lambda c: c.update(schema=2), "not schema 1"),
    "no networks": (lambda c: c.update(networks={}), "no check of anything"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_baseline_edited_into_nonsense(name, folder, capsys):
    change, words = EDITS[name]
    edit(folder, change, seal=True)
    gate(capsys, folder).refused(words)


def test_a_baseline_edited_into_sense(folder, capsys):
    edit(folder, lambda c: row(c).__setitem__(0, 0.9), seal=False)
    gate(capsys, folder).refused("changed by hand")
    edit(folder, lambda c: row(c).__setitem__(0, 0.9), seal=True)  # the seal is no lock, and this shows what it is for
    assert gate(capsys, folder).code == 0


@pytest.mark.parametrize("raw", [b"", b"notes of mine", b'{"kind": "backproof baseline", "schema": 9}'])
def test_a_baseline_that_is_none_is_not_replaced(raw, folder, capsys):
    (folder / "baseline.json").write_bytes(raw)
    gate(capsys, folder, "--update-baseline", "--reason", "x").refused("baseline.json", "remove it")


def test_outputs_that_would_replace_what_is_read(folder, capsys):
    for option in ("--junit", "--json", "--markdown"):
        gate(capsys, folder, option, folder / "summary.json").refused("choose another file")
        gate(capsys, folder, option, folder / "baseline.json").refused("choose another file")
    gate(capsys, folder, "--json", folder / "x", "--junit", folder / "x").refused("choose another file")
    call(capsys, "gate", folder / "summary.json", "--baseline", folder / "summary.json").refused("two files")


@pytest.mark.parametrize("option", ["--junit", "--json", "--markdown"])
def test_a_refusal_leaves_no_earlier_answer(option, folder, capsys):
    arguments = ("gate", folder / "summary.json", "--baseline", folder / "baseline.json", option, folder / "out")
    assert call(capsys, *arguments).code == 0 and (folder / "out").exists()
    (folder / "summary.json").write_bytes(b"")
    call(capsys, *arguments).refused("empty")
    assert not (folder / "out").exists()


@pytest.mark.parametrize("option", [("--junit", "x"), ("--json", "x"), ("--markdown", "x"), ("--github",)])
def test_accepting_makes_no_judgement(option, folder, capsys):
    gate(capsys, folder, *option, "--update-baseline", "--reason", "x").refused("--update-baseline makes none")


def test_an_output_that_cannot_be_written(folder, capsys):
    gate(capsys, folder, "--json", folder / "no" / "such.json").refused("cannot write to")
