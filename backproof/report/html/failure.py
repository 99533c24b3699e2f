"""What is wrong, as it is told: one failure for each quantity and kind, at its first step; causes before echoes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backproof.evidence import Json
from backproof.report.html import advice

LIMIT = 100
"""Failures that a page tells of."""


@dataclass(frozen=True)
class Failure:
    """One quantity of one run that is not within rounding.

    Attributes:
        headline: the mistake by name where one explains it, else what was measured.
        measured: what was measured.
        others: further mistakes that the same numbers would fit.
        steps: in how many steps it was found.
        now: what to do.
    """

    network: str
    by: str
    layer: int
    quantity: str
    kind: str
    verdict: str
    step: int
    steps: int
    headline: str
    measured: str
    others: tuple[str, ...]
    now: str

    @property
    def named(self) -> bool:
        """Whether a mistake explains it."""
        return self.headline != self.measured


def failures(network: str, facts: Json) -> list[Failure]:
    """All failures of all runs of one network, in the order of discovery: a run's first is its cause."""
    return [failure for by, run in facts["implementations"].items() for failure in _of_run(network, by, run)]


def _of_run(network: str, by: str, run: Json) -> Iterator[Failure]:
    found: dict[tuple[str, str], list[Json]] = {}
    for finding in run["findings"]:
        found.setdefault((str(finding["kind"]), str(finding["quantity"])), []).append(finding)
    for (kind, quantity), same in found.items():
        first = same[0]
        explanations = [str(explanation["sentence"]) for explanation in first.get("explanations", ())]
        measured = str(first["message"])
        if explanations:
            measured = measured.removeprefix(explanations[0]).strip()
            measured = measured[1:-1] if measured.startswith("(") and measured.endswith(")") else measured
        yield Failure(
            network, by, int(first["layer"]), quantity, kind, str(first["verdict"]), int(first["step"]), len(same),
            explanations[0] if explanations else measured, measured, tuple(explanations[1:]), advice.of(first, by),
        )  # fmt: skip


def is_echo(failure: Failure, everything: list[Failure]) -> bool:
    """End to end a mistake shows in every quantity after it: of a run with a failing equation that is its echo."""
    return failure.kind == "agreement" and any(
        other.kind != "agreement" and (other.network, other.by) == (failure.network, failure.by) for other in everything
    )
