"""Gradients that a script stores transposed and turns back in its update: ``W -= lr * dW.T``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backproof.tracing.movement import along, moved_by

if TYPE_CHECKING:
    from backproof.tracing.step import Step


def turn_back(step: Step) -> None:
    """Read a dW as the update does where the weights move along its transpose, and not along it; a square one, which
    may be turned by mistake, only where every layer's is.
    """
    pairs = {layer: _turned(step, layer) for layer in range(1, step.network.depth + 1)}
    whole = all(turned is not False for turned in pairs.values())
    for layer in (layer for layer, turned in pairs.items() if turned):
        gradient = step.quantities[f"dW{layer}"]
        rows, columns = gradient.value.shape
        if rows != columns or whole:
            step.quantities[f"dW{layer}"] = replace(gradient, value=gradient.value.T)
            step.notes.append(f"{gradient.label} ({gradient.place}) is stored transposed, and turned in the update")


def _turned(step: Step, layer: int) -> bool | None:
    """Whether W moves along the transpose of dW; None where there is no dW or no update."""
    gradient, moved = step.quantities.get(f"dW{layer}"), moved_by(step, layer)
    if gradient is None or moved is None or gradient.value.ndim != 2:
        return None
    before, turned = step.quantities[f"W{layer}"], gradient.value.T
    alike = gradient.value.shape == moved.shape and along(moved, gradient.value, before)
    return turned.shape == moved.shape and not alike and along(moved, turned, before)
