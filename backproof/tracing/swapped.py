"""Scripts that call the sums ``a`` and the activations ``z``: some textbooks do, and names alone would mislead."""

from __future__ import annotations

from backproof.tracing.batch import products
from backproof.tracing.layers import Placed
from backproof.tracing.network import Network
from backproof.tracing.sightings import Sighting
from backproof.tracing.unpatched import np

OTHER = {"Z": "A", "A": "Z", "dZ": "dA", "dA": "dZ"}
SWAPPED = "by value, the script's a are the sums W·X + b and its z the activations"
FITS, APART = 1e-5, 1e-2
"""A sum is the product of weights and inputs up to its rounding; an activation is not nearly that."""


def swapped(found: Placed, network: Network, begun: int) -> bool:
    """Whether what is called A of layer 1 before the backward pass is W·X + b of some inputs, and Z is not."""
    if not network.widths or network.depth < 2 or ("W", 1) not in found or ("Z", 1) not in found:
        return False
    weight = next(s for s in reversed(found["W", 1]) if s.order < begun or s is found["W", 1][0])
    biases = [s for s in found.get(("b", 1), []) if s.order < begun]
    bias = biases[-1].value if biases else None
    inputs = _distinct([*found.get(("X", 0), []), *found.get(("A", 0), [])])

    def apart(kind: str) -> float:
        sums = _distinct([s for s in found.get((kind, 1), []) if s.order < begun])
        distances = (
            distance
            for z in sums
            for x in inputs
            if x.value.ndim == z.value.ndim == weight.value.ndim == 2
            for distance in products(x.value, weight.value, bias, z.value)
        )
        return min(distances, default=1.0)

    with np.errstate(all="ignore"):
        return apart("Z") > APART and apart("A") < FITS


def _distinct(seen: list[Sighting]) -> list[Sighting]:
    return list({id(s.value): s for s in seen}.values())


def swap(found: Placed, network: Network) -> Placed:
    """Z for A and dZ for dA in every layer; the output is then among what is called ``y``."""
    result: Placed = {}
    for (kind, layer), seen in found.items():
        other = OTHER.get(kind, kind) if layer else kind
        result[other, layer] = [s.within(kind=other, number=layer) for s in seen]
    output = [
        s for s in found.get(("Y", 0), []) if s.value.dtype.kind == "f" and s.value.ndim == 2 and s.how == "statement"
    ]
    top = ("A", network.depth)
    named = [s.within(kind="A", number=network.depth) for s in output]
    result[top] = sorted([*result.get(top, []), *named], key=lambda s: s.order)
    return result
