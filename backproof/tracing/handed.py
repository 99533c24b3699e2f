"""A loop's error that every turn hands to the layer below: ``dA = W[l].T @ delta`` is that layer's, and at last the
data's. Where all layers are of one width nothing but its value tells it from the error of the turn's own layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backproof.tracing.activated import FITS
from backproof.tracing.batch import products

if TYPE_CHECKING:
    from backproof.tracing.step import Step


def handed_down(step: Step) -> None:
    """Where there is an error for each layer, and all but one at most are made of their own layer's weights and delta,
    each belongs to the layer below; the first layer's is the data's, and left out.
    """
    layers = range(1, step.network.depth + 1)
    if any(f"dA{layer}" not in step.quantities for layer in layers):
        return
    if sum(_of_own_weights(step, layer) for layer in layers) < max(2, step.network.depth - 1):
        return
    errors = [step.quantities.pop(f"dA{layer}") for layer in layers]
    for layer, seen in zip(layers, errors[1:], strict=False):
        step.quantities[f"dA{layer}"] = seen.within(kind="dA", number=layer)


def _of_own_weights(step: Step, layer: int) -> bool:
    error, delta, weight = (step.quantities.get(f"{kind}{layer}") for kind in ("dA", "dZ", "W"))
    if error is None or delta is None or weight is None or delta.value.ndim != 2 or weight.value.ndim != 2:
        return False
    return any(distance < FITS for distance in products(delta.value, weight.value, None, error.value))
