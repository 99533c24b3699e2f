"""The ledger of sightings: knows every array that was seen by its identity, and cuts the stream into passes.

A pass begins with the first forward quantity that a statement makes. It ends when the statement that made one makes it
anew after gradients were seen: forward, backward and update are then complete.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from backproof.tracing.names import FORWARD, GRADIENTS, OUT, PARAMETERS, SCALARS, Meaning
from backproof.tracing.sightings import Array, Mention, Sighting, copied, is_object, same
from backproof.tracing.stores import Stores
from backproof.tracing.strangers import Strangers
from backproof.tracing.unpatched import np

MOST = 3000
"""Sightings that a pass without gradients keeps: a long evaluation must not fill the memory."""
KEPT = (*PARAMETERS, *SCALARS, "X", "Y", "state")
"""Kinds that outlive a pass."""
_OUTPUT = Meaning("A", OUT)


@dataclass
class Pass:
    """The sightings from one forward pass to the next; ``before`` are the parameters and numbers that were there."""

    sightings: list[Sighting] = field(default_factory=list)
    before: list[Sighting] = field(default_factory=list)
    strangers: list[Sighting] = field(default_factory=list)
    """Arrays whose names mean nothing here, made before the pass or in it: some are quantities all the same."""
    changed: list[str] = field(default_factory=list)
    """What was changed in place under another name after it was made."""
    closed: bool = False
    """Whether it ran to its end: a new one began, or the script ended by itself."""

    @property
    def everything(self) -> list[Sighting]:
        """What was there before, and what was seen."""
        return self.before + self.sightings


@dataclass
class Known:
    """An array that was seen: kept alive, so that no other takes its identity, with its last sighting of each kind."""

    live: Any
    latest: Sighting
    kinds: dict[str, Sighting]


class Ledger:
    """Takes sightings in and hands out passes; ``done`` says that no more are wanted."""

    def __init__(self, finish: Callable[[Pass], bool]) -> None:
        self.finish = finish
        self.done = False
        self.unnamed: dict[str, tuple[str, tuple[int, ...]]] = {}
        """Arrays whose names mean nothing here: name -> place, shape."""
        self.order = 0
        self._known: dict[int, Known] = {}
        self._kept: dict[Hashable, Sighting] = {}
        self._strangers = Strangers()
        self._stores = Stores()
        self._pass = Pass()
        self._begin()

    @property
    def seen(self) -> list[Sighting]:
        """All of the pass that is open."""
        return self._pass.everything

    def _begin(self) -> None:
        self._aliases: set[Hashable] = set()
        self._sites: set[Hashable] = set()
        self._made: set[int] = set()
        self._backward_calls: set[int] = set()
        self._backward = False
        self._graded = False
        """Whether a gradient that is not all zero was seen."""
        self._opened = self.order

    def see(self, mention: Mention, value: Any) -> None:
        """Enter a value under a name; what is known already and unchanged costs no copy."""
        known = self._known.get(id(value))
        if self.done:
            return
        if known is None and self._stores.holds(mention, value):
            mention = replace(mention, meaning=None)
        if mention.how == "argument" and mention.meaning is not None and mention.meaning.kind in GRADIENTS:
            self._backward_calls.add(mention.frame)
        if known is None and mention.meaning == _OUTPUT and mention.frame in self._backward_calls:
            mention = replace(mention, meaning=None)  # ``out = grad.copy()``: what a backward call makes
        if known is not None and mention.in_place and not same(known.latest.value, value):
            self._changed(mention, value, known.latest)
        elif mention.meaning is None:
            if known is None:
                self.order += 1
                self._strangers.see(mention, value, self.order)
                if not mention.label.endswith("]"):
                    self.unnamed.setdefault(mention.label, (mention.place, value.shape))
        elif known is not None and _is_passing(known.latest, mention.meaning):
            return
        elif known is None:
            seen = mention.sighting(mention.meaning, copied(value), id(value))
            # ``out = targets[i]`` begins no forward pass.
            self._enter(replace(seen, new=not (mention.picked and seen.kind in FORWARD)), value)
        else:
            self._alias(mention, mention.meaning, known)

    def _alias(self, mention: Mention, meaning: Meaning, known: Known) -> None:
        """A known array under another name: once in a pass."""
        alias = (known.latest.identity, mention.label, mention.scope, meaning)
        if mention.how != "held" and alias not in self._aliases:
            self._aliases.add(alias)
            old = known.kinds.get(meaning.kind, known.latest)
            adopted = _adopted(mention, meaning, old)
            self._enter(
                replace(adopted, new=self._makes(meaning, old, mention.how == "argument" and _propagates(adopted)))
            )

    def _makes(self, meaning: Meaning, old: Sighting, handed: bool) -> bool:
        """Whether ``x = x @ W + b`` gets its meaning only here: in a list of activations, or as a layer's input."""
        made = old.kind == "X" and old.how == "statement" and old.new and old.order > self._opened
        means = handed or (meaning.kind in FORWARD and meaning.number != 0)
        if made and means and old.identity not in self._made:
            self._made.add(old.identity)
            return True
        return False

    def _changed(self, mention: Mention, value: Any, old: Sighting) -> None:
        """An array was changed in place: a new version of it, unless that is another name's doing in a forward pass."""
        meaning = mention.meaning
        own = mention.label == old.label and (mention.frame == old.frame or "." in mention.label)
        if old.kind in FORWARD and not own and (meaning is None or meaning.kind in (*FORWARD, "X")):
            self._pass.changed.append(
                f"{old.label} of {old.place} was changed in place at {mention.place} (as {mention.label})"
            )
            if meaning is None or meaning.kind in (old.kind, "X"):
                return
        copy = copied(value)
        if own and _labels_subtracted(old, copy):
            meaning = Meaning("dZ", old.number)
        stays = old.kind == "dZ" and meaning is not None and meaning.kind == "A"
        # ``for p, g in zip(parameters, gradients): p -= rate * g``: a parameter is one, whatever p means elsewhere.
        stays |= old.kind in PARAMETERS and meaning is not None and meaning.kind not in PARAMETERS
        new = replace(old, label=mention.label) if meaning is None or stays else _adopted(mention, meaning, old)
        new = replace(new, value=copy, place=mention.place, frame=mention.frame, how="statement", new=True)
        self._enter(new, value)

    def _enter(self, seen: Sighting, live: Any = None) -> None:
        """Add a sighting; ``live`` is the array itself where it is new or has changed."""
        if seen.new and seen.frame not in self._backward_calls and _propagates(seen):
            self._forward((seen.place, seen.kind) if seen.how == "statement" else (seen.scope, seen.kind), seen)
        self.order += 1
        seen = replace(seen, order=self.order)
        if live is not None and seen.kind not in SCALARS:
            kinds = self._known[seen.identity].kinds if seen.identity in self._known else {}
            self._known[seen.identity] = Known(live, seen, {**kinds, seen.kind: seen})
        if seen.kind in KEPT:
            scope = seen.scope if seen.number is None and seen.kind in PARAMETERS else None
            self._kept[seen.kind, seen.number, "" if seen.number else seen.label, seen.family, scope] = seen
        self._pass.sightings.append(seen)
        if seen.new and seen.how == "statement" and seen.kind in PARAMETERS:
            self._aliases.clear()  # after an update the same inputs may be handed on again, in the next pass
        if self._sites and (seen.kind in GRADIENTS or _updates(seen)):
            self._backward = True
            self._graded |= seen.kind in GRADIENTS and bool(np.any(seen.value))
        if len(self._pass.sightings) > MOST and not self._backward:
            dropped, self._pass.sightings = self._pass.sightings[: -MOST // 2], self._pass.sightings[-MOST // 2 :]
            self._pass.before += [seen for seen in dropped if seen.kind in KEPT]
            self._forget()

    def _forward(self, site: Hashable, seen: Sighting) -> None:
        """A forward quantity was made."""
        if self._backward and site in self._sites:
            self.close(True)
        elif self._graded and self._helps(seen):
            return
        self._sites.add(site)

    def _helps(self, seen: Sighting) -> bool:
        """Whether it has no layer's name and is made in a call that handles no parameters: after gradients that is a
        derivative's (``z = np.tanh(x); return 1 - z**2``) or an optimizer's, none of the forward pass, and its next
        ends nothing.
        """
        plain = seen.kind in FORWARD and seen.number in (None, OUT) and not is_object(seen)
        return plain and not any(s.frame == seen.frame and s.kind in PARAMETERS for s in self._pass.everything)

    def _forget(self) -> None:
        """Let go of arrays that no sighting refers to any more."""
        present = {seen.identity for seen in (*self._pass.sightings, *self._kept.values())}
        self._known = {key: known for key, known in self._known.items() if key in present}

    def close(self, ended: bool) -> None:
        """End the pass that is open; ``ended`` says that nothing of it can be missing."""
        finished, ahead, complete = self._pass, self._ahead(), self._backward and not self.done
        if complete:
            self._look_again(finished)
        self._pass = Pass(sightings=ahead, before=list(self._kept.values()))
        finished.closed, finished.strangers = ended, self._strangers.seen
        if complete:
            self.done = self.finish(finished)
            self._strangers.forget()
        self._begin()
        self._forget()

    def _ahead(self) -> list[Sighting]:
        """What was seen since the last gradient or update: the inputs of the next pass."""
        ahead: list[Sighting] = []
        for seen in reversed(self._pass.sightings):
            made = seen.new and seen.how == "statement"
            if made and seen.kind in (*GRADIENTS, *PARAMETERS):
                break
            # Forward quantities are an evaluation's; a gradient that is handed on (to an optimizer) is the old one.
            if not (made and seen.kind in FORWARD) and seen.kind not in GRADIENTS:
                ahead.append(seen)
        return ahead[::-1]

    def _look_again(self, finished: Pass) -> None:
        """Parameters that were changed in place where nobody looked: outside of the script's files, in turns of a loop
        that stands on one line.
        """
        for key, seen in [(key, seen) for key, seen in self._kept.items() if seen.kind in PARAMETERS]:
            known = self._known.get(seen.identity)
            if known is not None and not same(known.latest.value, known.live):
                self.order += 1
                new = replace(known.latest, value=copied(known.live), place="", order=self.order, how="held")
                self._known[seen.identity] = Known(known.live, new, {**known.kinds, new.kind: new})
                finished.sightings.append(new)
                self._kept[key] = new


def _propagates(seen: Sighting) -> bool:
    """Whether it belongs to a forward pass: a statement made it, or a layer object is handed it."""
    if seen.how == "argument":
        return is_object(seen) and seen.kind in (*FORWARD, "in", "X")
    return seen.how == "statement" and seen.kind in (*FORWARD, "in")


def _updates(seen: Sighting) -> bool:
    """Whether a parameter was made anew, and it is known which: a loop over layers may call any array ``w``."""
    placed = seen.number is not None or is_object(seen)
    return seen.kind in PARAMETERS and seen.new and seen.how == "statement" and placed


def _is_passing(old: Sighting, meaning: Meaning) -> bool:
    """Whether a parameter only passes under a name that is no layer's: ``for p, g in zip(parameters, gradients)``."""
    return old.kind in PARAMETERS and meaning.kind in (*FORWARD, "X", "Y") and meaning.number in (None, OUT)


def _labels_subtracted(old: Sighting, value: Array) -> bool:
    """Whether an output became its own delta in place: ``probs[range(m), y] -= 1``."""
    if old.kind != "A" or old.value.dtype.kind != "f" or old.value.ndim != 2:
        return False
    with np.errstate(all="ignore"):
        change = value - old.value
    # One less in one place a sample, up to float16's rounding of that; a mask or a clip changes by other amounts.
    return bool(np.any(change)) and bool(np.all(np.isclose(change[change != 0], -1, atol=1e-3)))


def _adopted(mention: Mention, meaning: Meaning, old: Sighting) -> Sighting:
    """A known array under another name: made where it was made, and the layer that it had unless the name says one."""
    same = meaning.kind == old.kind and meaning.number in (None, OUT) and not mention.family
    handed = is_object(old) and is_object(mention) and mention.scope != old.scope  # from one layer object to another
    if same and not handed and (old.number is not None or is_object(old)):
        return replace(old, label=mention.label, frame=mention.frame, how=mention.how, new=False)
    return replace(mention.sighting(meaning, old.value, old.identity), place=old.place, new=False)
