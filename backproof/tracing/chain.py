"""The forward pass by value: which arrays are W·X + b and activations of it, whatever the script calls them.

A name is a guess at what an array is; a product is not: that some array equals W·X + b by chance does not happen. So
every array of a forward pass is compared with the products of what was there before, and what fits forms a chain of
layers from the inputs to the output. A mistake in a forward pass breaks the chain, and then the names decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from backproof.tracing.activated import FITS, activated_with, apart, is_activation
from backproof.tracing.names import GRADIENTS, PARAMETERS
from backproof.tracing.sightings import Array, Sighting, is_object, same
from backproof.tracing.unpatched import np

Name = tuple[str, Hashable]

ROWS = 8
"""Samples on which a product is tried."""
FEWEST = 2
"""Values that have to agree."""
MOST = 128
"""Arrays of a pass that are looked at, the last."""


@dataclass(frozen=True)
class Link:
    """One layer as it was found: what went in, its parameters, its sum and its activation, where they have a name; and
    how many samples it was.
    """

    below: Sighting
    W: Sighting
    b: Sighting | None
    Z: Sighting | None
    A: Sighting | None
    samples: int


def chain(seen: Sequence[Sighting], since: int = 0) -> list[Link]:
    """The layers of a forward pass, from the inputs on: of the chain with the most weights that are called so, and of
    such the longest; of several, one that was made before any gradient, one of as many samples as a gradient, the last.

    Args:
        seen: the arrays of the pass and those that were there before, in the order in which they were made.
        since: the order of the first that the pass made.
    """
    last = [s for s in seen if s.value.ndim in (1, 2)][-MOST:]
    names = _weights(last)
    links: list[Link] = []
    weights: dict[Name, Sighting] = {}
    below: list[Sighting] = []
    with np.errstate(all="ignore"):
        for s in last:
            found = s.order >= since and _computed(s) and _explain(s, links, below, weights.values(), names)
            if name_of(s) in names and not found:
                weights[name_of(s)] = s
            else:
                below.insert(0, s)
    gradients = [s for s in last if s.kind in GRADIENTS and s.order >= since and np.any(s.value)]
    begun, shapes = min((s.order for s in gradients), default=0), {s.value.shape for s in gradients}

    def worth(found: list[Link]) -> tuple[int, int, bool, bool]:
        made = [s for link in found for s in (link.Z, link.A) if s is not None]
        named = sum(link.W.kind == "W" for link in found)
        return named, len(found), all(s.order < begun for s in made), any(s.value.shape in shapes for s in made)

    sums = [s for s in last if s.kind == "Z"]
    return max((_to(end, links, sums) for end in reversed(links)), key=worth, default=[])


def _computed(s: Sighting) -> bool:
    # An x may be the sum that is handed to an activation; what is called a gradient or a weight is made otherwise.
    named = s.kind in (*GRADIENTS, *PARAMETERS, "Y")
    return s.value.dtype.kind == "f" and s.value.size >= FEWEST and not named


def name_of(s: Sighting) -> Name:
    """What tells one variable from another: an object's own name belongs to it, others are the script's."""
    return s.label, s.scope if is_object(s) else None


def _weights(seen: Sequence[Sighting]) -> dict[Name, float]:
    """Names of what may be weights (a product does not tell which of its sides is one), and up to when: what is called
    so, always; other arrays until their last change, for an update comes after the forward pass.
    """
    versions: dict[Name, list[Sighting]] = defaultdict(list)
    for s in seen:
        if s.value.ndim == 2 and s.value.dtype.kind == "f" and s.kind not in ("X", "Y", *GRADIENTS):
            versions[name_of(s)].append(s)
    until: dict[Name, float] = {}
    for name, group in versions.items():
        changes = [t.order for s, t in pairwise(group) if s.value.shape == t.value.shape and not same(s.value, t.value)]
        if any(s.kind == "W" for s in group):
            until[name] = np.inf
        elif changes:
            until[name] = changes[-1]
    return until


def _explain(
    s: Sighting, links: list[Link], below: list[Sighting], weights: Iterable[Sighting], names: dict[Name, float]
) -> bool:
    """Whether an array is the activation of a layer that is there, or makes one, which is added; a copy is neither."""
    outs = [out.value for link in links if (out := link.A or link.Z) is not None]
    if any(out.shape == s.value.shape and apart(out, s.value) < FITS for out in outs):
        return False
    if (place := _activated(s, links)) is not None:
        links[place] = replace(links[place], A=s)
        return True
    if link := _link(s, below, [W for W in weights if names[name_of(W)] > s.order]):
        links.append(link)
    return bool(link)


def _activated(s: Sighting, links: list[Link]) -> int | None:
    """The link whose sum this is the activation of: the last that has none yet."""
    for place, link in reversed(list(enumerate(links))):
        if link.Z is None or link.A is not None or link.Z.value.shape != s.value.shape:
            continue
        if _is_function(s, link.Z):
            return place
    return None


def _link(s: Sighting, below: Sequence[Sighting], weights: Sequence[Sighting]) -> Link | None:
    """The layer that the array is the sum of, or the activation where the sum has no name; sums are tried first."""
    biases = [t for t in (*weights, *below) if t.value.ndim == 1 or 1 in t.value.shape]
    usable = [W for W in weights if W.value.ndim == 2 and W.value.size >= FEWEST]
    sides = [(x, W) for x in below for W in usable if x.identity != W.identity]
    for x, W in sides:
        for product, seen, samples in _products(x.value, W.value, s.value):
            if _is_shifted(product, seen):
                for b, total in _with_bias(product, biases):
                    if apart(total, seen) < FITS:
                        return Link(x, W, b, s, None, samples)
    for x, W in sides if s.kind != "Z" else ():
        for product, seen, samples in _products(x.value, W.value, s.value):
            possible = [None, *_of_width(biases, product.shape[1])]
            shifts = [np.zeros(1) if b is None else b.value.reshape(-1) for b in possible]
            if (place := activated_with(product, shifts, seen)) is not None:
                return Link(x, W, possible[place], None, s, samples)
    return None


def _is_shifted(product: Array, seen: Array) -> bool:
    """Whether one is the other plus the same row for every sample: then some bias may be that."""
    rest = seen - product
    return float(np.abs(rest - rest[0]).max(initial=0.0)) <= 10 * FITS * float(np.abs(seen).max(initial=0.0))


def _products(x: Array, W: Array, seen: Array) -> Iterator[tuple[Array, Array, int]]:
    """Some rows (samples) of x·W in every orientation that gives an array of the shape, with the same rows of it, and
    how many rows there are.
    """
    for left in _turned(x):
        for right in (W, W.T):
            if left.shape[1] != right.shape[0]:
                continue
            for target in _turned(seen):
                if target.shape == (left.shape[0], right.shape[1]) and target.size >= FEWEST:
                    some = slice(None, None, 1 + left.shape[0] // ROWS)
                    yield np.ascontiguousarray(left[some]) @ right, target[some], left.shape[0]


def _turned(array: Array) -> tuple[Array, ...]:
    return (array.reshape(1, -1),) if array.ndim == 1 else (array, array.T)


def _with_bias(product: Array, biases: Sequence[Sighting]) -> Iterator[tuple[Sighting | None, Array]]:
    yield None, product
    for b in _of_width(biases, product.shape[1]):
        yield b, product + b.value.reshape(-1)


def _of_width(biases: Sequence[Sighting], width: int) -> Iterator[Sighting]:
    return (b for b in biases if b.value.size == width and np.any(b.value))


def _to(end: Link, links: list[Link], sums: list[Sighting]) -> list[Link]:
    """The layers that lead to one, back to an array that no layer made; no weight twice, as in a backward pass."""
    found = [end]
    while (before := _feeding(found[0], links, sums)) is not None:
        if any(before.W.identity == link.W.identity for link in found):
            return []
        found.insert(0, before)
    return found


def _feeding(above: Link, links: list[Link], sums: list[Sighting]) -> Link | None:
    """The layer whose output the link is handed; what has its shape and is no known function of its sum is that too,
    unless it is one of an array that is called a sum.
    """
    before = (link for link in reversed(links) if _order(link) <= above.below.order)
    earlier = [link for link in before if link.samples == above.samples]
    for link in earlier:
        out = link.A or link.Z
        if out is not None and out.identity == above.below.identity:
            return link
    for link in earlier:
        if link.Z is not None and link.A is None and link.Z.value.shape == above.below.value.shape:
            named = [s for s in sums if link.Z.order < s.order < above.below.order]
            return None if any(_is_function(above.below, s) for s in named) else replace(link, A=above.below)
    return None


def _is_function(A: Sighting, Z: Sighting) -> bool:
    return A.value.shape == Z.value.shape and is_activation(Z.value, A.value)


def _order(link: Link) -> int:
    return min(s.order for s in (link.Z, link.A) if s is not None)
