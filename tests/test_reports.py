"""The reports: the same bytes from the same evidence, and nothing else in them; no name breaks out of a table."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from backproof.equations import equations
from backproof.evidence import SCHEMA
from backproof.report import store
from backproof.report.render import render
from backproof.settings import Settings
from backproof.verify import summarise, verify_network
from reference import network as reference
from tests.cli_support import call, enter, faulty, files_in, project, summary_of
from tests.support import BY_NAME, Network, training

RUN = ("verify", "--samples", 12, "--steps", 2)
SMALL = Network("small", (784, 5, 4, 10), ("relu", "tanh", "softmax"))
HOSTILE = "<script>alert(1)|[x](javascript:1)`*"


@pytest.fixture
def reports(tmp_path, capsys, monkeypatch):
    """The reports of a finished run of a small network."""
    enter(project(tmp_path), monkeypatch)
    assert call(capsys, *RUN).code == 0
    return tmp_path / "reports"


def page(folder: Path, layer: int) -> str:
    return (folder / "small" / f"layer-{layer}.md").read_text(encoding="utf-8")


def evidence(folder: Path, layer: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "small" / f"layer-{layer}.json").read_text(encoding="utf-8"))
    return content


def tables(text: str) -> list[list[dict[str, str]]]:
    """Every table of a page, a dictionary a row; each row must have as many cells as its header."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        header, rule, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        assert all(set(cell) <= set("-:") for cell in rule)
        assert all(header) and all(len(row) == len(header) for row in rows), block
        found.append([dict(zip(header, row, strict=True)) for row in rows])
    return found


# Evidence


def in_order(items: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in items]
    assert keys == sorted(set(keys))
    return dict(items)


def test_json_has_a_schema_and_sorted_keys(reports):
    for path in reports.rglob("*.json"):
        content = json.loads(path.read_text(), object_pairs_hook=in_order)
        assert content["schema"] == SCHEMA
        assert path.read_bytes().endswith(b"}\n")


def test_the_summary_holds_what_a_program_asks_for(reports):
    summary = summary_of(reports)
    facts = summary["networks"]["small"]
    assert summary["settings"] == {
        "data": "digits", "samples": 12, "steps": 2, "batch_size": None, "dtype": "float32", "seed": 0,
    }  # fmt: skip
    assert Network.from_dict(facts["specification"]) == SMALL
    run = facts["implementations"]["mine"]
    assert len(run["losses"]) == len(run["distances"]) == 2 and run["findings"] == []
    for number in (1, 2, 3):
        without = json.loads(json.dumps(evidence(reports, number)), object_hook=without_arrays)
        assert {kind: without[kind] for kind in ("equations", "agreement")} == facts["layers"][str(number)]


def without_arrays(content: dict[str, Any]) -> dict[str, Any]:
    arrays = ("histogram", "rows", "columns", "map", "worst_elements")
    return {key: value for key, value in content.items() if key not in arrays}


# Pages


def test_every_equation_appears_on_its_layers_page(reports):
    for layer in (1, 2, 3):
        rows = tables(page(reports, layer))[0]
        wanted = [equation.text for equation in equations(SMALL) if equation.layer == layer]
        assert sorted(row["equation"] for row in rows) == sorted(wanted) and wanted
        assert {row["by"] for row in rows} == {"mine"}


def test_facts_of_a_page_stand_in_its_evidence(reports):
    for layer in (1, 2, 3):
        facts, (local, end_to_end, *_) = evidence(reports, layer), tables(page(reports, layer))
        by_text = {entry["text"]: entry["by"]["mine"] for entry in facts["equations"].values()}
        for row in local:
            found = by_text[row["equation"]]
            for key in ("ratio", "ceiling"):
                assert float(row[key]) == pytest.approx(found[key], rel=5e-3)  # three digits are shown
            for key in ("recorded", "exact"):
                assert float(row[key]) == pytest.approx(found["worst"][key], rel=5e-9)  # nine digits
            assert (row["verdict"], int(row["step"])) == (found["verdict"], found["worst"]["step"])
            if "[" in row["worst element"]:  # the loss has no index
                assert json.loads(re.sub(r"^\w+", "", row["worst element"])) == found["worst"]["index"]
        for row in end_to_end:
            found = facts["agreement"][row["quantity"]]["by"]["mine"]
            for key, column in (("absolute", "absolute"), ("ulps", "ULPs"), ("envelope", "replicas")):
                assert float(row[column]) == pytest.approx(found[key], rel=5e-3)
            assert (row["verdict"], int(row["left out"])) == (found["verdict"], found["left_out"])
        assert len(end_to_end) == len(facts["agreement"]) and len(local) == len(facts["equations"])


def test_spread_adds_up(reports):
    for layer in (1, 2, 3):
        spread = tables(page(reports, layer))[2]
        columns = list(spread[0])
        assert len(columns) == len(set(columns)) and columns[-1] == "≤ 100 %"
        for row in spread:
            shares = [int(row[column].removesuffix(" %")) for column in columns[2:]]
            assert shares == sorted(shares) and shares[-1] == 100


def test_links_resolve(reports):
    links = 0
    for path in reports.rglob("*.md"):
        for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / unquote(target)).is_file(), (path, target)
            links += 1
    assert links == 3 + 3


def test_pages_come_from_the_evidence_alone(reports):
    before = files_in(reports)
    for path in reports.rglob("*.md"):
        path.write_text("spoiled")
    render(reports)
    assert files_in(reports) == before
    assert all(raw.endswith(b"\n") and not raw.endswith(b"\n\n") and b"\r" not in raw for raw in before.values())


def test_what_is_wrong_stands_first(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path, faulty('tensors["dW2"] = tensors["dW2"] * 12')), monkeypatch)
    assert call(capsys, *RUN).code == 1
    folder = tmp_path / "reports"
    wrong = page(folder, 2)
    assert wrong.index("## What is wrong") == wrong.index("## ")
    assert "- **mine**, bug at step 0, `dW2`: " in wrong and "Nothing here is beyond rounding." not in wrong
    row = next(row for row in tables(wrong)[0] if row["equation"].startswith("dW2 "))
    assert row["verdict"] == "bug"
    assert float(row["ratio"]) > float(row["ceiling"])
    for layer in (1, 3):
        assert "## What is wrong" not in page(folder, layer)
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert index.index("**Bug: 1 of 1 runs") < index.index("|")
    assert "small by mine, step 0, layer 2, dW2: " in index


def test_what_was_not_checked_is_said(tmp_path, capsys, monkeypatch):
    enter(project(tmp_path, faulty('del tensors["Z2"]')), monkeypatch)
    assert call(capsys, *RUN).code == 1
    said = page(tmp_path / "reports", 2)
    assert "`A2` of mine: not judged in 2 steps" in said and "`Z2` of mine: not judged in 2 steps" in said
    coverage = summary_of(tmp_path / "reports")["coverage"]
    missing = sum("Z2" in (e.target, *e.rule.operands) for e in equations(SMALL))
    assert coverage == {"checked": 2 * (24 - missing), "of": 48}


# Names that want to be more than names


def test_hostile_names_stay_text(tmp_path):
    """A name or a message is shown as it is: it ends no cell, opens no tag, becomes no link."""
    given = training(replace(BY_NAME["two_layer"], name=HOSTILE.replace("/", ""), note=HOSTILE), m=8)
    honest = {HOSTILE: reference}
    facts = verify_network(given, honest, reference)
    finding = {"step": 0, "layer": 1, "quantity": HOSTILE, "kind": "x", "verdict": "bug"}
    finding["message"] = f"a\n\n# b {HOSTILE}"
    facts["implementations"][HOSTILE]["findings"] = [finding]
    made = {"versions": {HOSTILE: HOSTILE}, "device": HOSTILE, "threads": 1}
    where = {"python": "3", "machine": HOSTILE, "implementations": {HOSTILE: made}}
    name = given.network.name
    store.write_layers(tmp_path, name, facts)
    store.write_summary(tmp_path, summarise(Settings(), HOSTILE, {name: facts}, where))
    render(tmp_path)
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.md")]
    assert len(pages) == 3
    for text in pages:
        assert all(tables(text)) and len(tables(text)) >= 2
        assert "<script" not in text and "](javascript" not in text and "\n# b" not in text
        assert "&lt;script&gt;alert(1)&#124;" in text
        assert "`" not in re.sub(r"`[\w. ]+`", "", text)
    (index,) = [text for text in pages if text.startswith("# Reports\n")]
    for target in re.findall(r"\]\(([^)]+)\)", index):
        assert (tmp_path / unquote(target)).is_file()


# Reports of earlier runs


def test_stale_reports_are_removed_and_only_those(tmp_path, capsys, monkeypatch):
    tall = 'networks.tall = { sizes = [784, 4, 4, 4, 10], activations = ["relu", "relu", "relu", "softmax"] }\n'
    wide = 'networks.wide = { sizes = [784, 4, 10], activations = ["relu", "softmax"] }\n'
    enter(project(tmp_path, networks=tall + wide), monkeypatch)
    assert call(capsys, *RUN).code == 0
    folder = tmp_path / "reports"
    own = ["notes.txt", "tall/mine.md", "tall/layer-notes.md", "tall/layer-9.md"]
    own += ["other/layer-1.md", "other/layer-1.json"]
    (folder / "other").mkdir()
    for name in own:
        (folder / name).write_text("{}")
    outcome = call(capsys, *RUN, "wide")
    assert outcome.code == 0 and outcome.err.startswith("removed the reports of an earlier run from ")
    assert outcome.err.rstrip().endswith(": tall")
    made = {"README.md", "summary.json", *(f"wide/layer-{n}.{kind}" for n in (1, 2) for kind in ("md", "json"))}
    assert set(files_in(folder)) == {*own, *made}
    assert all((folder / name).read_text() == "{}" for name in own)
    assert call(capsys, *RUN, "wide").err == ""


def test_reports_of_an_interrupted_run_are_removed_too(reports, capsys):
    (reports / "summary.json").unlink()
    (reports / "small").rename(reports / "gone")
    for path in (reports / "gone").glob("*.json"):
        path.write_text(path.read_text().replace('"network": "small"', '"network": "gone"'))
    assert call(capsys, *RUN).code == 0
    assert not (reports / "gone").exists()
