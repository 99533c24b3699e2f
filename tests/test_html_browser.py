"""The HTML report in headless Chromium: opened from disk, walked by keyboard, in both themes, at 390 pixels."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report_picture import SIZE, take
from tests.html_support import as_root, hostile

pytest.importorskip("jinja2", reason="Jinja2 is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
PAGES = ("index.html", "networks/small/layer-1.html", "networks/small/layer-2.html", "trajectory.html")
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        options = ["--no-sandbox"] if as_root() else []
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page of the browser, and everything that it asked for or complained of."""

    page: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: Path) -> Any:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture
def watched(chromium: Any) -> Iterator[Watched]:
    """A fresh page; whatever a test does with it, nothing may leave the machine and nothing may be complained of."""
    context = chromium.new_context(color_scheme="light", viewport={"width": 1280, "height": 800})
    found = Watched(context.new_page())
    yield found
    context.close()
    assert found.asked and all(url.startswith("file://") for url in found.asked), found.asked
    assert not found.complaints


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim()"))


def press_until(page: Any, text: str, most: int = 60) -> None:
    """Tab to the link or button that begins with ``text``; its focus must be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if focused(page).startswith(text):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"{text!r} is not reached by {most} presses of Tab")


def test_from_the_index_to_the_explanation_by_keyboard(planted, watched):
    page = watched.open(planted / "html" / "index.html")
    assert "Bug." in page.locator(".answer").inner_text()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    press_until(page, "dZ2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/networks/small/layer-2.html#dZ2")
    assert page.evaluate("document.querySelector(':target').textContent") == "dZ2"
    page.evaluate("scrollTo(0, 0)")
    explanation = page.locator(".failure").first
    assert "The ReLU mask is missing: dZ2 = dA2" in explanation.inner_text()
    box = explanation.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 800  # what, where, why and what now, without scrolling
    assert all(word in explanation.inner_text() for word in ("What", "Where", "Why", "What now"))


def test_the_first_screen_of_the_index_says_what_is_wrong_and_where(planted, watched):
    page = watched.open(planted / "html" / "index.html")
    for place in (".answer", ".failure", ".grid"):
        box = page.locator(place).bounding_box()
        assert box["y"] + box["height"] <= 800, place
    assert page.locator(".cell.bug").count() == 1 and page.locator(".cell.echo").count() >= 1
    assert "layer 2: bug" in page.locator(".cell.bug").inner_text()


def test_a_table_sorts(healthy, watched):
    page = watched.open(healthy / "html" / "networks" / "small" / "layer-2.html")
    heading = page.locator("th", has=page.locator("button", has_text=re.compile("^used$"))).first
    table = "table.sortable >> nth=0"

    def used() -> list[float]:
        cells = page.locator(f"{table} >> tbody tr td:nth-child(6)")
        return [float(cell) for cell in cells.evaluate_all("cells => cells.map(cell => cell.dataset.key)")]

    before = used()
    assert before != sorted(before) and heading.get_attribute("aria-sort") is None
    heading.get_by_role("button").press("Enter")
    assert used() == sorted(before) and heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").press("Enter")
    assert used() == sorted(before, reverse=True) and heading.get_attribute("aria-sort") == "descending"


def test_the_theme_is_toggled_and_kept(healthy, watched):
    page = watched.open(healthy / "html" / "index.html")

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = paper()
    button = page.get_by_role("button", name="Dark theme")
    button.press("Enter")
    assert paper() != light and page.get_by_role("button", name="Light theme").is_visible()
    page.goto((healthy / "html" / "trajectory.html").as_uri())
    assert paper() != light


def test_the_system_s_theme_is_followed(healthy, chromium):
    papers = []
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto((healthy / "html" / "index.html").as_uri())
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    assert papers[0] == "rgb(255, 255, 255)" and papers[0] != papers[1]


@pytest.mark.parametrize("which", ["healthy", "planted"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(which, scheme, chromium, request):
    made = request.getfixturevalue(which)
    context = chromium.new_context(color_scheme=scheme)
    for path in (*(made / "html" / name for name in PAGES), made / "report.html"):
        page = context.new_page()
        page.goto(path.as_uri())
        result = axe.Axe().run(page).response
        assert len(result["passes"]) > 20  # it did look
        found = [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in result["violations"]
                 if v["impact"] in SERIOUS]  # fmt: skip
        assert not found, (path.name, found)
        page.close()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_screen_needs_no_sideways_scrolling(planted, chromium, name):
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto((planted / "html" / name).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_deep_link_in_a_single_file(planted, watched):
    page = watched.open(planted / "report.html")
    page.get_by_role("link", name="dZ2").first.press("Enter")
    assert page.url.endswith("#small.layer-2.dZ2")
    assert page.evaluate("document.querySelector(':target').textContent") == "dZ2"


def test_a_hostile_report_runs_nothing(tmp_path, capsys, watched):
    from tests.cli_support import call

    folder = hostile(tmp_path / "reports")
    assert call(capsys, "report", "--html", "--output", folder).code == 0
    page = watched.open(folder / "html" / "index.html")
    assert "<script>alert(1)" in page.locator(".grid").inner_text()
    assert page.locator("script").count() == 1


def test_a_script_that_got_in_would_not_run(healthy, tmp_path, chromium):
    """The second wall: even without escaping, the page's policy admits its own script alone."""
    text = (healthy / "html" / "index.html").read_text(encoding="utf-8")
    (tmp_path / "index.html").write_text(text.replace("<h1>", "<script>document.title = 'run'</script><h1>"))
    page = chromium.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    assert page.title() == "Backproof report"
    page.close()


def test_the_readme_s_picture_is_taken(planted, chromium, tmp_path):
    take(chromium, planted / "html" / "index.html", tmp_path / "report.png")
    said = (tmp_path / "report.png").read_bytes()
    assert said.startswith(b"\x89PNG") and len(said) > 20_000
    assert [int.from_bytes(said[i : i + 4], "big") for i in (16, 20)] == [SIZE["width"], SIZE["height"]]
    committed = (Path(__file__).parents[1] / "docs" / "report.png").read_bytes()
    assert said[:24] == committed[:24]
