"""The layers of the script's network: how many there are, how wide, and which object or number is which layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise

from backproof.tracing.ledger import Pass
from backproof.tracing.names import FORWARD
from backproof.tracing.sightings import Array, Sighting, is_object

GIVEN = "="
"""The family of names that the user gave: their numbers are the layers."""
Weights = dict[int, list[Sighting]]


@dataclass(frozen=True)
class Network:
    """``weights`` by layer, the widths from the inputs on (empty if the weights do not chain), object -> layer."""

    depth: int
    widths: tuple[int, ...]
    weights: Weights
    objects: dict[Hashable, int]


def network_of(passed: Pass) -> Network | None:
    """The layers that the weights of a pass make up, or None where no weights were seen."""
    seen = [s for s in passed.everything if s.kind == "W" and s.value.ndim in (1, 2)]
    objects = _layer_objects(passed, seen)
    weights = _by_number(seen)
    if len(objects) > len(weights) or (objects and not any(s.number for s in seen)):
        weights = defaultdict(list)
        for s in seen:
            if s.number is None and s.scope in objects:
                weights[objects[s.scope]].append(s)
    else:
        objects = {}
    if not weights:
        return None
    depth = max(weights)
    return Network(depth, widths_of([weights[n][-1].value for n in sorted(weights)]), dict(weights), objects)


def _layer_objects(passed: Pass, weights: list[Sighting]) -> dict[Hashable, int]:
    """Objects that hold one weight each and took part in the pass, in the order in which they did."""
    holders = {s.scope for s in weights if s.number is None and is_object(s)}
    order: dict[Hashable, int] = {}
    for s in passed.sightings:
        if s.scope in holders and s.kind in (*FORWARD, "in", "X"):
            order.setdefault(s.scope, len(order) + 1)
    return order


def _by_number(seen: list[Sighting]) -> Weights:
    """Weights in the order of their numbers; a plain ``W`` is the only layer, or the first beside ``W2``."""
    plain = [s for s in seen if s.number is None and not is_object(s)]
    families: dict[str, Weights] = defaultdict(lambda: defaultdict(list))
    for s in seen:
        if s.number is not None:
            families[s.family][s.number].append(s)
    if plain and not any(family[1:] for family in families.items() if min(family[1]) < 2):
        families[""][1] += plain
    depth = max((len(numbers) for numbers in families.values()), default=0)
    found: Weights = defaultdict(list)
    for family, numbers in families.items():
        ranked = len(numbers) == depth and family != GIVEN
        for rank, number in enumerate(sorted(numbers), start=1):
            layer = rank if ranked else number
            if 1 <= layer <= depth or family == GIVEN:
                found[layer] += numbers[number]
    return {layer: sorted(found[layer], key=lambda s: s.order) for layer in sorted(found)}


def widths_of(weights: list[Array]) -> tuple[int, ...]:
    """n0 … nL if every weight is in × out, or every one out × in, and they chain; in × out where both hold."""
    shapes = [w.shape if w.ndim == 2 else (w.shape[0], 1) for w in weights]
    for pairs in ([(a, b) for a, b in shapes], [(b, a) for a, b in shapes]):
        if all(left[1] == right[0] for left, right in pairwise(pairs)):
            return (pairs[0][0], *(out for _, out in pairs))
    return ()
