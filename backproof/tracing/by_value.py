"""Where the names of a script mislead, its forward pass tells what is what: as if the user had given the names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from backproof.tracing.chain import Link, chain, name_of
from backproof.tracing.layers import Placed
from backproof.tracing.ledger import Pass
from backproof.tracing.network import GIVEN, Network
from backproof.tracing.sightings import Sighting, same
from backproof.tracing.strangers import UNKNOWN

Roles = dict[int, tuple[str, int | None]]
"""Order of a sighting -> kind and layer."""


def by_value(passed: Pass, network: Network | None, found: Placed) -> tuple[Pass, str, int]:
    """The pass with the kinds and layers that its forward pass tells, what is to be said of it, and up to when it was
    forward. Nothing is said where the names tell the same, and then what they put beside the chain is left out. The
    pass as it is where no chain of as many layers as the names tell of leads from data to an output.
    """
    if network is not None and network.objects:  # what an object holds is placed by the object
        return passed, "", 0
    every = sorted([*passed.everything, *passed.strangers], key=lambda s: s.order)
    since = min((s.order for s in passed.sightings), default=0)
    links = chain(_distinct(every), since)
    if not links or len(links) < (network.depth if network else 1):
        return passed, "", 0
    agreed = _agree(links, network, found)
    roles = _beside(links, found) if agreed else _roles(links, every, found)
    before: list[Sighting] = []
    sightings: list[Sighting] = []
    for s in every:
        kind, layer = roles.get(s.order, (s.kind, s.number))
        if kind != UNKNOWN:
            known = replace(s, kind=kind, number=layer, family=GIVEN) if s.order in roles else s
            (before if s.order < since else sightings).append(known)
    made = max(s.order for link in links for s in (link.Z, link.A) if s is not None)
    return replace(passed, before=before, sightings=sightings), "" if agreed else _said(links, found), made


def _distinct(seen: Iterable[Sighting]) -> list[Sighting]:
    """One sighting of each array as it was."""
    found: dict[tuple[int, int], Sighting] = {}
    for s in seen:
        if s.value.ndim in (1, 2):
            found.setdefault((s.identity, id(s.value)), s)
    return list(found.values())


def _agree(links: list[Link], network: Network | None, found: Placed) -> bool:
    """Whether the names put every array of the chain where its value does."""
    if network is None or network.depth != len(links):
        return False
    return all(
        any(t.identity == s.identity for t in found.get((kind, layer), []))
        for layer, link in enumerate(links, 1)
        for kind, s in (("Z", link.Z), ("A", link.A), ("W", link.W))
        if s is not None
    )


def _roles(links: list[Link], every: list[Sighting], found: Placed) -> Roles:
    roles: Roles = {}
    taken = set()
    for layer, link in enumerate(links, 1):
        for kind, s in _quantities(link):
            taken.add((kind, layer))
            roles |= {t.order: (kind, layer) for t in every if _same_role(kind, s, t)}
    roles |= {t.order: ("X", None) for t in every if t.identity == links[0].below.identity and t.order not in roles}
    # What the names had put in such a place is something else.
    for key, seen in found.items():
        if key in taken:
            own = [s for link in links for kind, s in _quantities(link) if kind == key[0]]
            others = (t for t in seen if t.order not in roles and not any(_rebound(t, s) for s in own))
            roles |= {t.order: (UNKNOWN, None) for t in others}
    return _without_stale(links, found) | roles


def _beside(links: list[Link], found: Placed) -> Roles:
    """What the names put beside the sums and activations of the chain: of other weights or data."""
    kept = {(kind, layer): s for layer, link in enumerate(links, 1) for kind, s in _quantities(link) if kind in "ZA"}
    places = ((t, s) for key, s in kept.items() for t in found.get(key, []))
    others = {t.order: (UNKNOWN, None) for t, s in places if t.identity != s.identity and not _rebound(t, s)}
    return _without_stale(links, found) | others


def _rebound(t: Sighting, s: Sighting) -> bool:
    """Whether the name of one was given to another array afterwards: ``A2 = A2 * 1.01`` is what is used."""
    return t.order > s.order and name_of(t) == name_of(s)


def _without_stale(links: list[Link], found: Placed) -> Roles:
    """An output that was there before its sum belongs to the pass before."""
    last = links[-1]
    if last.A is not None or last.Z is None:
        return {}
    return {t.order: (UNKNOWN, None) for t in found.get(("A", len(links)), []) if t.order < last.Z.order}


def _quantities(link: Link) -> Iterator[tuple[str, Sighting]]:
    for kind, s in (("W", link.W), ("b", link.b), ("Z", link.Z), ("A", link.A)):
        if s is not None:
            yield kind, s


def _same_role(kind: str, s: Sighting, t: Sighting) -> bool:
    """A parameter keeps its role under its name; a sum or an activation only as long as it is not changed."""
    if kind in "Wb":
        return t.value.shape == s.value.shape and (t.identity == s.identity or name_of(t) == name_of(s))
    return t.identity == s.identity and same(t.value, s.value)


def _said(links: list[Link], found: Placed) -> str:
    """What the names had not told, or had told otherwise."""
    told = [
        f"{s.label} is {kind}{layer}"
        for layer, link in enumerate(links, 1)
        for kind, s in _quantities(link)
        if not any(t.identity == s.identity for t in found.get((kind, layer), []))
    ]
    return f"by value, and not by its name: {', '.join(told)}" if told else ""
