"""What people read: the table of what changed, worst first, and the sentence below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from backproof.gate.change import Change, Kind
from backproof.gate.facts import Facts
from backproof.gate.judge import Judgement
from backproof.report.store import INDEX
from backproof.report.tables import plain
from backproof.shown import shown

HEADERS = ("what", "network", "by", "layer", "check", "change")
SHOWN = 20
"""Rows on a terminal; the other outputs have them all, with what the run says of each."""


def cells(change: Change, told: str) -> list[str]:
    """One row that ends with what is ``told`` of the change; nothing in it acts, or breaks a line."""
    key = change.key
    # A line never begins with somebody's string: "::" there would be a command to GitHub's runner.
    row = [change.kind.word, key.network, key.implementation or "all", str(key.layer or "-"), key.what or "-"]
    return [shown(cell) for cell in [*row, told]]


def table(changes: Iterable[Change]) -> str:
    """The first :data:`SHOWN` changes, and how many more there are."""
    rows = [cells(change, change.fact) for change in changes]
    left = f"\n\nand {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return plain(rows[:SHOWN], HEADERS) + left


def sentence(found: Judgement) -> str:
    """The answer, with how much was compared."""
    compared = f"{found.checks} checks were compared with the baseline"
    if not (failures := found.failures):
        return f"The gate is open: no regression; {compared}."
    counts, first = ", ".join(counted(change.kind for change in failures)), shown(failures[0].sentence, 400)
    return f"The gate is closed: {counts}; {compared}. First: {shown(failures[0].key)}: {first}."


def counted(kinds: Iterable[Kind]) -> Iterator[str]:
    """``2 verdict, 1 coverage``, worst first."""
    every = list(kinds)
    yield from (f"{every.count(kind)} {kind.word}" for kind in Kind if kind in every)


def terminal(found: Judgement, report: Path) -> str:
    """Notes, table, sentence, and where the report is."""
    parts = [f"differs from the baseline's run: {shown(note, 400)}" for note in found.notes]
    said = ["\n".join(parts)] if parts else []
    said += [table(found.changes)] if found.changes else []
    return "\n\n".join([*said, sentence(found), f"The report: {shown(report, 400)}"])


def report_of(facts: Facts) -> Path:
    """The index of the reports that lie beside a summary."""
    return facts.path.parent / INDEX
