"""Momentum whose state has no name that is known here: seen in the update, which then is not checked.

``W_next − W = a·dW + c·v``, v an array of W's shape that was there before the step's forward pass, by any name: so
classical momentum moves the weights, and Nesterov's. Nothing that a step makes of its own gradient is taken for v.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backproof.tracing.ledger import Pass
from backproof.tracing.movement import moved_by, product_of
from backproof.tracing.names import GRADIENTS
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.strangers import UNKNOWN
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step

FITS = 1e-7
"""Part of the update that may be left, beside the rounding of the weights it is the difference of."""
FEWEST = 3
"""Elements of a weight beyond the numbers that are fitted to them."""


def without_momentum(step: Step, passed: Pass) -> set[str]:
    """Take the momentum out of every update, and say so; the parameters after one that has it: they tell
    which way the gradients point, and are not to be checked.
    """
    since = min((s.order for s in passed.sightings), default=0)
    kept = [s for s in passed.strangers if s.kind == UNKNOWN and s.order < since]
    kept += [s for s in passed.before if s.kind in (UNKNOWN, *GRADIENTS)]
    labels = []
    for layer in range(1, step.network.depth + 1):
        moved = moved_by(step, layer)
        state = [s for s in kept if moved is not None and s.value.shape == moved.shape and np.any(s.value)]
        found = _found(step, layer, moved, state) if moved is not None else None
        if found is not None:
            label, plain = found
            labels.append(label)
            before = step.quantities[f"W{layer}"].value
            step.quantities[f"W{layer}_next"] = replace(step.quantities[f"W{layer}_next"], value=before + plain)
    if not labels:
        return set()
    step.notes.append(f"the update was not taken: it has momentum, by value (of {', '.join(dict.fromkeys(labels))})")
    return {key for key in step.quantities if key.endswith("_next")}


def _found(step: Step, layer: int, moved: Array, state: list[Sighting]) -> tuple[str, Array] | None:
    """What the momentum is of, and the part of the update that the gradient is."""
    if not np.any(moved):
        return None
    W = step.quantities[f"W{layer}"].value.astype(np.float64)
    rounding = 4 * float(np.finfo(moved.dtype).eps) * float(np.linalg.norm(W)) / float(np.linalg.norm(moved))
    for gradient in gradients(step, layer, moved):
        for beside in ([gradient], [gradient, W]):
            if moved.size < len(beside) + 1 + FEWEST:
                continue
            if fitted(moved, beside)[1] < FITS + rounding:
                return None  # plain, or with a decay
            for v in reversed(state):
                parts, left = fitted(moved, [*beside, v.value])
                if left < FITS + rounding and all(np.any(part) for part in parts):
                    return v.label, parts[0]
    return None


def gradients(step: Step, layer: int, moved: Array) -> list[Array]:
    """dW as recorded, or as made of what may be the layer's delta."""
    recorded = step.quantities.get(f"dW{layer}")
    if recorded is not None and recorded.value.shape == moved.shape:
        return [recorded.value]
    deltas = [s for kind in ("dZ", "dH", "dA") if (s := step.quantities.get(f"{kind}{layer}")) is not None]
    made = (product_of(step, layer, delta, moved) for delta in deltas)
    return [product for product in made if product is not None]


def fitted(moved: Array, arrays: list[Array]) -> tuple[list[Array], float]:
    """The parts of a least-squares fit, and what is left, relative."""
    columns = np.column_stack([array.ravel().astype(np.float64) for array in arrays])
    target = moved.ravel().astype(np.float64)
    scale = np.linalg.norm(columns, axis=0)
    if not scale.all() or not np.isfinite(scale).all() or not np.isfinite(target).all():
        return [], 1.0
    solution, _, rank, _ = np.linalg.lstsq(columns / scale, target, rcond=1e-10)
    if rank < len(arrays):
        return [], 1.0
    parts = [k * column.reshape(moved.shape) for k, column in zip(solution / scale, columns.T, strict=True)]
    left = float(np.linalg.norm(target - columns @ (solution / scale)))
    return parts, left / float(np.linalg.norm(target))
