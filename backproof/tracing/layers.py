"""From the script's own numbers, calls and layer objects to quantities of the layers 1 … L."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import replace

from backproof.tracing.ledger import Pass
from backproof.tracing.names import FORWARD, OUT
from backproof.tracing.network import GIVEN, Network
from backproof.tracing.sightings import Sighting, is_object, meaning_of

PLACED = frozenset({"W", "b", "Z", "A", "dA", "dZ", "dH", "dW", "db"})
"""Kinds that belong to a layer; those of a layer object alone become one of them."""
FREE = frozenset({"X", "Y", "loss", "learning_rate", "state"})
"""Kinds that stand for themselves, whatever holds them; X may be the input of a layer as well."""
LOWEST = {"A": 0, "dA": 0}
SHIFTS = (0, -1, 1)
Placed = dict[tuple[str, int], list[Sighting]]


def placed(passed: Pass, network: Network) -> Placed:
    """(kind, layer) -> what may be it, in the order in which it was made; ``("X", 0)`` and ``("Y", 0)`` are free.

    Layers come from the number of the name, from the object that holds it, from the weights that the same call
    handles, or from the turn in a loop over the layers where their number or the widths make it unambiguous.
    """
    found = [s.within(kind="W", number=layer) for layer, seen in network.weights.items() for s in seen]
    found += [replace(s, number=0) for s in passed.everything if s.kind in FREE]
    rest = [s for s in passed.everything if s.kind not in ("W", *FREE) or s.kind == "X"]
    found += _numbered([s for s in rest if s.number is not None and not _of_object(s, network)], network)
    found += _objects([s for s in rest if _of_object(s, network)], network, passed)
    found += _calls([s for s in rest if s.number is None and not _of_object(s, network)], network)
    result: Placed = defaultdict(list)
    for s in sorted(found, key=lambda s: s.order):
        result[s.kind, s.number or 0].append(s)
    return dict(result)


def fits(s: Sighting, network: Network, layer: int) -> bool:
    """Whether an array has the layer's width along a dimension; a weight is the layer's whatever its shape."""
    if not network.widths or s.kind in ("W", "dW"):
        return True
    return 0 <= layer <= network.depth and network.widths[layer] in s.value.shape


def _of_object(s: Sighting, network: Network) -> bool:
    return is_object(s) and bool(network.objects) and (s.number is None or s.number == OUT)


def _numbered(seen: list[Sighting], network: Network) -> Iterator[Sighting]:
    groups: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for s in seen:
        if s.number == OUT:
            other = [] if fits(s, network, network.depth) else _possible(s, network)
            # ``dscores`` all the way down: by its width, where that is one layer's.
            yield replace(s, number=other[0] if len(other) == 1 else network.depth)
        elif s.kind in PLACED:
            groups[s.kind, s.family].append(s)
    for (kind, family), group in groups.items():
        if family not in ("", GIVEN) and len({s.number for s in group}) > network.depth + 1:
            continue  # a list of more than the layers: sums and activations in turn
        shift = 0 if family == GIVEN else _shift(kind, group, network)
        for s in group:
            layer = (s.number or 0) + shift
            if LOWEST.get(kind, 1) <= layer <= network.depth:
                yield s.within(kind=kind, number=layer)


def _shift(kind: str, group: list[Sighting], network: Network) -> int:
    """What makes the script's numbers layers: none, one less (``delta3`` of two layers), one more (``z0``)."""

    def misfits(shift: int) -> tuple[int, int]:
        outside = {s.number for s in group if not LOWEST.get(kind, 1) <= (s.number or 0) + shift <= network.depth}
        return len(outside), sum(not fits(s, network, (s.number or 0) + shift) for s in group)

    return min(SHIFTS, key=misfits)


def _objects(seen: list[Sighting], network: Network, passed: Pass) -> Iterator[Sighting]:
    """Names inside layer objects, and inside the activation objects between them."""
    begun = _beginnings([s for s in passed.sightings if _of_object(s, network)], network)
    separate = any(scope not in network.objects for scope in begun)
    handed = {s.identity for s in seen if s.scope not in network.objects}
    passed_on = {s.scope for s in seen if s.kind == "Z" and s.identity in handed}
    inner = {s.scope for s in seen if s.kind in ("Z", "dZ")} - passed_on
    taken = _taken(seen)
    activations: dict[int, Hashable] = {}
    for s in seen:
        place = None
        if (layer := network.objects.get(s.scope)) is not None:
            held = _as_input(s, layer, (s.scope, s.identity) in taken, network)
            place = _in_dense(held, layer, s.scope in inner, separate)
        elif s.scope in begun:
            layer = sum(begun.get(dense, 0) < begun[s.scope] for dense in network.objects)
            place = _in_activation(s, layer, activations.setdefault(layer, s.scope) == s.scope)
        if place is not None:
            yield s.within(kind=place[0], number=place[1])


def _beginnings(seen: list[Sighting], network: Network) -> dict[Hashable, int]:
    begun: dict[Hashable, int] = {}
    for s in seen:
        if s.kind in (*FORWARD, "in", "X") or s.scope not in network.objects:
            begun.setdefault(s.scope, s.order)
    return begun


def _taken(seen: list[Sighting]) -> set[tuple[Hashable, int]]:
    """Object and array, of what was handed to an object before it made it: its input, whatever it calls it."""
    made: set[tuple[Hashable, int]] = set()
    taken: set[tuple[Hashable, int]] = set()
    for s in sorted(seen, key=lambda s: s.order):
        if s.kind in FORWARD and (s.scope, s.identity) not in made:
            (taken if s.how == "argument" else made).add((s.scope, s.identity))
    return taken


def _as_input(s: Sighting, layer: int, taken: bool, network: Network) -> Sighting:
    """An ``a`` that is what the layer was handed (``self.a = a``) is its input, unless the user said what it is.

    By the widths, and where a layer is as wide as the one below, by who made the array.
    """
    if s.kind not in FORWARD or s.family == GIVEN or not fits(s, network, layer - 1):
        return s
    return replace(s, kind="in") if (taken and s.kind == "A") or not fits(s, network, layer) else s


def _in_dense(s: Sighting, layer: int, activates: bool, separate: bool) -> tuple[str, int] | None:
    match s.kind:
        case "X" | "in":
            return ("A", layer - 1)
        case "A":
            return ("Z" if separate and not activates and s.family != GIVEN else "A", layer)
        case "out_grad" | "dH":
            return ("dA" if activates or not separate else "dZ", layer)
        case "in_grad":
            return ("dA", layer - 1)
        case "b" | "Z" | "dA" | "dZ" | "dW" | "db":
            return (s.kind, layer)
    return None


def _in_activation(s: Sighting, layer: int, first: bool) -> tuple[str, int] | None:
    """``first``: it is what follows the weights directly, so that its input is their Z."""
    if layer == 0:
        return None
    if first and s.kind in ("X", "in", "Z"):
        return ("Z", layer)
    kind = {"A": "A", "in_grad": "dZ", "dZ": "dZ", "out_grad": "dA", "dA": "dA", "dH": "dA"}.get(s.kind)
    return (kind, layer) if kind else None


def _calls(seen: list[Sighting], network: Network) -> Iterator[Sighting]:
    """Names without a number in functions: by the one weight that the call handles, or by their turn in a loop."""
    layers = _handled(network)
    turns: dict[tuple[int, str, str], list[Sighting]] = defaultdict(list)
    for s in seen:
        if network.depth == 1 and s.kind in PLACED:
            yield s.within(kind=s.kind, number=1)
        elif len(handled := layers.get(s.frame, ())) == 1 and _belongs(s, layer := next(iter(handled)), network):
            place = _in_dense(s, layer, True, False)
            if place is not None:
                yield s.within(kind=place[0], number=place[1])
        elif s.kind == "out_grad" and re.search(r"d_?out$|dy$", s.label):
            yield s.within(kind="dH", number=network.depth)
        elif s.kind in PLACED and s.how == "statement":
            turns[s.frame, s.label, s.kind].append(s)
    for (_, _, kind), group in turns.items():
        yield from _turns(kind, group, network)


def _belongs(s: Sighting, layer: int, network: Network) -> bool:
    return s.kind in ("b", "dW", "db") or s.kind not in PLACED or fits(s, network, layer)


def _handled(network: Network) -> dict[int, set[int]]:
    """Call -> the layers whose weights it handles under a name without a number."""
    found: dict[int, set[int]] = defaultdict(set)
    for layer, seen in network.weights.items():
        for s in seen:
            if (meaning := meaning_of(s.label)) is not None and meaning.number is None:
                found[s.frame].add(layer)
    return found


def _turns(kind: str, group: list[Sighting], network: Network) -> Iterator[Sighting]:
    if kind == "b":
        yield from (
            s.within(kind=kind, number=n) for s in group if len(n_of := _possible(s, network)) == 1 for n in n_of
        )
        return
    if kind == "dH" and len({s.identity for s in group}) == 1:  # an error without a number is the output's
        yield from (s.within(kind=kind, number=network.depth) for s in group)
        return
    distinct = {s.identity: s for s in group}
    order = list(distinct.values()) if kind in FORWARD else list(distinct.values())[::-1]
    lowest = network.depth - len(order) + 1 if kind in FORWARD else 1
    layers = range(1, network.depth + 1)
    for turn, s in enumerate(order):
        possible = _possible(s, network)
        by_turn = lowest + turn if len(order) == network.depth or kind in FORWARD else 0
        if len(possible) == 1 and kind not in ("dW", "db"):
            yield s.within(kind=kind, number=possible[0])
        elif by_turn in layers and by_turn in possible and len(order) >= network.depth:
            yield s.within(kind=kind, number=by_turn)


def _possible(s: Sighting, network: Network) -> list[int]:
    return [layer for layer in range(1, network.depth + 1) if fits(s, network, layer)]
