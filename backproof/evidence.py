"""What a run leaves behind for its reports: for each equation and quantity the worst element and the spread.

Everything here becomes JSON; :func:`significant` keeps it small and its text stable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backproof import error_map
from backproof.agreement import Agreement
from backproof.batches import in_data
from backproof.check import Check
from backproof.residuals import WORST
from backproof.verdict import Verdict

Array = NDArray[Any]
Json = dict[str, Any]

SCHEMA = 3
"""Of the summary and the layers' evidence; 3 has maps, several worst elements, and what each step used."""
BINS = tuple(2.0**k for k in range(-9, 1))
"""Upper ends of the histogram's bins, in fractions of the budget; a last bin holds what is above it."""
ARRAYS = ("histogram", "rows", "columns", "map", "worst_elements")
"""Keys that stand in the layer's evidence only, not in the summary."""


def significant(value: float, digits: int = 4) -> float | None:
    """``value`` rounded to so many significant digits; None where it is not finite, which JSON cannot say."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


@dataclass
class EquationEvidence:
    """One equation of one implementation over all steps; ``add`` takes in one step's check."""

    text: str
    verdict: Verdict = Verdict.ROUNDING
    steps: int = 0
    covered: int = 0
    elements: int = 0
    vacuous: int = 0
    ratio: float = 0.0
    ceiling: float = 0.0
    slope: float | None = None
    messages: dict[str, int] = field(default_factory=dict)
    worst: Json = field(default_factory=dict)
    fraction: float = -1.0
    histogram: Array = field(default_factory=lambda: np.zeros(len(BINS) + 1, np.int64))
    rows: Array | None = None
    columns: Array | None = None
    cells: Array | None = None
    most: dict[tuple[int, ...], Json] = field(default_factory=dict)

    def add(self, check: Check, samples: Array | None = None) -> None:
        """Take in one step, made of the ``samples`` that it names."""
        residuals = check.residuals
        self.steps += 1
        self.elements += residuals.elements
        self.vacuous += check.vacuous
        self.covered += check.vacuous < residuals.elements
        self.ceiling = max(self.ceiling, check.ceiling)
        self.ratio = max(self.ratio, residuals.ratio)
        if check.slope is not None and abs(check.slope) > abs(self.slope or 0.0):
            self.slope = check.slope
        if check.message:
            # The worst verdict's first message is the one to read.
            self.messages.setdefault(f"step {check.step}: {check.message}", int(check.verdict))
        self.verdict = max(self.verdict, check.verdict)
        if residuals.fraction > self.fraction:
            self.fraction = residuals.fraction
            self.worst = {
                "step": check.step,
                "index": list(in_data(check.equation.target, residuals.index, samples)),
                "recorded": residuals.recorded,
                "exact": residuals.exact,
            }
        bins = np.searchsorted(BINS, np.concatenate([np.empty(0), *residuals.samples]))
        self.histogram += np.bincount(bins, minlength=len(BINS) + 1)
        self.rows = residuals.rows if self.rows is None else np.maximum(self.rows, residuals.rows)
        if residuals.columns is not None:
            columns = residuals.columns
            self.columns = columns if self.columns is None else np.maximum(self.columns, columns)
        self.cells = error_map.merged(self.cells, residuals.cells)
        self._used_most(check, samples)

    def _used_most(self, check: Check, samples: Array | None) -> None:
        """Keep the elements that used most of all steps, each at its worst step."""
        for fraction, row, column, recorded, exact in check.residuals.worst.tolist():
            index = in_data(check.equation.target, (int(row), int(column)), samples)
            if index not in self.most or fraction > self.most[index]["fraction"]:
                values = {"fraction": fraction, "recorded": recorded, "exact": exact}
                self.most[index] = {"step": check.step, "index": list(index), **values}
        ordered = sorted(self.most.items(), key=lambda item: (-item[1]["fraction"], item[0]))
        self.most = dict(ordered[:WORST])

    def to_json(self) -> Json:
        """Facts and arrays."""
        return {
            "verdict": self.verdict.word,
            "steps": self.steps,
            "covered": self.covered,
            "elements": self.elements,
            "vacuous": self.vacuous,
            "ratio": significant(self.ratio),
            "ceiling": significant(self.ceiling, 6),
            "fraction": significant(max(self.fraction, 0.0)),
            "slope": None if self.slope is None else significant(self.slope, 3),
            "message": self._message(),
            "worst": self.worst,
            "histogram": self.histogram.tolist(),
            "rows": _map(self.rows),
            "columns": _map(self.columns),
            "map": None if self.cells is None or self.cells.size == 1 else error_map.encoded(self.cells),
            "worst_elements": [
                {**element, "fraction": significant(element["fraction"])} for element in self.most.values()
            ],
        }

    def _message(self) -> str:
        return max(self.messages, key=lambda text: self.messages[text], default="")


@dataclass
class AgreementEvidence:
    """One quantity of one implementation over all steps, compared with the float64 reference."""

    steps: int = 0
    left_out: int = 0
    worst: Agreement | None = None
    ulps: float = 0.0

    def add(self, agreement: Agreement, samples: Array | None = None) -> None:
        """Take in one step, made of the ``samples`` that it names."""
        self.steps += 1
        self.left_out = max(self.left_out, agreement.left_out)
        self.ulps = max(self.ulps, agreement.ulps)
        if self.worst is None or agreement.fraction > self.worst.fraction:
            self.worst = replace(agreement, index=in_data(agreement.quantity, agreement.index, samples))

    def to_json(self) -> Json:
        """Facts of the step that used most of its bound."""
        worst = self.worst
        assert worst is not None, "evidence without a step"
        return {
            "verdict": worst.verdict.word,
            "steps": self.steps,
            "left_out": self.left_out,
            "absolute": significant(worst.absolute),
            "relative": significant(worst.relative),
            "ulps": significant(worst.ulps),
            "envelope": significant(worst.envelope),
            "bound": significant(worst.bound),
            "fraction": significant(worst.fraction),
            "worst": {
                "step": worst.step,
                "index": list(worst.index),
                "recorded": worst.recorded,
                "exact": worst.exact,
            },
        }


def _map(values: Array | None) -> list[float | None] | None:
    return None if values is None else [significant(value, 2) for value in values.tolist()]


def without_arrays(facts: Any) -> Any:
    """The same facts without histograms and maps, for the summary."""
    if isinstance(facts, dict):
        return {key: without_arrays(value) for key, value in facts.items() if key not in ARRAYS}
    return facts


def worst_word(words: Iterable[str]) -> str:
    """The worst of several verdicts' words."""
    return max(words, key=lambda word: Verdict[word.upper()])
