"""The HTML report: self-contained, deterministic, complete, escaped; and nothing of anybody else's is touched."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from backproof.equations import equations
from backproof.evidence import SCHEMA
from backproof.network import Network
from tests.cli_support import call, files_in
from tests.html_support import HOSTILE, hostile

pytest.importorskip("jinja2", reason="Jinja2 is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

SMALL = Network("small", (784, 12, 8, 10), ("relu", "relu", "softmax"))
OUTSIDE = {"doi.org", "arxiv.org", "github.com"}


@pytest.fixture
def own(healthy: Path, tmp_path: Path) -> Path:
    """The healthy run's evidence without its HTML, to be changed."""
    return shutil.copytree(healthy, tmp_path / "own", ignore=shutil.ignore_patterns("html", "report.html"))


class Page(HTMLParser):
    """Tags, identifiers, links and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(str(value))
            elif name in ("href", "src"):
                self.links.append(str(value))

    def handle_data(self, data: str) -> None:
        self.text += data


def pages(folder: Path) -> dict[str, Page]:
    return {str(path.relative_to(folder)): Page(path.read_text("utf-8")) for path in folder.rglob("*.html")}


@pytest.mark.parametrize("which", ["healthy", "planted"])
def test_every_link_leads_somewhere_and_nothing_is_fetched(which, request):
    made = request.getfixturevalue(which)
    for folder in (made / "html", made):
        found = pages(folder) if folder.name == "html" else {"report.html": Page((made / "report.html").read_text())}
        for name, page in found.items():
            assert len(page.ids) == len(set(page.ids)), name
            for link in page.links:
                parts = urlsplit(link)
                if parts.netloc:
                    assert parts.scheme == "https" and parts.netloc in OUTSIDE
                    continue
                target = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
                key = str(target.resolve().relative_to(folder.resolve()))
                assert key in found, (name, link)
                assert not parts.fragment or unquote(parts.fragment) in found[key].ids, (name, link)
        assert not {tag for page in found.values() for tag in page.tags} & {"link", "img", "iframe", "object", "image"}


def test_every_equation_has_its_place_and_its_numbers(healthy):
    for layer in (1, 2, 3):
        page = pages(healthy / "html")[f"networks/small/layer-{layer}.html"]
        evidence = json.loads((healthy / "small" / f"layer-{layer}.json").read_text())
        for equation in (equation for equation in equations(SMALL) if equation.layer == layer):
            assert equation.target in page.ids
            for by in evidence["equations"][equation.target]["by"].values():
                assert f"{by['ratio']:.3g}" in page.text
                assert all(f"{found['recorded']:.9g}" in page.text for found in by["worst_elements"])
        assert page.tags.count("svg") >= 2 * 5 and page.tags.count("math") > len(evidence["equations"])


def test_the_inputs_are_a_picture(healthy):
    text = (healthy / "html" / "networks" / "small" / "layer-1.html").read_text()
    assert text.count('viewBox="0 0 28 28"') == 2 * 2  # dW1 and W1 after the update, by two implementations
    assert "28 28" not in (healthy / "html" / "networks" / "small" / "layer-2.html").read_text()


def test_what_is_wrong_stands_first(planted):
    found = pages(planted / "html")
    for name in ("index.html", "networks/small/layer-2.html"):
        text = found[name].text
        assert "The ReLU mask is missing: dZ2 = dA2" in text
        assert text.index("The ReLU mask is missing") < text.index("What now") < text.index("Do its equations hold?"
                                                                     if "layer" in name else "Coverage")  # fmt: skip
    below = found["networks/small/layer-1.html"].text
    assert "Its equations hold." in below and "comes from dZ2, layer 2" in " ".join(below.split())
    assert "The ReLU mask" not in found["networks/small/layer-3.html"].text


def test_a_healthy_report_says_so(healthy):
    text = " ".join(pages(healthy / "html")["index.html"].text.split())
    assert "Rounding. Every difference between these 2 runs is rounding: 144 of 144 equations were checked" in text
    assert "What else is wrong" not in text
    assert "no unit took another side of its kink" in pages(healthy / "html")["trajectory.html"].text


def test_flips_are_listed_where_they_were_looked_for(own, capsys):
    path = own / "summary.json"
    summary = json.loads(path.read_text())
    runs = summary["networks"]["small"]["implementations"]
    flip = {"step": 5, "layer": 1, "unit": 73, "sample": 438, "float64": 5.7e-8, "value": -2.4e-7}
    runs["mine"]["flips"], runs["numpy"]["flips"] = [flip], []
    path.write_text(json.dumps(summary))
    assert call(capsys, "report", "--html", "--output", own).code == 0
    text = pages(own / "html")["trajectory.html"].text
    assert all(said in text for said in ("73", "438", "5.7e-08", "-2.4e-07", "numpy: none"))


def test_the_same_evidence_gives_the_same_bytes(healthy, own, capsys):
    assert call(capsys, "report", "--html", "--output", own).code == 0
    assert call(capsys, "report", "--html", "--single-file", "--output", own).code == 0
    assert files_in(own / "html") == files_in(healthy / "html")
    assert (own / "report.html").read_bytes() == (healthy / "report.html").read_bytes()
    assert not re.search(rb"20\d\d-\d\d-\d\d", (own / "report.html").read_bytes())


def test_hostile_names_are_text_and_form_no_path(tmp_path, capsys):
    folder = hostile(tmp_path / "reports")
    for options in ((), ("--single-file",)):
        ended = call(capsys, "report", "--html", *options, "--output", folder)
        assert ended.code == 0, ended.err
        assert "\x1b" not in ended.out + ended.err
    names = {str(path.relative_to(folder)) for path in folder.rglob("*.html")}
    layers = {f"html/networks/network.1/layer-{n}.html" for n in (1, 2)}
    assert names == {"report.html", "html/index.html", "html/trajectory.html", *layers}
    for name in names:
        text = (folder / name).read_text(encoding="utf-8")
        page = Page(text)
        assert page.tags.count("script") == 1 and "<script>alert" not in text
        assert "\x1b" not in text and "{{ 7*7 }}" in page.text
        assert HOSTILE.replace("\x1b", "\\x1b") in page.text or name == "html/trajectory.html"


# Bad input: one line, exit code 2, nothing lost


SPOILED = {
    "empty": (b"", "not valid JSON"),
    "truncated": (b'{"schema": 3, "networks": {', "not valid JSON"),
    "another schema": (b'{"schema": 1}', f"not schema {SCHEMA}"),
    "ten million entries": (b'{"schema": 3, "networks": [' + b"0," * 10_000_000 + b"0]}", "4,000,000 values"),
    "no networks": (b'{"schema": 3}', "incomplete"),
    "deep": (b"[" * 100_000, "not valid JSON"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_summary_that_is_none(own, capsys, case):
    raw, said = SPOILED[case]
    (own / "summary.json").write_bytes(raw)
    before = files_in(own)
    call(capsys, "report", "--html", "--output", own).refused("summary.json" if case != "no networks" else "own", said)
    assert files_in(own) == before


def change(path: Path, keys: list[str], value: object) -> None:
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


RUN_OF = ["networks", "small", "implementations", "mine"]
EQUATION = ["equations", "Z2", "by", "mine"]
WRONG = {
    "a name that climbs": ("summary.json", ["networks", "small", "specification", "name"], "../../x", "../../x"),
    "a fraction that is text": ("small/layer-2.json", [*EQUATION, "fraction"], "<b>", "incomplete"),
    "a histogram of another length": ("small/layer-2.json", [*EQUATION, "histogram"], [1, 2], "incomplete"),
    "a map that is none": ("small/layer-2.json", [*EQUATION, "map"], ["<script>"], "incomplete"),
    "losses that are text": ("summary.json", [*RUN_OF, "losses"], ["<b>"], "incomplete"),
    "a finding without a kind": ("summary.json", [*RUN_OF, "findings"], [{}], "incomplete"),
    "worst elements that are none": ("small/layer-2.json", [*EQUATION, "worst_elements"], [1], "incomplete"),
    "a number for the implementations": ("summary.json", ["networks", "small", "implementations"], 7, "incomplete"),
    "versions that are a list": ("summary.json", ["environment", "implementations"], [1], "incomplete"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_evidence_of_another_kind_leaves_the_earlier_report_as_it_was(own, capsys, case):
    assert call(capsys, "report", "--html", "--output", own).code == 0
    name, keys, value, said = WRONG[case]
    change(own / name, keys, value)
    before = files_in(own.parent)
    call(capsys, "report", "--html", "--output", own).refused(said)
    assert files_in(own.parent) == before


def test_a_missing_layer(own, capsys):
    (own / "small" / "layer-2.json").unlink()
    call(capsys, "report", "--html", "--output", own).refused("layer-2.json", "No such file")
    assert not (own / "html").exists()


def test_other_things_in_the_folder_stay(own, capsys):
    other = own / "html" / "networks" / "small"
    other.mkdir(parents=True)
    mine = [own / "html" / "notes.txt", other / "layer-9.html", other / "mine.css"]
    for path in mine:
        path.write_text("mine")
    for _ in range(2):
        assert call(capsys, "report", "--html", "--output", own).code == 0
    assert all(path.read_text() == "mine" for path in mine)
    # A page of an earlier report that is no more goes, and only it.
    shutil.copy(other / "layer-3.html", other / "layer-4.html")
    assert call(capsys, "report", "--html", "--output", own).code == 0
    assert not (other / "layer-4.html").exists() and all(path.exists() for path in mine)


@pytest.mark.parametrize("name", ["html/index.html", "html/networks/small/layer-2.html", "report.html"])
def test_a_foreign_page_is_not_replaced(own, capsys, name):
    (own / name).parent.mkdir(parents=True, exist_ok=True)
    (own / name).write_text("<!DOCTYPE html>\n<title>mine</title>")
    before = files_in(own)
    options = () if name.startswith("html/") else ("--single-file",)
    call(capsys, "report", "--html", *options, "--output", own).refused(name, "is no page of 'backproof report'")
    assert files_in(own) == before


def test_a_link_out_of_the_folder_is_not_followed(own, capsys):
    outside = own.parent / "outside"
    outside.mkdir()
    (own / "html").mkdir()
    (own / "html" / "networks").symlink_to(outside)
    call(capsys, "report", "--html", "--output", own).refused("leads out of")
    assert not any(outside.iterdir())
    shutil.rmtree(own / "html")
    (own / "html").symlink_to(outside)
    call(capsys, "report", "--html", "--output", own).refused("is a link")
    assert not any(outside.iterdir())


def test_a_file_in_the_place_of_the_folder(own, capsys):
    (own / "html").write_text("mine")
    call(capsys, "report", "--html", "--output", own).refused("cannot write to", "html")
    assert (own / "html").read_text() == "mine"


def test_single_file_goes_with_html(own, capsys):
    call(capsys, "report", "--single-file", "--output", own).refused("--single-file goes with --html")


def test_without_the_extra(own, capsys, monkeypatch):
    from backproof.report.html.environment import environment

    environment.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    call(capsys, "report", "--html", "--output", own).refused("needs the package 'jinja2'", "backproof[report]")
    environment.cache_clear()
