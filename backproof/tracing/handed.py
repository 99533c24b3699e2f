"""A loop's error that every turn hands to the layer below: ``dA = W[l].T @ delta`` is that layer's, and at last the
data's. Where all layers are of one width nothing but its value tells it from the error of the turn's own layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backproof.tracing.activated import FITS
from backproof.tracing.batch import products
from backproof.tracing.sightings import Sighting

if TYPE_CHECKING:
    from backproof.tracing.step import Step


def handed_down(step: Step) -> None:
    """Where there is an error for each layer, and all but one at most are made of their own layer's weights and delta,
    each belongs to the layer below; the first layer's is the data's, and left out.
    """
    layers = range(1, step.network.depth + 1)
    if any(f"dA{layer}" not in step.quantities for layer in layers):
        return
    own = sum(hands_down(step, layer, step.quantities[f"dA{layer}"]) for layer in layers)
    if own < max(2, step.network.depth - 1):
        return
    errors = [step.quantities.pop(f"dA{layer}") for layer in layers]
    for layer, seen in zip(layers, errors[1:], strict=False):
        step.quantities[f"dA{layer}"] = seen.within(kind="dA", number=layer)


def hands_down(step: Step, layer: int, seen: Sighting) -> bool:
    """Whether an array is the product of a layer's weights with its delta: what it hands to the layer below."""
    delta, weight = step.quantities.get(f"dZ{layer}"), step.quantities.get(f"W{layer}")
    if delta is None or weight is None or delta.value.ndim != 2 or weight.value.ndim != 2:
        return False
    return any(distance < FITS for distance in products(delta.value, weight.value, None, seen.value))
