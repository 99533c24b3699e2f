"""What the gate knows of a run: what each check used of its budget, what it covered, under which settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from backproof.evidence import SCHEMA, Json
from backproof.gate.json_file import At, load
from backproof.verdict import Verdict

CHECKS = ("equation", "agreement")
SPECIFIED = ("specification", "samples", "batches")
"""What makes two runs of a network comparable."""
IDENTITY = {"data_hash": "data", "initial_hash": "initial weights"}
"""What tells two comparable runs of a network apart, and its name."""
REMEDY = "run 'backproof verify' again"


class Key(NamedTuple):
    """Where a check stands. Empty from some place on, it stands for all that is below.

    Attributes:
        layer: from 1; 0 for a run as a whole, whose quantity and check are then empty.
        check: ``equation`` or ``agreement``.
    """

    network: str
    implementation: str = ""
    layer: int = 0
    quantity: str = ""
    check: str = ""

    def __str__(self) -> str:
        run = f"{self.network} by {self.implementation}" if self.implementation else self.network
        layer = f"layer {self.layer}" if self.layer else ""
        return ", ".join(filter(None, [run, layer, self.what]))

    @property
    def what(self) -> str:
        """Quantity and check."""
        return f"{self.quantity} ({self.check})" if self.quantity else ""


class Used(NamedTuple):
    """What one check of one quantity used, over all steps.

    Attributes:
        fraction: of its budget or bound, at the tightest element; infinite where that is not finite. 0 for a whole run.
        verdict: the worst of all steps.
        covered: steps in which it was checked on something that could have been wrong; of a run, equations.
        of: steps in which it was looked at; of a run, the equations that it has.
        elements: over all steps, those that could have been wrong; 0 for a whole run.
    """

    fraction: float
    verdict: Verdict
    covered: int
    of: int
    elements: int = 0


class Finding(NamedTuple):
    """What is wrong in one place; ``rank`` 0 is the first that the run found, most often the cause of the others."""

    rank: int
    text: str


@dataclass(frozen=True)
class Facts:
    """All checks of a run.

    Attributes:
        path: the file that they are from.
        networks: name -> what its training was, the keys of ``SPECIFIED`` and ``IDENTITY``.
        findings: what a run that is not within rounding says of itself.
    """

    path: Path
    project: str
    settings: Json
    environment: Json
    networks: dict[str, Json]
    entries: dict[Key, Used]
    findings: dict[Key, Finding] = field(default_factory=dict)


def summary_file(path: Path) -> At:
    """What a ``summary.json`` holds, nothing but its schema looked at."""
    whole = load(path, REMEDY, "run 'backproof verify' first")
    if whole.value.get("schema") != SCHEMA or "networks" not in whole.value:
        whole.refuse(f"no summary of schema {SCHEMA}")
    return whole


def of_summary(path: Path) -> Facts:
    """The facts of a ``summary.json``.

    Raises:
        BackproofError: when it is missing, too large, not JSON, of another schema, or holds anything of a wrong type.
    """
    whole = summary_file(path)
    entries: dict[Key, Used] = {}
    findings: dict[Key, Finding] = {}
    for network, facts in whole.key("networks").items():
        for name, run in facts.key("implementations").items():
            entries[Key(network, name)] = _run(run)
            findings |= _findings(Key(network, name), run)
        entries |= _checks(network, facts)
    return made(whole, entries, findings)


def made(whole: At, entries: dict[Key, Used], findings: dict[Key, Finding]) -> Facts:
    """The facts whose other parts stand in ``whole``, as they do in a summary and in a baseline.

    Raises:
        BackproofError: also when there are no entries: nothing is not compared with anything.
    """
    if not any(key.layer for key in entries):
        whole.refuse("holds no check of anything")
    if orphans := [key for key in entries if key._replace(layer=0, quantity="", check="") not in entries]:
        whole.refuse(f"holds checks of {orphans[0]}, and no such run")
    keys = (*SPECIFIED, *IDENTITY)
    networks = {name: {key: at.key(key).value for key in keys} for name, at in whole.key("networks").items()}
    for key in ("settings", "environment"):
        whole.key(key).mapping()
    return Facts(
        whole.path, whole.key("project").text(), whole.value["settings"], whole.value["environment"],
        networks, entries, findings,
    )  # fmt: skip


def _run(run: At) -> Used:
    coverage = run.key("coverage")
    return sound(run, None, run.key("verdict"), coverage.key("checked"), coverage.key("of"), 0)


def _findings(whole: Key, run: At) -> dict[Key, Finding]:
    """The first finding of each place: a check's at the check, any other at the run."""
    found: dict[Key, Finding] = {}
    for rank, at in enumerate(run.key("findings").array()):
        quantity, layer, kind = at.key("quantity").text(), at.key("layer").count(), at.key("kind").text()
        text = f"step {at.key('step').count()}: {at.key('message').text()}"
        if kind in CHECKS:
            found.setdefault(whole._replace(layer=layer, quantity=quantity, check=kind), Finding(rank, text))
        else:
            found.setdefault(whole, Finding(rank, f"{quantity}, {text}"))
    return found


def _checks(network: str, facts: At) -> Iterator[tuple[Key, Used]]:
    for number, layer in facts.key("layers").items():
        n = layer_number(number, layer)
        elements = {key: used.elements for key, used in _equations(network, n, layer)}
        yield from _equations(network, n, layer)
        for key, by in _by(network, n, "agreement", layer.key("agreement")):
            # Of the same array as its equation; none where the equation was never checked.
            found = elements.get(key._replace(check="equation"), 0)
            yield key, sound(by, by.key("fraction"), by.key("verdict"), by.key("steps"), by.key("steps"), found)


def _equations(network: str, number: int, layer: At) -> Iterator[tuple[Key, Used]]:
    for key, by in _by(network, number, "equation", layer.key("equations")):
        elements = by.key("elements").count() - by.key("vacuous").count()
        yield key, sound(by, by.key("fraction"), by.key("verdict"), by.key("covered"), by.key("steps"), elements)


def _by(network: str, number: int, check: str, quantities: At) -> Iterator[tuple[Key, At]]:
    for quantity, entry in quantities.items():
        for name, by in entry.key("by").items():
            yield Key(network, name, number, quantity, check), by


def layer_number(name: str, layer: At) -> int:
    """1, 2, … of the key that a layer has."""
    if not name.isdecimal() or name.startswith("0") or len(name) > 6:
        layer.refuse("no number of a layer")
    return int(name)


def sound(where: At, fraction: At | None, verdict: At, covered: At, of: At, elements: int) -> Used:
    """What was used, of values that fit each other."""
    share = 0.0 if fraction is None else fraction.fraction()
    used = Used(share, verdict.verdict(), covered.count(), of.count(), elements)
    if used.covered > used.of:
        where.refuse(f"covers {used.covered} of {used.of}")
    if elements < 0:
        where.refuse("more elements agree for nothing than there are")
    return used
