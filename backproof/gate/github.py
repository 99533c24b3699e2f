"""What GitHub's runner reads: annotations on standard output, and the summary of a step in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from backproof.gate.change import Change
from backproof.gate.judge import Judgement
from backproof.gate.words import HEADERS, cells, sentence
from backproof.report.tables import markdown, text
from backproof.shown import shown

MOST_ANNOTATIONS = 10
"""GitHub shows no more errors of a step."""
MOST_BYTES = 1_000_000
"""Of a step's summary, which GitHub refuses from 1 MiB on."""
DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY = DATA | str.maketrans({":": "%3A", ",": "%2C"})
"""How the toolkit of GitHub's actions escapes the two parts of a command (``packages/core/src/command.ts``)."""


def errors(found: Judgement) -> Iterator[str]:
    """At most ten errors, worst first; the last one counts what it has no room for."""
    failures = found.failures
    for place, change in enumerate(failures[:MOST_ANNOTATIONS], 1):
        more = len(failures) - MOST_ANNOTATIONS if place == MOST_ANNOTATIONS else 0
        yield _error(change, f" (and {more} more)" if more > 0 else "")


def _error(change: Change, more: str) -> str:
    title = f"backproof gate: {change.kind.word}, {shown(change.key)}".translate(PROPERTY)
    message = f"{shown(change.key)}: {shown(change.sentence, 1000)}{more}".translate(DATA)
    return f"::error title={title}::{message}"


def summary(found: Judgement, report: str) -> str:
    """The sentence, the notes, and the table as far as it fits."""
    head = [f"## Backproof gate\n\n**{text(sentence(found))}**"]
    notes = "\n".join(f"- differs from the baseline's run: {text(shown(note, 400))}" for note in found.notes[:100])
    head += [notes] if notes else []
    tail = f"The report: {text(shown(report, 400))}\n"
    rows = [list(map(text, cells(change, change.sentence))) for change in found.changes]
    most = _fitting(rows, MOST_BYTES - sum(len(part.encode()) for part in chain(head, [tail])))
    if rows[:most]:
        head.append(markdown(rows[:most], HEADERS))
    if most < len(rows):
        head.append(f"and {len(rows) - most} more")
    return "\n\n".join([*head, tail])


def _fitting(rows: list[list[str]], room: int) -> int:
    """How many rows fit; a table pads every cell to the widest of its column."""
    widths = [len(header) + 3 for header in HEADERS]
    for count, row in enumerate(rows):
        widths = [max(width, 4 * len(cell) + 3) for width, cell in zip(widths, row, strict=True)]
        if sum(widths) * (count + 3) > room - 100:
            return count
    return len(rows)
