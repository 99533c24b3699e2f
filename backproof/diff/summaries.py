"""Two summaries of ``verify``: what each check used of its budget, and how many ULPs from float64 it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backproof.gate.change import growth, percent_of
from backproof.gate.facts import Facts, Key, Used, layer_number, of_summary, summary_file
from backproof.gate.judge import compare, differences
from backproof.gate.words import table
from backproof.report.tables import number, plain
from backproof.shown import shown

HEADERS = ("network", "by", "layer", "check", "used: old", "new", "times", "ULPs from float64: old", "new")
SHOWN = 40
Distances = dict[Key, float]


@dataclass(frozen=True)
class Move:
    """One check that used another part of its budget than before."""

    key: Key
    before: Used
    after: Used

    @property
    def size(self) -> float:
        """How far it moved, up or down alike: the logarithm of how many times as much is used."""
        times = growth(self.before, self.after)
        return abs(math.log(times)) if times else math.inf


def moves(old: Facts, new: Facts) -> list[Move]:
    """Every check of both sides whose facts differ, the largest move first."""
    pairs = [Move(key, used, new.entries[key]) for key, used in old.entries.items() if key in new.entries]
    return sorted((m for m in pairs if m.key.layer and m.before != m.after), key=lambda m: (-m.size, m.key))


def rows(found: list[Move], old: Distances, new: Distances) -> Iterator[list[str]]:
    """A line for each move."""
    for move in found:
        key, times = move.key, growth(move.before, move.after)
        yield [
            shown(key.network), shown(key.implementation), str(key.layer), shown(key.what), percent_of(move.before),
            percent_of(move.after), number(times) if math.isfinite(times) else "-",
            *(number(side[key]) if key in side else "-" for side in (old, new)),
        ]  # fmt: skip


def distances(path: Path) -> Distances:
    """The largest ULPs from the float64 reference of each quantity that a summary compares with it."""
    return {
        Key(network, name, layer_number(number, layer), quantity, "agreement"): by.key("ulps").fraction()
        for network, facts in summary_file(path).key("networks").items()
        for number, layer in facts.key("layers").items()
        for quantity, entry in layer.key("agreement").items()
        for name, by in entry.key("by").items()
    }


def losses(path: Path) -> dict[Key, list[float]]:
    """Each run's losses, step by step, in the eight digits that a summary keeps."""
    return {
        Key(network, name): [at.number() for at in run.key("losses").array()]
        for network, facts in summary_file(path).key("networks").items()
        for name, run in facts.key("implementations").items()
    }


def first_losses(old: dict[Key, list[float]], new: dict[Key, list[float]]) -> Iterator[str]:
    """For each run the first step whose loss differs."""
    for key in sorted(old.keys() & new.keys()):
        for step, (before, after) in enumerate(zip(old[key], new[key], strict=False)):
            if before != after:
                yield f"{shown(key)}: step {step}, {before} → {after}"
                break


def terminal(old: Path, new: Path) -> str:
    """What differs in what ran, what would close a gate, what moved, and from which step on.

    Raises:
        BackproofError: for a summary that is unusable.
    """
    before, after = of_summary(old), of_summary(new)
    judged, found = compare(before, after), moves(before, after)
    parts = [[f"differs: {reason}" for reason in (*differences(before, after), *judged.notes)]]
    if judged.changes:
        parts.append(["As a gate with the old run as its baseline would list it:", "", table(judged.changes)])
    if found:
        left = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        parts.append([plain(list(rows(found[:SHOWN], distances(old), distances(new))), HEADERS), *left])
    if apart := list(first_losses(losses(old), losses(new))):
        parts.append(["The first step whose loss differs:", *(f"  {line}" for line in apart[:SHOWN])])
    parts.append([f"{len(found)} of {judged.checks} checks moved."])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)
