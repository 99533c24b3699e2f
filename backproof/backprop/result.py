"""What :func:`backproof.check_backprop` found, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backproof.diagnosis import Explanation
from backproof.diagnosis.explanation import equals
from backproof.evidence import Json, significant
from backproof.report.tables import element, number, percent, plain, precise
from backproof.verdict import Verdict


@dataclass(frozen=True)
class Failure:
    """One equation that rounding does not explain.

    Attributes:
        equation: the key of the array that it produced, ``dZ1``.
        layer: the layer that it belongs to.
        text: the equation as one writes it.
        verdict: ``suspect`` or ``bug``; ``rounding`` of what is harmless.
        ratio: the largest residual in units of rounding; infinite where there is none (a wrong shape, not a number).
        message: what was found, in one sentence.
        explanations: best first; empty when no mistake that is known explains it.
        place: where the array was made, ``file.py:42``; empty when unknown.
    """

    equation: str
    layer: int
    text: str
    verdict: str
    ratio: float
    message: str
    explanations: tuple[Explanation, ...] = ()
    place: str = ""

    def __str__(self) -> str:
        where = f", {self.place}" if self.place else ""
        said = str(self.explanations[0]) if self.explanations else "unexplained"
        return f"{self.equation} (layer {self.layer}{where}): {said} ({self.message})"

    def to_json(self) -> Json:
        """Plain values."""
        return {
            "equation": self.equation, "layer": self.layer, "text": self.text, "verdict": self.verdict,
            "ratio": significant(self.ratio), "message": self.message, "place": self.place,
            "explanations": [explanation.to_json() for explanation in self.explanations],
        }  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """Equations that were checked of those that the network has, and why the others were not."""

    checked: tuple[str, ...]
    unchecked: dict[str, str]

    @property
    def of(self) -> int:
        """How many equations the network has (those of the update only where parameters after it were given)."""
        return len(self.checked) + len(self.unchecked)

    def __str__(self) -> str:
        return f"{len(self.checked)} of {self.of} equations"


@dataclass(frozen=True)
class Line:
    """One equation that was judged, for the table; with ``bits``, it agrees with NumPy to the last bit, and nothing
    more was measured (:mod:`backproof.backprop.bitwise`).
    """

    text: str
    verdict: str
    ratio: float
    ceiling: float
    fraction: float
    worst: str
    recorded: float
    exact: float
    bits: bool

    def cells(self) -> list[str]:
        """As they are printed."""
        if self.bits:
            return [self.text, self.verdict, "", "", "", "same bits as NumPy's", "", ""]
        return [
            self.text, self.verdict, number(self.ratio), number(self.ceiling), percent(self.fraction), self.worst,
            precise(self.recorded), precise(self.exact),
        ]  # fmt: skip


@dataclass(frozen=True)
class BackpropResult:
    """The verdict on one step's arrays.

    Attributes:
        verdict: ``rounding``, ``suspect`` or ``bug``: the worst equation's.
        failures: in the order of computation.
        coverage: what was checked.
        inferred: what was not given and is taken from the arrays, one sentence each.
        notes: what is worth knowing and no failure (a subgradient at a kink, say).
        harmless: equations whose residual is a choice that is seen to change nothing that is trained (an ε in the
            loss's logarithm), each with its explanation; every one is a note as well, and no failure.
        network: what was checked, ``784-128-10, relu, softmax``.
    """

    verdict: str
    failures: tuple[Failure, ...]
    coverage: Coverage
    inferred: tuple[str, ...]
    notes: tuple[str, ...]
    network: str
    lines: tuple[Line, ...] = field(repr=False)
    harmless: tuple[Failure, ...] = ()

    @property
    def burden(self) -> tuple[int, int, int]:
        """What it asks one to believe, to be compared: how many equations fail, how many of them are unexplained, and
        what the best explanations of the others assume (fitted constants, second mistakes).
        """
        best = [failure.explanations[0].assumed for failure in self.failures if failure.explanations]
        harmless = sum(failure.explanations[0].assumed for failure in self.harmless)
        return len(self.failures), len(self.failures) - len(best), sum(best) + harmless

    @property
    def explained(self) -> bool:
        """Whether every failure has an explanation that assumes nothing beside it."""
        return self.burden[1:] == (0, 0)

    def __str__(self) -> str:
        return "\n".join(self._text())

    def _text(self) -> Iterator[str]:
        yield self._headline()
        yield ""
        yield f"network: {self.network}"
        if self.inferred:
            yield f"inferred: {'; '.join(self.inferred)}"
        yield ""
        yield self._table()
        for place, failure in enumerate(self.failures, 1):
            yield from self._failure(place, failure)
        if self.notes:
            yield ""
            yield from (f"note: {note}" for note in self.notes)
        if self.coverage.unchecked:
            yield ""
            yield "not checked:"
            yield from (f"  {name}: {reason}" for name, reason in self.coverage.unchecked.items())

    def _headline(self) -> str:
        if not self.failures:
            return f"All within rounding: {self.coverage} were checked."
        first = self.failures[0]
        what = first.explanations[0].sentence if first.explanations else first.message
        more = len(self.failures) - 1
        others = f", and {more} other equation{'s' * (more > 1)} fail{'s' * (more == 1)}" if more else ""
        return f"{self.verdict.upper()} in {first.equation}: {what}{others}. ({self.coverage} were checked.)"

    def _table(self) -> str:
        rows = [line.cells() for line in self.lines]
        return plain(rows, ["equation", "verdict", "ratio", "ceiling", "used", "worst element", "given", "exact"])

    def _failure(self, place: int, failure: Failure) -> Iterator[str]:
        yield ""
        where = f", made in {failure.place}" if failure.place else ""
        yield f"{place}. {failure.text}  (layer {failure.layer}{where})"
        yield f"   found: {failure.message}"
        if not failure.explanations:
            yield "   unexplained: no mistake that is known here leaves only rounding"
            return
        best = failure.explanations[0]
        yield f"   because: {best.sentence}  [{best.name}]"
        yield f"   assumed, it leaves {percent(best.left)} of what rounding may leave"
        if equal := equals(failure.explanations):
            yield f"   the data cannot tell it from: {equal}"

    def to_json(self) -> str:
        """The same facts as JSON text, keys sorted."""
        facts = {
            "verdict": self.verdict,
            "network": self.network,
            "inferred": list(self.inferred),
            "notes": list(self.notes),
            "coverage": {"checked": list(self.coverage.checked), "unchecked": self.coverage.unchecked},
            "failures": [failure.to_json() for failure in self.failures],
            "harmless": [failure.to_json() for failure in self.harmless],
        }
        return json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False)

    def assert_ok(self) -> None:
        """Raise AssertionError, with the printed result as its message, unless the verdict is rounding."""
        if self.verdict != Verdict.ROUNDING.word:
            raise AssertionError(f"\n{self}")


def line_of(text: str, check: Any, target: str, recorded: float) -> Line:
    """The table's line of one judged equation."""
    residuals = check.residuals
    shape = () if target == "loss" else residuals.shape
    return Line(
        text, check.verdict.word, residuals.ratio, check.ceiling, max(residuals.fraction, 0.0),
        element(target, residuals.index, shape), recorded, residuals.exact, check.bits,
    )  # fmt: skip
