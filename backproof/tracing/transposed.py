"""Gradients that a script makes ready in its update only: ``W -= lr * dW.T``, ``b -= lr * np.sum(db, axis=0)``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backproof.tracing.movement import along, moved_by

if TYPE_CHECKING:
    from backproof.tracing.step import Step


def turn_back(step: Step) -> None:
    """Read dW and db as the update does: a db as its sum (:func:`_sum`), a dW transposed where the weights move along
    that, and not along it as it is; a square one, which may be turned by mistake, only where every layer's is.
    """
    for layer in range(1, step.network.depth + 1):
        _sum(step, layer)
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


def _sum(step: Step, layer: int) -> None:
    """A db of every sample as the sum along which the bias moves; one that was never summed moves another shape."""
    gradient, before, after = (step.quantities.get(key.format(layer)) for key in ("db{}", "b{}", "b{}_next"))
    if gradient is None or before is None or after is None or gradient.value.ndim != 2:
        return
    if after.value.shape != before.value.shape or gradient.value.size == before.value.size:
        return
    moved = after.value - before.value
    for axis in (0, 1):
        total = gradient.value.sum(axis=axis)
        if total.size == moved.size and along(moved, total, before):
            step.quantities[f"db{layer}"] = replace(gradient, value=total.reshape(moved.shape))
            step.notes.append(f"{gradient.label} ({gradient.place}) is summed over the samples in the update")
            return
