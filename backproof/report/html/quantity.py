"""One quantity of a layer: its equation by every implementation, how the residuals are spread, where they are."""

from __future__ import annotations

import html
from dataclasses import dataclass

from backproof import error_map
from backproof.batches import by_sample
from backproof.evidence import Json
from backproof.report.html import element, heat_map, histogram, mathml
from backproof.report.html.element import Element
from backproof.report.tables import number, percent
from backproof.shown import shown


@dataclass(frozen=True)
class Picture:
    """An SVG with what it is of, and what it says in words."""

    caption: str
    words: str
    svg: str


@dataclass(frozen=True)
class ByRun:
    """The equation in one implementation, over all steps."""

    by: str
    verdict: str
    ratio: str
    ratio_value: float
    ceiling: str
    used: str
    used_value: float
    bar: float
    worst: Element
    message: str
    pictures: tuple[Picture, ...]
    elements: tuple[Element, ...]


@dataclass(frozen=True)
class Quantity:
    """One equation of the layer.

    Attributes:
        target: its name, and its identifier in the page.
        math, display: the equation as MathML, in a line and by itself.
    """

    target: str
    text: str
    math: str
    display: str
    shape: str
    failing: bool
    runs: tuple[ByRun, ...]


def of(target: str, entry: Json, shape: str, is_sum: bool, u: float) -> Quantity:
    """Everything that a page says of one equation.

    Raises:
        KeyError, TypeError, ValueError: where the evidence is not what ``verify`` writes.
    """
    sides = [int(side) for side in entry["shape"]]
    runs = tuple(_run(target, by, facts, sides, is_sum, u) for by, facts in entry["by"].items())
    failing = any(run.verdict != "rounding" for run in runs)
    text = str(entry["text"])
    return Quantity(target, text, mathml.equation(text), mathml.equation(text, block=True), shape, failing, runs)


def _run(target: str, by: str, facts: Json, shape: list[int], is_sum: bool, u: float) -> ByRun:
    fraction = float("inf") if facts["fraction"] is None else float(facts["fraction"])
    ratio = float("inf") if facts["ratio"] is None else float(facts["ratio"])
    return ByRun(
        by, str(facts["verdict"]), number(facts["ratio"]), ratio, number(facts["ceiling"]),
        percent(facts["fraction"]), fraction, min(100.0, 100 * fraction), element.of(target, facts["worst"], shape, u),
        str(facts["message"]), tuple(_pictures(target, by, facts, shape, is_sum)),
        tuple(element.of(target, found, shape, u) for found in facts["worst_elements"]),
    )  # fmt: skip


def _pictures(target: str, by: str, facts: Json, shape: list[int], is_sum: bool) -> list[Picture]:
    words = histogram.words(facts["histogram"], is_sum)
    spread = histogram.svg(facts["histogram"], is_sum, _title(f"Residuals of {target} by {by}: {words}"))
    pictures = [Picture("How large the residuals are, as parts of the budget", words, spread)]
    if facts["map"] is not None:
        across = "samples, by their place in the batch" if by_sample(target) else "inputs of the layer"
        beside = f", {across} across" if shape[1] > 1 else ""
        caption = f"Where they are: units of the layer down{beside}"
        pictures.append(_map(target, by, error_map.decoded(facts["map"]), shape, caption))
    columns = [float(value or 0) for value in facts["columns"] or ()]
    if by_input(target) and (cells := heat_map.image(columns)):
        caption = "The same for each of the 784 inputs, as the 28 × 28 picture that they are"
        pictures.append(_map(target, by, cells, [28, 28], caption))
    return pictures


def by_input(target: str) -> bool:
    """Whether the columns of a quantity are the network's inputs: those of dW and W of layer 1."""
    return target in ("dW1", "W1_next")


def _map(target: str, by: str, cells: heat_map.Cells, shape: list[int], caption: str) -> Picture:
    words = heat_map.where(cells, shape)
    return Picture(caption, words, heat_map.svg(cells, _title(f"Map of the residuals of {target} by {by}: {words}")))


def _title(text: str) -> str:
    return html.escape(shown(text, 2000))
