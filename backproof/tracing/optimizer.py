"""An optimizer whose state has no name that is known here: seen by value, and then its update is not checked.

Adam, RMSprop and Adagrad keep a mean or a sum of the squared gradients, ``s' = a·s + c·dW²``; no plain descent makes an
array that is a multiple of dW². A state that was zero and became a multiple of dW is one as well, where the step is
dW times something that is no rate of the script's: so begins Nesterov's momentum. Without a state that can be seen, a
step that is a function of the gradient, element by element, and no multiple of it is some rule's all the same: a
sign's, a clip's, Adam's first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backproof.tracing.ledger import Pass
from backproof.tracing.momentum import FEWEST, FITS, fitted, gradients
from backproof.tracing.movement import moved_by
from backproof.tracing.sightings import Array, Sighting
from backproof.tracing.unpatched import np

if TYPE_CHECKING:
    from backproof.tracing.step import Step

SOME = 4096
"""Elements on which a state is looked for."""
LAST = 24
"""Arrays of a weight's shape, of those that were there before, that may be the state before."""
RATE = 1e-3
"""Relative distance within which a step's multiple of the gradient is a rate of the script's."""


def without_state(step: Step, passed: Pass, rates: list[float]) -> set[str]:
    """Say so where the updates are an optimizer's; the parameters after them, which are not to be checked."""
    since = min((s.order for s in passed.sightings), default=0)
    every = [*passed.everything, *passed.strangers]
    layers = range(1, step.network.depth + 1)
    pairs = [(n, moved) for n in layers if (moved := moved_by(step, n)) is not None and _moves(moved)]
    kept = [label for layer, moved in pairs if (label := _state(step, layer, moved, every, since, rates))]
    if kept:
        said = f"the script keeps an optimizer's state, by value ({', '.join(dict.fromkeys(kept))})"
    elif pairs and all(_by_element(step, layer, moved) for layer, moved in pairs):
        said = "it is a function of the gradient, element by element, and no multiple of it"
    else:
        return set()
    step.notes.append(f"the update was not taken: {said}")
    return {key for key in step.quantities if key.endswith("_next")}


def _moves(moved: Array) -> bool:
    return bool(np.any(moved)) and bool(np.isfinite(moved).all())


def _state(step: Step, layer: int, moved: Array, every: list[Sighting], since: int, rates: list[float]) -> str:
    """The name of an array that is the optimizer's state of a layer's weights; empty where the update is plain."""
    own = {s.identity for key, s in step.quantities.items() if key[0] in "Wbd"}
    alike = [s for s in every if s.value.shape == moved.shape and s.value.dtype.kind == "f" and s.identity not in own]
    before = [s for s in alike if s.order < since][-LAST:]
    some = slice(None, None, 1 + moved.size // SOME)
    W = step.quantities[f"W{layer}"].value
    for gradient in gradients(step, layer, moved):
        times = _multiple(moved, gradient, W)
        if times is not None and any(abs(abs(times) - rate) <= RATE * rate for rate in rates):
            return ""
        for s in (s for s in alike if s.order >= since and np.any(s.value)):
            g, value = gradient.ravel()[some], s.value.ravel()[some]
            one = [t for t in alike if t.order < s.order and (_base(t) == _base(s) or t.identity == s.identity)]
            begun = any(not np.any(t.value) for t in one)
            earlier = [t.value.ravel()[some] for t in before if np.any(t.value)]
            # A step that is a multiple of the gradient divides by no squares, whoever keeps some.
            squared = times is None and _is_made_of(value, g * g, earlier, begun)
            if squared or (begun and times is not None and _is_made_of(value, g, [], begun)):
                return s.label
    return ""


def _base(s: Sighting) -> str:
    """What holds an array, whatever its index is called: ``G[k]`` is ``G["W1"]``."""
    return s.label.partition("[")[0]


def _multiple(moved: Array, gradient: Array, W: Array) -> float | None:
    """The step as a multiple of the gradient, beside a decay; None where it is none."""
    rounding = 4 * float(np.finfo(moved.dtype).eps) * float(np.linalg.norm(W)) / float(np.linalg.norm(moved))
    for beside in ([gradient], [gradient, W]):
        if moved.size >= len(beside) + FEWEST:
            parts, left = fitted(moved, beside)
            if parts and left < FITS + rounding:
                return float(np.vdot(parts[0], gradient)) / float(np.vdot(gradient, gradient))
    return None


def _is_made_of(value: Array, made: Array, earlier: list[Array], begun: bool) -> bool:
    """Whether a state is a multiple of something and a part of what it was, or the multiple alone where it was zero."""
    if value.size < 2 + FEWEST or not np.any(made):
        return False
    if fitted(value, [made])[1] < FITS:
        return begun
    return any(fitted(value, [made, old])[1] < FITS for old in earlier)


def _by_element(step: Step, layer: int, moved: Array) -> bool:
    """Whether the step falls (or rises) with the gradient, element by element, and is none of its multiples."""
    W = step.quantities[f"W{layer}"].value
    rounding = 4 * float(np.finfo(moved.dtype).eps) * float(np.abs(W).max(initial=0.0))
    for gradient in gradients(step, layer, moved):
        g, d = gradient.ravel().astype(np.float64), moved.ravel().astype(np.float64)
        if g.size < 4 * FEWEST or not np.isfinite(g).all() or _multiple(moved, gradient, W) is not None:
            continue
        d = d * (-1.0 if float(np.vdot(g, d)) < 0 else 1.0)
        rising = np.diff(d[np.argsort(g, kind="stable")]) >= -2 * rounding
        if rising.all() and np.all((g * d >= 0) | (np.abs(d) <= rounding)):
            return True
    return False
