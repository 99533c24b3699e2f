"""The update of a step: the parameters after it, the learning rate, and which way the script's gradients point."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backproof.tracing import losses, transposed
from backproof.tracing.batch import products
from backproof.tracing.handed import handed_down, hands_down
from backproof.tracing.layers import Placed
from backproof.tracing.ledger import Pass
from backproof.tracing.momentum import without_momentum
from backproof.tracing.movement import along, moved_by, movement, movements, product_of
from backproof.tracing.optimizer import without_state
from backproof.tracing.rates import learning_rate
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step

UPHILL = "the script's gradients point uphill (Y − A) and it adds them: all are read with a minus"


def before_update(seen: list[Sighting], found: Placed, layer: int, kind: str) -> Sighting:
    """The last gradient before its parameter was updated, zero-filled accumulators left out where there is another."""
    updated = _first_update(found, "b" if kind == "db" else "W", layer, min(s.order for s in seen))
    used = [s for s in seen if s.order < updated] or seen
    return ([s for s in used if np.any(s.value)] or used)[-1]


def _first_update(found: Placed, kind: str, layer: int, after: int) -> int:
    seen = found.get((kind, layer), [])
    before = [s for s in seen if s.order < after]
    for s in seen:
        if s.order > after and s.new and (not before or not _same(s.value, before[-1].value)):
            return s.order
    return 10**12


def first_update(found: Placed, depth: int, begun: int) -> int:
    """When the first weight was changed after something was made of the weights; never where neither is seen. Weights
    after which the forward pass runs once more before the first gradient (``begun``) were made anew, not updated.
    """
    forward = [s for (kind, layer), seen in found.items() if kind in ("Z", "A") and layer for s in seen]
    made = sorted(s.order for s in forward if s.new and s.how == "statement")
    after = made[0] if made else 10**12
    while True:
        first = min((_first_update(found, "W", layer, after) for layer in range(1, depth + 1)), default=10**12)
        again = [order for order in made if first < order < begun < 10**12]
        if not again:
            return first
        after = again[0]


def settle(step: Step, found: Placed, passed: Pass) -> None:
    """Add the parameters after the update and the learning rate, and turn gradients that point uphill."""
    changed = _changed(step, found)
    step.moved = bool(changed)
    kept = sorted({s.label for s in passed.everything if s.kind == "state" and np.any(s.value)})
    if changed and step.clipped:
        step.notes.append(f"the update was not taken: gradients are clipped before it ({', '.join(step.clipped)})")
        changed = {}
    elif changed and kept:
        step.notes.append(f"the update was not taken: the script keeps an optimizer's state ({', '.join(kept)})")
        changed = {}
    if changed:
        step.quantities |= {f"{key}_next": s for key, s in changed.items()}
        if passed.closed:
            _left_alone(step, changed)
    transposed.turn_back(step)
    losses.without_squares(step)
    rates = [float(s.value) for s in found.get(("learning_rate", 0), []) if s.value.size == 1]
    unchecked = without_momentum(step, passed) or without_state(step, passed, rates)
    _open_errors(step)
    handed_down(step)
    _unnamed_errors(step, passed.strangers)
    if uphill(step):
        turn(step)
    step.learning_rate = learning_rate(step, found)
    step.quantities = {key: s for key, s in step.quantities.items() if key not in unchecked}


def turn(step: Step) -> None:
    """Read all gradients with a minus; or, if they are, without."""
    step.turned = not step.turned
    step.notes = [note for note in step.notes if note != UPHILL] + [UPHILL] * step.turned
    for key in [key for key in step.quantities if key[0] == "d"]:
        seen = step.quantities[key]
        step.quantities[key] = replace(seen, value=-seen.value)


def _changed(step: Step, found: Placed) -> dict[str, Sighting]:
    """Parameters that have another value at the end of the pass than in its forward pass."""
    result: dict[str, Sighting] = {}
    single: dict[str, Sighting] = {}
    for layer in range(1, step.network.depth + 1):
        for kind in ("W", "b"):
            key = f"{kind}{layer}"
            before = step.quantities.get(key)
            after = [s for s in found.get((kind, layer), []) if before is not None and s.order > before.order]
            after = _held_alike(after, found[kind, layer], before) if before is not None else []
            if before is not None and after and not _same(after[-1].value, before.value):
                (result if _moves(after[-1].value, before.value) else single)[key] = after[-1]
    return result | single if result else {}


def _held_alike(after: list[Sighting], seen: list[Sighting], before: Sighting) -> list[Sighting]:
    """Those that are held where the parameter was before, if they changed: a dict of another name may keep an
    optimizer's state under the names of the parameters.
    """
    held = {_holder(s) for s in seen if s.identity == before.identity and s.order <= before.order}
    alike = [s for s in after if _holder(s) in held]
    return alike if alike and not _same(alike[-1].value, before.value) else after


def _holder(s: Sighting) -> str:
    return s.label.rpartition('["')[0]


def _moves(after: Array, before: Array) -> bool:
    """Whether what changed is an update: one element of many alone is the probe of a numerical gradient."""
    return after.shape != before.shape or before.size == 1 or int(np.sum(after != before)) > 1


def _left_alone(step: Step, changed: dict[str, Sighting]) -> None:
    for layer in range(1, step.network.depth + 1):
        for key in (f"W{layer}", f"b{layer}"):
            if key in step.quantities and key not in changed:
                step.quantities[f"{key}_next"] = replace(step.quantities[key], place="")
                step.notes.append(f"{key} ({step.quantities[key].label}) was not changed by the update")


def _open_errors(step: Step) -> None:
    """An error that may be dZ or dA is dZ if the weights move along its product with the inputs, and dA otherwise."""
    for layer in range(1, step.network.depth + 1):
        if (seen := step.quantities.pop(f"dH{layer}", None)) is None:
            continue
        recorded = step.quantities.get(f"dW{layer}")
        moved = recorded.value if recorded is not None else moved_by(step, layer)
        before = step.quantities.get(f"W{layer}") if recorded is None else None
        errors = [_in_rows(s) for s in step.errors.get(layer, [seen])]
        used = [s for s in errors if moved is not None and _is_used(step, layer, s, moved, before)]
        if used:
            step.quantities.setdefault(f"dZ{layer}", used[-1])
            errors = [s for s in errors if s.order < used[-1].order and s.identity != used[-1].identity]
        if errors:
            step.quantities.setdefault(f"dA{layer}", next((s for s in errors[::-1] if s.kind == "dA"), errors[-1]))


def _in_rows(seen: Sighting) -> Sighting:
    """The error of a single sample as a row, as its other quantities are."""
    return replace(seen, value=seen.value.reshape(1, -1)) if seen.value.ndim == 1 else seen


def _unnamed_errors(step: Step, strangers: list[Sighting]) -> None:
    """Errors under names that mean nothing: dZ is what the weights move along, dA what is handed down."""
    made = min((s.order for key, s in step.quantities.items() if key[0] in "ZA"), default=0)
    unknown = [_in_rows(s) for s in strangers if s.order > made]
    for layer in range(step.network.depth, 0, -1):
        output = step.quantities.get(f"A{layer}", step.quantities.get(f"Z{layer}"))
        alike = [s for s in unknown if output is not None and s.value.shape == output.value.shape]
        if f"dA{layer}" not in step.quantities and layer < step.network.depth:
            handed = [s for s in alike if hands_down(step, layer + 1, s)]
            step.quantities |= {f"dA{layer}": s.within(kind="dA", number=layer) for s in handed[-1:]}
        moved, before = moved_by(step, layer), step.quantities.get(f"W{layer}")
        if f"dZ{layer}" not in step.quantities and moved is not None:
            used = [s for s in alike if _is_used(step, layer, s, moved, before)]
            step.quantities |= {f"dZ{layer}": s.within(kind="dZ", number=layer) for s in used[-1:]}


def _is_used(step: Step, layer: int, seen: Sighting, moved: Array, before: Sighting | None) -> bool:
    """Whether the weights move along its product with the layer's inputs."""
    product = product_of(step, layer, seen, moved)
    return product is not None and along(moved, product, before)


def _are_labels(step: Step, labels: Sighting | None) -> bool:
    """Whether there is one label, or one of every output, for each sample."""
    m, widths = step.samples, step.network.widths
    return labels is not None and (not (m and widths) or labels.value.size in (m, m * widths[-1]))


def uphill(step: Step) -> bool:
    """Whether the output's delta (or, without it, what its weights' gradient is made of) is Y − A, and is added.

    Where Y was not found, whether every layer moves along its gradient: nothing could tell that from an ascent.
    """
    layer = step.network.depth
    output, labels, delta, error = (step.quantities.get(key) for key in (f"A{layer}", "Y", f"dZ{layer}", f"dA{layer}"))
    delta = delta or error
    if not _are_labels(step, labels) and (seen := movements(step)):
        return all(float(np.vdot(*pair)) > 0 for pair in seen)
    pair = movement(step, layer, delta)
    if output is None or labels is None or (pair is None and delta is not None):
        return False
    with np.errstate(all="ignore"):
        for y in (labels.value, labels.value.T):
            if y.shape == output.value.shape:
                downhill = replace(output, value=output.value - y)
                if pair is None:
                    return _hands_down_uphill(step, downhill)
                if delta is None:
                    made = product_of(step, layer, downhill, pair[1])
                    return made is not None and float(np.vdot(made, pair[1])) < 0 < float(np.vdot(*pair))
                if delta.value.shape == y.shape:
                    return float(np.vdot(downhill.value, delta.value)) < 0 < float(np.vdot(*pair))
    return False


def _hands_down_uphill(step: Step, downhill: Sighting) -> bool:
    """Where the output's delta has no name: whether what is handed to the layer below is made of Y − A, while the
    weights go down.
    """
    layer = step.network.depth
    weight, handed, moved = (
        step.quantities.get(f"W{layer}"),
        step.quantities.get(f"dA{layer - 1}"),
        moved_by(step, layer),
    )
    made = None if moved is None else product_of(step, layer, downhill, moved)
    if weight is None or handed is None or moved is None or made is None or float(np.vdot(made, moved)) >= 0:
        return False
    apart = [min(products(downhill.value, weight.value, None, sign * handed.value), default=1.0) for sign in (1, -1)]
    return apart[1] < apart[0]


def _same(first: Array, second: Array) -> bool:
    return first is second or np.array_equal(first, second, equal_nan=True)
