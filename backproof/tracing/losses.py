"""The loss of a step, of the numbers that are called so: not one of another forward pass, and no sum over batches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backproof.tracing.layers import Placed
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step

ADDED = "added"
"""How a number was made by ``+=``."""


def settle(step: Step, found: Placed) -> None:
    """The last loss that was made after the forward pass of the step, and before anything else was propagated."""
    used = [s for key, s in step.quantities.items() if key[0] in "ZA"]
    first: dict[int, int] = {}  # an array is seen again where it is handed on
    for s in (s for seen in found.values() for s in seen):
        first[id(s.value)] = min(first.get(id(s.value), s.order), s.order)
    made = max((first.get(id(s.value), s.order) for s in used), default=0)
    known = {s.identity for s in used}
    others = [
        s.order
        for (kind, _), seen in found.items()
        if kind in ("Z", "A")
        for s in seen
        if s.order > made and s.new and s.how == "statement" and s.identity not in known
    ]
    seen = [s for s in found.get(("loss", 0), []) if s.value.size == 1 and made < s.order < min(others, default=10**12)]
    seen = [s for s in seen if not _is_running(s, seen, found)] or seen
    summed = [s for s in seen if _is_summed(s, made, found)]
    if summed and len(summed) == len(seen):
        step.notes.append(f"{seen[-1].label} ({seen[-1].place}) is a sum over batches, and no loss of this step alone")
    elif seen:
        last = [s for s in seen if s not in summed][-1]
        step.quantities["loss"] = replace(last, value=np.asarray(last.value).reshape(()))


def _is_running(s: Sighting, seen: list[Sighting], found: Placed) -> bool:
    """Whether it is another loss of the step and what it was before: a sum over batches."""
    before = [t for t in found["loss", 0] if t.label == s.label and t.order < seen[0].order and t.value.size == 1]
    if not before:
        return False
    added = float(s.value.reshape(())) - float(before[-1].value.reshape(()))
    return any(t.label != s.label and np.isclose(added, float(t.value.reshape(())), rtol=1e-6) for t in seen)


def _is_summed(s: Sighting, made: int, found: Placed) -> bool:
    """Whether it goes on from what its name was before the forward pass: ``loss += ...`` in a loop over batches."""
    own = [t for t in found["loss", 0] if t.label == s.label and t.order <= s.order and t.value.size == 1]
    before = [t for t in own if t.order < made]
    since = [t for t in own if t.order > made]
    return bool(before and np.any(before[-1].value) and since[0].how == ADDED)


def without_squares(step: Step) -> None:
    """An error of the output that is (A − Y)², element by element, is what the loss is the sum of, and no gradient."""
    L = step.network.depth
    output, labels = step.quantities.get(f"A{L}"), step.quantities.get("Y")
    if output is None or labels is None or labels.value.size != output.value.size or not labels.value.ndim:
        return
    square = np.square(output.value - labels.value.reshape(output.value.shape))
    for key in (f"dA{L}", f"dH{L}"):
        seen = step.quantities.get(key)
        if seen is not None and seen.value.size == square.size and _is_multiple(seen.value.ravel(), square.ravel()):
            del step.quantities[key]
            step.notes.append(f"{seen.label} ({seen.place}) is no gradient: it is (A − Y)², of which the loss is made")


def _is_multiple(first: Array, second: Array) -> bool:
    """Whether the first is the second, or a half of it, over some count."""
    with np.errstate(all="ignore"):
        ratio = float(np.sum(second)) / float(np.sum(first)) if np.sum(first) else 0.0
        close = bool(np.allclose(first * ratio, second, rtol=1e-5, atol=0))
    return ratio >= 1 and close and abs(ratio - round(ratio)) < 1e-5 * ratio
