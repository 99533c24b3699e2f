"""The grid of the index: a strip of layers for each network and implementation, coloured by what was used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backproof.equations import Product, equations
from backproof.evidence import Json, worst_word
from backproof.network import Network
from backproof.report.html.scale import class_of
from backproof.report.tables import percent

MARKS = {"bug": "✗", "suspect": "?", "apart": "≠", "echo": "≠", "unchecked": "–"}
WORDS = {
    "bug": "bug",
    "suspect": "suspect",
    "apart": "equations hold, but it disagrees end to end",
    "echo": "equations hold; disagrees end to end because of another layer",
    "unchecked": "not checked",
}


@dataclass(frozen=True)
class Cell:
    """One layer of one run.

    Attributes:
        style: the class of its colour.
        shown: percent of the budget that was used, or a mark.
        words: what colour and mark say.
        quantity: the one to look at.
    """

    layer: int
    style: str
    shown: str
    words: str
    quantity: str


@lru_cache(maxsize=256)
def sums(network: Network) -> frozenset[str]:
    """Targets that are sums of several terms: a single rounding always comes close to its bound, and tells less."""
    return frozenset(
        equation.target
        for equation in equations(network)
        if isinstance(equation.rule, Product)
        and not (equation.target.startswith("dA") and network.sizes[equation.layer + 1] == 1)
    )


def strip(network: Network, facts: Json, by: str) -> Iterator[Cell]:
    """The cells of one run, layer by layer."""
    flawed = {int(f["layer"]) for f in facts["implementations"][by]["findings"] if f["kind"] not in OF_EQUATIONS}
    found = [(n, *_state(network, facts["layers"][str(n)], by, n in flawed)) for n in range(1, network.depth + 1)]
    caused = flawed or any(state in ("bug", "suspect") for _, state, *_ in found)
    for layer, state, fraction, quantity in found:
        state = "echo" if state == "apart" and caused else state
        used = "" if fraction is None else f"{percent(fraction)} of the budget used by {quantity}"
        words = ", ".join(filter(None, [WORDS.get(state, "rounding"), used]))
        shown = MARKS.get(state) or f"{100 * (fraction or 0):.0f}"
        style = class_of(fraction or 0.0) if state == "rounding" else state
        yield Cell(layer, style, shown, f"layer {layer}: {words}", quantity)


OF_EQUATIONS = ("equation", "agreement")
"""Kinds of findings that the layers' own verdicts tell of."""


def _state(network: Network, layer: Json, by: str, flawed: bool) -> tuple[str, float | None, str]:
    """State, the largest part of a budget that was used, and by which quantity."""
    mine = {target: entry["by"][by] for target, entry in layer["equations"].items() if by in entry["by"]}
    ends = {name: entry["by"][by] for name, entry in layer["agreement"].items() if by in entry["by"]}
    verdict = worst_word(["rounding", *(e["verdict"] for e in mine.values()), *(["bug"] if flawed else [])])
    if not mine:
        return ("bug" if flawed else "unchecked"), None, ""
    told = {t: e for t, e in mine.items() if (verdict == e["verdict"] and verdict != "rounding") or _tells(t, network)}
    quantity, fraction = _largest(told or mine)
    if verdict != "rounding":
        return verdict, fraction, quantity
    apart = {name: e for name, e in ends.items() if e["verdict"] != "rounding"}
    return ("apart", fraction, _largest(apart)[0]) if apart else ("rounding", fraction, quantity)


def _tells(target: str, network: Network) -> bool:
    return target in sums(network)


def _largest(entries: dict[str, Any]) -> tuple[str, float]:
    used = {name: float("inf") if e["fraction"] is None else float(e["fraction"]) for name, e in entries.items()}
    name = max(used, key=lambda name: used[name])
    return name, used[name]
