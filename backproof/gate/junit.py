"""JUnit XML: a case for each network × layer × implementation, and one for each run as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from backproof.gate.change import Change
from backproof.gate.facts import Key
from backproof.gate.judge import Judgement
from backproof.shown import shown


def junit(found: Judgement) -> str:
    """The document; what changed stands in its case, worst first."""
    by_place: dict[Key, list[Change]] = {}
    for change in found.failures:
        by_place.setdefault(change.key._replace(quantity="", check=""), []).append(change)
    failures = {case: list(_changes(case, by_place)) for case in found.cases}
    failed = sum(map(bool, failures.values()))
    counts = f'tests="{len(found.cases)}" failures="{failed}" errors="0"'
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="backproof gate" {counts}>',
            f'<testsuite name="backproof gate" {counts} skipped="0">',
            *(_case(case, changes) for case, changes in failures.items()),
            "</testsuite>",
            "</testsuites>\n",
        ]
    )


def _changes(case: Key, by_place: dict[Key, list[Change]]) -> Iterator[Change]:
    """What vanished or appeared with all that the case is part of, and then its own."""
    for place in dict.fromkeys((Key(case.network), Key(case.network, case.implementation), case)):
        yield from (change for change in by_place.get(place, ()) if place == case or change.before is None)


def _case(case: Key, changes: list[Change]) -> str:
    name = f"layer {case.layer}" if case.layer else "run"
    head = f"<testcase classname={_quoted(f'{case.network}.{case.implementation}')} name={_quoted(name)}"
    if not changes:
        return f"{head}/>"
    lines = [f"{change.key.what or name}: {change.sentence}" for change in changes]
    text = "&#10;".join(_quoted(line)[1:-1] for line in lines)
    kind, message = changes[0].kind.word, _quoted(lines[0])
    return f'{head}><failure type="{kind}" message={message}>{text}</failure></testcase>'


def _quoted(value: str) -> str:
    return quoteattr(shown(value, 400), {'"': "&quot;"})
