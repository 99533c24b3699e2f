"""The ledger of sightings: knows every array that was seen by its identity, and cuts the stream into passes.

A pass begins with the first forward quantity that a statement makes. It ends when the statement that made one makes it
anew after gradients were seen: forward, backward and update are then complete.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backproof.tracing.names import FORWARD, GRADIENTS, OUT, PARAMETERS, SCALARS, Meaning
from backproof.tracing.sightings import Array, Sighting

MOST = 3000
"""Sightings that a pass without gradients keeps: a long evaluation must not fill the memory."""


@dataclass
class Pass:
    """The sightings from one forward pass to the next; ``before`` are the parameters and numbers that were there."""

    sightings: list[Sighting] = field(default_factory=list)
    before: list[Sighting] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """What was changed in place under another name after it was made."""
    closed: bool = False
    """Whether it ran to its end: a new one began, or the script ended by itself."""

    @property
    def everything(self) -> list[Sighting]:
        """What was there before, and what was seen."""
        return self.before + self.sightings


class Ledger:
    """Takes sightings in and hands out passes; ``done`` says that no more are wanted."""

    def __init__(self, finish: Callable[[Pass], bool]) -> None:
        self.finish = finish
        self.done = False
        self.unnamed: dict[str, tuple[str, tuple[int, ...]]] = {}
        """Arrays whose names mean nothing here: name -> place, shape."""
        self.order = 0
        self._known: dict[int, tuple[Any, Sighting]] = {}
        self._pass = Pass()
        self._kept: dict[Hashable, Sighting] = {}
        self._aliases: set[Hashable] = set()
        self._sites: set[Hashable] = set()
        self._made: set[int] = set()
        self._opened = 0
        self._backward = False

    def see(
        self,
        meaning: Meaning | None,
        label: str,
        value: Any,
        place: str,
        scope: Hashable,
        frame: int,
        family: str,
        how: str,
        in_place: bool,
    ) -> None:
        """Enter a value under a name; what is known already and unchanged costs no copy."""
        if self.done:
            return
        known = self._known.get(id(value))
        if known is not None and in_place and not np.array_equal(known[1].value, value, equal_nan=True):
            self._changed(meaning, label, value, place, scope, frame, family, known[1])
            return
        if meaning is None:
            if known is None and not label.endswith("]"):
                self.unnamed.setdefault(label, (place, value.shape))
            return
        if known is not None:
            alias = (id(value), label, scope, meaning)
            if how != "held" and alias not in self._aliases:
                self._aliases.add(alias)
                new = replace(
                    _adopted(meaning, label, scope, frame, family, how, known[1]), new=self._makes(meaning, known[1])
                )
                self._enter(new, value, alias=True)
            return
        if meaning.kind in SCALARS and isinstance(value, float | np.floating):
            copy: Array = np.array(value)
        else:
            copy = np.array(value, copy=True)
        copy.flags.writeable = False
        self._enter(
            Sighting(meaning.kind, meaning.number, label, copy, place, 0, scope, frame, id(value), family, how), value
        )

    def _makes(self, meaning: Meaning, old: Sighting) -> bool:
        """Whether ``x = x @ W + b`` is put into a list of activations: it is only there that it gets its meaning."""
        made = old.kind == "X" and old.how == "statement" and old.new and old.order > self._opened
        if made and meaning.kind in FORWARD and meaning.number != 0 and old.identity not in self._made:
            self._made.add(old.identity)
            return True
        return False

    def _changed(
        self,
        meaning: Meaning | None,
        label: str,
        value: Any,
        place: str,
        scope: Hashable,
        frame: int,
        family: str,
        old: Sighting,
    ) -> None:
        own = label == old.label and (frame == old.frame or "." in label)
        if old.kind in FORWARD and not own and (meaning is None or meaning.kind in (old.kind, "X")):
            self._pass.changed.append(f"{old.label} of {old.place} was changed in place at {place} (as {label})")
            return
        copy = np.array(value, copy=True)
        copy.flags.writeable = False
        if own and _labels_subtracted(old, copy):
            meaning = Meaning("dZ", old.number)
        if meaning is None or (old.kind == "dZ" and meaning.kind == "A"):
            new = replace(old, label=label)
        else:
            new = _adopted(meaning, label, scope, frame, family, "statement", old)
        self._enter(replace(new, value=copy, place=place, frame=frame, how="statement", new=True), value)

    def _enter(self, seen: Sighting, value: Any, alias: bool = False) -> None:
        if seen.how == "statement" and seen.new and seen.kind in (*FORWARD, "in"):
            self._forward((seen.place, seen.kind))
        self.order += 1
        seen = replace(seen, order=self.order)
        if seen.kind not in SCALARS and not alias:
            self._known[id(value)] = (value, seen)
        if seen.kind in (*PARAMETERS, *SCALARS, "X", "Y", "state"):
            self._kept[
                (
                    seen.kind,
                    seen.number,
                    seen.label if seen.number is None else "",
                    seen.family,
                    seen.scope if seen.number is None and seen.kind in PARAMETERS else 0,
                )
            ] = seen
        self._pass.sightings.append(seen)
        if self._sites and (seen.kind in GRADIENTS or self._updates(seen)):
            self._backward = True
        if len(self._pass.sightings) > MOST and not self._backward:
            self._forget(MOST // 2)

    def _updates(self, seen: Sighting) -> bool:
        placed = seen.number is not None or (isinstance(seen.scope, tuple) and seen.scope[0] == "object")
        return seen.kind in PARAMETERS and seen.new and seen.how == "statement" and placed

    def _forward(self, site: Hashable) -> None:
        if self._backward and site in self._sites:
            self.close(True)
        self._sites.add(site)

    def _forget(self, last: int) -> None:
        self._pass.sightings = self._pass.sightings[-last:]
        present = {seen.identity for seen in (*self._pass.sightings, *self._kept.values())}
        self._known = {key: pair for key, pair in self._known.items() if key in present}

    def close(self, ended: bool) -> None:
        """End the pass that is open; ``ended`` says that nothing of it can be missing."""
        finished, self._pass = self._pass, Pass(sightings=self._begun())
        self._sites.clear()
        self._aliases.clear()
        self._made.clear()
        self._opened = self.order
        finished.closed = ended
        if self._backward and not self.done:
            self._look_again(finished)
            self.done = self.finish(finished)
        self._backward = False
        self._pass.before = list(self._kept.values())
        self._forget(0)

    def _begun(self) -> list[Sighting]:
        """What was seen since the last gradient or update: the inputs of the next pass."""
        ahead: list[Sighting] = []
        for seen in reversed(self._pass.sightings):
            if seen.new and seen.how == "statement" and seen.kind in (*GRADIENTS, *PARAMETERS):
                break
            if not (seen.new and seen.how == "statement" and seen.kind in FORWARD):  # those are an evaluation's
                ahead.append(seen)
        return ahead[::-1]

    def _look_again(self, finished: Pass) -> None:
        """Parameters that code outside of the script's files changed in place."""
        for seen in [seen for seen in self._kept.values() if seen.kind in PARAMETERS]:
            live, latest = self._known.get(seen.identity, (None, seen))
            if live is not None and not np.array_equal(latest.value, live, equal_nan=True):
                self.order += 1
                copy = np.array(live, copy=True)
                new = replace(latest, value=copy, place="", order=self.order, how="held")
                self._known[seen.identity] = (live, new)
                finished.sightings.append(new)


def _labels_subtracted(old: Sighting, value: Array) -> bool:
    """Whether an output became its own delta in place: ``probs[range(m), y] -= 1``."""
    if old.kind != "A" or old.value.dtype.kind != "f" or old.value.ndim != 2:
        return False
    with np.errstate(all="ignore"):
        change = value - old.value
    return bool(np.any(change)) and bool(np.all(np.isclose(change[change != 0], -1, atol=1e-3)))


def _adopted(
    meaning: Meaning, label: str, scope: Hashable, frame: int, family: str, how: str, old: Sighting
) -> Sighting:
    """A known array under another name: made where it was made, and the layer that it had unless the name says one."""
    same = meaning.kind == old.kind and meaning.number in (None, OUT) and not family
    if same and (old.number is not None or (isinstance(old.scope, tuple) and old.scope[0] == "object")):
        return replace(old, label=label, frame=frame, how=how, new=False)
    return Sighting(
        meaning.kind, meaning.number, label, old.value, old.place, 0, scope, frame, old.identity, family, how, False
    )
