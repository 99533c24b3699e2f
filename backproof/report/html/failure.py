"""What is wrong, as it is told: one failure for each quantity and kind, at its first step; causes before echoes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backproof.evidence import Json
from backproof.report.html import advice, element, mathml
from backproof.report.html.element import Element


@dataclass(frozen=True)
class Failure:
    """One quantity of one run that is not within rounding.

    Attributes:
        named: whether a mistake explains it.
        headline: that mistake, or what does not hold.
        measured: what was measured.
        others: further mistakes that the same numbers would fit.
        steps: in how many steps it was found, as words.
        equation: as MathML; empty where no equation was judged.
        worst: the element that used most of its budget; None there.
        now: what to do.
    """

    network: str
    by: str
    layer: int
    quantity: str
    kind: str
    verdict: str
    step: int
    steps: str
    named: bool
    headline: str
    measured: str
    others: tuple[str, ...]
    now: str
    equation: str
    worst: Element | None


def failures(network: str, facts: Json) -> list[Failure]:
    """All failures of all runs of one network, in the order of discovery: a run's first is its cause."""
    return [failure for by, run in facts["implementations"].items() for failure in _of_run(network, by, run, facts)]


def _of_run(network: str, by: str, run: Json, facts: Json) -> Iterator[Failure]:
    found: dict[tuple[str, str], list[Json]] = {}
    for finding in run["findings"]:
        found.setdefault((str(finding["kind"]), str(finding["quantity"])), []).append(finding)
    for (kind, quantity), same in found.items():
        first, several = same[0], "at least " if int(run["findings_in_all"]) > len(run["findings"]) else ""
        explanations = [str(explanation["sentence"]) for explanation in first.get("explanations", ())]
        equation, worst = _equation(facts, int(first["layer"]), quantity, by) if kind == "equation" else ("", None)
        measured = _without(str(first["message"]), explanations)
        unnamed = HEADLINES.get(kind, "{q}: {m}").format(q=quantity, m=measured)
        yield Failure(
            network, by, int(first["layer"]), quantity, kind, str(first["verdict"]), int(first["step"]),
            f"{several}{len(same)} step{'s' if len(same) > 1 else ''}", bool(explanations),
            _capital(explanations[0]) if explanations else unnamed,
            measured, tuple(explanations[1:]), advice.of(first, by), equation, worst,
        )  # fmt: skip


HEADLINES = {
    "equation": "{q} is not what its operands give",
    "agreement": "{q} is not what the float64 reference has",
    "missing": "{q} is missing",
    "coverage": "Nothing was compared",
}
"""What a failure is called that no known mistake explains."""


def _without(message: str, explanations: list[str]) -> str:
    """What was measured, without the explanation that is told before it."""
    if not explanations:
        return message
    measured = message.removeprefix(explanations[0]).strip()
    return measured[1:-1] if measured.startswith("(") and measured.endswith(")") else measured


def _capital(sentence: str) -> str:
    """With a capital first letter, if the first word is not a quantity: ``dZ2`` keeps its d."""
    first = sentence.split(" ", 1)[0]
    return sentence[:1].upper() + sentence[1:] if first.isalpha() and first.islower() else sentence


def _equation(facts: Json, layer: int, quantity: str, by: str) -> tuple[str, Element | None]:
    entry = facts["layers"][str(layer)]["equations"][quantity]
    if by not in entry["by"]:
        return mathml.equation(str(entry["text"]), block=True), None
    worst = element.of(quantity, entry["by"][by]["worst"], entry["shape"], float(facts["unit_roundoff"]))
    return mathml.equation(str(entry["text"]), block=True), worst


def is_echo(failure: Failure, everything: list[Failure]) -> bool:
    """End to end a mistake shows in every quantity after it: of a run with a failing equation that is its echo."""
    return failure.kind == "agreement" and any(
        other.kind != "agreement" and (other.network, other.by) == (failure.network, failure.by) for other in everything
    )
