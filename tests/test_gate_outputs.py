"""What the gate writes for people and machines: complete, bounded, and nothing in it acts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from backproof.gate import github, machine, words
from backproof.gate.change import Change, Kind
from backproof.gate.facts import Facts, Finding, Key, Used
from backproof.gate.judge import Judgement
from backproof.gate.junit import junit
from backproof.shown import shown
from backproof.verdict import Verdict
from tests.cli_support import call
from tests.gate_support import check, kept, written

HOSTILE = "a\n::error::b\x1b[31m<script>&\"'|`*[x](y)##[error]\u202e\ud800%0A../../etc\r\n\x00"
USED = Used(0.1, Verdict.ROUNDING, 10, 10, 99)


def judgement(count: int, name: str = "net", text: str = "why") -> Judgement:
    """So many verdicts that got worse, each in a layer of its own."""
    keys = [Key(name, name, n, name, "equation") for n in range(1, count + 1)]
    bad = USED._replace(verdict=Verdict.BUG, fraction=7.0)
    changes = tuple(Change(Kind.VERDICT, key, USED, bad, Finding(0, text)) for key in keys)
    cases = tuple(key._replace(quantity="", check="") for key in keys)
    return Judgement(changes, (f"{name} differs",), (*cases, Key(name, name)), count)


def facts(name: str = "x") -> Facts:
    return Facts(Path(name), name, {}, {}, {}, {})


HARMLESS = judgement(3, HOSTILE, HOSTILE)


def no_action(text: str) -> None:
    """No control character but line ends, no mark that turns text around, nothing that cannot be written."""
    assert all(c == "\n" or c.isprintable() for c in text)
    assert "##[" not in text
    text.encode()


def test_shown_is_one_line_that_tells_what_it_was():
    no_action(shown(HOSTILE, 10_000))
    assert "\n" not in shown(HOSTILE) and "\\x1b[31m" in shown(HOSTILE) and "\\u202e" in shown(HOSTILE)
    assert shown("×ᵀ ε") == "×ᵀ ε"
    assert len(shown("x" * 1000)) == 160


def test_the_terminal_shows_hostile_text_as_text():
    said = words.terminal(HARMLESS, Path(HOSTILE))
    no_action(said)
    assert not any(line.lstrip().startswith("::") for line in said.splitlines())
    assert "<script>" in said


def test_the_table_stands_worst_first_and_is_cut(tmp_path, capsys):
    said = words.terminal(judgement(100), Path("reports/README.md"))
    assert f"and {100 - words.SHOWN} more" in said and said.count("rounding → bug") == words.SHOWN + 1
    assert said.endswith("The report: reports/README.md")


# JUnit


def test_junit_has_a_case_for_each_layer_of_each_run(tmp_path, capsys):
    kept(tmp_path)
    path = written(tmp_path, lambda s: check(s).update(verdict="bug"))
    outcome = call(capsys, "gate", path, "--baseline", tmp_path / "baseline.json", "--junit", tmp_path / "j.xml")
    assert outcome.code == 1
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    cases = {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}
    runs = [f"{network}.{name}" for network in ("one", "two") for name in ("torch", "jax")]
    assert set(cases) == {(run, part) for run in runs for part in ("run", "layer 1", "layer 2")}
    assert root.get("tests") == "12" and root.get("failures") == "1"
    failure = cases["one.torch", "layer 1"].find("failure")
    assert failure is not None and failure.get("type") == "verdict"
    assert "Z1 (equation): rounding → bug" in str(failure.get("message"))
    assert len(list(root.iter("failure"))) == 1


def test_a_network_that_vanished_fails_all_its_cases(tmp_path, capsys):
    kept(tmp_path)
    path = written(tmp_path, lambda s: s["networks"].pop("two"))
    call(capsys, "gate", path, "--baseline", tmp_path / "baseline.json", "--junit", tmp_path / "j.xml")
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    failing = {case.get("classname") for case in root.iter("testcase") if case.find("failure") is not None}
    assert failing == {"two.torch", "two.jax"} and root.get("failures") == "6"


def test_junit_is_xml_whatever_it_says():
    root = ElementTree.fromstring(junit(HARMLESS))
    cases = list(root.iter("testcase"))
    assert len(cases) == 4 and {element.tag for element in root.iter()} == {
        "testsuites", "testsuite", "testcase", "failure"
    }  # fmt: skip
    assert "<script>&\"'" in str(cases[0].get("classname"))


def test_junit_of_many_layers_has_them_all():
    root = ElementTree.fromstring(junit(judgement(20_000)))
    assert root.get("failures") == "20000" and len(list(root.iter("failure"))) == 20_000


# GitHub


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 500])
def test_at_most_ten_annotations(count):
    lines = list(github.errors(judgement(count)))
    assert len(lines) == min(count, 10)
    assert ("and 490 more" in "".join(lines)) == (count == 500)
    assert all(line.startswith("::error title=") for line in lines)


def test_an_annotation_is_one_command():
    for line in github.errors(HARMLESS):
        no_action(line)
        assert "\n" not in line
        parts = re.fullmatch(r"::error title=([^:,]*)::(.*)", line)
        assert parts, line
        assert "%" not in re.sub("%(25|0D|0A|3A|2C)", "", parts[1] + parts[2])


def test_the_annotations_and_the_summary_of_a_step(tmp_path, capsys, monkeypatch):
    kept(tmp_path)
    path, step = written(tmp_path, lambda s: check(s).update(covered=9)), tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    arguments = ("gate", path, "--baseline", tmp_path / "baseline.json")
    assert "::error" not in call(capsys, *arguments).out and step.read_text() == "before\n"
    outcome = call(capsys, *arguments, "--github")
    errors = [line for line in outcome.out.splitlines() if line.startswith("::error ")]
    assert len(errors) == 1 and "coverage" in errors[0] and "checked 10 of 10 → 9 of 10" in errors[0]
    assert step.read_text().startswith("before\n## Backproof gate")
    call(capsys, *arguments, "--github", "--markdown", tmp_path / "m.md")
    assert "| coverage | one" in (tmp_path / "m.md").read_text()
    assert step.read_text().count("## Backproof gate") == 1


def test_the_summary_of_a_step_is_under_a_mebibyte():
    large = github.summary(judgement(30_000, "é" * 150, "\U0001f600" * 150), "r" * 100)
    assert 300_000 < len(large.encode()) < 2**20
    assert re.search(r"and \d+ more", large)
    assert large.count("\n| verdict") + int(re.findall(r"and (\d+) more", large)[-1]) == 30_000


def test_markdown_shows_hostile_text_as_text():
    page = github.summary(HARMLESS, HOSTILE)
    no_action(page)
    assert "<script" not in page and "](y)" not in page and "&lt;script&gt;" in page
    rows = [line for line in page.splitlines() if line.startswith("| verdict")]
    assert len(rows) == 3 and all(row.count("|") == 7 for row in rows)


# JSON


def test_json_has_everything(tmp_path, capsys):
    kept(tmp_path)
    path = written(tmp_path, lambda s: check(s).update(verdict="bug", fraction=None))
    call(capsys, "gate", path, "--baseline", tmp_path / "baseline.json", "--json", tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_bytes())
    assert content["open"] is False and content["checks"] == 32
    [change] = content["changes"]
    assert change["kind"] == "verdict" and change["fails"] is True
    assert (change["network"], change["implementation"], change["layer"], change["quantity"]) == (
        "one",
        "torch",
        1,
        "Z1",
    )
    assert change["before"]["fraction"] == 0.2 and change["after"] == {
        "fraction": None, "verdict": "bug", "covered": 10, "of": 10, "elements": 24
    }  # fmt: skip


def test_json_is_ascii_and_the_same_each_time():
    first = machine.document(HARMLESS, facts(), facts())
    assert first == machine.document(HARMLESS, facts(), facts())
    assert first.isascii() and b"\x1b" not in first
    assert json.loads(first)["changes"][0]["network"] == HOSTILE
