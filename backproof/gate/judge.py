"""Holds a run against the baseline.

A check's headroom has shrunk too far when it is over :data:`FEW` elements or more, and

    fraction > max(FLOOR, GROWTH · fraction of the baseline)

The fraction is the largest of many residuals, each over its budget. Its noise is that of an extreme value: another
order of summation moves it a little, another seed further, and the fewer the elements the more. All constants are
measured: see ``docs/gate.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backproof.errors import BackproofError
from backproof.gate.change import Change, Kind
from backproof.gate.facts import IDENTITY, SPECIFIED, Facts, Key, Used
from backproof.shown import shown
from backproof.verdict import Verdict

GROWTH = 3.0
"""Times the baseline's fraction, where both runs were given the same data and initial weights."""
GROWTH_ELSEWHERE = 4.0
"""The same where they were not."""
FLOOR = {"equation": 0.5, "agreement": 0.3}
"""A fraction up to it is never too much."""
FEW = 24
"""Elements over all steps below which a check's headroom is not judged: its verdict is."""
SEED = "seed"
"""The one setting that two comparable runs may differ in: the noise was measured over seeds."""


@dataclass(frozen=True)
class Judgement:
    """What the gate says.

    Attributes:
        changes: worst first.
        notes: differences of what computed, and of what the runs were given; none of them fails.
        cases: every (network, implementation, layer) of either side.
        checks: how many were compared.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    cases: tuple[Key, ...]
    checks: int

    @property
    def failures(self) -> tuple[Change, ...]:
        """The changes that close the gate, worst first."""
        return tuple(change for change in self.changes if change.kind.fails)


def judge(before: Facts, after: Facts) -> Judgement:
    """Compare a run with the baseline.

    Raises:
        BackproofError: when the two are not comparable; one line for the first reason.
    """
    for reason in differences(before, after):
        raise BackproofError(
            f"{shown(after.path, 400)} and the baseline {shown(before.path, 400)} are not comparable: {reason}; "
            "run 'backproof verify' as the baseline was run, or accept the change with --update-baseline"
        )
    return compare(before, after)


def compare(before: Facts, after: Facts) -> Judgement:
    """What changed, comparable or not."""
    changes = [*_gone(before, after), *_kept(before, after)]
    cases = sorted({key._replace(quantity="", check="") for key in (*before.entries, *after.entries)})
    changes.sort(key=lambda change: change.order)
    shared = sum(key.layer > 0 and key in after.entries for key in before.entries)
    return Judgement(tuple(changes), tuple(notes(before, after)), tuple(cases), shared)


def differences(before: Facts, after: Facts) -> Iterator[str]:
    """Why two runs are not comparable: another project, other settings, other networks of the same name."""
    if before.project != after.project:
        yield f"project {shown(repr(before.project))} there, {shown(repr(after.project))} here"
    a, b = ({k: v for k, v in facts.settings.items() if k != SEED} for facts in (before, after))
    yield from _apart("", a, b)
    for name in sorted(before.networks.keys() & after.networks.keys()):
        a, b = ({key: facts.networks[name][key] for key in SPECIFIED} for facts in (before, after))
        yield from _apart(f"{name}: ", a, b)


def notes(before: Facts, after: Facts) -> Iterator[str]:
    """What else differs: the environment, the seed, the data and the initial weights."""
    yield from _apart("", before.environment, after.environment)
    yield from _apart("", *({SEED: facts.settings.get(SEED)} for facts in (before, after)))
    for key in IDENTITY:
        names = [n for n, of in after.networks.items() if n in before.networks and of[key] != before.networks[n][key]]
        if names:
            yield f"{IDENTITY[key]} differ of {', '.join(names)}"


def _apart(place: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each leaf that differs."""
    for key in sorted(a.keys() | b.keys()):
        here, there = a.get(key), b.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            yield from _apart(f"{place}{shown(key)} ", here, there)
        elif here != there or type(here) is not type(there):
            yield f"{place}{shown(key)} {_value(here)} there, {_value(there)} here"


def _value(value: Any) -> str:
    return "absent" if value is None else shown(value, 60)


def _gone(before: Facts, after: Facts) -> Iterator[Change]:
    for kind, of, others in ((Kind.VANISHED, before, after), (Kind.APPEARED, after, before)):
        for key in _outermost(of.entries, others.entries):
            yield Change(kind, key, finding=of.findings.get(key))


def _outermost(keys: Iterable[Key], others: Iterable[Key]) -> list[Key]:
    """The places that hold some of ``keys`` and none of ``others``, each at its largest extent."""
    there = {place for other in others for place in _places(other)}
    return sorted({next(place for place in _places(key) if place not in there) for key in set(keys) - set(others)})


def _places(key: Key) -> Iterator[Key]:
    """From the network down to the key itself."""
    yield Key(key.network)
    yield Key(key.network, key.implementation)
    if key.layer:
        yield key._replace(quantity="", check="")
        yield key


def _kept(before: Facts, after: Facts) -> Iterator[Change]:
    same = {name for name in after.networks if _same_training(name, before, after)}
    for key, now in after.entries.items():
        if (then := before.entries.get(key)) is not None:
            for kind in _kinds(key, then, now, key.network in same):
                yield Change(kind, key, then, now, after.findings.get(key))


def _same_training(name: str, before: Facts, after: Facts) -> bool:
    was, is_ = before.networks.get(name), after.networks[name]
    return was is not None and all(was[key] == is_[key] for key in IDENTITY)


def _kinds(key: Key, then: Used, now: Used, same: bool) -> Iterator[Kind]:
    worse, less, more = now.verdict > then.verdict, _covers_less(key, then, now, same), _grown(key, then, now, same)
    if worse:
        yield Kind.VERDICT
    elif now.verdict > Verdict.ROUNDING and now.verdict == then.verdict:
        yield Kind.STILL
    if less:
        yield Kind.COVERAGE
    if more and not worse:
        yield Kind.HEADROOM
    if not (worse or less or more) and _better(key, then, now, same):
        yield Kind.IMPROVED


def _covers_less(key: Key, then: Used, now: Used, same: bool) -> bool:
    """Fewer steps; more steps that were looked at and agree for nothing; or, of one training, half the elements."""
    steps = now.covered < then.covered or now.of - now.covered > then.of - then.covered
    return steps or (same and key.check == "equation" and now.elements < then.elements / 2)


def _grown(key: Key, then: Used, now: Used, same: bool) -> bool:
    factor = GROWTH if same else GROWTH_ELSEWHERE
    if not key.layer or then.elements < FEW:
        return False
    return now.fraction > max(FLOOR[key.check], factor * then.fraction)


def _better(key: Key, then: Used, now: Used, same: bool) -> bool:
    return now.verdict < then.verdict or _covers_less(key, now, then, same) or _grown(key, now, then, same)
