"""One training step: which of the sightings of a pass are its quantities."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from backproof.tracing import batch, clipped, losses, update
from backproof.tracing.activated import FITS, apart
from backproof.tracing.by_value import by_value
from backproof.tracing.layers import Placed, fits, placed
from backproof.tracing.ledger import Pass
from backproof.tracing.masks import without_masks
from backproof.tracing.network import Network, network_of
from backproof.tracing.shifted import as_made
from backproof.tracing.sightings import Array, Sighting, meaning_of
from backproof.tracing.swapped import SWAPPED, swap, swapped
from backproof.tracing.unpatched import np

SOME = 512
"""Elements on which arrays of a step are told apart."""
UNCHAINED = "the weights do not follow one upon the other"
"""Begins the note on a step whose layers are no chain: names that mean something else, or biases inside of weights."""


@dataclass
class Step:
    """The quantities of a step under their canonical keys, each as the sighting that it is.

    ``notes`` say what was chosen or left out and why; ``complete`` that forward and backward were both seen.
    """

    network: Network
    quantities: dict[str, Sighting] = field(default_factory=dict)
    learning_rate: Sighting | None = None
    notes: list[str] = field(default_factory=list)
    errors: dict[int, list[Sighting]] = field(default_factory=dict)
    """Of a layer without a dZ: what may be that or its dA, in the order in which it was made."""
    clipped: list[str] = field(default_factory=list)
    """Names of gradients that were clipped before the update: they are here as they were made."""
    turned: bool = False
    """Whether its gradients are read with a minus."""
    moved: bool = False
    """Whether parameters were changed in it, taken as an update or not."""

    @property
    def complete(self) -> bool:
        """Whether there is something of the forward pass, and something of the backward pass or of the update."""
        kinds = {key.rstrip("0123456789") for key in self.quantities}
        return bool(kinds & {"Z", "A"}) and bool(kinds & {"dZ", "dW", "dA"} or "W1_next" in self.quantities)

    @property
    def updated(self) -> bool:
        """Whether parameters after the step are there."""
        return any(key.endswith("_next") for key in self.quantities)

    @property
    def expected(self) -> list[str]:
        """The keys that a step of this network has, whether it was found or not."""
        layers = range(1, self.network.depth + 1)
        forward = [key + str(n) for n in layers for key in ("W", "b", "Z", "A")]
        backward = [key + str(n) for n in reversed(layers) for key in ("dA", "dZ", "dW", "db")]
        if (output := f"dA{self.network.depth}") not in self.quantities:
            backward.remove(output)  # for most, the loss and the output's activation are one equation
        after = [f"{key}{n}_next" for n in layers for key in ("W", "b")]
        keys = ["X", "Y", *forward, "loss", *backward, *after]
        biased = any(key[0] == "b" for key in self.quantities)
        return [key for key in keys if biased or not key.startswith(("b", "db"))]

    @property
    def arrays(self) -> dict[str, Array]:
        """Key -> array, as the script had it."""
        return {key: seen.value for key, seen in self.quantities.items()}

    @property
    def samples(self) -> int:
        """How many samples the forward pass has; 0 where it cannot be told."""
        return batch.samples(self.quantities, self.network)


def step_of(passed: Pass) -> Step | None:
    """The step that a pass is, or None where no weights were seen in it."""
    passed, network, found, said, made = _read(passed)
    if network is None:
        return None
    step = Step(network, notes=list(filter(None, (*dict.fromkeys(passed.changed), said))))
    begun = _first_gradient(found)
    # What is changed while the forward pass still runs is no update: weights made anew after an evaluation.
    begun = max(min(begun, update.first_update(found, network.depth, begun)), made + 1)
    _backward(step, found)
    clipped.undo(step, found)
    _forward(step, found, begun)
    _linear_output(step)
    _without_derivatives(step)
    if not passed.closed:
        _without_beginnings(step)
    _parameters(step, found, begun)
    batch.one_sample(step.quantities, network)
    since = min((s.order for s in passed.sightings if s.new), default=0)
    step.quantities |= batch.inputs(found, step.quantities, network, step.notes, since)
    step.quantities |= batch.labels(found, step.quantities, network, step.notes, since, begun)
    losses.settle(step, found)
    update.settle(step, found, passed)
    for key, seen in step.quantities.items():
        step.quantities[key] = replace(seen, label=_maker(seen, found))
    if not network.widths:
        shapes = ", ".join(
            f"{w.label} {w.value.shape}" for w in (network.weights[n][-1] for n in sorted(network.weights))
        )
        step.notes.append(f"{UNCHAINED} ({shapes})")
    if not any(key[0] == "b" for key in step.quantities):
        step.notes.append("no biases were seen")
    return step


def _read(passed: Pass) -> tuple[Pass, Network | None, Placed, str, int]:
    """The pass, its layers and what belongs to them: by the names, and by value where these mislead, which is said; and
    up to when the forward pass went, where its values tell.
    """
    network = network_of(passed)
    found = without_masks(placed(passed, network), network.depth) if network is not None else {}
    if network is not None and swapped(found, network, _first_gradient(found)):
        return passed, network, swap(found, network), SWAPPED, 0
    told, said, made = by_value(passed, network, found)
    layers = network_of(told)
    if layers is None or sorted(layers.weights) != list(range(1, layers.depth + 1)):
        return passed, network, found, "", 0
    return told, layers, without_masks(placed(told, layers), layers.depth), said, made


def _maker(seen: Sighting, found: Placed) -> str:
    """The name under which an array was made, the one with a number first: it is passed on under others."""
    alike = [s for s in found.get((seen.kind, seen.number or 0), []) if s.identity == seen.identity]
    made = [s.label for s in alike if s.how == "statement" and s.place == seen.place]
    named = [label for label in made if (meaning := meaning_of(label)) is not None and meaning.number is not None]
    return next(iter(named or made), seen.label)


def _first_gradient(found: Placed) -> int:
    """When the backward pass began: the first gradient that is no zero-filled accumulator."""
    orders = [
        s.order
        for (kind, _), seen in found.items()
        if kind in ("dZ", "dA", "dH", "dW", "db")
        for s in seen
        if np.any(s.value)
    ]
    return min(orders, default=10**12)


def _backward(step: Step, found: Placed) -> None:
    """The gradients of each layer: the last before its parameters were updated."""
    for layer in range(1, step.network.depth + 1):
        for kind in ("dZ", "dA", "dW", "db"):
            seen = _arrays(found.get((kind, layer), []), found)
            if seen := seen if kind in ("dW", "db") else _without_misread(step, seen, layer):
                step.quantities[f"{kind}{layer}"] = update.before_update(seen, found, layer, kind)
        errors = _arrays(found.get(("dH", layer), []), found)
        if f"dZ{layer}" not in step.quantities:  # many call the delta dA
            step.quantities.pop(f"dA{layer}", None)
            errors = sorted([*errors, *_arrays(found.get(("dA", layer), []), found)], key=lambda s: s.order)
        errors = _without_misread(step, errors, layer)
        _either_side(step, errors, layer)
        _one_of_two_names(step, layer)


def _one_of_two_names(step: Step, layer: int) -> None:
    """A dA that is the dZ as well is no other array."""
    dA, dZ = step.quantities.get(f"dA{layer}"), step.quantities.get(f"dZ{layer}")
    if dA is not None and dZ is not None and dA.value is dZ.value:
        del step.quantities[f"dA{layer}"]


def _arrays(seen: list[Sighting], found: Placed) -> list[Sighting]:
    """What has dimensions; without an A that is handed to the loss's ``backward(dvalues, y_true)`` as it is."""
    outputs = {id(s.value) for (kind, _), made in found.items() if kind == "A" for s in made}
    whole = [s for s in seen if s.value.ndim > 0 or s.kind == "db"]
    return [s for s in whole if s.kind != "dA" or id(s.value) not in outputs]


def _either_side(step: Step, seen: list[Sighting], layer: int) -> None:
    """An error of a layer's output: its dA where a delta is there as well; open (``dH``) where it is all there is.

    One that was changed on its way is dA before and dZ after.
    """
    if not seen:
        return
    last, first = seen[-1], seen[0]
    if f"dZ{layer}" in step.quantities:
        step.quantities.setdefault(f"dA{layer}", last.within(kind="dA", number=layer))
    elif _changed_on_its_way(first, last):
        step.quantities[f"dZ{layer}"] = last.within(kind="dZ", number=layer)
        step.quantities.setdefault(f"dA{layer}", first.within(kind="dA", number=layer))
    else:
        step.quantities[f"dH{layer}"] = last
        step.errors[layer] = seen


def _changed_on_its_way(first: Sighting, last: Sighting) -> bool:
    """Whether one array, or one name, had another value before: ``dA1[Z1 <= 0] = 0``, ``dA1 = dA1 * (Z1 > 0)``."""
    if first.value is last.value or first.value.shape != last.value.shape:
        return False
    named = (first.label, first.frame, first.kind) == (last.label, last.frame, "dA")
    return first.identity == last.identity or named


def _forward(step: Step, found: Placed, begun: int) -> None:
    """Z and A of each layer: the last before the backward pass, with as many samples as the deltas."""
    for layer in range(1, step.network.depth + 1):
        delta = step.quantities.get(f"dZ{layer}", step.quantities.get(f"dH{layer}"))
        for kind in ("Z", "A"):
            seen = [s for s in found.get((kind, layer), []) if s.value.dtype.kind == "f" and s.value.ndim in (1, 2)]
            seen = _without_misread(step, seen, layer)
            seen = [s for s in seen if s.order < begun] or seen[:1]
            if delta is not None:
                alike = [s for s in seen if s.value.shape in (delta.value.shape, delta.value.shape[::-1])]
                seen = alike or seen
            if seen:
                logits = kind == "Z" and layer == step.network.depth and step.network.widths
                step.quantities[f"{kind}{layer}"] = as_made(seen, step.network.widths[layer]) if logits else seen[-1]


def _linear_output(step: Step) -> None:
    """What is a sum by value and an output by name is both: the output is linear."""
    L = step.network.depth
    Z = step.quantities.get(f"Z{L}")
    if Z is not None and f"A{L}" not in step.quantities:
        meaning = meaning_of(Z.label)
        if meaning is not None and meaning.kind == "A":
            step.quantities[f"A{L}"] = Z.within(kind="A", number=L)


def _without_derivatives(step: Step) -> None:
    """A dA that is the activation's derivative (``da1 = z1 > 0``) is no gradient, and that is said."""
    for layer in range(1, step.network.depth + 1):
        dA, Z, A = (step.quantities.get(f"{kind}{layer}") for kind in ("dA", "Z", "A"))
        forward = [s.value for s in (Z, A) if dA is not None and s is not None and s.value.shape == dA.value.shape]
        if dA is not None and any(_is_derivative(dA.value, z) for z in forward):
            del step.quantities[f"dA{layer}"]
            step.notes.append(f"{dA.label} ({dA.place}) is no dA{layer}: it is the derivative of the activation")


def _is_derivative(dA: Array, z: Array) -> bool:
    """Of ReLU at z, or of sigmoid or tanh where z is its result; some elements tell."""
    d, z = (array.ravel()[:: 1 + array.size // SOME] for array in (dA, z))
    return any(apart(g, d) < FITS for g in ((z > 0).astype(np.float64), z * (1 - z), 1 - z * z))


def _without_beginnings(step: Step) -> None:
    """Of a pass that broke off: a gradient that is still all zero was only about to be made."""
    for key in [key for key, s in step.quantities.items() if key[:2] in ("dW", "db") and not np.any(s.value)]:
        del step.quantities[key]


def _without_misread(step: Step, seen: list[Sighting], layer: int) -> list[Sighting]:
    """Without what has another layer's width and not this one's: its name was misread. Said where it is all."""
    network = step.network
    kept = [s for s in seen if fits(s, network, layer) or set(network.widths).isdisjoint(s.value.shape)]
    for s in () if kept else seen:
        shape = " × ".join(map(str, s.value.shape))
        note = f"{s.label} ({s.place}, {shape}) was taken for {s.kind}{layer} by its name, and is left out: "
        note += f"layer {layer} has {network.widths[layer]} units"
        step.notes += [note] if note not in step.notes else []
    return kept


def _parameters(step: Step, found: Placed, begun: int) -> None:
    """W and b as the forward pass used them."""
    for layer in range(1, step.network.depth + 1):
        for kind in ("W", "b"):
            seen = found.get((kind, layer), [])
            if before := [s for s in seen if s.order < begun] or seen[:1]:
                step.quantities[f"{kind}{layer}"] = before[-1]
